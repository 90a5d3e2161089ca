-- Settings of topics and brokers as the cluster keeps them: read, change. Methods of kafka.connect, and what topics.lua needs.

local core = require "kafka.core"
local args = require "kafka.args"
local default = require "kafka.default"
local errors = require "kafka.error"
local show = require "kafka.show"
local call = require "kafka.admin.call"

---@class kafka.Client
local Configs = {}

local configs = { methods = Configs }

local entries_list = show.list({ "name", "value", "source", "default", "read_only", "sensitive" }, { key = "name" })

local FRESH = 5 -- seconds within which all brokers have heard of a change

-- The source of what was set for just this topic or broker: all that the old request, which replaces the whole, has to keep.
local OWN = { topic = "DYNAMIC_TOPIC_CONFIG", broker = "DYNAMIC_BROKER_CONFIG" }

---Settings as strings: numbers and booleans are welcome.
---@param may_default boolean|nil whether kafka.default may stand for a value; it becomes false
function configs.values(op, given, may_default)
  local strings = {}
  for name, value in next, core.copy(given) do
    args.check(op, "the name of a setting", name, args.name)
    local kind = type(value)
    if kind == "number" and value - value == 0 then
      value = tostring(math.tointeger(value) or value)
    elseif kind == "boolean" then
      value = tostring(value)
    elseif may_default and rawequal(value, default) then
      value = false
    elseif kind ~= "string" or value:find("\0", 1, true) then
      local wanted = "a string without NUL, a number, true or false"
      if may_default then wanted = wanted .. ", or kafka.default" end
      args.fail(op, name:find "^[%w._-]+$" and name or core.show(name), wanted, value)
    end
    strings[name] = value
  end
  return strings
end

-- Whether a broker is there: librdkafka waits for one that is not until the deadline.
local function absent(client, op, kind, name, deadline)
  if kind ~= "broker" then return nil end
  local picture, err = client:ask(op, false, math.max(0, deadline - core.now()))
  if not picture then return err end
  local ids = {}
  for i, b in ipairs(picture.brokers) do
    if ("%d"):format(b.id) == name then return nil end
    ids[i] = b.id
  end
  return errors.new { name = "_UNKNOWN_BROKER", op = op,
    message = ("no broker %s is up; these are: %s"):format(name, table.concat(ids, ", ")) }
end

---All settings of a resource.
---@param kind "topic"|"broker"
---@param name string
---@return table[]|nil
---@return kafka.Error|nil
function configs.read(client, op, kind, name, deadline)
  local about = { op = op, topic = kind == "topic" and name or nil }
  local missing = absent(client, op, kind, name, deadline)
  if missing then return nil, missing end
  local answer, err = call.send(client, "describe_configs", about, deadline, function(c, ms, ticket)
    return c:describe_configs(kind, name, ms, ticket)
  end)
  if not answer then return nil, err end
  local row = answer.rows[1]
  if row.err then return nil, call.error(row.err, about) end
  for _, e in ipairs(row.entries) do
    e.default, e.read_only, e.sensitive = e.default or false, e.read_only or false, e.sensitive or false
  end
  table.sort(row.entries, function(a, b) return a.name < b.name end)
  return entries_list(row.entries)
end

---Those that are not at Kafka's default.
function configs.changed(entries)
  local list = {}
  for _, e in ipairs(entries) do
    if not e.default then list[#list + 1] = e end
  end
  return entries_list(list)
end

local what_fields = { topic = args.topic_name, broker = args.partition }

-- {topic = name} or {broker = id}, as kind and name.
local function resource(op, what)
  if type(what) ~= "table" then args.fail(op, "what", "{topic = name} or {broker = id}", what) end
  local o = args.fields(op, what, what_fields, "what")
  if (o.topic == nil) == (o.broker == nil) then args.misuse(op, "give one of topic and broker") end
  if o.topic then return "topic", o.topic end
  return "broker", ("%d"):format(o.broker)
end

---Every setting of a topic or a broker: a list in the order of names; list["retention.ms"] is that entry.
---@param what table {topic = name} or {broker = id}
---@param timeout number|nil seconds (default 10)
---@return {name: string, value: string|nil, source: string, default: boolean, read_only: boolean, sensitive: boolean}[]|nil
---  no value: a sensitive one, which brokers never tell
---@return kafka.Error|nil
---rd_kafka_DescribeConfigs
function Configs:configs(what, timeout)
  local op = "configs"
  call.client(self, op)
  local kind, name = resource(op, what)
  return configs.read(self, op, kind, name, call.deadline(op, timeout))
end

-- What this client has just changed of a resource: setting -> {value or false, when}.
local function remembered(client, kind, name)
  local key = kind .. "\0" .. name
  client.altered[key] = client.altered[key] or {}
  return client.altered[key]
end

-- What the old request must say to change only `changes`: it puts back to its default whatever it is not given. A broker tells
-- the old value of what was changed a moment ago, so what this client did itself counts for more.
local function merged(client, op, kind, name, changes, deadline)
  local entries, err = configs.read(client, op, kind, name, deadline)
  if not entries then return nil, err end
  local all = {}
  for _, e in ipairs(entries) do
    if e.source == OWN[kind] and changes[e.name] == nil then
      if e.value == nil then
        return nil, errors.new { name = "_UNSUPPORTED_FEATURE", op = op,
          message = ("%s is sensitive and cannot be read, so this request would drop it: give its value too"):format(e.name) }
      end
      all[e.name] = e.value
    end
  end
  for setting, change in pairs(remembered(client, kind, name)) do
    if core.now() - change.at < FRESH then all[setting] = change.value or nil end
  end
  for setting, value in pairs(changes) do all[setting] = value or nil end
  return all
end

local alter_options = { timeout = args.seconds, dry_run = args.boolean }

---Changes settings of a topic or a broker; those not named stay as they are. Where librdkafka or the broker knows only the old
---request, which replaces the whole, what is set is read first and given again: a change made by another at that moment
---would be lost. Brokers show and follow a change a moment later.
---@param what table {topic = name} or {broker = id}
---@param changes table<string, string|number|boolean|table> kafka.default puts a setting back to its default
---@param options table|nil dry_run boolean: the broker only checks, timeout seconds (default 10)
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_IncrementalAlterConfigs, or rd_kafka_DescribeConfigs and rd_kafka_AlterConfigs
function Configs:alter_configs(what, changes, options)
  local op = "alter_configs"
  call.client(self, op)
  local kind, name = resource(op, what)
  args.check(op, "changes", changes, args.table)
  if next(changes) == nil then args.fail(op, "changes", "at least one setting", changes) end
  changes = configs.values(op, changes, true)
  local o = args.fields(op, options, alter_options)
  local deadline = call.deadline(op, o.timeout)
  local request, given = "incremental_alter_configs", changes
  local has, err = call.has(self, op, request, deadline)
  err = err or absent(self, op, kind, name, deadline)
  if err then return nil, err end
  if not has then
    request = "alter_configs"
    given, err = merged(self, op, kind, name, changes, deadline)
    if not given then return nil, err end
  end
  local about = { op = op, topic = kind == "topic" and name or nil }
  local answer
  answer, err = call.send(self, request, about, deadline, function(c, ms, ticket)
    return c[request](c, kind, name, given, o.dry_run, ms, ticket)
  end)
  if not answer then return nil, err end
  local row = answer.rows[1]
  if row.err then return nil, call.error(row.err, about) end
  local recent = not o.dry_run and remembered(self, kind, name) or {}
  for setting, value in pairs(changes) do recent[setting] = { value = value, at = core.now() } end
  return true
end

return configs

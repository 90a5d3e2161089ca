-- One administrative request, whatever it is about: is there such a request in this librdkafka and at the brokers, its time, its
-- answer with every `err` as an error object. Everything in this folder goes through here.

local core = require "kafka.core"
local args = require "kafka.args"
local Connection = require "kafka.connection"
local errors = require "kafka.error"
local handle = require "kafka.handle"
local support = require "kafka.admin.support"

local call = {}

-- The core's functions: the number of the request in Kafka's protocol, the first librdkafka that has it, whether it changes
-- anything, whether it needs a connection of its own (librdkafka's main thread can hang on an error from the coordinator), and
-- whether it may be sent again while not every broker has heard of a new topic.
local requests = {
  create_topics = { 19, writes = true },
  delete_topics = { 20, writes = true },
  create_partitions = { 37, writes = true },
  delete_records = { 21, writes = true, again = true },
  describe_configs = { 32, again = true },
  alter_configs = { 33, writes = true, again = true },
  incremental_alter_configs = { 44, writes = true, since = "2.2", again = true },
  list_groups = { 16 },
  describe_groups = { 15, alone = true },
  delete_groups = { 42, writes = true },
  group_offsets = { 9 },
  alter_group_offsets = { 8, writes = true, again = true },
  delete_group_offsets = { 47, writes = true },
  create_acls = { 30, writes = true },
  describe_acls = { 29 },
  delete_acls = { 31, writes = true },
  describe_users = { 50, since = "2.2" },
  alter_users = { 51, writes = true, since = "2.2" },
  describe_cluster = { 60, since = "2.3" },
  list_offsets = { 2, since = "2.3", again = true },
  elect_leaders = { 43, writes = true, since = "2.6" },
}

---The client, checked; what has come for it is served first.
call.client = Connection.check

---A deadline from an optional timeout, checked.
function call.deadline(op, timeout)
  return core.now() + Connection.timeout_of(op, timeout)
end

---Whether this librdkafka has the request and the brokers serve it.
---@return boolean|nil
---@return kafka.Error|nil
function call.has(client, op, name, deadline)
  if not client.handles[1].core[name] then return false end
  return support.has(client, op, requests[name][1], deadline)
end

---Whether this is the mock cluster, as far as it can be asked.
call.is_mock = support.is_mock

-- What was thought not to be done may be done later.
local function unfinished(err)
  if err.name == "_TIMED_OUT" then
    err.in_flight = true
    err.message = err.message .. "; it may still take effect"
  end
  return err
end

local function sent(client, request, about, deadline, start)
  local h = client.handles[1]
  if request.alone then
    local err
    h, err = handle.open("consumer", about.op, client.settings, client.options)
    if not h then return nil, err end
  end
  local timeout = math.ceil(math.max(0, deadline - core.now()) * 1000) / 1000
  local ok, answer, why = pcall(h.request, h, about, timeout, function(ticket, ms) return start(h.core, ms, ticket) end)
  if request.alone then h:close(core.now()) end -- ends in the background
  if not ok then error(answer, 0) end
  return answer, why
end

-- Whether a request failed, or a row of it, only because a broker has not heard of a new topic yet.
local function is_early(client, about, answer, err, deadline)
  if err then return client:is_early(err.name, about.topic, deadline) end
  local group = answer.rows and answer.rows[1]
  for _, row in ipairs(group and group.partitions or answer.rows or {}) do
    if row.err and client:is_early(row.err.name, row.topic or about.topic, deadline) then return true end
  end
  return false
end

---Sends a request and waits for its answer.
---@param client table
---@param name string the core's function
---@param about table {op, topic, ...}: what an error is about
---@param deadline number
---@param start fun(core, ms:number, ticket:integer):any, table|nil
---@return table|nil answer
---@return kafka.Error|nil
function call.send(client, name, about, deadline, start)
  local op, request = about.op, requests[name]
  if not client.handles[1].core[name] then
    return nil, errors.new { name = "_UNSUPPORTED_FEATURE", op = op,
      message = ("librdkafka %s is needed, this is %s"):format(request.since, core.librdkafka) }
  end
  local err = support.refusal(client, op, request[1], deadline)
  if err then return nil, err end
  local answer
  repeat
    answer, err = sent(client, request, about, deadline, start)
  until not request.again or not is_early(client, about, answer, err, deadline)
  if not answer then
    err.message = err.message:gsub("^%u+ worker failed to parse response: ", "")
    return nil, request.writes and unfinished(err) or err
  end
  for _, list in ipairs { answer.rows or {}, answer.errors } do
    for _, row in ipairs(list) do
      if row.err and row.err.name == "_TIMED_OUT" then row.err.message = "no answer in time" end
      if row.err and request.writes then unfinished(row.err) end
    end
  end
  return answer
end

---An error object from the core's, with the broker's own words where it sent any.
function call.error(raw, about)
  local generic = raw.message:find "^Broker: " or raw.message:find "^Local: "
  return errors.from(raw, { op = about.op, topic = about.topic, partition = about.partition,
    message = not generic and raw.message or nil })
end

---Makes every raw `err` of the rows an error object; rows of partitions come in their order.
---@param op string
---@param list table[]
function call.judge(op, list)
  for _, row in ipairs(list) do
    if row.err then row.err = call.error(row.err, { op = op, topic = row.topic, partition = row.partition }) end
  end
  if list[1] and list[1].partition then
    table.sort(list, function(a, b) return a.topic < b.topic or a.topic == b.topic and a.partition < b.partition end)
  end
  return list
end

---Raises where a name stands twice: brokers answer it once, and librdkafka then has a hole in its answer.
---@param names string[]
function call.once(op, arg, names)
  local seen = {}
  for _, name in ipairs(names) do
    if seen[name] then args.misuse(op, ("%s must name each once, got %s twice"):format(arg, core.show(name))) end
    seen[name] = true
  end
end

---A checked copy of a list of names, each there once.
---@param kind table validator of each
function call.names(op, arg, list, kind)
  local copy = args.list(op, arg, list, "a list of names")
  if #copy == 0 then args.fail(op, arg, "a list of at least one name", list) end
  for i, name in ipairs(copy) do args.check(op, ("%s[%d]"):format(arg, i), name, kind) end
  call.once(op, arg, copy)
  return copy
end

return call

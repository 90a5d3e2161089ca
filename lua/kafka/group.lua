-- A group's offsets without joining it: commit to its coordinator, what was committed, who coordinates, the lag. Each group whose
-- offsets are set, or asked for by partition, gets a consumer handle of its own, kept by the client: the coordinator answers for
-- that handle's group.

local core = require "kafka.core"
local args = require "kafka.args"
local ask = require "kafka.ask"
local errors = require "kafka.error"
local handle = require "kafka.handle"
local rows_of = require "kafka.rows"
local show = require "kafka.show"
local turns = require "kafka.turns"

local group = {}

local DEFAULT_TIMEOUT = 10 -- seconds
local PATIENCE = 3000 -- milliseconds
local STATISTICS = "200" -- milliseconds: how often a look-up of the coordinator looks

local committed_rows = show.list({ "topic", "partition", "offset", show.maybe "metadata" }, { none = "nothing committed" })
local lag_rows = show.list { "topic", "partition", "committed", "latest", "lag" }

local function settings_of(client, name, extra)
  local settings = {}
  for k, v in pairs(client.settings) do settings[k] = v end
  settings["group.id"] = name
  for k, v in pairs(extra or {}) do settings[k] = v end
  return settings
end

-- The group of these handles is not made up.
local function options_of(client)
  local options = {}
  for k, v in pairs(client.options) do options[k] = v end
  options.stranger = nil
  return options
end

-- A commit waits in librdkafka for a coordinator that is down, or does not answer, as long as this, also where there is another
-- one by then; and is made again after it. Fetches, of which this handle makes none, must take less.
local function patience(client)
  local most = tonumber(client.settings["socket.timeout.ms"]) or math.huge
  return { ["socket.timeout.ms"] = tostring(math.min(most, PATIENCE)), ["fetch.wait.max.ms"] = "100" }
end

local function handle_of(client, op, name)
  local h = client.group_handles[name]
  if h then return h end
  local err
  h, err = handle.open("consumer", op, settings_of(client, name, patience(client)), options_of(client))
  if not h then return nil, err end
  h.answered = client.handles[1].answered -- what brokers have answered before, they are
  client.group_handles[name] = h
  return h
end

-- Calls ----------------------------------------------------------------------------------------------------------------

-- One commit, once.
local function send(h, about, rows, seconds, turn)
  local ticket
  local function answered() turn.sent = false end
  local answer, err = h:request(core.copy(about), seconds, function(t)
    local take = h.waiting[t]
    h.waiting[t] = function(payload)
      turn.sent = false
      return take(payload) -- which needs no memory
    end
    ticket = t
    local ok, raw = h.core:commit(rows, t)
    turn.sent = ok ~= nil
    return ok, raw
  end)
  if answer then
    err = rows_of.error("commit", answer.rows, h)
  elseif err.name == "_TIMED_OUT" and turn.sent then
    h.waiting[ticket] = answered
    err.in_flight = true
    err.message = err.message .. "; it may still take effect"
  end
  if err then return nil, err end
  return true
end

-- One commit that nobody waits for: its handler is called by a later call on the client.
local function send_off(h, about, rows, on_commit)
  h:dispatch()
  local turn, busy = turns.take(h, about)
  if not turn then return nil, busy end
  local ticket = h:ticket()
  local unread = errors.new { name = "_FAIL", op = about.op, topic = about.topic, partition = about.partition, action = "retry",
    message = "memory ran out when the answer came" }
  local function read(payload)
    return payload.err and errors.from(payload.err, about) or rows_of.error("commit", payload.rows, h) or nil
  end
  h.waiting[ticket] = function(payload)
    turn.sent = false
    local ok, err = pcall(read, payload)
    if ok and not err then h:heard() end
    on_commit(rows, ok and err or not ok and unread or nil)
  end
  local ok, raw = h.core:commit(rows, ticket)
  turn.sent = ok ~= nil
  turns.over(h, turn)
  if ok then return true end
  h.waiting[ticket] = nil
  h:done_with(ticket)
  return nil, errors.from(raw, about)
end

local commit_options = { metadata = args.metadata, timeout = args.seconds, on_commit = args.func }

function group.commit(client, name, what, options)
  args.check("commit", "group", name, args.group)
  local o = args.fields("commit", options, commit_options)
  local rows = rows_of.next("commit", what)
  if #rows == 0 then -- an empty batch moves nothing
    if o.on_commit then o.on_commit(rows) end
    return true
  end
  for _, row in ipairs(rows) do row.metadata = row.metadata or o.metadata end
  local refused = client.handles[1]:refuses("commits", { op = "commit" })
  if refused then return nil, refused end
  local h, err = handle_of(client, "commit", name)
  if not h then return nil, err end
  local about = rows_of.about("commit", rows)
  if o.on_commit then return send_off(h, about, rows, o.on_commit) end
  return turns.run(h, about, o.timeout or DEFAULT_TIMEOUT, function(turn, seconds)
    return ask.again(h, about, seconds, function(left) return send(h, about, rows, left, turn) end, ask.policies.whole)
  end)
end

local function all_of(h, name, timeout)
  local about = { op = "committed" }
  local answer, err = ask.request(h, about, timeout, function(ticket) return h.core:group_offsets(name, nil, ticket) end,
    ask.policies.whole)
  if not answer then return nil, err end
  local one = answer.rows[1]
  if one.err then return nil, errors.from(one.err, about) end
  err = rows_of.error("committed", one.partitions, h)
  if err then return nil, err end
  return one.partitions
end

function group.committed(client, name, what, timeout)
  args.check("committed", "group", name, args.group)
  args.optional("committed", "timeout", timeout, args.seconds)
  if what ~= nil then what = rows_of.copy("committed", what, false) end
  timeout = timeout or DEFAULT_TIMEOUT
  local refused = client.handles[1]:refuses(what and "commits" or "all_offsets", { op = "committed" })
  if refused then return nil, refused end
  local found, err
  if what then
    local h
    h, err = handle_of(client, "committed", name)
    if not h then return nil, err end
    found, err = ask.committed(h, "committed", what, timeout)
    if not found then return nil, err end
    return committed_rows(found)
  end
  -- All that a group has is told on any connection: to ask about many groups opens none for each.
  found, err = all_of(client.handles[1], name, timeout)
  if not found then return nil, err end
  table.sort(found, function(a, b) return a.topic < b.topic or a.topic == b.topic and a.partition < b.partition end)
  return committed_rows(found)
end

-- The library knows the coordinator but has no call that tells; its statistics do.
local function coordinator_address(json)
  local part = json:match('"GroupCoordinator":%s*(%b{})')
  if not part or part:match('"state":%s*"(%u+)"') ~= "UP" then return nil end
  local address = part:match('"nodename":%s*"([^"]+)"')
  return address
end

---A connection that goes on telling a group's coordinator.
---@param client table
---@param op string
---@param name string
---@param again integer|nil milliseconds after which it looks again at one that it knows (default: librdkafka's 10 minutes)
---@return {handle: table, address: string|nil}|nil its handle must be served; address "host:port", nil where none is known
---@return kafka.Error|nil
function group.lookout(client, op, name, again)
  local self = {}
  local options = options_of(client)
  options.on_stats = nil
  options.on_stats_text = function(json) self.address = coordinator_address(json) end
  local extra = { ["statistics.interval.ms"] = STATISTICS }
  if again then extra["coordinator.query.interval.ms"] = tostring(again) end
  local err
  self.handle, err = handle.open("consumer", op, settings_of(client, name, extra), options)
  if not self.handle then return nil, err end
  self.handle.answered = client.handles[1].answered
  return self
end

---The broker at an address of a lookout's, of these.
---@return kafka.Broker|nil
function group.broker_at(address, brokers)
  for _, b in ipairs(brokers) do
    if ("%s:%d"):format(b.host, b.port) == address then return b end
  end
end

-- One look-up: a handle of its own begins at a broker chosen anew, and asks others while that one does not know.
local function address_of(client, name, about, seconds, what)
  local look, err = group.lookout(client, "coordinator", name)
  if not look then return nil, err end
  local h = look.handle
  local ok, address = pcall(h.await, h, function() return look.address end, core.now() + seconds)
  local late = h:late(core.copy(about), seconds, what)
  h:close(core.now()) -- ends in the background
  if not ok then error(address, 0) end
  if not address then return nil, late end
  return address
end

local function broker_at(client, name, address, seconds)
  local brokers, err = client:brokers(seconds)
  if not brokers then return nil, err end
  local found = group.broker_at(address, brokers)
  if found then return found end
  return nil, errors.new { name = "COORDINATOR_NOT_AVAILABLE", op = "coordinator",
    message = ("the coordinator of group %s is at %s, which the metadata does not list"):format(core.show(name), address) }
end

function group.coordinator(client, name, timeout)
  args.check("coordinator", "group", name, args.group)
  args.optional("coordinator", "timeout", timeout, args.seconds)
  timeout = timeout or DEFAULT_TIMEOUT
  local refused = client.handles[1]:refuses("commits", { op = "coordinator" })
  if refused then return nil, refused end
  local about, what = { op = "coordinator" }, ("no coordinator for group %s was found"):format(core.show(name))
  return ask.again(client.handles[1], about, timeout, function(seconds)
    local deadline = core.now() + seconds
    local address, err = address_of(client, name, about, seconds, what)
    if not address then return nil, err end
    return broker_at(client, name, address, math.max(0, deadline - core.now()))
  end, nil, what)
end

function group.lag(client, name, timeout)
  args.check("lag", "group", name, args.group)
  timeout = args.optional("lag", "timeout", timeout, args.seconds) or DEFAULT_TIMEOUT
  local deadline = core.now() + timeout
  local rows, err = group.committed(client, name, nil, timeout)
  if not rows then
    err.op = "lag"
    return nil, err
  end
  local list, total, kept = {}, 0, {}
  for _, row in ipairs(rows) do
    if row.offset then kept[#kept + 1] = row end
  end
  for i, ends in ipairs(client:ends_of("lag", kept, deadline)) do
    if ends.err then return nil, ends.err end
    -- What retention has taken can be read no more.
    local lag = math.max(0, ends.latest - math.max(kept[i].offset, ends.earliest))
    total = total + lag
    list[i] = { topic = ends.topic, partition = ends.partition, committed = kept[i].offset, latest = ends.latest, lag = lag }
  end
  if #list == 0 then
    local hidden = client.is_mock and ", or the mock cluster does not tell: ask it by committed, with rows" or ""
    return nil, errors.new { name = "_NO_OFFSET", op = "lag",
      message = ("group %s has committed nothing%s"):format(core.show(name), hidden) }
  end
  return total, lag_rows(list)
end

return group

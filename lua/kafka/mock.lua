-- A cluster in this process: librdkafka's mock, with faults on demand. Each fault call returns once a client's metadata, or a
-- connection, shows the fault. The same face as localcluster's as far as a mock can; what it cannot do it refuses with the
-- reason.
--
-- What it is not: it makes any topic that a client asks for (`topic_error` shows one as unknown), keeps the last 5 MB of a
-- partition only, lists no offsets of a group that is not asked for by topic and partition (so no lag), knows no offsets by
-- time, no topics made by request, no retention and no security.

local core = require "kafka.core"
local args = require "kafka.args"
local errors = require "kafka.error"
local handle = require "kafka.handle"

local now = core.now

---@class kafka.Mock
---@field brokers string what clients connect to
local Mock = {}
Mock.__index = Mock
Mock.__name = "kafka.Mock"

local SEEN_WITHIN = 10 -- seconds until a fault must have shown
local LOOK = 0.05 -- seconds between two looks
local PROBE = 0.3 -- seconds for one connection to one broker
local CLOSE_TIME = 5 -- seconds

-- Kafka's numbers of the requests a mock serves.
local apis = {
  Produce = 0, Fetch = 1, ListOffsets = 2, Metadata = 3, OffsetCommit = 8, OffsetFetch = 9, FindCoordinator = 10,
  JoinGroup = 11, Heartbeat = 12, LeaveGroup = 13, SyncGroup = 14, ApiVersions = 18, InitProducerId = 22,
  AddPartitionsToTxn = 24, AddOffsetsToTxn = 25, EndTxn = 26, TxnOffsetCommit = 28,
}

local quiet = { ["log.queue"] = "true", ["log_level"] = "0" }

local own_options = {
  brokers = args.integer(1, 100),
  topics = args.table,
  replication_factor = args.integer(1, 100),
}
local partition_count = args.integer(1, 10000)

-- A short-lived look at the cluster through some of its brokers.
local function look(brokers, what, seconds)
  local settings = { ["bootstrap.servers"] = brokers, ["group.id"] = "mock-probe" }
  for k, v in pairs(quiet) do settings[k] = v end
  local h, err = handle.open("consumer", "mock", settings, { on_error = function() end, on_log = function() end })
  if not h then return nil, err end
  local raw
  raw, err = h:request({ op = "mock" }, seconds, function(ticket, ms) return h.core:metadata(what, ms, ticket) end)
  h:close(now())
  return raw, err
end

local function wait_until(self, op, sentence, seen)
  local deadline = now() + SEEN_WITHIN
  while not seen() do
    if now() >= deadline then
      return nil, errors.new { name = "_TIMED_OUT", op = op, message = sentence .. " did not show in the metadata" }
    end
    self.handle:await(function() return false end, now() + LOOK)
  end
  return true
end

---Starts a mock cluster.
---@param options table|nil brokers integer (default 1; ids count from 1); topics name -> partitions; replication_factor
---  integer of these topics (default: all brokers)
---@return kafka.Mock|nil
---@return kafka.Error|nil
---rd_kafka_mock_cluster_new
local function open(options)
  local o = args.fields("kafka.mock", options, own_options)
  local topics = {}
  for name, partitions in next, o.topics or {} do
    if type(name) ~= "string" then args.fail("kafka.mock", "topics", "a table from name to partitions", o.topics) end
    args.topic("kafka.mock", name)
    topics[name] = args.check("kafka.mock", "partitions of topic " .. name, partitions, partition_count)
  end
  local count = math.tointeger(o.brokers or 1)
  if o.replication_factor and o.replication_factor > count then
    args.fail("kafka.mock", "replication_factor", ("at most the number of brokers, %d"):format(count), o.replication_factor)
  end
  local mock, raw = core.mock(count, quiet)
  if not mock then return nil, errors.from(raw, { op = "kafka.mock" }) end
  local addresses = {}
  for address in mock:brokers():gmatch("[^,]+") do addresses[#addresses + 1] = address end
  local self = setmetatable({
    core = mock,
    handle = handle.over(mock:client(), {}),
    brokers = mock:brokers(),
    addresses = addresses,
    down = {},
    closed = false,
  }, Mock)
  for name, partitions in pairs(topics) do
    local ok, err = self:create_topic(name, partitions, o.replication_factor or count)
    if not ok then return nil, err end
  end
  return self
end

local function check(self, op)
  if getmetatable(self) ~= Mock then args.fail(op, "the object", "a kafka.Mock", self) end
  if self.closed then args.misuse(op, "attempt to use a closed kafka.Mock") end
  return self.core
end

local function checked_broker(self, op, id)
  return math.tointeger(args.check(op, "broker", id, args.integer(1, #self.addresses)))
end

local function done(op, ok, raw, about)
  if ok then return true end
  about = about or {}
  about.op = op
  return nil, errors.from(raw, about)
end

---@param name string
---@param partitions integer
---@param replication_factor integer|nil default: all brokers
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_mock_topic_create
function Mock:create_topic(name, partitions, replication_factor)
  local mock = check(self, "create_topic")
  args.topic("create_topic", name)
  args.check("create_topic", "partitions", partitions, partition_count)
  args.optional("create_topic", "replication_factor", replication_factor, args.integer(1, #self.addresses))
  local copies = replication_factor or #self.addresses
  local ok, raw = mock:topic(name, partitions, copies)
  if not ok then return done("create_topic", ok, raw, { topic = name }) end
  -- The mock lets broker 1 lead them all; a real cluster spreads them. Fewer copies than brokers: any but broker 1 may lack one.
  if copies == #self.addresses then
    for p = 0, partitions - 1 do mock:leader(name, p, p % #self.addresses + 1) end
  end
  return true
end

-- The partition's row as clients see it now.
local function shown(self, topic, partition)
  local raw = look(self.brokers, topic, PROBE * 2)
  if not raw or not raw.topics[1] then return nil end
  for _, p in ipairs(raw.topics[1].partitions) do
    if p.partition == partition then return p end
  end
end

---Moves a partition's leader, or takes it away.
---@param topic string
---@param partition integer
---@param broker integer|nil nil: no leader
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_mock_partition_set_leader
function Mock:leader(topic, partition, broker)
  local mock = check(self, "leader")
  args.topic("leader", topic)
  args.check("leader", "partition", partition, args.partition)
  local id = broker ~= nil and checked_broker(self, "leader", broker) or nil
  local ok, raw = mock:leader(topic, partition, id or -1)
  if not ok then return done("leader", ok, raw, { topic = topic, partition = partition }) end
  if next(self.down) and #self.addresses == 1 then return true end -- nobody could show it
  return wait_until(self, "leader", "the leader", function()
    local row = shown(self, topic, partition)
    return row and row.leader == id
  end)
end

---Makes a broker the coordinator of a group. A client that already knows another one learns of it by
---`mock:fail("OffsetCommit", "NOT_COORDINATOR")`.
---@param group string
---@param broker integer
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_mock_coordinator_set
function Mock:coordinator(group, broker)
  local mock = check(self, "coordinator")
  args.check("coordinator", "group", group, args.name)
  local ok, raw = mock:coordinator("group", group, checked_broker(self, "coordinator", broker))
  return done("coordinator", ok, raw)
end

-- Which errors a request may be given: by name, or by number for none.
local function code_of(op, name)
  if name == "DISCONNECT" then return errors.code "_TRANSPORT" end
  local code = type(name) == "string" and errors.code(name)
  if not code then
    local set = { DISCONNECT = true }
    for _, e in ipairs(core.errors()) do set[e.name] = true end
    args.unknown(op, "error", name, set)
  end
  return code
end

local function api_of(op, name)
  if not apis[name] then args.unknown(op, "request", name, apis) end
  return apis[name]
end

---Answers the next requests of a kind with errors, one each; "DISCONNECT" closes the connection instead.
---@param request string "Produce", "Fetch", "OffsetCommit" ...
---@param ... string names of errors, "NOT_LEADER_FOR_PARTITION"; none: takes back what was not used yet
---@return true
---rd_kafka_mock_push_request_errors_array
function Mock:fail(request, ...)
  local mock = check(self, "fail")
  local api = api_of("fail", request)
  local codes = {}
  for i, name in ipairs { ... } do codes[i] = code_of("fail", name) end
  if #codes == 0 then return done("fail", mock:clear(api)) end
  return done("fail", mock:fail(api, codes))
end

---Delays the next answers of a broker to requests of a kind.
---@param request string
---@param broker integer
---@param seconds number
---@param times integer|nil default 1
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_mock_broker_push_request_error_rtts
function Mock:delay(request, broker, seconds, times)
  local mock = check(self, "delay")
  local api = api_of("delay", request)
  args.check("delay", "seconds", seconds, args.seconds)
  args.optional("delay", "times", times, args.integer(1, 1000))
  return done("delay", mock:delay(checked_broker(self, "delay", broker), api, seconds * 1000, times or 1))
end

---What metadata says of a topic from now on: an error, or nothing wrong.
---@param topic string
---@param name string|nil an error's name; nil: none
---@return true
---rd_kafka_mock_topic_set_error
function Mock:topic_error(topic, name)
  local mock = check(self, "topic_error")
  args.topic("topic_error", topic)
  return done("topic_error", mock:topic_error(topic, name and code_of("topic_error", name) or 0))
end

---How long every answer of a broker, or of all, takes.
---@param seconds number
---@param broker integer|nil default: all
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_mock_broker_set_rtt
function Mock:rtt(seconds, broker)
  local mock = check(self, "rtt")
  args.check("rtt", "seconds", seconds, args.seconds)
  local first, last = 1, #self.addresses
  if broker ~= nil then
    first = checked_broker(self, "rtt", broker)
    last = first
  end
  for id = first, last do
    local ok, raw = mock:rtt(id, seconds * 1000)
    if not ok then return done("rtt", ok, raw) end
  end
  return true
end

-- Brokers --------------------------------------------------------------------------------------------------------------

---@class kafka.MockBroker
---@field id integer
local Broker = {}
Broker.__index = Broker
Broker.__name = "kafka.MockBroker"

---One broker of the cluster.
---@param id integer counts from 1
---@return kafka.MockBroker
function Mock:broker(id)
  check(self, "broker")
  id = checked_broker(self, "broker", id)
  return setmetatable({ mock = self, id = id, address = self.addresses[id] }, Broker)
end

---Closes the broker's port and connections.
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_mock_broker_set_down
function Broker:kill()
  local mock = check(self.mock, "kill")
  local ok, raw = mock:down(self.id)
  if not ok then return done("kill", ok, raw) end
  self.mock.down[self.id] = true
  return wait_until(self.mock, "kill", "the broker's end", function() return look(self.address, false, PROBE) == nil end)
end

---Opens it again, with what it had.
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_mock_broker_set_up
function Broker:start()
  local mock = check(self.mock, "start")
  local ok, raw = mock:up(self.id)
  if not ok then return done("start", ok, raw) end
  self.mock.down[self.id] = nil
  return wait_until(self.mock, "start", "the broker's return", function() return look(self.address, false, PROBE) ~= nil end)
end

local function cannot(op, reason)
  return function()
    return nil, errors.new { name = "_NOT_IMPLEMENTED", op = op, message = reason, action = "fix" }
  end
end

Broker.stop = Broker.kill
Broker.pause = cannot("pause", "a mock broker has no process to pause; delay its answers with mock:rtt, or use localcluster")
Broker.resume = cannot("resume", "a mock broker has no process to resume; see pause")
Mock.add_broker = cannot("add_broker", "a mock cluster keeps the brokers it was made with; use localcluster")

function Broker:__tostring()
  return ("mock broker %d at %s (%s)"):format(self.id, self.address, self.mock.down[self.id] and "down" or "up")
end

-- The end --------------------------------------------------------------------------------------------------------------

---@param timeout number|nil seconds (default 5)
---@return true|nil
---@return kafka.Error|nil
function Mock:close(timeout)
  if getmetatable(self) ~= Mock then args.fail("close", "the object", "a kafka.Mock", self) end
  args.optional("close", "timeout", timeout, args.seconds)
  self.closed = true
  if self.handle:close(now() + (timeout or CLOSE_TIME)) then return true end
  return nil, errors.new { name = "_TIMED_OUT", op = "close", message = "the mock cluster goes on ending in the background" }
end

function Mock:__close()
  self:close()
end

function Mock:__tostring()
  if self.closed then return "kafka.Mock (closed)" end
  return ("kafka.Mock (%d brokers: %s)"):format(#self.addresses, self.brokers)
end

return { open = open }

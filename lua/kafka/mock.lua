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
local Broker = require "kafka.mock.broker"
local look = require "kafka.mock.look"

local now = core.now

---@class kafka.Mock
---@field brokers string what clients connect to
local Mock = {}
Mock.__index = Mock
Mock.__name = "kafka.Mock"

local CLOSE_TIME = 5 -- seconds

-- Kafka's numbers of the requests a mock serves.
local apis = {
  Produce = 0, Fetch = 1, ListOffsets = 2, Metadata = 3, OffsetCommit = 8, OffsetFetch = 9, FindCoordinator = 10,
  JoinGroup = 11, Heartbeat = 12, LeaveGroup = 13, SyncGroup = 14, ApiVersions = 18, InitProducerId = 22,
  AddPartitionsToTxn = 24, AddOffsetsToTxn = 25, EndTxn = 26, TxnOffsetCommit = 28,
}

local own_options = {
  brokers = args.integer(1, 100),
  topics = args.table,
  replication_factor = args.integer(1, 100),
}
local partition_count = args.integer(1, 10000)

---Starts a mock cluster.
---@param options table|nil brokers integer (default 1; ids count from 1); topics name -> partitions; replication_factor
---  integer of these topics (default: all brokers)
---@return kafka.Mock|nil
---@return kafka.Error|nil
---rd_kafka_mock_cluster_new
local function open(options)
  local o = args.fields("kafka.mock", options, own_options)
  local topics = {}
  for name, partitions in next, core.copy(o.topics or {}) do
    if type(name) == "number" then args.fail("kafka.mock", "the name of a topic", "a string, as in { first = 2 }", name) end
    args.check("kafka.mock", "the name of a topic", name, args.topic_name)
    topics[name] = args.check("kafka.mock", "partitions of topic " .. name, partitions, partition_count)
  end
  local count = math.tointeger(o.brokers or 1)
  if o.replication_factor and o.replication_factor > count then
    args.fail("kafka.mock", "replication_factor", ("at most the number of brokers, %d"):format(count), o.replication_factor)
  end
  local mock, raw = core.mock(count, look.quiet)
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
  args.object(op, self, Mock)
  if self.closed then args.misuse(op, "attempt to use a closed kafka.Mock") end
  return self.core
end

local function checked_broker(self, op, id)
  return math.tointeger(args.check(op, "broker", id, args.integer(1, #self.addresses)))
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
  if not ok then return look.result("create_topic", ok, raw, { topic = name }) end
  -- The mock lets broker 1 lead them all; a real cluster spreads them. Fewer copies than brokers: any but broker 1 may lack one.
  if copies == #self.addresses then
    for p = 0, partitions - 1 do mock:leader(name, p, p % #self.addresses + 1) end
  end
  return true
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
  if not ok then return look.result("leader", ok, raw, { topic = topic, partition = partition }) end
  if next(self.down) and #self.addresses == 1 then return true end -- nobody could show it
  return look.wait_until(self, "leader", "the leader", function()
    local row = look.partition(self.brokers, topic, partition)
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
  args.check("coordinator", "group", group, args.group)
  local ok, raw = mock:coordinator("group", group, checked_broker(self, "coordinator", broker))
  return look.result("coordinator", ok, raw)
end

-- Which errors a request may be given: by name, or by number for none.
local function code_of(op, name)
  if op == "fail" and name == "DISCONNECT" then return errors.code "_TRANSPORT" end
  local set = { DISCONNECT = op == "fail" or nil }
  for _, e in ipairs(core.errors()) do
    if e.code >= -1 then set[e.name] = e.code end -- below are librdkafka's own, which no broker sends
  end
  if not set[name] then args.unknown(op, "error", name, set) end
  return set[name]
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
  for i = 1, select("#", ...) do codes[i] = code_of("fail", (select(i, ...))) end
  if #codes == 0 then return look.result("fail", mock:clear(api)) end
  return look.result("fail", mock:fail(api, codes))
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
  return look.result("delay", mock:delay(checked_broker(self, "delay", broker), api, seconds * 1000.0, times or 1))
end

---What metadata says of a topic from now on: an error, or nothing wrong.
---@param topic string
---@param name string|nil an error's name; nil: none
---@return true
---rd_kafka_mock_topic_set_error
function Mock:topic_error(topic, name)
  local mock = check(self, "topic_error")
  args.topic("topic_error", topic)
  return look.result("topic_error", mock:topic_error(topic, name ~= nil and code_of("topic_error", name) or 0))
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
    local ok, raw = mock:rtt(id, seconds * 1000.0)
    if not ok then return look.result("rtt", ok, raw) end
  end
  return true
end

-- Brokers --------------------------------------------------------------------------------------------------------------

---One broker of the cluster.
---@param id integer counts from 1
---@return kafka.MockBroker
function Mock:broker(id)
  check(self, "broker")
  id = checked_broker(self, "broker", id)
  return Broker.new(self, id)
end

Mock.add_broker = Broker.cannot(Mock, "add_broker", "a mock cluster keeps the brokers it was made with; use localcluster")

-- The end --------------------------------------------------------------------------------------------------------------

---@param timeout number|nil seconds (default 5)
---@return true|nil
---@return kafka.Error|nil
function Mock:close(timeout)
  args.object("close", self, Mock)
  args.optional("close", "timeout", timeout, args.seconds)
  self.closed = true
  if self.handle:close(now() + (timeout or CLOSE_TIME)) then return true end
  return nil, errors.new { name = "_TIMED_OUT", op = "close", message = "the mock cluster goes on ending in the background" }
end

function Mock:__close()
  args.object("close", self, Mock)
  self:close()
end

function Mock:__tostring()
  args.object("tostring", self, Mock)
  if self.closed then return "kafka.Mock (closed)" end
  return ("kafka.Mock (%d broker%s: %s)"):format(#self.addresses, #self.addresses == 1 and "" or "s", self.brokers)
end

args.public(Mock)
core.public(open, "kafka.mock")
return { open = open }

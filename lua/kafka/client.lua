-- kafka.connect: a cluster to ask and to read by partitions, without joining a group. The face only: its base is connection.lua,
-- and each flow has a file of its own.

local core = require "kafka.core"
local args = require "kafka.args"
local ask = require "kafka.ask"
local config = require "kafka.config"
local Connection = require "kafka.connection"
local generation = require "kafka.generation"
local group = require "kafka.group"
local admin = require "kafka.admin"
local one = require "kafka.partition"
local show = require "kafka.show"

local now = core.now

---@class kafka.Client: kafka.Connection
local Client = setmetatable({}, { __index = Connection })
Client.__index = Client
Client.__name = Connection.__name
Client.__close = Connection.__close
Client.__tostring = Connection.__tostring

local DEFAULT_TIMEOUT = 10 -- seconds

local own_options = {
  broker_version = generation.kind,
  on_error = args.func,
  on_log = args.func,
  on_stats = args.func,
  on_throttle = args.func,
  oauth_token = args.func,
  loop = args.loop,
  timeout = args.seconds,
}

local offset_rows = show.list { "topic", "partition", "offset" }

local opened = 0

-- Opening ------------------------------------------------------------------------------------------------------------

---Connects to a cluster: waits for the first answer of a broker.
---@param options table librdkafka's settings, `brokers`, and: timeout seconds (default 10), loop the luv module or
---  fun(fd, seconds), oauth_token fun(config): table|nil, reason|nil (docs/security.md), and the handlers of docs/handlers.md:
---  on_error fun(err), on_log fun(line), on_stats fun(table), on_throttle fun(note); broker_version "0.8.2.1" of brokers before
---  0.10 (docs/old-brokers.md)
---@return kafka.Client|nil
---@return kafka.Error|nil
local function open(options)
  local mine, settings = config.split("kafka.connect", options, own_options, "partitions")
  opened = opened + 1
  mine.stranger = settings["group.id"] == nil
  settings["group.id"] = settings["group.id"] or ("lua-kafka-%x-%d"):format(os.time(), opened)
  local self = setmetatable(Connection.new(settings, mine), Client)
  local h, err = self:new_handle "kafka.connect"
  if not h then return nil, err end
  local timeout = mine.timeout or DEFAULT_TIMEOUT
  local ok
  ok, err = self:metadata_of("kafka.connect", false, timeout)
  if ok then
    self.is_mock = ok.cluster_id ~= nil and ok.cluster_id:find "^mockCluster" ~= nil
    return self
  end
  err.op = "kafka.connect"
  if err.name == "_TIMED_OUT" or err.name == "_TRANSPORT" then
    err.message = ("no broker of %s answered: timed out after %g s"):format(self.brokers_setting, timeout)
    if err.action ~= "fix" then err.action = "wait" end
  end
  self:close(0)
  return nil, err
end

-- Metadata -----------------------------------------------------------------------------------------------------------

---A picture of the cluster: brokers, controller, id, and the topics.
---@param topic string|nil only this one; nil: all
---@param timeout number|nil seconds (default 10)
---@return kafka.Cluster|nil
---@return kafka.Error|nil
---rd_kafka_metadata
function Client:metadata(topic, timeout)
  Connection.check(self, "metadata")
  if topic ~= nil then args.topic("metadata", topic) end
  return self:ask("metadata", topic == nil and true or topic, Connection.timeout_of("metadata", timeout))
end

---The controller's id; with KRaft some broker that stands for it.
---@return integer|nil
---@return kafka.Error|nil
---rd_kafka_controllerid
function Client:controller(timeout)
  Connection.check(self, "controller")
  local picture, err = self:ask("controller", false, Connection.timeout_of("controller", timeout))
  if not picture then return nil, err end
  return picture.controller
end

---@return string|nil
---@return kafka.Error|nil
---rd_kafka_clusterid
function Client:cluster_id(timeout)
  Connection.check(self, "cluster_id")
  local picture, err = self:ask("cluster_id", false, Connection.timeout_of("cluster_id", timeout))
  if not picture then return nil, err end
  return picture.cluster_id
end

-- Offsets ------------------------------------------------------------------------------------------------------------

---The first offsets at or after a time, of every partition of a topic.
---@param topic string
---@param timestamp integer milliseconds since the epoch
---@param timeout number|nil seconds (default 10)
---@return {topic: string, partition: integer, offset: integer|nil}[]|nil no offset: nothing as late as that
---@return kafka.Error|nil
---rd_kafka_offsets_for_times
function Client:offsets_at(topic, timestamp, timeout)
  local h = Connection.check(self, "offsets_at")
  args.topic("offsets_at", topic)
  args.check("offsets_at", "timestamp", timestamp, args.timestamp)
  timeout = Connection.timeout_of("offsets_at", timeout)
  local refused = h:refuses("offsets_at", { op = "offsets_at", topic = topic })
  if refused then return nil, refused end
  local deadline = now() + timeout
  local found, err = self:topic_for("offsets_at", topic, timeout)
  if not found then return nil, err end
  timeout = math.max(0, deadline - now())
  local rows = {}
  for i, p in ipairs(found.partitions) do rows[i] = { topic = topic, partition = p.partition, offset = timestamp } end
  rows, err = ask.times(h, "offsets_at", rows, timeout)
  if not rows then return nil, err end
  return offset_rows(rows)
end

-- Groups -------------------------------------------------------------------------------------------------------------

---Commits for a group, without joining it: to its coordinator, by topic and partition.
---@param name string the group
---@param what table rows {topic, partition, offset, metadata} with the NEXT offset to read, or a message or a batch that
---  was handled
---@param options table|nil metadata string for rows that have none; timeout seconds (default 10); or on_commit
---  fun(rows, err: kafka.Error|nil): does not wait, and is called within a later call on this client. One commit of a group is on
---  its way at a time: an earlier one is waited for, or with on_commit refused with _PREV_IN_PROGRESS
---@return true|nil
---@return kafka.Error|nil UNKNOWN_MEMBER_ID where the group has live members; `in_flight` where only the wait ended
---rd_kafka_commit_queue
function Client:commit(name, what, options)
  Connection.check(self, "commit")
  return group.commit(self, name, what, options)
end

---What a group has committed.
---@param name string
---@param rows table|nil rows {topic, partition}; nil: all that the group has
---@param timeout number|nil seconds (default 10)
---@return {topic: string, partition: integer, offset: integer|nil, metadata: string|nil}[]|nil no offset: nothing committed
---@return kafka.Error|nil
---rd_kafka_committed, rd_kafka_ListConsumerGroupOffsets
function Client:committed(name, rows, timeout)
  Connection.check(self, "committed")
  return group.committed(self, name, rows, timeout)
end

---The broker that coordinates a group: the one that keeps its offsets.
---@param name string
---@param timeout number|nil seconds (default 10)
---@return kafka.Broker|nil
---@return kafka.Error|nil
---FindCoordinator, as the statistics show it
function Client:coordinator(name, timeout)
  Connection.check(self, "coordinator")
  return group.coordinator(self, name, timeout)
end

---How far a group is behind, over all it has committed.
---@param name string
---@param timeout number|nil seconds for all requests together (default 10)
---@return integer|nil messages
---@return {topic: string, partition: integer, committed: integer, latest: integer, lag: integer}[]|kafka.Error
function Client:lag(name, timeout)
  Connection.check(self, "lag")
  return group.lag(self, name, timeout)
end

-- Reading ------------------------------------------------------------------------------------------------------------

---One partition to fetch from, at its leader. See partition.lua.
function Client:partition(topic, partition, options)
  Connection.check(self, "partition")
  return one.open(self, topic, partition, options)
end

---Every partition of a topic at once, each at its leader. See partitions.lua.
function Client:partitions(topic, options)
  Connection.check(self, "partitions")
  return require("kafka.partitions").open(self, topic, options)
end

-- Watching -----------------------------------------------------------------------------------------------------------

---What changes in the cluster, one change at a time. See watcher.lua.
function Client:watch(options)
  Connection.check(self, "watch")
  return require("kafka.watcher").open(self, options)
end

-- At a prompt -------------------------------------------------------------------------------------------------------

---The last n messages of a topic. See explore.lua.
function Client:tail(topic, n, options)
  Connection.check(self, "tail")
  return require("kafka.explore").tail(self, topic, n, options)
end

---The message at an offset. See explore.lua.
function Client:message(topic, partition, offset, timeout)
  Connection.check(self, "message")
  return require("kafka.explore").message(self, topic, partition, offset, timeout)
end

---The messages that fit. See explore.lua.
function Client:find(topic, options)
  Connection.check(self, "find")
  return require("kafka.explore").find(self, topic, options)
end

-- Administration: documented in the files below admin/.
for name, method in pairs(admin) do Client[name] = method end

args.public(Client)
core.public(open, "kafka.connect")
return { open = open }

-- kafka.connect: a cluster to ask and to read by partitions, without joining a group. Knows which handle serves what: one
-- consumer handle for requests and partitions, more where the same partition is opened twice, one for each group.

local core = require "kafka.core"
local args = require "kafka.args"
local cluster = require "kafka.cluster"
local config = require "kafka.config"
local errors = require "kafka.error"
local group = require "kafka.group"
local handle = require "kafka.handle"
local log = require "kafka.log"

local now = core.now

---@class kafka.Client
local Client = {}
Client.__index = Client
Client.__name = "kafka.Client"

local DEFAULT_TIMEOUT = 10 -- seconds
local FRESH = 5 -- seconds within which all brokers have heard of a new topic
local PAUSE = 0.1 -- seconds between two looks at a topic that is just coming to be

local own_options = {
  on_error = args.func,
  on_log = args.func,
  on_stats = args.func,
  loop = args.either(args.table, args.func),
  timeout = args.seconds,
}

local opened = 0

-- Handles ------------------------------------------------------------------------------------------------------------

local function new_handle(self, op)
  local h, err = handle.open("consumer", op, self.settings, self.options)
  if not h then return nil, err end
  h.taken = {} -- "topic\0partition" -> true
  self.handles[#self.handles + 1] = h
  return h
end

---A handle on which none of these partitions is open: librdkafka takes each once a handle.
---@return table|nil
---@return kafka.Error|nil
function Client:free_handle(op, topic, partitions)
  for _, h in ipairs(self.handles) do
    local free = true
    for _, p in ipairs(partitions) do free = free and not h.taken[topic .. "\0" .. p] end
    if free then return h end
  end
  return new_handle(self, op)
end

---Takes what has come on every handle, so that an idle one piles nothing up.
function Client:serve()
  for _, h in ipairs(self.handles) do h:dispatch() end
  for _, h in pairs(self.groups) do h:dispatch() end
end

local function check(self, op)
  if getmetatable(self) ~= Client then args.fail(op, "the object", "a kafka.Client", self) end
  if self.closed then args.misuse(op, "attempt to use a closed kafka.Client") end
  self:serve()
  return self.handles[1]
end
Client.check = check

local function timeout_of(op, timeout)
  return args.optional(op, "timeout", timeout, args.seconds) or DEFAULT_TIMEOUT
end

-- Opening ------------------------------------------------------------------------------------------------------------

---Connects to a cluster: waits for the first answer of a broker.
---@param options table librdkafka's settings, `brokers`, and: timeout seconds (default 10), on_error fun(err), on_log
---  fun(line), on_stats fun(json), loop the luv module or fun(fd, seconds)
---@return kafka.Client|nil
---@return kafka.Error|nil
local function open(options)
  local mine, settings = config.split("kafka.connect", options, own_options, "partitions")
  opened = opened + 1
  settings["group.id"] = settings["group.id"] or ("lua-kafka-%x-%d"):format(os.time(), opened)
  local self = setmetatable({
    settings = settings,
    options = mine,
    handles = {},
    groups = {}, -- group -> handle
    created = {}, -- topic -> when this client created it: for a moment a broker may not have heard of it
    feeds = setmetatable({}, { __mode = "k" }), -- open partitions
    brokers_setting = settings["bootstrap.servers"] or settings["metadata.broker.list"],
    closed = false,
  }, Client)
  local h, err = new_handle(self, "kafka.connect")
  if not h then return nil, err end
  local timeout = mine.timeout or DEFAULT_TIMEOUT
  local ok
  ok, err = h:request({ op = "kafka.connect" }, timeout, function(ticket, ms) return h.core:metadata(false, ms, ticket) end)
  if ok then return self end
  err.op = "kafka.connect"
  if err.name == "_TIMED_OUT" or err.name == "_TRANSPORT" then
    err.message = ("no broker of %s answered within %g s"):format(self.brokers_setting, timeout)
    err.action = "wait"
  end
  self:close(0)
  return nil, err
end

-- Metadata -----------------------------------------------------------------------------------------------------------

local function ask(self, op, what, timeout)
  local h = self.handles[1]
  local about = { op = op, topic = type(what) == "string" and what or nil }
  local raw, err = h:request(about, timeout, function(ticket, ms) return h.core:metadata(what, ms, ticket) end)
  if not raw then return nil, err end
  return cluster.picture(raw)
end

---A picture of the cluster: brokers, controller, id, and the topics.
---@param topic string|nil only this one; nil: all
---@param timeout number|nil seconds (default 10)
---@return kafka.Cluster|nil
---@return kafka.Error|nil
---rd_kafka_metadata
function Client:metadata(topic, timeout)
  check(self, "metadata")
  if topic ~= nil then args.topic("metadata", topic) end
  return ask(self, "metadata", topic == nil and true or topic, timeout_of("metadata", timeout))
end

---@param timeout number|nil seconds (default 10)
---@return kafka.Broker[]|nil in the order of their ids
---@return kafka.Error|nil
function Client:brokers(timeout)
  check(self, "brokers")
  local picture, err = ask(self, "brokers", false, timeout_of("brokers", timeout))
  if not picture then return nil, err end
  return picture.brokers
end

---The controller's id; with KRaft some broker that stands for it.
---@return integer|nil
---@return kafka.Error|nil
---rd_kafka_controllerid
function Client:controller(timeout)
  check(self, "controller")
  local picture, err = ask(self, "controller", false, timeout_of("controller", timeout))
  if not picture then return nil, err end
  return picture.controller
end

---@return string|nil
---@return kafka.Error|nil
---rd_kafka_clusterid
function Client:cluster_id(timeout)
  check(self, "cluster_id")
  local picture, err = ask(self, "cluster_id", false, timeout_of("cluster_id", timeout))
  if not picture then return nil, err end
  return picture.cluster_id
end

---One topic: its partitions with leader, replicas and in-sync replicas. Waits for a topic that is just coming to be.
---@param name string
---@param timeout number|nil seconds (default 10)
---@return kafka.Topic|nil
---@return kafka.Error|nil UNKNOWN_TOPIC_OR_PART where there is none
function Client:topic(name, timeout)
  local h = check(self, "topic")
  args.topic("topic", name)
  timeout = timeout_of("topic", timeout)
  local deadline = now() + timeout
  while true do
    local picture, err = ask(self, "topic", name, math.max(0, deadline - now()))
    if not picture then return nil, err end
    local topic = picture:topic(name)
    if topic and not topic.err then return topic end
    err = errors.from(topic and topic.err or { name = "UNKNOWN_TOPIC_OR_PART" }, { op = "topic", topic = name })
    local fresh = err.name == "UNKNOWN_TOPIC_OR_PART" and now() - (self.created[name] or -math.huge) < FRESH
    if not (err.action == "wait" or fresh) or now() + PAUSE >= deadline then return nil, err end
    h:await(function() return false end, now() + PAUSE)
  end
end

-- Offsets ------------------------------------------------------------------------------------------------------------

---The first offset there is and the next that will be written.
---@param topic string
---@param partition integer
---@param timeout number|nil seconds (default 10)
---@return integer|nil earliest
---@return integer|kafka.Error latest, or the error
---rd_kafka_query_watermark_offsets
function Client:watermarks(topic, partition, timeout)
  local h = check(self, "watermarks")
  args.topic("watermarks", topic)
  args.check("watermarks", "partition", partition, args.partition)
  local about = { op = "watermarks", topic = topic, partition = partition }
  local answer, err = h:request(about, timeout_of("watermarks", timeout), function(ticket, ms)
    return h.core:watermarks(topic, partition, ms, ticket)
  end)
  if not answer then return nil, err end
  return answer.earliest, answer.latest
end

---The first offsets at or after a time, of every partition of a topic.
---@param topic string
---@param timestamp integer milliseconds since the epoch
---@param timeout number|nil seconds (default 10)
---@return {topic: string, partition: integer, offset: integer|nil}[]|nil no offset: nothing as late as that
---@return kafka.Error|nil
---rd_kafka_offsets_for_times
function Client:offsets_at(topic, timestamp, timeout)
  local h = check(self, "offsets_at")
  args.topic("offsets_at", topic)
  args.check("offsets_at", "timestamp", timestamp, {
    wanted = "integer milliseconds since the epoch (1e11 or more)",
    fits = function(v) return type(v) == "number" and math.tointeger(v) and v >= 1e11 end,
  })
  timeout = timeout_of("offsets_at", timeout)
  local deadline = now() + timeout
  local found, err = self:topic(topic, timeout)
  if not found then return nil, err end
  timeout = math.max(0, deadline - now())
  local rows = {}
  for i, p in ipairs(found.partitions) do rows[i] = { topic = topic, partition = p.partition, offset = timestamp } end
  local answer
  answer, err = h:request({ op = "offsets_at", topic = topic }, timeout, function(ticket, ms)
    return h.core:offsets_for_times(rows, ms, ticket)
  end)
  if not answer then return nil, err end
  for _, row in ipairs(answer.rows) do
    if row.err then return nil, errors.from(row.err, { op = "offsets_at", topic = topic, partition = row.partition }) end
  end
  return answer.rows
end

-- Groups -------------------------------------------------------------------------------------------------------------

---Commits for a group, without joining it: to its coordinator, by topic and partition.
---@param name string the group
---@param what table rows {topic, partition, offset, metadata} with the NEXT offset to read, or a message or a batch that
---  was handled
---@param options table|nil metadata string for rows that have none; timeout seconds (default 10)
---@return true|nil
---@return kafka.Error|nil UNKNOWN_MEMBER_ID where the group has live members; `in_flight` where only the wait ended
---rd_kafka_commit_queue
function Client:commit(name, what, options)
  check(self, "commit")
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
  check(self, "committed")
  return group.committed(self, name, rows, timeout)
end

---The broker that coordinates a group: the one that keeps its offsets.
---@param name string
---@param timeout number|nil seconds (default 10)
---@return kafka.Broker|nil
---@return kafka.Error|nil
---FindCoordinator, as the statistics show it
function Client:coordinator(name, timeout)
  check(self, "coordinator")
  return group.coordinator(self, name, timeout)
end

---How far a group is behind, over all it has committed.
---@param name string
---@param timeout number|nil seconds for all requests together (default 10)
---@return integer|nil messages
---@return {topic: string, partition: integer, committed: integer, latest: integer, lag: integer}[]|kafka.Error
function Client:lag(name, timeout)
  check(self, "lag")
  return group.lag(self, name, timeout)
end

-- Reading ------------------------------------------------------------------------------------------------------------

---One partition to fetch from, at its leader. See partition.lua.
function Client:partition(topic, partition, options)
  return require("kafka.partition").open(self, topic, partition, options)
end

---Every partition of a topic at once, each at its leader. See partitions.lua.
function Client:partitions(topic, options)
  return require("kafka.partitions").open(self, topic, options)
end

---Creates a topic. See admin.lua.
function Client:create_topic(options)
  return require("kafka.admin").create_topic(self, options)
end

---Something worth telling that is no call's failure: to on_error, else to the log.
function Client:tell(err)
  if self.options.on_error then return self.options.on_error(err) end
  log.line(self.handles[1].name, 4, tostring(err))
end

-- The end ------------------------------------------------------------------------------------------------------------

---Closes everything that was opened here, partitions included. Closing twice is harmless: the second waits again for what
---had not ended.
---@param timeout number|nil seconds (default 10)
---@return true|nil
---@return kafka.Error|nil where librdkafka had not ended in time: it goes on ending in the background
function Client:close(timeout)
  if getmetatable(self) ~= Client then args.fail("close", "the object", "a kafka.Client", self) end
  local deadline = now() + timeout_of("close", timeout)
  local all = {}
  for _, h in ipairs(self.handles) do all[#all + 1] = h end
  for _, h in pairs(self.groups) do all[#all + 1] = h end
  for _, h in ipairs(all) do
    if h.core:busy() then args.misuse("close", "a finalizer that runs within a call on this client cannot close it") end
  end
  self.closed = true
  for feed in pairs(self.feeds) do pcall(feed.close, feed) end
  for _, h in ipairs(all) do h:shut() end -- all begin to end before the first is waited for
  local left = 0
  for _, h in ipairs(all) do
    if not h:close(deadline) then left = left + 1 end
  end
  if left == 0 then return true end
  return nil, errors.new { name = "_TIMED_OUT", op = "close",
    message = ("%d of its %d connections had not ended in time and go on ending in the background"):format(left, #all) }
end

function Client:__close(problem)
  local ok, err = self:close()
  if ok then return end
  log.line("kafka.Client", 4, tostring(err) .. (problem and " (while an error was on its way)" or ""))
end

function Client:__tostring()
  return ("kafka.Client (%s%s)"):format(self.brokers_setting, self.closed and ", closed" or "")
end

return { open = open }

-- The base of kafka.connect: a cluster's handles, and the questions that every flow asks. One consumer handle for requests and
-- partitions, more where the same partition is opened twice, one for each group. Knows no flow that is built on it.

local core = require "kafka.core"
local args = require "kafka.args"
local ask = require "kafka.ask"
local await = require "kafka.await"
local cluster = require "kafka.cluster"
local errors = require "kafka.error"
local generation = require "kafka.generation"
local handle = require "kafka.handle"
local log = require "kafka.log"
local retry = require "kafka.retry"
local rows_of = require "kafka.rows"
local show = require "kafka.show"

local now = core.now

---@class kafka.Connection
local Connection = {}
Connection.__name = "kafka.Client"

local DEFAULT_TIMEOUT = 10 -- seconds
local PAUSE = 0.1 -- seconds between two looks at what is just coming to be
local FRESH = 5 -- seconds within which all brokers have heard of a new topic

-- A topic that is just coming to be is there in a moment. What asks the cluster asks again by itself.
local coming = retry.policy { most = 0.2, actions = { wait = true } }

local ends_rows = show.list { "topic", "partition", "earliest", "latest", show.maybe "err" }

---The fields of a connection.
---@param settings table<string, string> librdkafka's
---@param options table {loop, on_error, on_log, on_stats, on_throttle}
function Connection.new(settings, options)
  return {
    settings = settings,
    options = options,
    handles = {},
    group_handles = {}, -- group -> handle
    created = {}, -- topic -> when this client created it or gave it partitions: for a moment a broker may not have heard of it
    altered = {}, -- topic or broker -> settings that this client has just changed, likewise
    feeds = setmetatable({}, { __mode = "k" }), -- open partitions
    brokers_setting = settings["bootstrap.servers"] or settings["metadata.broker.list"],
    closed = false,
  }
end

-- Handles ------------------------------------------------------------------------------------------------------------

---One more handle of this client's.
function Connection:new_handle(op)
  local h, err = handle.open("consumer", op, self.settings, self.options)
  if not h then return nil, err end
  h.taken = {} -- "topic\0partition" -> true
  h.answered = self.handles[1] ~= nil and self.handles[1].answered
  self.handles[#self.handles + 1] = h
  return h
end

---A handle on which none of these partitions is open: librdkafka takes each once a handle.
---@return table|nil
---@return kafka.Error|nil
function Connection:free_handle(op, topic, partitions)
  for _, h in ipairs(self.handles) do
    local free = true
    for _, p in ipairs(partitions) do free = free and not h.taken[topic .. "\0" .. p] end
    if free then return h end
  end
  return self:new_handle(op)
end

---Takes what has come on every handle, so that an idle one piles nothing up.
function Connection:serve()
  for _, h in ipairs(self.handles) do h:dispatch() end
  for _, h in pairs(self.group_handles) do h:dispatch() end
end

local function is_client(self)
  local meta = type(self) == "table" and debug.getmetatable(self)
  return meta and rawget(meta, "__name") == Connection.__name and rawget(self, "handles") ~= nil
end

local function check_object(self, op)
  if not is_client(self) then args.fail(op, "the object", "a kafka.Client", self) end
end

local function check(self, op)
  check_object(self, op)
  if self.closed then args.misuse(op, "attempt to use a closed kafka.Client") end
  self:serve()
  return self.handles[1]
end
Connection.check = check

---A timeout argument, checked, or the default of requests: 10 s.
function Connection.timeout_of(op, timeout)
  return args.optional(op, "timeout", timeout, args.seconds) or DEFAULT_TIMEOUT
end
local timeout_of = Connection.timeout_of

-- Questions -----------------------------------------------------------------------------------------------------------

---Metadata as the core gives it. An old broker knows of no other until there is a topic, and librdkafka, after two more attempts,
---no longer asks. The first look-up of a group's coordinator, which every handle makes, has the broker create one: so these are
---asked again sooner.
---@param what string|boolean a topic's name, true for all topics, false for brokers only
---@return table|nil
---@return kafka.Error|nil
function Connection:metadata_of(op, what, timeout)
  local policy = generation.is_old(self.options.broker_version) and ask.policies.impatient or ask.policies.sliced
  return ask.metadata(self.handles[1], op, what, timeout, policy)
end

---Metadata as a picture.
---@param what string|boolean a topic's name, true for all topics, false for brokers only
function Connection:ask(op, what, timeout)
  local raw, err = self:metadata_of(op, what, timeout)
  if not raw then return nil, err end
  return cluster.picture(raw)
end

---@param timeout number|nil seconds (default 10)
---@return kafka.Broker[]|nil in the order of their ids
---@return kafka.Error|nil
function Connection:brokers(timeout)
  check(self, "brokers")
  local picture, err = self:ask("brokers", false, timeout_of("brokers", timeout))
  if not picture then return nil, err end
  return picture.brokers
end

-- What is said of a topic by brokers that have not heard of it yet, and by librdkafka where it has asked one of those.
local unheard = { UNKNOWN_TOPIC_OR_PART = true, _UNKNOWN_TOPIC = true, _UNKNOWN_PARTITION = true, _NOENT = true,
  LEADER_NOT_AVAILABLE = true, NOT_LEADER_FOR_PARTITION = true }

---Whether an error may mean no more than that not every broker has heard yet of what this client has just made.
---@param name string the error's
---@param topic string|nil nil: of any topic
---@return boolean
function Connection:is_new(name, topic)
  if not unheard[name] then return false end
  local made = topic and self.created[topic] or -math.huge
  if not topic then
    for _, at in pairs(self.created) do made = math.max(made, at) end
  end
  return now() - made < FRESH
end

---The same, for what is asked again at once: waits a moment before it says so.
---@param deadline number
---@return boolean
function Connection:is_early(name, topic, deadline)
  if now() + PAUSE >= deadline or not self:is_new(name, topic) then return false end
  self.handles[1]:await(function() return false end, now() + PAUSE)
  return true
end

---One topic: its partitions with leader, replicas and in-sync replicas. Waits for a topic that is just coming to be.
---@param name string
---@param timeout number|nil seconds (default 10)
---@return kafka.Topic|nil
---@return kafka.Error|nil UNKNOWN_TOPIC_OR_PART where there is none
function Connection:topic(name, timeout)
  check(self, "topic")
  args.topic("topic", name)
  return self:topic_for("topic", name, timeout_of("topic", timeout))
end

---The same for another call of the library's, which its errors name.
function Connection:topic_for(op, name, timeout)
  local h = self.handles[1]
  return ask.again(h, { op = op, topic = name }, timeout, function(seconds)
    local picture, err = self:ask(op, name, seconds)
    if not picture then return nil, err end
    local topic = picture:topic(name)
    if topic and not topic.err then return topic end
    err = errors.from(topic and topic.err or { name = "UNKNOWN_TOPIC_OR_PART" }, { op = op, topic = name,
      user = h.facts.user })
    if self:is_new(err.name, name) then err.action, err.retriable = "wait", true end
    return nil, err
  end, coming)
end

---The first offset there is and the next that will be written.
---@param topic string
---@param partition integer
---@param timeout number|nil seconds (default 10)
---@return integer|nil earliest
---@return integer|kafka.Error latest, or the error
---rd_kafka_query_watermark_offsets
function Connection:watermarks(topic, partition, timeout)
  local h = check(self, "watermarks")
  args.topic("watermarks", topic)
  args.check("watermarks", "partition", partition, args.partition)
  local deadline = now() + timeout_of("watermarks", timeout)
  local earliest, latest
  repeat
    earliest, latest = ask.watermarks(h, "watermarks", topic, partition, math.max(0, deadline - now()))
  until earliest or not self:is_early(latest.name, topic, deadline)
  return earliest, latest
end

---The ends of many partitions, asked together.
---@param what string|{topic: string, partition: integer}[] a topic's name, for all its partitions; or rows
---@param timeout number|nil seconds for all (default 10)
---@return {topic: string, partition: integer, earliest: integer|nil, latest: integer|nil, err: kafka.Error|nil}[]|nil one that
---  could not be asked has `err`
---@return kafka.Error|nil
---rd_kafka_query_watermark_offsets
function Connection:ends(what, timeout)
  check(self, "ends")
  timeout = timeout_of("ends", timeout)
  local deadline = now() + timeout
  if type(what) ~= "table" then args.topic("ends", what) end
  if type(what) == "table" then return self:ends_of("ends", rows_of.copy("ends", what, false), deadline) end
  local topic, err = self:topic_for("ends", what, timeout)
  if not topic then return nil, err end
  local rows = {}
  for i, p in ipairs(topic.partitions) do rows[i] = { topic = what, partition = p.partition } end
  return self:ends_of("ends", rows, deadline)
end

---The same for another call of the library's, which its errors name.
---@param deadline number
function Connection:ends_of(op, rows, deadline)
  local h = self.handles[1]
  local list = ask.ends(h, op, rows, math.max(0, deadline - now()), function(row, seconds)
    return self:watermarks(row.topic, row.partition, seconds)
  end)
  for i, row in ipairs(rows) do
    list[i].topic, list[i].partition = row.topic, row.partition
    if list[i].err then list[i].err.op = op end
  end
  return ends_rows(list)
end

---Waits until something may have come for this client: messages, answers, errors. For loops that look at several things in turn,
---such as fetches with timeout 0.
---@param timeout number seconds; it waits 0.1 s at most
function Connection:wait(timeout)
  local h = check(self, "wait")
  args.check("wait", "timeout", timeout, args.seconds)
  if not self.closed then await.pause(h, timeout) end
  if not self.closed then self:serve() end
end

---Something worth telling that is no call's failure: to on_error, else to the log.
function Connection:tell(err)
  if self.options.on_error then return self.options.on_error(err) end
  log.line(self.handles[1].title, 4, tostring(err))
end

-- The end ------------------------------------------------------------------------------------------------------------

---Closes everything that was opened here, partitions included. Closing twice is harmless: the second waits again for what
---had not ended.
---@param timeout number|nil seconds (default 10)
---@return true|nil
---@return kafka.Error|nil where librdkafka had not ended in time: it goes on ending in the background
function Connection:close(timeout)
  check_object(self, "close")
  local deadline = now() + timeout_of("close", timeout)
  local all = {}
  for _, h in ipairs(self.handles) do all[#all + 1] = h end
  for _, h in pairs(self.group_handles) do all[#all + 1] = h end
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

function Connection:__close(problem)
  check_object(self, "close")
  local ok, err = self:close()
  if ok then return end
  log.line("kafka.Client", 4, tostring(err) .. (problem and " (while an error was on its way)" or ""))
end

function Connection:__tostring()
  check_object(self, "tostring")
  return ("kafka.Client (%s%s)"):format(self.brokers_setting, self.closed and ", closed" or "")
end

return args.public(Connection)

-- The consumer: topics read as a member of a group, or partitions assigned by hand. The face only: how messages are handed
-- out is polling.lua's, the group's wishes membership.lua's, commits and positions progress.lua's, seeks placing.lua's.

local core = require "kafka.core"
local args = require "kafka.args"
local ask = require "kafka.ask"
local assignment = require "kafka.assignment"
local backlog = require "kafka.backlog"
local commits = require "kafka.commits"
local config = require "kafka.config"
local doubt = require "kafka.doubt"
local errors = require "kafka.error"
local generation = require "kafka.generation"
local handle = require "kafka.handle"
local log = require "kafka.log"
local membership = require "kafka.membership"
local placing = require "kafka.placing"
local polling = require "kafka.polling"
local progress = require "kafka.progress"
local reset = require "kafka.reset"
local rows_of = require "kafka.rows"

local now = core.now

---@class kafka.Consumer
local Consumer = {}
Consumer.__index = Consumer
Consumer.__name = "kafka.Consumer"

local DEFAULT_TIMEOUT = 10 -- seconds
local END_TIME = 1 -- seconds that close takes at least for librdkafka's end
local PATIENT = 0x020300ff -- librdkafka below aborts where a cooperative member ends before its first assignment
local ENDING = 0x020601ff -- librdkafka below never ends where a subscribed topic was deleted

local own_options = {
  broker_version = generation.kind,
  topics = args.worded("a topic or a list of topics", args.either(args.string, args.table)),
  on_assign = args.func,
  on_revoke = args.func,
  on_lost = args.func,
  on_eof = args.func,
  on_reset = args.func,
  on_commit = args.func,
  on_error = args.func,
  on_log = args.func,
  on_stats = args.func,
  on_throttle = args.func,
  oauth_token = args.func,
  loop = args.loop,
}

-- Error events that no time mends and no other call tells of: the next poll gives them.
local for_the_caller = { security = true, group = true, config = true }

-- Opening ------------------------------------------------------------------------------------------------------------

-- The policies of these settings are ours: librdkafka commits, stores and resets nothing by itself.
local function take_policies(settings)
  local function is_on(name) return not (settings[name] or "true"):lower():find "^[f0]" end
  local interval = tonumber(settings["auto.commit.interval.ms"] or "5000") / 1000
  local policies = {
    auto_commit = is_on "enable.auto.commit",
    interval = is_on "enable.auto.commit" and interval > 0 and interval or nil,
    auto_store = is_on "enable.auto.offset.store",
    reset = reset.policy(settings["auto.offset.reset"]),
  }
  settings["enable.auto.commit"], settings["enable.auto.offset.store"] = "false", "false"
  settings["auto.offset.reset"], settings["enable.partition.eof"] = "error", "true"
  return policies
end

local function check_topics(op, topics)
  if type(topics) == "string" then topics = { topics } end
  local list = {}
  for i, name in ipairs(args.list(op, "topics", topics, "a list of topics")) do
    args.check(op, ("topics[%d]"):format(i), name, args.name)
    if not name:find "^%^" then args.check(op, ("topics[%d]"):format(i), name, args.topic_name) end
    list[i] = name
  end
  if #list == 0 then args.fail(op, "topics", "a list of at least one topic", topics) end
  return list
end

---Opens a consumer. Takes librdkafka's settings (`max_poll_interval_ms` or `["max.poll.interval.ms"]`), `brokers`, `group`, and
---the options below. Handlers run between two polls, on the caller's own stack, with the consumer as their last argument:
---they may commit and seek.
---@param options table
---  topics string[]|nil subscribed at once; "^regex" for all topics that match
---  on_assign fun(rows, consumer)|nil rows {topic, partition, offset}: new partitions, offset what the group has committed
---  on_revoke fun(rows, consumer)|nil before partitions are given back; then what is stored is committed
---  on_lost fun(rows, consumer)|nil partitions that others may have already (default: on_revoke)
---  on_eof fun(row, consumer)|nil {topic, partition, offset}: the end of a partition was reached
---  on_reset fun(row, consumer)|nil {topic, partition, from, to, reason}: the position did not exist
---  on_commit fun(rows, err)|nil outcome of the commits that nobody waits for
---  on_error fun(err)|nil, on_log fun(line)|nil, on_stats fun(table)|nil, on_throttle fun(note)|nil
---  loop table|function|nil the luv module, or fun(fd, seconds)
---  broker_version string|nil "0.8.2.1" of brokers before 0.10 (docs/old-brokers.md)
---@return kafka.Consumer|nil
---@return kafka.Error|nil
---rd_kafka_new, rd_kafka_subscribe
local function open(options)
  local mine, settings = config.split("kafka.consumer", options, own_options, "consumer")
  local topics = mine.topics and check_topics("kafka.consumer", mine.topics)
  local group = args.check("kafka.consumer", "group", settings["group.id"], args.group)
  local policies = take_policies(settings)
  local h, err = handle.open("member", "kafka.consumer", settings, mine)
  if not h then return nil, err end
  local self = setmetatable({
    handle = h,
    group = group,
    parts = assignment.open(h),
    backlog = backlog.open(),
    auto_store = policies.auto_store,
    reset_policy = policies.reset,
    doubts = {}, -- partitions whose position may not exist, see reset.lua
    reads_uncommitted = settings["isolation.level"] == "read_uncommitted",
    on_eof = mine.on_eof,
    on_reset = mine.on_reset,
    stopping = false,
    closed = false,
  }, Consumer)
  local function report(rows, problem)
    if mine.on_commit then return mine.on_commit(rows, problem) end
    if problem then h:tell(problem) end
  end
  h.claims = function(e)
    if e.name == "_MAX_POLL_EXCEEDED" then self.membership.expelled = true end
    if e.action ~= "fix" or not for_the_caller[e.category] or doubt.takes(self, e) then return false end
    self.trouble = e
    return mine.on_error == nil -- instead of the log
  end
  self.commits = commits.open(h, self.parts, policies.interval, report)
  self.membership = membership.open(self, {
    handle = h,
    parts = self.parts,
    commits = self.commits,
    backlog = self.backlog,
    auto_commit = policies.auto_commit,
    report = report,
    start = function(topic, partition) return reset.start(h, policies.reset, topic, partition) end,
    position = function(part) return progress.position(self, part) end,
    on_assign = mine.on_assign,
    on_revoke = mine.on_revoke,
    on_lost = mine.on_lost,
  })
  local strategy = settings["partition.assignment.strategy"] or ""
  self.membership.patient = strategy:find("cooperative", 1, true) ~= nil and core.librdkafka_number < PATIENT
  if topics then
    local ok
    ok, err = self:subscribe(topics)
    if not ok then
      self:close(0)
      return nil, err
    end
  end
  return self
end

local function check(self, op)
  args.object(op, self, Consumer)
  if self.closed then args.misuse(op, "attempt to use a closed kafka.Consumer") end
  return self.handle
end

---Joins the group (again) for these topics. Partitions come with the polls that follow.
---@param topics string|string[] "^regex" for all topics that match
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_subscribe
function Consumer:subscribe(topics)
  local h = check(self, "subscribe")
  topics = check_topics("subscribe", topics)
  local refused = h:refuses("groups", { op = "subscribe" })
  if refused then return nil, refused end
  local group = self.membership
  if not group.subscribed and #self.parts.list > 0 then
    args.misuse("subscribe", "partitions are assigned by hand: assign({}) gives them back first")
  end
  local ok, raw = h.core:subscribe(topics, group.patient)
  if not ok then return nil, errors.from(raw, { op = "subscribe" }) end
  group.subscribed, group.joined, self.commits.member = true, true, true
  return true
end

---Gives all partitions back, which on_revoke hears of, and stays out of the group until the next subscribe. From a handler:
---the partitions go with the next poll.
---@param timeout number|nil seconds (default 10)
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_unsubscribe
function Consumer:unsubscribe(timeout)
  local h = check(self, "unsubscribe")
  timeout = args.optional("unsubscribe", "timeout", timeout, args.seconds) or DEFAULT_TIMEOUT
  local group = self.membership
  if not group.subscribed then return true end
  local ok, raw = h.core:unsubscribe()
  if not ok then return nil, errors.from(raw, { op = "unsubscribe" }) end
  group.subscribed, self.commits.member = false, false
  if group.busy then return true end
  polling.settle(self)
  local gone = h:await(function()
    group:serve()
    return self.closed or #self.parts.list == 0
  end, now() + timeout)
  if gone then return true end
  return nil, h:late({ op = "unsubscribe" }, timeout, "the partitions were not given back")
end

-- Messages -----------------------------------------------------------------------------------------------------------

---The next message. What the last call gave counts as handled now, and its offset as stored.
---@param timeout number|nil seconds (default: for ever)
---@return kafka.Message|nil nil alone: nothing came
---@return kafka.Error|nil
function Consumer:poll(timeout)
  check(self, "poll")
  polling.check_alone(self, "poll")
  args.optional("poll", "timeout", timeout, args.seconds)
  return polling.poll(self, timeout or math.huge)
end

---The next messages at once: waits until there is one, then takes what is there.
---@param options table|nil max messages (default 1000), max_bytes (default 1 MiB), timeout seconds (default 10), columns a
---  list of field names: {"value", "offset"} gives batch.value[i], batch.offset[i]
---@return kafka.Batch|nil perhaps empty; `next` holds a row for each partition that moved
---@return kafka.Error|nil
function Consumer:batch(options)
  check(self, "batch")
  polling.check_alone(self, "batch")
  return polling.batch(self, options)
end

---A loop over messages, for ever. Errors that may pass go to on_error; others are raised.
---@param options table|nil idle seconds without a message that end it; to_end true: ends where every partition has been at its
---  end
---@return fun(): kafka.Message|nil
function Consumer:messages(options)
  check(self, "messages")
  return polling.messages(self, options)
end

---A loop over batches.
---@param options table|nil as for batch and messages; with a timeout it also gives empty batches
---@return fun(): kafka.Batch|nil
function Consumer:batches(options)
  check(self, "batches")
  return polling.batches(self, options)
end

---Ends the loops over this consumer as soon as they ask for more.
function Consumer:stop()
  local h = check(self, "stop")
  self.stopping = true
  if h.wake then h.wake() end
end

-- Offsets ------------------------------------------------------------------------------------------------------------

---Says what was handled, where the consumer does not do so itself (`enable_auto_offset_store = false`): the next commit holds
---it.
---@param what kafka.Message|kafka.Batch|table rows {topic, partition, offset, metadata} with the next offset to read
---@return true|nil
---@return kafka.Error|nil where a partition is not (any more) this consumer's
function Consumer:store(what)
  check(self, "store")
  return progress.store(self, what)
end

---Commits for the group: what is stored, or what is named.
---@param what kafka.Message|kafka.Batch|table|nil rows {topic, partition, offset, metadata} mean the next offset to read
---@param options table|nil metadata string; timeout seconds (default 10); on_commit fun(rows, err): does not wait
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_commit_queue
function Consumer:commit(what, options)
  check(self, "commit")
  return progress.commit(self, what, options)
end

---What the group has committed.
---@param rows table|nil rows {topic, partition} (default: all that are assigned)
---@param timeout number|nil seconds (default 10)
---@return {topic: string, partition: integer, offset: integer|nil, metadata: string|nil}[]|nil
---@return kafka.Error|nil
---rd_kafka_committed
function Consumer:committed(rows, timeout)
  check(self, "committed")
  return progress.committed(self, rows, timeout)
end

---The first offset there is and the next that will be written.
---@return integer|nil earliest
---@return integer|kafka.Error latest, or the error
---rd_kafka_query_watermark_offsets
function Consumer:watermarks(topic, partition, timeout)
  local h = check(self, "watermarks")
  args.topic("watermarks", topic)
  args.check("watermarks", "partition", partition, args.partition)
  args.optional("watermarks", "timeout", timeout, args.seconds)
  return ask.watermarks(h, "watermarks", topic, partition, timeout or DEFAULT_TIMEOUT)
end

---The next offset to be handed out.
---@param topic string
---@param partition integer
---@return integer|nil nil alone: not known yet
---@return kafka.Error|nil
function Consumer:position(topic, partition)
  check(self, "position")
  local part, err = placing.known(self, "position", topic, partition)
  if not part then return nil, err end
  return progress.position(self, part)
end

---How far this consumer is behind, over its partitions. Of another group: lag of kafka.connect.
---@param timeout number|nil seconds for all requests together (default 10)
---@return integer|nil messages
---@return {topic: string, partition: integer, position: integer, latest: integer, lag: integer}[]|kafka.Error
function Consumer:lag(timeout)
  check(self, "lag")
  return progress.lag(self, timeout)
end

-- Partitions ---------------------------------------------------------------------------------------------------------

---The partitions that are assigned now.
---@return {topic: string, partition: integer, offset: integer|nil, paused: boolean|nil}[] offset: the next to be handed out
function Consumer:assignment()
  check(self, "assignment")
  return placing.assignment(self)
end

---Goes on elsewhere in one partition. What was fetched of it, and what of it is in hand, is dropped.
---@param topic string
---@param partition integer
---@param where "earliest"|"latest"|"committed"|integer|{time: integer} an offset; -n for the last n offsets; the first message
---  at or after a time (ms since the epoch)
---@param timeout number|nil seconds to look the position up (default 10)
---@return true|nil
---@return kafka.Error|nil
function Consumer:seek(topic, partition, where, timeout)
  check(self, "seek")
  return placing.seek(self, topic, partition, where, timeout)
end

---Hands out nothing more of a partition until it is resumed, or the group assigns it anew; without arguments: of all that are
---assigned now.
---@return true|nil
---@return kafka.Error|nil
function Consumer:pause(topic, partition)
  check(self, "pause")
  return placing.pause(self, topic, partition)
end

---@return true|nil
---@return kafka.Error|nil
function Consumer:resume(topic, partition)
  check(self, "resume")
  return placing.resume(self, topic, partition)
end

---Reads these partitions and no others, without the group's say. Their offsets are still committed for the group.
---@param rows {topic: string, partition: integer, offset: any}[] offset as for seek (default "committed")
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_assign
function Consumer:assign(rows)
  check(self, "assign")
  return placing.assign(self, rows)
end

---Reads these partitions too.
---@param rows {topic: string, partition: integer, offset: any}[] as for assign
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_incremental_assign
function Consumer:add(rows)
  check(self, "add")
  return placing.add(self, rows)
end

---Reads these partitions no longer.
---@param rows {topic: string, partition: integer}[]
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_incremental_unassign
function Consumer:remove(rows)
  check(self, "remove")
  return placing.remove(self, rows)
end

-- The end ------------------------------------------------------------------------------------------------------------

local function never_ends(self)
  return core.librdkafka_number < ENDING and self.membership.joined and self.handle.seen.UNKNOWN_TOPIC_OR_PART or false
end

---Commits what is stored, leaves the group, ends the client. The message or batch in hand is not committed. Closing twice is
---harmless.
---@param timeout number|nil seconds (default 10)
---@return true|nil
---@return kafka.Error|nil with `uncommitted`: rows that the group's coordinator did not take
function Consumer:close(timeout)
  args.object("close", self, Consumer)
  timeout = args.optional("close", "timeout", timeout, args.seconds) or DEFAULT_TIMEOUT
  local h = self.handle
  if self.closed or self.closing then return true end
  if h.core:forked() then
    self.closed = true
    return true
  end
  if h.core:busy() then args.misuse("close", "a finalizer that runs within a call on this consumer cannot close it") end
  local deadline = now() + timeout
  self.stopping, self.closing = true, true
  local uncommitted, err, raised = self.membership:finish(deadline, function() polling.settle(self) end)
  self.closed = true
  h.abandon = never_ends(self)
  local ended = h:close(math.max(deadline, now() + END_TIME))
  if raised ~= nil then error(raised, 0) end
  if err then
    err.uncommitted = rows_of.shown(uncommitted)
    err.op = "close"
    return nil, err
  end
  if not ended then
    return nil, errors.new { name = "_TIMED_OUT", op = "close",
      message = "librdkafka had not ended in time and goes on ending in the background" }
  end
  return true
end

function Consumer:__close(problem)
  args.object("close", self, Consumer)
  local done, ok, err = pcall(self.close, self)
  if done and ok then return end
  err = done and err or ok
  if problem == nil then error(err, 0) end
  log.line(self.handle.title, 3, tostring(err))
end

function Consumer:__tostring()
  args.object("tostring", self, Consumer)
  local state = self.closed and ", closed" or (", %d partitions"):format(#self.parts.list)
  return ("kafka.Consumer (%s, group %s%s)"):format(self.handle.name, self.group, state)
end

args.public(Consumer)
core.public(open, "kafka.consumer")

return { open = open }

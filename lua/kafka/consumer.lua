-- The consumer: topics read as a member of a group, or partitions assigned by hand. The face only: how messages are handed
-- out is polling.lua's, the group's wishes membership.lua's, commits commits.lua's, partitions assignment.lua's.

local core = require "kafka.core"
local args = require "kafka.args"
local ask = require "kafka.ask"
local assignment = require "kafka.assignment"
local backlog = require "kafka.backlog"
local commits = require "kafka.commits"
local config = require "kafka.config"
local errors = require "kafka.error"
local handle = require "kafka.handle"
local log = require "kafka.log"
local membership = require "kafka.membership"
local polling = require "kafka.polling"
local reset = require "kafka.reset"
local rows_of = require "kafka.rows"
local show = require "kafka.show"
local start = require "kafka.start"

local now = core.now

---@class kafka.Consumer
local Consumer = {}
Consumer.__index = Consumer
Consumer.__name = "kafka.Consumer"

local DEFAULT_TIMEOUT = 10 -- seconds
local assigned_list = show.list({ "topic", "partition", "offset", show.maybe "paused" }, { none = "no partition is assigned" })
local committed_list = show.list({ "topic", "partition", "offset", show.maybe "metadata" }, { none = "nothing committed" })
local lag_list = show.list { "topic", "partition", "position", "latest", "lag" }

local END_TIME = 1 -- seconds that close takes at least for librdkafka's end

local own_options = {
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

-- Opening ------------------------------------------------------------------------------------------------------------

-- The policies of these settings are ours: librdkafka commits, stores and resets nothing by itself.
local function take_policies(settings)
  local policies = {
    auto_commit = settings["enable.auto.commit"] ~= "false",
    interval = tonumber(settings["auto.commit.interval.ms"] or "5000") / 1000,
    auto_store = settings["enable.auto.offset.store"] ~= "false",
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
    on_eof = mine.on_eof,
    on_reset = mine.on_reset,
    stopping = false,
    closed = false,
  }, Consumer)
  local function report(rows, problem)
    if mine.on_commit then return mine.on_commit(rows, problem) end
    if problem then h:tell(problem) end
  end
  self.commits = commits.open(h, self.parts, policies.auto_commit and policies.interval or nil, report)
  self.membership = membership.open(self, {
    handle = h,
    parts = self.parts,
    commits = self.commits,
    backlog = self.backlog,
    auto_commit = policies.auto_commit,
    report = report,
    start = function(topic, partition) return reset.start(h, policies.reset, topic, partition) end,
    cooperative = (settings["partition.assignment.strategy"] or ""):find("cooperative", 1, true) ~= nil,
    position = function(part) return self:position(part.topic, part.partition) end,
    on_assign = mine.on_assign,
    on_revoke = mine.on_revoke,
    on_lost = mine.on_lost,
  })
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

local function outside_handlers(self, op)
  if self.membership.busy then args.misuse(op, "cannot be called from a handler of the same consumer") end
end

---Joins the group (again) for these topics. Partitions come with the polls that follow.
---@param topics string|string[] "^regex" for all topics that match
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_subscribe
function Consumer:subscribe(topics)
  local h = check(self, "subscribe")
  topics = check_topics("subscribe", topics)
  if self.manual then args.misuse("subscribe", "partitions are assigned by hand: assign({}) gives them back first") end
  local ok, raw = h.core:subscribe(topics)
  if not ok then return nil, errors.from(raw, { op = "subscribe" }) end
  self.topics, self.membership.subscribed = topics, true
  return true
end

---Gives all partitions back and stays out of the group until the next subscribe. The revoke comes with the next poll.
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_unsubscribe
function Consumer:unsubscribe()
  local h = check(self, "unsubscribe")
  local ok, raw = h.core:unsubscribe()
  if not ok then return nil, errors.from(raw, { op = "unsubscribe" }) end
  self.topics = nil
  return true
end

-- Messages -----------------------------------------------------------------------------------------------------------

---The next message. What the last call gave counts as handled now, and its offset as stored.
---@param timeout number|nil seconds (default: for ever)
---@return kafka.Message|nil nil alone: nothing came
---@return kafka.Error|nil
function Consumer:poll(timeout)
  check(self, "poll")
  outside_handlers(self, "poll")
  args.optional("poll", "timeout", timeout, args.seconds)
  return polling.poll(self, now() + (timeout or math.huge))
end

---The next messages at once: waits until there is one, then takes what is there.
---@param options table|nil max messages (default 1000), max_bytes (default 1 MiB), timeout seconds (default 10), columns a
---  list of field names: {"value", "offset"} gives batch.value[i], batch.offset[i]
---@return kafka.Batch|nil perhaps empty; `next` holds a row for each partition that moved
---@return kafka.Error|nil
function Consumer:batch(options)
  check(self, "batch")
  outside_handlers(self, "batch")
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

local function store_rows(self, rows)
  local foreign
  for _, row in ipairs(rows) do
    if not self.commits:store(row.topic, row.partition, row.offset, row.metadata) then foreign = foreign or row end
  end
  if not foreign then return true end
  return nil, errors.new { name = "_STATE", op = "store", topic = foreign.topic, partition = foreign.partition, action = "fix",
    category = "group", message = "the partition is not assigned to this consumer (any more)" }
end

---Says what was handled, where the consumer does not do so itself (`enable_auto_offset_store = false`): the next commit holds
---it.
---@param what kafka.Message|kafka.Batch|table rows {topic, partition, offset, metadata} with the next offset to read
---@return true|nil
---@return kafka.Error|nil where a partition is not (any more) this consumer's
function Consumer:store(what)
  check(self, "store")
  return store_rows(self, rows_of.next("store", what))
end

local commit_options = { metadata = args.metadata, timeout = args.seconds, on_commit = args.func }

---Commits for the group: what is stored, or what is named.
---@param what kafka.Message|kafka.Batch|table|nil rows {topic, partition, offset, metadata} mean the next offset to read
---@param options table|nil metadata string; timeout seconds (default 10); on_commit fun(rows, err): does not wait
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_commit_queue
function Consumer:commit(what, options)
  local h = check(self, "commit")
  local o = args.fields("commit", options, commit_options)
  h:dispatch()
  local rows
  if what == nil then
    polling.settle(self)
    rows = self.commits:pending()
  else
    rows = rows_of.next("commit", what)
    store_rows(self, rows)
  end
  for _, row in ipairs(rows) do row.metadata = row.metadata or o.metadata end
  if #rows == 0 then
    if o.on_commit then o.on_commit(rows) end
    return true
  end
  if o.on_commit then return self.commits:send(rows, o.on_commit) end
  return self.commits:wait(rows, o.timeout or DEFAULT_TIMEOUT)
end

-- The partitions of a question: given, or all that are assigned.
local function which(self, rows)
  if rows ~= nil then return rows_of.copy("committed", rows, false) end
  rows = {}
  for i, part in ipairs(self.parts.list) do rows[i] = { topic = part.topic, partition = part.partition } end
  return rows
end

---What the group has committed.
---@param rows table|nil rows {topic, partition} (default: all that are assigned)
---@param timeout number|nil seconds (default 10)
---@return {topic: string, partition: integer, offset: integer|nil, metadata: string|nil}[]|nil
---@return kafka.Error|nil
---rd_kafka_committed
function Consumer:committed(rows, timeout)
  local h = check(self, "committed")
  args.optional("committed", "timeout", timeout, args.seconds)
  rows = which(self, rows)
  if #rows == 0 then return committed_list {} end
  local found, err = ask.committed(h, "committed", rows, timeout or DEFAULT_TIMEOUT)
  if not found then return nil, err end
  return committed_list(found)
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

local function known(self, op, topic, partition)
  args.topic(op, topic)
  args.check(op, "partition", partition, args.partition)
  local part = self.parts:find(topic, math.tointeger(partition))
  if part then return part end
  return nil, errors.new { name = "_STATE", op = op, topic = topic, partition = partition, action = "fix", category = "group",
    message = "the partition is not assigned to this consumer (any more)" }
end

---The next offset to be handed out.
---@param topic string
---@param partition integer
---@return integer|nil nil alone: not known yet
---@return kafka.Error|nil
function Consumer:position(topic, partition)
  check(self, "position")
  local part, err = known(self, "position", topic, partition)
  if not part then return nil, err end
  return self.backlog:first(part.topic, part.partition) or self.parts:position(part)
end

---How far this consumer is behind, over its partitions.
---@param timeout number|nil seconds for all requests together (default 10)
---@return integer|nil messages
---@return {topic: string, partition: integer, position: integer, latest: integer, lag: integer}[]|kafka.Error
function Consumer:lag(timeout)
  check(self, "lag")
  args.optional("lag", "timeout", timeout, args.seconds)
  local deadline = now() + (timeout or DEFAULT_TIMEOUT)
  local rows, total = {}, 0
  for i, part in ipairs({ table.unpack(self.parts.list) }) do
    local earliest, latest = ask.watermarks(self.handle, "lag", part.topic, part.partition, math.max(0, deadline - now()))
    if not earliest then return nil, latest end
    local at = self.backlog:first(part.topic, part.partition) or self.parts:position(part)
    if not at then at = part.start == -1 and latest or earliest end
    local lag = math.max(0, latest - math.max(at, earliest))
    total = total + lag
    rows[i] = { topic = part.topic, partition = part.partition, position = at, latest = latest, lag = lag }
  end
  return total, lag_list(rows)
end

-- Partitions ---------------------------------------------------------------------------------------------------------

---The partitions that are assigned now.
---@return {topic: string, partition: integer, offset: integer|nil, paused: boolean|nil}[] offset: the next to be handed out
function Consumer:assignment()
  check(self, "assignment")
  local rows = {}
  for i, part in ipairs(self.parts.list) do
    rows[i] = { topic = part.topic, partition = part.partition, offset = self:position(part.topic, part.partition),
      paused = part.paused or nil }
  end
  return assigned_list(rows)
end

local time_place = args.worded('{ time = integer milliseconds since the epoch }', {
  fits = function(v) return type(v) == "table" and args.timestamp.fits(rawget(v, "time")) and next(v, next(v)) == nil end })
local places = args.either(start.kind, time_place)
local place_fields = { offset = places }

-- An offset, from what a person says.
local function place_of(self, op, part, where, timeout)
  args.check(op, "offset", where, places)
  local deadline = now() + (args.optional(op, "timeout", timeout, args.seconds) or DEFAULT_TIMEOUT)
  if type(where) ~= "table" then
    return start.resolve(self, part.topic, part.partition, where, { deadline = deadline,
      otherwise = self.reset_policy ~= "error" and self.reset_policy or "earliest",
      committed = function(rows, seconds) return self:committed(rows, seconds) end })
  end
  local question = { topic = part.topic, partition = part.partition, offset = rawget(where, "time") }
  local rows, err = ask.times(self.handle, op, { question }, deadline - now())
  if not rows then return nil, err end
  if rows[1].offset then return rows[1].offset end
  return start.resolve(self, part.topic, part.partition, "latest", { deadline = deadline })
end

---Goes on elsewhere in one partition. What was fetched of it, and what of it is in hand, is dropped.
---@param topic string
---@param partition integer
---@param where "earliest"|"latest"|"committed"|integer|{time: integer} an offset; -n for the last n; the first message at or
---  after a time (ms since the epoch)
---@param timeout number|nil seconds to look the position up (default 10)
---@return true|nil
---@return kafka.Error|nil
function Consumer:seek(topic, partition, where, timeout)
  check(self, "seek")
  local part, err = known(self, "seek", topic, partition)
  local offset
  if part then offset, err = place_of(self, "seek", part, where, timeout) end
  if not offset then return nil, err end
  if self.parts:find(topic, part.partition) ~= part then return known(self, "seek", topic, partition) end
  polling.settle(self)
  self.backlog:drop(part.topic, part.partition)
  return self.parts:seek(part, offset)
end

-- The parts named by pause and resume: none given means all.
local function parts_of(self, op, topic, partition)
  if topic == nil then return { table.unpack(self.parts.list) } end
  local part, err = known(self, op, topic, partition)
  return part and { part }, err
end

---Hands out nothing of a partition until it is resumed; without arguments: of all that are assigned now.
---@return true|nil
---@return kafka.Error|nil
function Consumer:pause(topic, partition)
  check(self, "pause")
  local parts, err = parts_of(self, "pause", topic, partition)
  if not parts then return nil, err end
  polling.settle(self)
  for _, part in ipairs(parts) do
    local at = self.backlog:first(part.topic, part.partition)
    self.backlog:drop(part.topic, part.partition)
    self.parts:pause(part, at)
  end
  return true
end

---@return true|nil
---@return kafka.Error|nil
function Consumer:resume(topic, partition)
  check(self, "resume")
  local parts, err = parts_of(self, "resume", topic, partition)
  if not parts then return nil, err end
  for _, part in ipairs(parts) do
    local ok
    ok, err = self.parts:resume(part)
    if not ok then return nil, err end
  end
  return true
end

-- Assigning by hand --------------------------------------------------------------------------------------------------

local function new_parts(self, op, rows)
  if self.membership.subscribed then args.misuse(op, "this consumer has subscribed: its group assigns") end
  args.check(op, "rows", rows, args.table)
  if next(rows) == nil then return {} end
  local list = rows_of.checked(op, rows, place_fields)
  for i, row in ipairs(list) do
    list[i] = { topic = row.topic, partition = math.tointeger(row.partition), place = row.offset or "committed" }
  end
  return list
end

local function take_up(self, op, list, change)
  for _, row in ipairs(list) do
    if not row.at then
      local err
      row.at, err = place_of(self, op, row, row.place)
      if not row.at then return nil, err end
    end
  end
  if change == "assign" then
    polling.settle(self)
    for _, part in ipairs(self.parts.list) do self.backlog:drop(part.topic, part.partition) end
    self.parts:clear()
  end
  for _, row in ipairs(list) do
    if not self.parts:find(row.topic, row.partition) then self.parts:add(row.topic, row.partition, row.at) end
  end
  self.manual = #self.parts.list > 0
  return self.parts:take_up()
end

---Reads these partitions and no others, without the group's say. Their offsets are still committed for the group.
---@param rows {topic: string, partition: integer, offset: any}[] offset as for seek (default "committed")
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_assign
function Consumer:assign(rows)
  check(self, "assign")
  return take_up(self, "assign", new_parts(self, "assign", rows), "assign")
end

---Reads these partitions too.
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_incremental_assign
function Consumer:add(rows)
  check(self, "add")
  return take_up(self, "add", new_parts(self, "add", rows), "add")
end

---Reads these partitions no longer.
---@param rows {topic: string, partition: integer}[]
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_incremental_unassign
function Consumer:remove(rows)
  check(self, "remove")
  local parts = {}
  for _, row in ipairs(new_parts(self, "remove", rows)) do
    parts[#parts + 1] = self.parts:find(row.topic, row.partition)
  end
  polling.settle(self)
  for _, part in ipairs(parts) do self.backlog:drop(part.topic, part.partition) end
  return self.parts:give_back(parts)
end

-- The end ------------------------------------------------------------------------------------------------------------

-- librdkafka below 2.6.1: where a subscribed topic was deleted, its destruction waits for ever.
local function never_ends(h)
  return core.librdkafka_number < 0x020601ff and h.seen.UNKNOWN_TOPIC_OR_PART or false
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
  if self.closed or h.core:forked() then
    self.closed = true
    return true
  end
  if h.core:busy() then args.misuse("close", "a finalizer that runs within a call on this consumer cannot close it") end
  local deadline = now() + timeout
  self.stopping = true
  local uncommitted, err, raised = self.membership:finish(deadline, function() polling.settle(self) end)
  self.closed = true
  h.abandon = never_ends(h)
  local ended = h:close(math.max(deadline, now() + END_TIME))
  if raised ~= nil then error(raised, 0) end
  if err then
    err.uncommitted = uncommitted
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

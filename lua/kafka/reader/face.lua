-- What a reader can do, as its users call it. How messages are handed out is handing.lua's; when to commit and what to do about
-- the cluster's changes is the policy's, reader.lua.

local core = require "kafka.core"
local args = require "kafka.args"
local errors = require "kafka.error"
local handing = require "kafka.reader.handing"
local log = require "kafka.log"
local partitions = require "kafka.partition"
local parts = require "kafka.reader.parts"
local rows_of = require "kafka.rows"
local show = require "kafka.show"
local start = require "kafka.start"

local now = core.now

---@class kafka.Reader
local Reader = {}
Reader.__index = Reader
Reader.__name = "kafka.Reader"

local DEFAULT_TIMEOUT = 10 -- seconds

local lag_rows = show.list { "topic", "partition", "position", "latest", "lag" }

local function check(self, op)
  args.object(op, self, Reader)
  if self.closed then args.misuse(op, "attempt to use a closed kafka.Reader") end
  return self
end

local function seconds_of(op, timeout, default)
  return args.optional(op, "timeout", timeout, args.seconds) or default
end

-- Messages -----------------------------------------------------------------------------------------------------------

---The next message; the one before counts as handled.
---@param timeout number|nil seconds; nil: for ever, 0: only what is there
---@return kafka.Message|nil nil alone where nothing came
---@return kafka.Error|nil where the caller must decide: a topic that may not be read, a commit that is refused, a lost
---  position with reset = "error"
function Reader:poll(timeout)
  return handing.message(check(self, "poll"), "poll", seconds_of("poll", timeout, math.huge))
end

local sizes = { max = args.integer(1, 1000000), max_bytes = args.integer(0, math.maxinteger) }
local batch_options = { max = sizes.max, max_bytes = sizes.max_bytes, timeout = args.seconds }
local loop_options = { idle = args.seconds, to_end = args.boolean }
local batches_options = { max = sizes.max, max_bytes = sizes.max_bytes, idle = args.seconds, to_end = args.boolean }

---The next messages that are there, of one topic; the batch before counts as handled.
---@param options table|nil max messages, max_bytes (default 1 MiB), timeout seconds (nil: for ever)
---@return kafka.Batch|nil nil alone where nothing came
---@return kafka.Error|nil as for poll
function Reader:batch(options)
  check(self, "batch")
  local o = args.fields("batch", options, batch_options)
  return handing.batch(self, "batch", o.timeout or math.huge, o)
end

---`for m in r:messages() do`: every message, for ever. An error that only the caller can mend is raised.
---@param options table|nil idle: ends after so many seconds without a message; to_end: once all partitions were at their end
---@return fun(): kafka.Message|nil
function Reader:messages(options)
  check(self, "messages")
  local o = args.fields("messages", options, loop_options)
  return handing.loop(self, "messages", o, function(seconds) return handing.message(self, "messages", seconds) end)
end

---The same by batches.
---@param options table|nil as for messages, and max, max_bytes as for batch
---@return fun(): kafka.Batch|nil
function Reader:batches(options)
  check(self, "batches")
  local o = args.fields("batches", options, batches_options)
  return handing.loop(self, "batches", o, function(seconds) return handing.batch(self, "batches", seconds, o) end)
end

---Ends the loop that runs, before its next message.
function Reader:stop()
  check(self, "stop").stopping = true
end

-- Offsets ------------------------------------------------------------------------------------------------------------

---Commits all that was handed out, what is in hand included, and waits.
---@param metadata string|nil kept beside the offsets (default: the option)
---@param timeout number|nil seconds (default 10)
---@return true|nil
---@return kafka.Error|nil UNKNOWN_MEMBER_ID where the group has live members: only they may commit for it
function Reader:commit(metadata, timeout)
  check(self, "commit")
  args.optional("commit", "metadata", metadata, args.metadata)
  timeout = seconds_of("commit", timeout, DEFAULT_TIMEOUT)
  if not self.keep_now then args.misuse("commit", "this reader has no group, and no offsets.save") end
  handing.settle(self)
  local rows = self.parts:unkept(metadata or self.o.metadata, self.renew, metadata ~= nil)
  return self.keep_now(self, rows, timeout)
end

---Where each partition stands: the next offset after what is handled.
---@return {topic: string, partition: integer, offset: integer|nil}[] no offset: the partition has had no leader yet
function Reader:positions()
  handing.sync(check(self, "positions"))
  return self.parts:positions()
end

-- How many of these are known.
local function known(ends)
  local n = 0
  for _, at in ipairs(ends) do n = n + (at.err and 0 or 1) end
  return n
end

---How many messages are not handled yet.
---@param timeout number|nil seconds for all (default 10)
---@return integer|nil
---@return {topic: string, partition: integer, position: integer, latest: integer, lag: integer}[]|kafka.Error
function Reader:lag(timeout)
  check(self, "lag")
  timeout = seconds_of("lag", timeout, DEFAULT_TIMEOUT)
  local total, list = 0, {}
  handing.sync(self)
  local rows = self.parts:positions()
  local ends = self.k:ends_of("lag", rows, now() + timeout)
  for i, at in ipairs(ends) do
    local err = at.err
    if err then
      if err.name == "_TIMED_OUT" then
        err.message = ("timed out after %g s, with the ends of %d of %d partitions"):format(timeout, known(ends), #rows)
      end
      return nil, err
    end
    local position = math.max(rows[i].offset or at.earliest, at.earliest)
    list[i] = { topic = at.topic, partition = at.partition, position = position, latest = at.latest,
      lag = math.max(0, at.latest - position) }
    total = total + list[i].lag
  end
  return total, lag_rows(list)
end

local function not_read(topic, partition)
  return errors.new { name = "_UNKNOWN_PARTITION", op = "seek", topic = topic, partition = partition,
    message = "this reader does not read that partition" }
end

---Goes on elsewhere in a partition.
---@param topic string
---@param partition integer
---@param where "earliest"|"latest"|integer an offset, or -n for the last n
---@param timeout number|nil seconds to look the position up (default 10)
---@return true|nil
---@return kafka.Error|nil
function Reader:seek(topic, partition, where, timeout)
  check(self, "seek")
  args.topic("seek", topic)
  partition = math.tointeger(args.check("seek", "partition", partition, args.partition))
  args.check("seek", "offset", where, partitions.open_options.otherwise)
  timeout = seconds_of("seek", timeout, DEFAULT_TIMEOUT)
  if not self.parts:find(topic, partition) then return nil, not_read(topic, partition) end
  local to, wrong = start.resolve(self.k, topic, partition, where, { op = "seek", timeout = timeout, deadline = now() + timeout })
  if not to then return nil, wrong end
  -- Messages may have been handed out while that was looked up, and handlers run. From here on nothing waits.
  local part = not self.closed and self.parts:find(topic, partition)
  if not part then return nil, not_read(topic, partition) end
  local all = part.reading.all
  local ok, err = all:go_to(partition, to)
  if ok then ok, err = all:resume(partition) end -- a lost position rests until it is left
  if not ok then return nil, err end
  handing.drop(self, topic, partition)
  parts.forget(part)
  part.lost, part.stopped, part.suspect = nil, nil, nil
  part.next = all:position(partition)
  return true
end

-- The end ------------------------------------------------------------------------------------------------------------

local function keep_rest(self, deadline)
  handing.sync(self)
  local rows = self.parts:unkept(self.o.metadata, self.renew)
  local ok, err = self.keep_now(self, rows, math.max(0, deadline - now()))
  if not ok then err.uncommitted = rows_of.shown(rows) end
  return ok, err
end

---Closes; where commits are automatic, what is handled is committed before (not what is in hand). Takes its timeout at most.
---@param timeout number|nil seconds (default 10)
---@return true|nil
---@return kafka.Error|nil with `uncommitted`, the rows that could not be kept
function Reader:close(timeout)
  args.object("close", self, Reader)
  local deadline = now() + seconds_of("close", timeout, DEFAULT_TIMEOUT)
  if self.closed then return true end
  self.closed = true
  local called, ok, err = true, true, nil
  if self.o.auto and not self.k.handles[1].core:forked() then
    called, ok, err = pcall(keep_rest, self, deadline)
  end
  local gone, late = self.k:close(math.max(0, deadline - now()))
  if not called then error(ok, 0) end -- the caller's offsets.save, or Ctrl-C
  if not ok then return nil, err end
  if not gone then return nil, late end
  return true
end

-- What could not be kept is raised where the block ended normally; that librdkafka still ends in the background loses nothing.
function Reader:__close(raised)
  local called, ok, err = pcall(self.close, self)
  if called and ok then return end
  err = called and err or ok
  if raised == nil and not (called and not err.uncommitted) then error(err, 0) end
  log.line("kafka.reader", 4, tostring(err))
end

function Reader:__tostring()
  args.object("tostring", self, Reader)
  local state = self.closed and "closed" or ("%d partitions"):format(#self.parts.list)
  return ("kafka.Reader (%s%s, %s)"):format(table.concat(self.o.topics, ", "),
    self.o.group and ", group " .. self.o.group or "", state)
end

return args.public(Reader)

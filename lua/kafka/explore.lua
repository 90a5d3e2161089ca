-- What a person asks at a prompt: the last messages of a topic, the message at an offset, the messages that fit. Nothing is read
-- but what had been written when the question was asked. Built on what kafka.connect offers to everybody.

local core = require "kafka.core"
local args = require "kafka.args"
local errors = require "kafka.error"
local moment = require "kafka.moment"
local show = require "kafka.show"
local start = require "kafka.start"

local now = core.now

local explore = {}

local DEFAULT_TIMEOUT = 10 -- seconds
local TAIL, FOUND = 10, 100 -- messages, where no number is given
local MOST = 100000 -- messages that one answer may have
local SLICE = 0.1 -- seconds: a fetch waits for a message, and what is left of a range may hold none
local EPOCH = 1e11 // 1 | 0 -- milliseconds: numbers from here on are times, below they are offsets

-- Answers ---------------------------------------------------------------------------------------------------------------

---@class kafka.Messages: kafka.Message[] in the order of their timestamps
---@field scanned integer|nil of `find`: how many messages were looked at
---@field stopped "max"|"timeout"|nil of `find`: why it did not look at all

local stops = {
  max = "there may be more: max was reached",
  timeout = "there may be more: the timeout was reached before the end",
}

local messages = show.list({
  show.made("time", function(m) return show.time(m.timestamp) end), "partition", "offset", "key", "value",
}, {
  rows = false,
  none = "no messages",
  foot = function(list)
    if not list.scanned then return nil end
    return ("%d of the %d messages looked at%s"):format(#list, list.scanned, list.stopped and "; " .. stops[list.stopped] or "")
  end,
})

local function earlier(a, b)
  local t, u = a.timestamp or -1, b.timestamp or -1
  if t ~= u then return t < u end
  if a.partition ~= b.partition then return a.partition < b.partition end
  return a.offset < b.offset
end

-- The first or the last n in time of what was kept of each partition.
local function in_time(ranges, n, last)
  local all = {}
  for _, r in ipairs(ranges) do table.move(r.kept, 1, #r.kept, #all + 1, all) end
  table.sort(all, earlier)
  local from = last and math.max(1, #all - n + 1) or 1
  return messages(table.move(all, from, math.min(#all, from + n - 1), 1, {}))
end

-- Reading ---------------------------------------------------------------------------------------------------------------

local function left(deadline) return math.max(0, deadline - now()) end

-- A range for each partition, or each of those given: {partition, earliest, latest, kept}.
local function ranges_of(client, op, topic, only, deadline)
  local found, err = client:topic_for(op, topic, left(deadline))
  if not found then return nil, err end
  local numbers = only or {}
  if not only then
    for i, row in ipairs(found.partitions) do numbers[i] = row.partition end
  end
  local rows, ranges = {}, {}
  for i, number in ipairs(numbers) do
    if not found:partition(number) then
      return nil, errors.new { name = "_UNKNOWN_PARTITION", op = op, topic = topic, partition = number,
        message = ("the topic has %d partitions, counted from 0"):format(#found.partitions) }
    end
    rows[i] = { topic = topic, partition = number }
  end
  for i, at in ipairs(client:ends_of(op, rows, deadline)) do
    if at.err then return nil, at.err end
    ranges[i] = { partition = at.partition, earliest = at.earliest, latest = at.latest, kept = {} }
  end
  return ranges
end

-- Reads each range from `from` to before `stop`. visit(m, range) returns true where it wants no more of that range.
-- Returns whether it came to the end, or nil and the error.
local function scan(client, topic, ranges, deadline, visit)
  local rows, open, count = {}, {}, 0
  for _, r in ipairs(ranges) do
    if r.from < r.stop then
      rows[#rows + 1] = { partition = r.partition, offset = r.from }
      open[r.partition], count = r, count + 1
    end
  end
  if count == 0 then return true end
  if now() >= deadline then return false end
  local reader <close>, err = client:partitions(topic, { offsets = rows, timeout = left(deadline) })
  if not reader then return nil, err end
  local function finish(number)
    open[number], count = nil, count - 1
    reader:pause(number)
  end
  while count > 0 do
    local batch
    batch, err = reader:fetch { timeout = math.min(left(deadline), SLICE) }
    for _, m in ipairs(batch or {}) do
      local r = open[m.partition]
      if r and (m.offset >= r.stop or visit(m, r)) then finish(m.partition) end
    end
    if batch then
      for number, r in pairs(open) do
        if (reader:position(number) or 0) >= r.stop then finish(number) end
      end
      if batch.eof then return true end
    elseif err.name == "OFFSET_OUT_OF_RANGE" then -- retention has taken it meanwhile
      local ok
      ok, err = reader:seek(err.partition, "earliest", left(deadline))
      if not ok then return nil, err end
    else
      return nil, err
    end
    if count > 0 and now() >= deadline then return false end
  end
  return true
end

local function late(client, op, topic, timeout)
  return client.handles[1]:late({ op = op, topic = topic }, timeout, "not all was read")
end

-- The last messages -------------------------------------------------------------------------------------------------------

local tail_options = { timeout = args.seconds, partitions = args.table }
local count_kind = args.integer(1, MOST)

local function partitions_option(op, list)
  if not list then return nil end
  list = args.list(op, "partitions", list, "a list of partitions")
  if #list == 0 then args.misuse(op, "partitions must be a list of at least one, got an empty one") end
  local seen = {}
  for i, number in ipairs(list) do
    list[i] = math.tointeger(args.check(op, ("partitions[%d]"):format(i), number, args.partition))
    if seen[list[i]] then args.misuse(op, ("partitions names %d twice"):format(list[i])) end
    seen[list[i]] = true
  end
  return list
end

-- Offsets without a message (transaction markers, what compaction took) make a range give fewer: then further back.
local function widen(r, n, span)
  local kept = table.move(r.kept, 1, #r.kept, #r.new + 1, r.new)
  r.kept = table.move(kept, math.max(1, #kept - n + 1), #kept, 1, {})
  r.stop = r.from
  if #r.kept < n then r.from = math.max(r.earliest, r.from - span) end
  return r.from < r.stop
end

---The last messages of a topic, over all its partitions, in the order of their timestamps.
---@param topic string
---@param n integer|nil default 10
---@param options table|nil partitions: list of those to look at (default: all); timeout seconds for all of it (default 10)
---@return kafka.Messages|nil
---@return kafka.Error|nil
function explore.tail(client, topic, n, options)
  args.topic("tail", topic)
  n = math.tointeger(args.optional("tail", "n", n, count_kind) or TAIL)
  local o = args.fields("tail", options, tail_options)
  local only = partitions_option("tail", o.partitions)
  local timeout = o.timeout or DEFAULT_TIMEOUT
  local deadline = now() + timeout
  local ranges, err = ranges_of(client, "tail", topic, only, deadline)
  if not ranges then return nil, err end
  local span = n
  for _, r in ipairs(ranges) do r.from, r.stop = math.max(r.earliest, r.latest - n), r.latest end
  repeat
    for _, r in ipairs(ranges) do r.new = {} end
    local done
    done, err = scan(client, topic, ranges, deadline, function(m, r)
      r.new[#r.new + 1] = m
      if #r.new >= 2 * n then r.new = table.move(r.new, #r.new - n + 1, #r.new, 1, {}) end
    end)
    if not done then return nil, err or late(client, "tail", topic, timeout) end
    span = span * 4
    local more = false
    for _, r in ipairs(ranges) do more = widen(r, n, span) or more end
  until not more
  return in_time(ranges, n, true)
end

-- One message ---------------------------------------------------------------------------------------------------------------

---The message at an offset.
---@param topic string
---@param partition integer
---@param offset integer
---@param timeout number|nil seconds (default 10)
---@return kafka.Message|nil
---@return kafka.Error|nil OFFSET_OUT_OF_RANGE with `earliest` and `latest` where there is none: not yet, or no longer
function explore.message(client, topic, partition, offset, timeout)
  args.topic("message", topic)
  partition = math.tointeger(args.check("message", "partition", partition, args.partition))
  offset = math.tointeger(args.check("message", "offset", offset, args.message_offset))
  timeout = args.optional("message", "timeout", timeout, args.seconds) or DEFAULT_TIMEOUT
  local deadline = now() + timeout
  local ranges, err = ranges_of(client, "message", topic, { partition }, deadline)
  if not ranges then return nil, err end
  local r, found = ranges[1], nil
  r.from, r.stop = offset, offset + 1
  local outside = offset < r.earliest or offset >= r.latest
  if not outside then
    local done
    done, err = scan(client, topic, ranges, deadline, function(m) found = m end)
    if found then return found end
    if not done then return nil, err or late(client, "message", topic, timeout) end
  end
  local why = outside and "does not exist" or "holds no message (compacted away, aborted, or the end of a transaction)"
  local text = ("offset %d %s: %s"):format(offset, why, start.ends(r.earliest, r.latest))
  return nil, errors.new { name = "OFFSET_OUT_OF_RANGE", op = "message", message = text, topic = topic, partition = partition,
    offset = offset, earliest = r.earliest, latest = r.latest }
end

-- Messages that fit ---------------------------------------------------------------------------------------------------------

local from_kind = args.worded('"earliest", "-1h" (s, m, h, d), an ISO 8601 time, milliseconds since the epoch, an offset, or -n '
  .. "for the last n", args.either(args.integer(math.mininteger, math.maxinteger), args.worded("", {
    fits = function(v) return type(v) == "string" and (v == "earliest" or moment.of(v) ~= nil) end,
  })))

local find_options = {
  from = from_kind,
  where = args.func,
  key = args.string,
  max = count_kind,
  partitions = args.table,
  timeout = args.seconds,
}

-- Sets where each range begins.
local function begin(client, topic, ranges, from, deadline)
  local time = type(from) == "string" and moment.of(from) or math.type(from) == "integer" and from >= EPOCH and from
  local rows, err
  if time then
    rows, err = client:offsets_at(topic, math.max(time, EPOCH), left(deadline))
    if not rows then
      err.op = "find"
      return nil, err
    end
  end
  local at = {}
  for _, row in ipairs(rows or {}) do at[row.partition] = row.offset end
  for _, r in ipairs(ranges) do
    r.stop = r.latest
    if time then r.from = at[r.partition] or r.latest -- nothing as late as that
    elseif from == "earliest" then r.from = r.earliest
    else r.from = math.max(r.earliest, from < 0 and r.latest + from or from) end
  end
  return true
end

---The messages that fit, the first in time: looks at all that has been written since `from`.
---@param topic string
---@param options table|nil
---  from "earliest" (default), "-1h" (s, m, h, d), an ISO 8601 time (UTC unless it says), milliseconds since the epoch, an
---  offset, or -n for the last n of each partition
---  where fun(m: kafka.Message): boolean, an error of which is raised
---  key string: only messages with this key
---  max integer: how many at most (default 100)
---  partitions list of those to look at (default: all)
---  timeout seconds for all of it (default 10); what was found until then is returned, with `stopped = "timeout"`
---@return kafka.Messages|nil
---@return kafka.Error|nil
---rd_kafka_offsets_for_times
function explore.find(client, topic, options)
  args.topic("find", topic)
  local o = args.fields("find", options, find_options)
  local only = partitions_option("find", o.partitions)
  local max, where, key = math.tointeger(o.max or FOUND), o.where, o.key
  local from = o.from or "earliest"
  local deadline = now() + (o.timeout or DEFAULT_TIMEOUT)
  local ranges, err = ranges_of(client, "find", topic, only, deadline)
  if not ranges then return nil, err end
  local ok
  ok, err = begin(client, topic, ranges, math.tointeger(from) or from, deadline)
  if not ok then return nil, err end
  local scanned, full = 0, false
  -- Each partition gives its first `max`: which of them all are first in time is known in the end.
  local done
  done, err = scan(client, topic, ranges, deadline, function(m, r)
    scanned = scanned + 1
    if key and m.key ~= key or where and not where(m) then return false end
    r.kept[#r.kept + 1] = m
    full = full or #r.kept >= max
    return #r.kept >= max
  end)
  if done == nil then return nil, err end
  local list = in_time(ranges, max, false)
  list.scanned = scanned
  list.stopped = not done and "timeout" or (full or #list == max) and "max" or nil
  return list
end

return explore

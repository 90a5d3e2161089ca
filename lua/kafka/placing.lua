-- Where a consumer reads: seek by offset, name and time, pause and resume, partitions assigned by hand.

local core = require "kafka.core"
local args = require "kafka.args"
local ask = require "kafka.ask"
local errors = require "kafka.error"
local polling = require "kafka.polling"
local progress = require "kafka.progress"
local rows_of = require "kafka.rows"
local show = require "kafka.show"
local start = require "kafka.start"

local now = core.now

local placing = {}

local DEFAULT_TIMEOUT = 10 -- seconds

local assigned_list = show.list({ "topic", "partition", "offset", show.maybe "paused" }, { none = "no partition is assigned" })

---A part by its name, or the error that it is not ours.
local function known(c, op, topic, partition)
  args.topic(op, topic)
  args.check(op, "partition", partition, args.partition)
  local part = c.parts:find(topic, math.tointeger(partition))
  if part then return part end
  return nil, progress.foreign(op, { topic = topic, partition = partition })
end
placing.known = known

function placing.assignment(c)
  local rows = {}
  for i, part in ipairs(c.parts.list) do
    rows[i] = { topic = part.topic, partition = part.partition, offset = progress.position(c, part),
      paused = part.paused or nil }
  end
  return assigned_list(rows)
end

-- Places -------------------------------------------------------------------------------------------------------------

local time_place = args.worded("{ time = integer milliseconds since the epoch }", {
  fits = function(v) return type(v) == "table" and args.timestamp.fits(rawget(v, "time")) and next(v, next(v)) == nil end })
local places = args.either(start.kind, time_place)
local place_fields = { offset = places }

-- Where the group has committed, else by the policy.
local function committed_place(c, op, part, deadline)
  local rows, err = ask.committed(c.handle, op, { { topic = part.topic, partition = part.partition } }, deadline - now())
  if not rows then return nil, err end
  if rows[1].offset then return rows[1].offset end
  if c.reset_policy ~= "error" then
    return start.resolve(c, part.topic, part.partition, c.reset_policy, { op = op, deadline = deadline })
  end
  return nil, errors.new { name = "_NO_OFFSET", op = op, topic = part.topic, partition = part.partition,
    message = "the group has committed nothing here, and auto.offset.reset is error" }
end

local function place_by_time(c, op, part, time, deadline)
  local rows, err = ask.times(c.handle, op, { { topic = part.topic, partition = part.partition, offset = time } },
    deadline - now())
  if not rows then return nil, err end
  if rows[1].offset then return rows[1].offset end
  return start.resolve(c, part.topic, part.partition, "latest", { op = op, deadline = deadline })
end

-- An offset, from what a person says.
local function place_of(c, op, part, where, deadline)
  if where == "committed" then return committed_place(c, op, part, deadline) end
  if type(where) == "table" then return place_by_time(c, op, part, math.tointeger(rawget(where, "time")), deadline) end
  return start.resolve(c, part.topic, part.partition, where, { op = op, deadline = deadline })
end

function placing.seek(c, topic, partition, where, timeout)
  args.check("seek", "offset", where, places)
  args.optional("seek", "timeout", timeout, args.seconds)
  local part, err = known(c, "seek", topic, partition)
  if not part then return nil, err end
  local offset
  offset, err = place_of(c, "seek", part, where, now() + (timeout or DEFAULT_TIMEOUT))
  if not offset then return nil, err end
  if c.closed or c.parts:find(part.topic, part.partition) ~= part then return nil, progress.foreign("seek", part) end
  polling.settle(c)
  c.backlog:drop(part.topic, part.partition)
  return c.parts:seek(part, offset)
end

-- Pause --------------------------------------------------------------------------------------------------------------

-- The parts named: none given means all.
local function parts_of(c, op, topic, partition)
  if topic == nil and partition == nil then return { table.unpack(c.parts.list) } end
  local part, err = known(c, op, topic, partition)
  return part and { part }, err
end

function placing.pause(c, topic, partition)
  local parts, err = parts_of(c, "pause", topic, partition)
  if not parts then return nil, err end
  for _, part in ipairs(parts) do
    local at = c.backlog:first(part.topic, part.partition)
    c.backlog:leave(part.topic, part.partition)
    c.parts:pause(part, at)
  end
  return true
end

function placing.resume(c, topic, partition)
  local parts, err = parts_of(c, "resume", topic, partition)
  if not parts then return nil, err end
  for _, part in ipairs(parts) do
    local ok
    ok, err = c.parts:resume(part)
    if not ok then return nil, err end
  end
  return true
end

-- Assigning by hand --------------------------------------------------------------------------------------------------

-- Checked copies of the rows; none at all gives everything back.
local function new_parts(c, op, rows)
  if c.membership.subscribed then args.misuse(op, "this consumer has subscribed: its group assigns (unsubscribe() ends that)") end
  args.check(op, "rows", rows, args.table)
  if next(rows) == nil then return {} end
  local list = rows_of.checked(op, rows, place_fields)
  for _, row in ipairs(list) do row.partition = math.tointeger(row.partition) end
  return list
end

-- Looks up where the rows begin, then takes them up.
local function take_up(c, op, list, instead)
  local deadline = now() + DEFAULT_TIMEOUT
  for _, row in ipairs(list) do
    local err
    row.at, err = place_of(c, op, row, row.offset or "committed", deadline)
    if not row.at then return nil, err end
  end
  polling.settle(c)
  if instead then
    for _, part in ipairs(c.parts.list) do c.backlog:drop(part.topic, part.partition) end
    c.parts:clear()
  end
  for _, row in ipairs(list) do
    if not c.parts:find(row.topic, row.partition) then c.parts:add(row.topic, row.partition, row.at) end
  end
  return c.parts:take_up()
end

function placing.assign(c, rows) return take_up(c, "assign", new_parts(c, "assign", rows), true) end

function placing.add(c, rows) return take_up(c, "add", new_parts(c, "add", rows), false) end

function placing.remove(c, rows)
  local parts = {}
  for _, row in ipairs(new_parts(c, "remove", rows)) do parts[#parts + 1] = c.parts:find(row.topic, row.partition) end
  polling.settle(c)
  for _, part in ipairs(parts) do c.backlog:drop(part.topic, part.partition) end
  return c.parts:give_back(parts)
end

return placing

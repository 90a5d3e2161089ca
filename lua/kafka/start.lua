-- Where to start reading a partition: from what a person says ("earliest", "latest", "committed", 42, -10) to an offset.
-- A position that has a name is looked up at once where it can be, so that it means now and is known.

local core = require "kafka.core"
local args = require "kafka.args"
local errors = require "kafka.error"

local start = {}

---Whether the ends must be known of a partition where this is to be its start.
function start.needs_ends(what)
  what = math.tointeger(what) or what
  return what ~= "committed" and not (math.type(what) == "integer" and what >= 0)
end

-- librdkafka's number of the first offset there is. That one means the same whenever the partition is read; the end does not, so
-- it must be asked.
local BEGINNING = -2

local whole = args.integer(math.mininteger + 2001, math.maxinteger)

---Where reading may start.
start.kind = args.worded('"earliest", "latest", "committed", an offset, or -n for the last n',
  args.either(args.word("earliest", "latest", "committed"), whole))

---The same without a group.
start.place = args.worded('"earliest", "latest", an offset, or -n for the last n',
  args.either(args.word("earliest", "latest"), whole))

---The ends of a partition in words.
function start.ends(earliest, latest)
  if earliest == latest then return ("the partition is empty, its next offset is %d"):format(latest) end
  return ("the partition holds %d to %d (the next is %d)"):format(earliest, latest - 1, latest)
end

local function from_ends(what, earliest, latest)
  if what == "earliest" then return earliest end
  if what == "latest" then return latest end
  return math.max(earliest, latest + what)
end

---The error of a call whose client was closed while it waited.
---@return kafka.Error
function start.closed(op, topic)
  return errors.new { name = "_DESTROY", op = op, topic = topic, message = "the client was closed meanwhile" }
end

---@param client table asks for watermarks and committed offsets
---@param what string|integer
---@param options table {op, committed, otherwise, timeout, deadline, leaderless}; op: what its errors name; committed fun(rows,
---  seconds): rows, for "committed"; timeout: seconds of all look-ups together, where an error is to tell it; ends: partition ->
---  {earliest, latest} as far as they were asked for before
---@return integer|nil offset, or librdkafka's number of the first one where there is no leader to ask
---@return kafka.Error|nil
function start.resolve(client, topic, partition, what, options)
  local function left() return math.max(0, options.deadline - core.now()) end
  if what == "committed" then
    local rows, err = options.committed({ { topic = topic, partition = partition } }, left())
    if not rows then
      err.op = options.op
      return nil, err
    end
    if rows[1].offset then return rows[1].offset end
    what = options.otherwise or "earliest"
  end
  what = math.tointeger(what) or what
  if math.type(what) == "integer" and what >= 0 then return what end
  if options.leaderless and what == "earliest" then return BEGINNING end
  if client.closed then return nil, start.closed(options.op, topic) end -- by a handler
  local known = options.ends and options.ends[partition]
  local earliest, latest = known and known.earliest, known and known.latest
  if not known then earliest, latest = client:watermarks(topic, partition, left()) end
  if not earliest then
    local err = latest
    if what == "earliest" and err.category == "cluster" and err.action == "wait" then return BEGINNING end
    if err.name == "_TIMED_OUT" and options.timeout then -- by the time of all look-ups together
      return nil, client.handles[1]:late({ op = options.op, topic = topic, partition = partition }, options.timeout)
    end
    err.op = options.op
    return nil, err
  end
  return from_ends(what, earliest, latest)
end

return start

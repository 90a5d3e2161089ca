-- What the Lua contestants have in common, so that they differ in the module only: the command line, the values, the clock, the
-- checks, and the loops around calls that move many messages. A loop that calls once a message is the contestant's own.

local contest = {}

local SIZE = 100
local MANY = 1000 -- values in one call of produce_many
local LOOK = 1000 -- every so many messages one is compared in full; of each the number and the length are

local form = "<i8c" .. SIZE - 8
local filler = ("."):rep(SIZE - 8)

local function value(number)
  return string.pack(form, number, filler)
end

-- How messages are moved. Sent are the numbers 1 to n - 1: 0 was the first message, before the clock was started.
local loops = {}

function loops.produce_many(produce_many, n)
  for from = 1, n - 1, MANY do
    local values = {}
    for i = from, math.min(from + MANY, n) - 1 do values[i - from + 1] = value(i) end
    produce_many(values)
  end
end

function loops.produce(produce_all, n) produce_all(value, n - 1) end

loops.on_delivery = loops.produce

local function check(v, offset)
  local number = string.unpack("<i8", v)
  if number ~= offset or #v ~= SIZE or (number % LOOK == 0 and v ~= value(number)) then
    error(("offset %d holds another message"):format(offset))
  end
  return number
end

-- fetch gives a list of messages, or columns.
function loops.tables(fetch, n)
  local count, sum = 0, 0
  while count < n do
    for _, m in ipairs(fetch()) do
      sum = sum + check(m.value, m.offset)
      count = count + 1
    end
  end
  return count, sum
end

function loops.columns(fetch, n)
  local count, sum = 0, 0
  while count < n do
    local batch = fetch()
    local offsets = batch.offset
    for i, v in ipairs(batch.value) do
      sum = sum + check(v, offsets[i])
      count = count + 1
    end
  end
  return count, sum
end

loops.batches = loops.columns

-- get gives one message.
function loops.messages(get, n)
  local sum = 0
  for _ = 1, n do
    local m = get()
    sum = sum + check(m.value, m.offset)
  end
  return n, sum
end

-- Reports with a function come here, one by one: a sum, so that each is looked at.
contest.reports, contest.offsets = 0, 0
function contest.report(err, offset)
  if err then error(err) end
  contest.reports = contest.reports + 1
  contest.offsets = contest.offsets + offset
end

---Runs the row that the command line asks for and prints "count sum seconds cpu-seconds".
---@param now fun(): number
---@param rows table<string, fun(work: table): table> {start = before the clock, call = what the row's loop calls, finish =
---  until all is done -> count, sum; close = after the clock}; nil fields do nothing
function contest.run(now, rows)
  local row, brokers, topic, n = arg[1], arg[2], arg[3], math.tointeger(arg[4])
  local settings = { ["bootstrap.servers"] = brokers }
  for i = 5, #arg do
    local name, text = arg[i]:match("^(.-)=(.*)$")
    settings[name] = text
  end
  local calls = rows[row] { topic = topic, settings = settings, first = value(0) }
  local wall, cpu = now(), os.clock()
  if calls.start then calls.start() end
  local count, sum = loops[row](calls.call, n)
  if calls.finish then count, sum = calls.finish() end
  print(("%d %d %.6f %.6f"):format(count, sum, now() - wall, os.clock() - cpu))
  if calls.close then calls.close() end
end

return contest

-- Two members of a group read a topic: the second joins while the first is reading, takes a part of the partitions over, and
-- leaves again. Every message is handled; none twice while nothing crashes. (The mock refuses the commits that come with a
-- rebalance, so there some are handled again.)
--
--   make run SCRIPT=examples/consumer.lua                  on a cluster in its own process
--   BROKERS=host:9092 TOPIC=first make run SCRIPT=examples/consumer.lua

local kafka = require "kafka"

local env = os.getenv
local brokers = env "BROKERS" ~= "" and env "BROKERS"
local topic, group = env "TOPIC" or "first", env "GROUP" or ("example-" .. os.time())

local mock
if not brokers then
  mock = assert(kafka.mock { topics = { [topic] = 4 } })
  brokers = mock.brokers
  local p <close> = assert(kafka.producer { brokers = brokers })
  for i = 1, 2000 do assert(p:produce(topic, "message " .. i, { partition = i % 4 })) end
  assert(p:flush())
end

local handled, repeated, total = {}, 0, 0

-- Whatever is done with a message.
local function handle(m)
  local place = m.partition .. "@" .. m.offset
  if handled[place] then repeated = repeated + 1 else total = total + 1 end
  handled[place] = true
end

local function join(name)
  local function tell(what)
    return function(rows)
      local list = {}
      for i, row in ipairs(rows) do list[i] = row.partition end
      print(("%s %s %d partitions: %s"):format(name, what, #rows, table.concat(list, " ")))
    end
  end
  return assert(kafka.consumer { brokers = brokers, group = group, topics = { topic }, session_timeout_ms = 6000,
    heartbeat_interval_ms = 300, on_assign = tell "gets", on_revoke = tell "gives back", on_lost = tell "has lost",
    -- A member that commits while others join may be told to wait; the next commit takes it along.
    on_commit = function(_, err) if err and not err.retriable then print(name, err) end end })
end

local function take(c, n)
  for _ = 1, n do
    local m = c:poll(0.05)
    if not m then return end
    handle(m)
  end
end

local first <close> = join "first"
repeat take(first, 100) until total >= 500

local second = join "second"
local deadline = kafka.now() + 30
repeat
  take(first, 1)
  take(second, 1)
until #second:assignment() > 0 and #first:assignment() > 0 or kafka.now() > deadline
take(first, 100)
take(second, 100)
local shared = #first:assignment()
local left, why = second:close()                                    -- commits, and leaves at once
if not left then print("second", why) end

repeat take(first, 1) until #first:assignment() > shared or kafka.now() > deadline
for m in first:messages { to_end = true } do handle(m) end
print(("handled %d messages, %d of them again; behind by %d"):format(total, repeated, assert(first:lag())))
assert(first:close())
if mock then mock:close() end

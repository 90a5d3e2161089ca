-- Looks into a topic without joining a group: its last messages, then all that hold a word, as lines of JSON.
--   BROKERS=host:9092 TOPIC=first WORD=error SINCE=-1h lua5.4 look.lua     SINCE: "-1h", "2026-11-23", an offset, ...
-- With no BROKERS: on a mock cluster with a few messages.

local kafka = require "kafka"

local topic, word, since = os.getenv "TOPIC" or "first", os.getenv "WORD" or "7", os.getenv "SINCE" or "earliest"
local brokers = os.getenv "BROKERS"
local cluster -- to be kept: a mock cluster that is collected is gone

if not brokers or brokers == "" then
  cluster = assert(kafka.mock { topics = { [topic] = 2 } })
  brokers = cluster.brokers
  local p <close> = assert(kafka.producer { brokers = brokers })
  for i = 1, 20 do
    assert(p:produce(topic, "message " .. i, { partition = i % 2, timestamp = (os.time() - 20 + i) * 1000 }))
  end
  assert(p:flush())
end

local k <close> = assert(kafka.connect { brokers = brokers })
print(assert(k:topic(topic)))
print("\nthe last messages")
print(assert(k:tail(topic, 5)))

local found = assert(k:find(topic, {
  from = math.tointeger(tonumber(since)) or since,
  where = function(m) return m.value and m.value:find(word, 1, true) end,
}))
print(("\nwith %q in it"):format(word))
for _, m in ipairs(found) do print(m:json()) end
print(("%d of %d messages looked at"):format(#found, found.scanned))

-- A program that must not lose a message, and is faster than its brokers: a small queue that makes it wait, idempotence against
-- messages twice, one function for what failed, a deadline at the end that says what is left.
--
--   make run SCRIPT=examples/producer.lua                  on a cluster in its own process
--   BROKERS=host:9092 TOPIC=first make run SCRIPT=examples/producer.lua

local kafka = require "kafka"

local env = os.getenv
local brokers = env "BROKERS" ~= "" and env "BROKERS"
local topic, n = env "TOPIC" or "first", tonumber(env "N") or 20000

local mock
if not brokers then
  mock = assert(kafka.mock { topics = { [topic] = 4 } })
  brokers = mock.brokers
end

local failed = {}
local producer <close> = assert(kafka.producer {
  brokers = brokers,
  enable_idempotence = true,
  queue_buffering_max_messages = 1000,                                -- more are not kept: produce waits, at most its timeout
  on_delivery = function(report, err)
    if err then failed[#failed + 1] = report end                      -- key and value are there, to be sent again or put away
  end,
})

-- One that the program waits for: its report, or the reason.
local report = assert(producer:send(topic, "the first", { key = "k", headers = { { "from", "producer.lua" } }, timeout = 5 }))
print(report)

-- One by one, the fast way: a key always goes to the same partition.
for i = 1, n do assert(producer:produce(topic, "message " .. i, { key = "k" .. i % 100 })) end

-- Many in one call, told of once.
local keys, values = {}, {}
for i = 1, n do keys[i], values[i] = "k" .. i % 100, "in a batch " .. i end
assert(producer:produce_many(topic, values, { keys = keys, on_batch = function(outcome)
  print(("the batch: %d delivered, %d failed"):format(outcome.delivered, outcome.failed))
  for _, row in ipairs(outcome.failures) do print(values[row.index], row.err) end
end }))

-- A message that no broker would take is refused, and not accepted: it has no report.
local ok, err = producer:produce(topic, ("x"):rep(2000000))
print(ok, err)

local flushed, why = producer:flush(30)
if not flushed then print(why) end                                    -- why.left: without a report, why.failed
print(("%s; %d to be sent again"):format(producer:counts(), #failed))
assert(producer:close())
if mock then mock:close() end

-- Every accepted message has exactly one report: 100,000 of them, whatever happens to the broker and to the producer.

local kafka = require "kafka"
local try = require "spec.support.try"

local mock, brokers

-- Counts the reports by tag.
local function ledger()
  local l = { seen = {}, delivered = 0, failed = 0, names = {} }
  function l.on_delivery(report, err)
    l.seen[report.tag] = (l.seen[report.tag] or 0) + 1
    if err then
      l.failed = l.failed + 1
      l.names[err.name] = (l.names[err.name] or 0) + 1
    else
      l.delivered = l.delivered + 1
    end
  end
  return l
end

local function produce(p, from, to)
  for i = from, to do assert(p:produce("first", "v", { tag = i, timeout = 20 })) end
end

-- Every message from 1 to n has one report, and the producer's own counts say the same.
local function assert_one_each(l, n)
  for i = 1, n do
    if l.seen[i] ~= 1 then error(("message %d of %d has %s reports"):format(i, n, l.seen[i] or "no"), 2) end
  end
  assert.equal(n, l.delivered + l.failed)
end

local function assert_counts(p, accepted, l)
  local c = p:counts()
  assert.same({ accepted, l.delivered, l.failed, accepted - l.delivered - l.failed },
    { c.accepted, c.delivered, c.failed, c.pending })
end

setup(function()
  mock = assert(kafka.mock { topics = { first = 1, two = 2 } })
  brokers = mock.brokers
end)
teardown(function() mock:close() end)
before_each(function() mock:rtt(0) end)

local function open(options)
  options.brokers = brokers
  return assert(kafka.producer(options))
end

-- Connects, then lets every answer take so long.
local function slow(p, seconds)
  assert(p:send("first", "warm", { on_delivery = function() end }))
  mock:rtt(seconds)
end

describe("a producer of 100,000 messages", function()
  local N = try.many(100000)

  it("gives each exactly one report", function()
    local l = ledger()
    local p <close> = open { on_delivery = l.on_delivery }
    produce(p, 1, N // 2)
    assert_counts(p, N // 2, l)
    produce(p, N // 2 + 1, N)
    assert(p:flush(20))
    assert_one_each(l, N)
    assert_counts(p, N, l)
    assert.equal(N, l.delivered)
    assert.equal(0, p:pending())
  end)

  it("counts the reports that no function takes", function()
    local p <close> = open {}
    for _ = 1, N do assert(p:produce("first", "v")) end
    assert(p:flush(20))
    assert.same({ accepted = N, delivered = N, failed = 0, pending = 0 }, p:counts())
  end)

  it("gives each exactly one report when the only broker is killed half way and comes back", function()
    local l = ledger()
    local p <close> = open { on_delivery = l.on_delivery, on_error = function() end, on_log = function() end }
    produce(p, 1, N // 2)
    assert(mock:broker(1):kill())
    produce(p, N // 2 + 1, N)
    assert.is_true(p:pending() > 0)
    assert(mock:broker(1):start())
    assert(p:flush(20))
    assert_one_each(l, N)
    assert_counts(p, N, l)
    assert.equal(N, l.delivered)
  end)

  it("gives each exactly one report when it is closed with messages in flight, and close tells how many were lost", function()
    local l = ledger()
    local p = open { on_delivery = l.on_delivery, queue_buffering_max_messages = N }
    produce(p, 1, N // 2)
    assert(p:flush(20))
    mock:rtt(2)
    produce(p, N // 2 + 1, N)
    local seconds, ok, err = try.time(p.close, p, 0.2)
    try.failure(nil, ok, err)
    assert_one_each(l, N)
    assert.equal(N // 2, l.delivered)
    assert.equal(N // 2, err.lost)
    assert.truthy(tostring(err):find(N // 2 .. " messages", 1, true))
    assert.is_true(seconds < 2, "close took " .. seconds)
  end)

  it("gives each exactly one report when message.timeout.ms passes", function()
    local l = ledger()
    -- Few requests: librdkafka puts back what each one held message by message, looking for its place in the whole queue.
    local p <close> = open { on_delivery = l.on_delivery, message_timeout_ms = 300, linger_ms = 0, max_in_flight = 5,
      on_error = function() end, on_log = function() end }
    slow(p, 3)
    produce(p, 1, N)
    local err = try.failure(nil, p:flush(10))
    assert.equal(0, err.left)
    assert_one_each(l, N)
    assert.equal(l.failed, err.failed)
    assert.equal(l.failed, l.names._MSG_TIMED_OUT)
    assert.is_true(l.failed > 0)
  end)

  it("gives each exactly one report when they are purged", function()
    local l = ledger()
    local p <close> = open { on_delivery = l.on_delivery, linger_ms = 0 }
    slow(p, 2)
    produce(p, 1, N)
    assert.equal(N, p:pending())
    assert(p:purge())
    try.until_true(2, function() return p:poll(0.1) and p:pending() == 0 end, "the reports of the purge")
    assert_one_each(l, N)
    assert.equal(N, l.failed)
    assert.equal(N, (l.names._PURGE_QUEUE or 0) + (l.names._PURGE_INFLIGHT or 0))
    try.failure(nil, p:flush())
  end)
end)

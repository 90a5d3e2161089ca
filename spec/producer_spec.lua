-- What the producer does with a message: one report for each that was accepted, a bounded queue, send, many at once.

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
  local N = 100000

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
    assert.truthy(tostring(err):find("50000 messages", 1, true))
    assert.is_true(seconds < 2, "close took " .. seconds)
  end)

  it("gives each exactly one report when message.timeout.ms passes", function()
    local l = ledger()
    local p <close> = open { on_delivery = l.on_delivery, message_timeout_ms = 300, linger_ms = 0,
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

describe("a full queue", function()
  it("lets produce wait within its timeout, then refuses with action wait", function()
    local p <close> = open { queue_buffering_max_messages = 10, linger_ms = 0, on_delivery = function() end }
    slow(p, 0.6)
    for i = 1, 10 do assert(p:produce("first", "v" .. i)) end
    local seconds, ok, err = try.time(p.produce, p, "first", "one too many", { timeout = 0.2 })
    try.failure("_QUEUE_FULL", ok, err)
    assert.equal("wait", err.action)
    assert.is_true(err.retriable)
    assert.is_true(seconds >= 0.2 and seconds < 0.4, "waited " .. seconds)
    assert.equal(11, p:counts().accepted)
    seconds, ok, err = try.time(p.produce, p, "first", "not even", { timeout = 0 })
    try.failure("_QUEUE_FULL", ok, err)
    assert.is_true(seconds < 0.05)
    assert(p:flush(5))
  end)

  it("makes room for produce, which serves reports meanwhile", function()
    local reports = 0
    local p <close> = open { queue_buffering_max_messages = 10, linger_ms = 0,
      on_delivery = function(_, err) reports = reports + (err and 0 or 1) end }
    slow(p, 0.02)
    for _ = 1, 100 do assert(p:produce("first", "v", { timeout = 5 })) end
    assert.is_true(reports >= 90, "served " .. reports)
    assert(p:flush())
    assert.equal(100, reports)
  end)

  it("never reports a message that was refused", function()
    local l = ledger()
    local p <close> = open { queue_buffering_max_messages = 5, linger_ms = 0, on_delivery = l.on_delivery }
    slow(p, 0.3)
    for i = 1, 5 do assert(p:produce("first", "v", { tag = i })) end
    try.failure("_QUEUE_FULL", p:produce("first", "v", { tag = "refused", timeout = 0 }))
    assert(p:flush())
    assert.is_nil(l.seen.refused)
    assert.equal(5, l.delivered)
  end)

  it("bounds the memory of a producer that is faster than its broker", function()
    local function megabytes()
      local f = assert(io.open "/proc/self/status")
      local kb = f:read("a"):match "VmRSS:%s*(%d+)"
      f:close()
      return tonumber(kb) / 1024
    end
    local p <close> = open { queue_buffering_max_messages = 1000, linger_ms = 0 }
    slow(p, 0.005)
    local value = ("x"):rep(2000)
    for _ = 1, 2000 do assert(p:produce("first", value)) end
    collectgarbage()
    local before = megabytes()
    for _ = 1, 30000 do assert(p:produce("first", value)) end -- 60 MB
    assert(p:flush())
    assert.is_true(megabytes() - before < 25, ("grew from %.0f to %.0f MB"):format(before, megabytes()))
  end)
end)

describe("send", function()
  it("returns the report: topic, partition, offset, timestamp", function()
    local p <close> = open {}
    local first = assert(p:send("two", "hello", { key = "k", partition = 1 }))
    local second = assert(p:send("two", "hello", { partition = 1, tag = "t" }))
    assert.same({ "two", 1, first.offset + 1, "t" }, { second.topic, second.partition, second.offset, second.tag })
    assert.equal("integer", math.type(second.timestamp)) -- the mock always says 1234
    assert.equal("delivered to two[1] at offset " .. second.offset, tostring(second))
  end)

  it("does not wait for linger.ms", function()
    local p <close> = open { linger_ms = 2000 }
    assert.is_true(try.time(p.send, p, "first", "v") < 1)
  end)

  it("takes no longer than its timeout; the late report goes to on_delivery", function()
    local late = {}
    local p <close> = open { on_delivery = function(report, err) late[#late + 1] = { report, err } end }
    slow(p, 0.6)
    assert.equal(0, #late)
    local seconds, report, err = try.time(p.send, p, "first", "slow", { timeout = 0.2, tag = "mine" })
    try.failure("_TIMED_OUT", report, err)
    assert.is_true(err.in_flight)
    assert.equal("first", err.topic)
    assert.is_true(seconds >= 0.2 and seconds < 0.4, "waited " .. seconds)
    assert.equal(1, p:pending())
    assert(p:flush())
    assert.equal(1, #late)
    assert.equal("mine", late[1][1].tag)
    assert.is_nil(late[1][2])
  end)

  it("lets the late report go to the log where there is no on_delivery", function()
    local p <close> = open {}
    slow(p, 0.4)
    local lines = try.logged(function()
      assert.is_true(select(2, p:send("first", "slow", { timeout = 0.1 })).in_flight)
      assert(p:flush())
    end)
    assert.equal(1, #lines)
    assert.truthy(lines[1]:find("after send had given up: delivered to first", 1, true))
  end)

  it("returns a failed delivery as its error, with op send", function()
    local p <close> = open {}
    mock:fail("Produce", "TOPIC_AUTHORIZATION_FAILED")
    local err = try.failure("TOPIC_AUTHORIZATION_FAILED", p:send("first", "v"))
    assert.same({ "send", "first", "security" }, { err.op, err.topic, err.category })
    assert.is_nil(err.in_flight)
    assert.equal(1, p:counts().failed)
  end)

  it("calls the message's own on_delivery too", function()
    local p <close> = open {}
    local got
    local report = assert(p:send("first", "v", { on_delivery = function(r) got = r end }))
    assert.equal(report, got)
  end)
end)

describe("a report", function()
  it("goes to the message's on_delivery, else to the producer's", function()
    local own, common = {}, {}
    local p <close> = open { on_delivery = function(r) common[#common + 1] = r.tag end }
    assert(p:produce("first", "v", { tag = "a", on_delivery = function(r) own[#own + 1] = r.tag end }))
    assert(p:produce("first", "v", { tag = "b" }))
    assert(p:flush())
    assert.same({ "a" }, own)
    assert.same({ "b" }, common)
  end)

  it("brings the tag back, whatever it is", function()
    local tag, got = { 1 }, {}
    local p <close> = open { on_delivery = function(r) got[#got + 1] = r.tag end }
    assert(p:produce("first", "v", { tag = tag }))
    assert(p:produce("first", "v", { tag = false }))
    assert(p:flush())
    assert.equal(tag, got[1])
    assert.equal(false, got[2])
  end)

  it("tells of a failure what was to be sent", function()
    local report, err
    local p <close> = open {}
    mock:fail("Produce", "INVALID_RECORD")
    assert(p:produce("first", "lost value", { key = "k", headers = { { "h", "1" } }, tag = 7,
      on_delivery = function(r, e) report, err = r, e end }))
    try.failure("_FAIL", p:flush())
    assert.same({ "first", "k", "lost value", 7 }, { report.topic, report.key, report.value, report.tag })
    assert.same({ { "h", "1" } }, report.headers)
    assert.equal("INVALID_RECORD", err.name)
    assert.equal("not delivered to first[0]", tostring(report))
  end)

  it("of a failure that no function takes goes to the log", function()
    local p <close> = open {}
    slow(p, 0.2)
    local lines = try.logged(function()
      assert(p:produce("first", "v"))
      assert(p:purge())
      try.failure("_FAIL", p:flush())
    end)
    assert.equal(1, #lines)
    assert.truthy(lines[1]:find("first was lost: given up", 1, true))
  end)
end)

describe("produce_many", function()
  it("takes columns beside the values, in order", function()
    local got = {}
    local p <close> = open {}
    assert.equal(3, assert(p:produce_many("two", { "a", "b", nil }, { n = 3, keys = { "1", nil, "3" },
      partitions = { 0, 0, 0 }, timestamps = { [2] = 1700000000123 }, headers = { [3] = { { "h", "x" } } },
      on_delivery = function(r, err) got[#got + 1] = err or r.offset end })))
    assert(p:flush())
    assert.equal(3, #got)
    local k <close> = assert(kafka.connect { brokers = brokers })
    local part <close> = assert(k:partition("two", 0, { offset = got[1] }))
    local batch = try.read_all(part)
    assert.same({ "a", "b" }, { batch[1].value, batch[2].value })
    assert.is_nil(batch[3].value)
    assert.same({ "1", "3" }, { batch[1].key, batch[3].key })
    assert.is_nil(batch[2].key)
    assert.equal(1700000000123, batch[2].timestamp)
    assert.same({ { "h", "x" } }, batch[3].headers)
    assert.is_nil(batch[1].headers)
  end)

  it("gives one report for each message", function()
    local n = 0
    local p <close> = open {}
    local values = {}
    for i = 1, 10000 do values[i] = "v" end
    assert.equal(10000, assert(p:produce_many("first", values, { on_delivery = function() n = n + 1 end })))
    assert(p:flush())
    assert.equal(10000, n)
    assert.equal(10000, p:counts().delivered)
  end)

  it("accepts the others where one is refused, and names it", function()
    local n = 0
    local p <close> = open { message_max_bytes = 2000 }
    local values = { "a", ("x"):rep(3000), "c" }
    local err = try.failure("MSG_SIZE_TOO_LARGE", p:produce_many("first", values, { on_delivery = function() n = n + 1 end }))
    assert.equal(2, err.accepted)
    assert.equal(1, #err.refused)
    assert.equal(2, err.refused[1].index)
    assert.equal("MSG_SIZE_TOO_LARGE", err.refused[1].err.name)
    assert(p:flush())
    assert.equal(2, n)
    assert.equal(2, p:counts().accepted)
  end)

  it("refuses the rest where the queue stays full for its timeout", function()
    local n = 0
    local p <close> = open { queue_buffering_max_messages = 4, linger_ms = 0 }
    slow(p, 0.5)
    local values = { "1", "2", "3", "4", "5", "6" }
    local seconds, ok, err = try.time(p.produce_many, p, "first", values,
      { timeout = 0.1, on_delivery = function() n = n + 1 end })
    try.failure("_QUEUE_FULL", ok, err)
    assert.equal("wait", err.action)
    assert.is_true(seconds >= 0.1 and seconds < 0.3, "waited " .. seconds)
    assert.equal(4, err.accepted)
    assert.same({ 5, 6 }, { err.refused[1].index, err.refused[2].index })
    assert(p:flush())
    assert.equal(4, n)
  end)

  it("accepts nothing where one entry is misuse", function()
    local p <close> = open {}
    try.misuse({ "each value", "42" }, function() p:produce_many("first", { "a", 42 }) end)
    assert.equal(0, p:counts().accepted)
  end)

  it("takes more than the queue holds", function()
    local p <close> = open { queue_buffering_max_messages = 100, linger_ms = 0 }
    local values = {}
    for i = 1, 5000 do values[i] = "v" end
    assert.equal(5000, assert(p:produce_many("first", values)))
    assert(p:flush())
    assert.equal(5000, p:counts().delivered)
  end)
end)

describe("flush", function()
  it("fails with the counts of what has no report after its timeout", function()
    local p <close> = open { linger_ms = 0 }
    slow(p, 0.5)
    for _ = 1, 3 do assert(p:produce("first", "v")) end
    local seconds, ok, err = try.time(p.flush, p, 0.2)
    try.failure("_TIMED_OUT", ok, err)
    assert.same({ 3, 0 }, { err.left, err.failed })
    assert.is_true(seconds >= 0.2 and seconds < 0.4, "waited " .. seconds)
    assert(p:flush())
  end)

  it("tells of each failed report once", function()
    local p <close> = open { on_delivery = function() end }
    mock:fail("Produce", "INVALID_RECORD")
    assert(p:produce("first", "v"))
    assert.equal(1, try.failure(nil, p:flush()).failed)
    assert.is_true(p:flush())
  end)

  it("with timeout 0 does not wait", function()
    local p <close> = open {}
    slow(p, 0.2)
    assert(p:produce("first", "v"))
    local seconds, ok = try.time(p.flush, p, 0)
    assert.is_nil(ok)
    assert.is_true(seconds < 0.05)
    assert(p:flush())
  end)
end)

describe("poll", function()
  it("serves reports and tells how many", function()
    local n = 0
    local p <close> = open { on_delivery = function() n = n + 1 end, linger_ms = 0 }
    assert.equal(0, p:poll(0))
    assert(p:produce("first", "v"))
    assert.equal(1, p:poll(5))
    assert.equal(1, n)
    assert.equal(0, p:poll()) -- nothing is under way: nothing to wait for
  end)
end)

describe("close", function()
  it("flushes, and is harmless the second time", function()
    local n = 0
    local p = open { on_delivery = function() n = n + 1 end, linger_ms = 1000 }
    for _ = 1, 10 do assert(p:produce("first", "v")) end
    assert.is_true(p:close())
    assert.equal(10, n)
    assert.is_true(p:close())
  end)

  it("makes every later call raise at the caller's line", function()
    local p = open {}
    p:close()
    local calls = { produce = { "first", "v" }, produce_many = { "first", { "v" } }, send = { "first", "v" }, flush = {},
      poll = {}, pending = {}, purge = {}, counts = {} }
    for name, arguments in pairs(calls) do
      try.misuse({ name, "closed kafka.Producer" }, function() p[name](p, table.unpack(arguments)) end)
    end
  end)

  it("raises what was lost where its block ended normally", function()
    local ok, err = pcall(function()
      local p <close> = open { on_delivery = function() end }
      mock:fail("Produce", "INVALID_RECORD")
      assert(p:produce("first", "v"))
    end)
    assert.is_false(ok)
    assert.equal(1, err.lost)
  end)

  it("logs what was lost where an error is on its way", function()
    local lines, ok, err = try.logged(function()
      return pcall(function()
        local p <close> = open { on_delivery = function() end }
        mock:fail("Produce", "INVALID_RECORD")
        assert(p:produce("first", "v"))
        error("the error on its way", 0)
      end)
    end)
    assert.is_false(ok)
    assert.equal("the error on its way", err)
    assert.truthy(table.concat(lines, "\n"):find("1 message was not delivered", 1, true))
  end)
end)

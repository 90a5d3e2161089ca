-- The producer: send, reports and their handlers, flush, poll, close.

local kafka = require "kafka"
local try = require "spec.support.try"

local mock, brokers

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

describe("a topic that a producer took for unknown", function()
  -- Until produce is refused.
  local function taken_for_unknown(topic)
    local p = open { topic_metadata_propagation_max_ms = 100, on_delivery = function() end }
    finally(function() p:close(0) end)
    mock:create_topic(topic, 1)
    assert(mock:topic_error(topic, "UNKNOWN_TOPIC_OR_PART"))
    try.until_true(10, function() return not p:produce(topic, "v") end, "a refusal")
    return p
  end

  it("is looked at anew by send, and found", function()
    local p = taken_for_unknown "later"
    assert(mock:topic_error("later", nil))
    assert(p:send("later", "v"))
    assert(mock:topic_error("later", "UNKNOWN_TOPIC_OR_PART"))
    try.until_true(10, function() return not p:produce("later", "v") end, "a refusal")
    local err = try.failure("_UNKNOWN_TOPIC", p:send("later", "v"))
    assert.equal("send", err.op)
    assert(mock:topic_error("later", nil))
  end)

  it("stays refused where the look is not answered within send's time", function()
    local p = taken_for_unknown "never"
    mock:rtt(2)
    local seconds = try.time(function() try.failure("_UNKNOWN_TOPIC", p:send("never", "v", { timeout = 0.3 })) end)
    assert.is_true(seconds >= 0.3 and seconds < 1.5, "took " .. seconds)
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

  it("leaves nothing behind in the producer, as a refusal does not", function()
    local p <close> = open { queue_buffering_max_messages = 50, linger_ms = 0, on_delivery = function() end }
    local function f() end
    for round = 1, 20 do
      for i = 1, 10 do assert(p:produce("first", "v", { tag = i, on_delivery = f })) end
      assert(p:produce_many("first", { "a", "b", "c" }, { on_delivery = f }))
      assert(p:send("first", "v", { tag = round }))
      try.failure("MSG_SIZE_TOO_LARGE", p:produce("first", ("x"):rep(2000000), { on_delivery = f }))
      try.failure("MSG_SIZE_TOO_LARGE", p:produce_many("first", { "a", ("x"):rep(2000000) }, { on_delivery = f }))
      assert(p:flush())
    end
    assert.same({}, p.delivery.callbacks)
    assert.same({}, p.delivery.tags)
    assert.same({}, p.delivery.left)
    assert.is_true(p.handle.last_ticket < 40, "tickets up to " .. p.handle.last_ticket)
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
    slow(p, 0.6)
    assert(p:produce("first", "v"))
    local seconds, ok = try.time(p.flush, p, 0)
    assert.is_nil(ok)
    assert.is_true(seconds < 0.3, "took " .. seconds)
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

  it("counts among the lost what a handler has produced at the very end", function()
    local p = open {}
    slow(p, 5)
    local shut = p.handle.shut
    p.handle.shut = function(h) -- as a handler of what is served last
      assert(p:produce("first", "at the end"))
      return shut(h)
    end
    local err = try.failure(nil, p:close(0))
    assert.same({ 1, 1 }, { err.lost, err.unreported })
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

describe("what a producer tells of failures", function()
  local cluster

  before_each(function() cluster = assert(kafka.mock { brokers = 1, topics = { first = 1 } }) end)
  after_each(function() cluster:close() end)

  local function open_quiet(options)
    options = options or {}
    options.brokers, options.linger_ms = cluster.brokers, options.linger_ms or 0
    options.on_error, options.on_log = function() end, function() end
    return assert(kafka.producer(options))
  end

  it("a failed message with a tag and no handler is told in the log", function()
    local p <close> = open_quiet()
    cluster:fail("Produce", "TOPIC_AUTHORIZATION_FAILED")
    local lines = try.logged(function()
      assert(p:produce("first", "v", { tag = "mine" }))
      p:flush(5)
    end)
    assert.equal(1, #lines)
    assert.matches("first was lost", lines[1])
  end)

  it("a failure that send returned is counted by no flush and no close, not even one in its own handler", function()
    local p = open_quiet()
    cluster:fail("Produce", "TOPIC_AUTHORIZATION_FAILED", "TOPIC_AUTHORIZATION_FAILED")
    local inner
    try.failure("TOPIC_AUTHORIZATION_FAILED", p:send("first", "v", { on_delivery = function() inner = { p:flush(1) } end }))
    assert.same({ true }, inner)
    assert.is_true(p:flush(1))
    try.failure("TOPIC_AUTHORIZATION_FAILED", p:send("first", "v"))
    assert.is_true(p:close())
  end)

  it("a handler's error in close is raised, and the producer is closed all the same", function()
    local p = open_quiet { on_delivery = function() error("mine", 0) end }
    assert(p:produce("first", "v"))
    local ok, err = pcall(p.close, p)
    assert.same({ false, "mine" }, { ok, err })
    assert.matches("closed", tostring(p))
  end)

  it("send does not wait out linger.ms when an earlier flush is just ending", function()
    local p <close> = open_quiet { linger_ms = 3000 }
    for _ = 1, 500 do
      local took = try.time(function() assert(p:send("first", "v")) end)
      assert.is_true(took < 2, took)
    end
  end)

  it("of several handlers that raise while produce_many waits, the next call raises the first; the others are logged", function()
    local armed, n = false, 0
    local p = open { queue_buffering_max_messages = 5, linger_ms = 0, on_delivery = function()
      if not armed then return end
      n = n + 1
      error("handler " .. n, 0)
    end }
    finally(function() pcall(p.close, p, 0) end)
    slow(p, 0.1)
    armed = true
    local lines = try.logged(function()
      assert(p:produce_many("first", { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k" }))
    end)
    armed = false
    assert.is_true(n >= 2)
    local ok, raised = pcall(p.poll, p, 0)
    assert.same({ false, "handler 1" }, { ok, raised })
    assert.equal(1, #lines, table.concat(lines, "\n")) -- the sentences differ in a number only
    assert.matches("a handler raised: handler %d", lines[1])
  end)

  it("produce_many goes on where a handler raises while it waits for room; the next call raises it", function()
    local raised = 0
    local p = open_quiet { queue_buffering_max_messages = 10, on_delivery = function()
      raised = raised + 1
      if raised == 1 then error("mine", 0) end
    end }
    local values = {}
    for i = 1, 100 do values[i] = tostring(i) end
    assert.equal(100, p:produce_many("first", values))
    local ok, err = pcall(p.flush, p, 5)
    assert.same({ false, "mine" }, { ok, err })
    assert(p:flush(5))
    assert.same({ accepted = 100, delivered = 100, failed = 0, pending = 0 }, p:counts())
    assert.is_true(p:close())
  end)
end)

-- A report that runs its handler within another's, and so on, would end where Lua has no room for one more call.
describe("many reports at once", function()
  local N = 400

  -- Lets N messages to `first` fail at once and calls handle(p) for each; returns how often, and how deep in each other.
  local function failing(handle)
    local calls, depth, deepest = 0, 0, 0
    local p
    p = open { message_timeout_ms = 300, on_log = function() end, on_error = function() end, on_delivery = function(report, err)
      if report.topic ~= "first" or not err then return end
      calls, depth = calls + 1, depth + 1
      deepest = math.max(deepest, depth)
      handle(p)
      depth = depth - 1
    end }
    finally(function()
      mock:rtt(0)
      p:close(0)
    end)
    slow(p, 5)
    local values = {}
    for i = 1, N do values[i] = "v" end
    assert(p:produce_many("first", values))
    p:flush(20)
    return calls, deepest
  end

  for name, produce in pairs {
    produce = function(p) return p:produce("two", "again") end,
    ["produce with a key"] = function(p) return p:produce("two", "again", { key = "k" }) end,
    produce_many = function(p) return p:produce_many("two", { "again" }) end,
  } do
    it("have each a handler, which may " .. name, function()
      local accepted = 0
      local calls, deepest = failing(function(p)
        if produce(p) then accepted = accepted + 1 end
      end)
      assert.same({ N, N, 1 }, { calls, accepted, deepest })
    end)
  end

  it("have room for what their handlers produce into a full queue", function()
    local produced, refused = 0, 0
    local p
    p = open { queue_buffering_max_messages = N, linger_ms = 0, on_delivery = function(report)
      if report.topic ~= "first" then return end
      for _ = 1, 3 do
        if p:produce("two", "more") then produced = produced + 1 else refused = refused + 1 end
      end
    end }
    finally(function() p:close(0) end)
    local values = {}
    for i = 1, N do values[i] = "v" end
    assert(p:produce_many("first", values))
    assert(p:flush(20))
    assert.same({ 3 * N, 0 }, { produced, refused })
  end)

  it("do not hold flush beyond its time where each handler produces another message", function()
    local going, p = true, nil
    p = open { linger_ms = 0, on_delivery = function() return going and p:produce("first", "v") end }
    finally(function()
      going = false
      p:close(5)
    end)
    local values = {}
    for i = 1, 10 * N do values[i] = "v" end
    assert(p:produce_many("first", values))
    local seconds = try.time(function() try.failure("_TIMED_OUT", p:flush(0.5)) end)
    assert.is_true(seconds < 4, "took " .. seconds)
  end)

  it("are served by produce again after handlers that waited in two coroutines, each beyond the other's end", function()
    local p = open { linger_ms = 0, loop = function() coroutine.yield() end }
    finally(function() p:close(0) end)
    local function pause(seconds)
      local till = kafka.now() + seconds
      repeat coroutine.yield() until kafka.now() > till
    end
    local raised
    local a = coroutine.create(function()
      assert(p:produce("first", "1", { on_delivery = function() pause(0.3) end }))
      p:flush(5)
      pause(1)
      assert(p:produce("first", "late", { on_delivery = function() error("late", 0) end }))
      local till = kafka.now() + 5
      repeat
        local ok, err = pcall(p.produce, p, "first", "v")
        if not ok then raised = err end
        coroutine.yield()
      until raised or kafka.now() > till
    end)
    local b = coroutine.create(function()
      pause(0.15)
      assert(p:produce("first", "2", { on_delivery = function() pause(0.6) end }))
      p:flush(5)
    end)
    try.until_true(20, function()
      for _, co in ipairs { a, b } do
        if coroutine.status(co) == "suspended" then assert(coroutine.resume(co)) end
      end
      return coroutine.status(a) == "dead" and coroutine.status(b) == "dead"
    end)
    assert.equal("late", raised)
  end)

  it("are not lost where each handler serves the others, too deep for Lua", function()
    local calls, deepest = failing(function(p) pcall(p.poll, p, 0) end)
    assert.equal(N, calls)
    assert.is_true(deepest > 10)
  end)
end)

describe("a stream of messages without options", function()
  it("serves its reports by nothing but produce, again and again", function()
    local got = 0
    local p <close> = open { linger_ms = 0, on_delivery = function() got = got + 1 end }
    for _ = 1, 3 do
      local before, deadline = got, kafka.now() + 20
      repeat -- so slowly that the queue cannot be full, which would serve them too
        assert(p:produce("first", "v"))
        local next_one = kafka.now() + 0.001
        repeat until kafka.now() > next_one
        assert(next_one < deadline, "no report was served")
      until got > before
    end
    assert(p:flush(20))
    assert.equal(p:counts().accepted, got)
  end)

  it("gives the producer's on_delivery a report of each, with its offset", function()
    local offsets = {}
    local p <close> = assert(kafka.producer { brokers = mock.brokers, on_delivery = function(report, err)
      offsets[#offsets + 1] = not err and report.offset
    end })
    assert(p:send("first", "warm", { partition = 0 }))
    for _ = 1, 2000 do assert(p:produce("first", "v")) end
    assert(p:flush())
    assert.equal(2000, #offsets) -- send has the report of its own
    for _, offset in ipairs(offsets) do assert.is_true(math.type(offset) == "integer") end
  end)

  it("raises what a handler left behind, and accepts nothing by that call", function()
    local p <close> = open { linger_ms = 0 }
    assert(p:send("first", "v"))
    for _ = 1, 3 do assert(p:produce("first", "v")) end
    p.handle:fail_later "told"
    local accepted = p:counts().accepted
    assert.same({ false, "told" }, { pcall(p.produce, p, "first", "v") })
    assert.equal(accepted, p:counts().accepted)
  end)

  it("goes to each topic that it names, with and without a value", function()
    local got = {}
    local p <close> = open { on_delivery = function(r) got[r.topic] = (got[r.topic] or 0) + 1 end }
    for _ = 1, 3 do
      for _, topic in ipairs { "first", "first", "two" } do assert(p:produce(topic, nil)) end
    end
    assert(p:flush(20))
    assert.same({ first = 6, two = 3 }, got)
  end)
end)

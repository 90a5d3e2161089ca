-- The producer's queue is bounded: what produce does where it is full.

local kafka = require "kafka"
local child = require "spec.support.child"
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
    local tags = {}
    local p <close> = open { queue_buffering_max_messages = 5, linger_ms = 0,
      on_delivery = function(report) tags[#tags + 1] = report.tag end }
    slow(p, 0.3)
    for i = 1, 5 do assert(p:produce("first", "v", { tag = i })) end
    try.failure("_QUEUE_FULL", p:produce("first", "v", { tag = "refused", timeout = 0 }))
    assert(p:flush())
    assert.same({ 1, 2, 3, 4, 5 }, tags)
  end)

  it("bounds the memory of a producer that is faster than its broker", function()
    local r = child.run([[
      local kafka = require "kafka"
      local function megabytes()
        local f = assert(io.open "/proc/self/status")
        local kb = f:read("a"):match "VmRSS:%s*(%d+)"
        f:close()
        return kb / 1024
      end
      local mock = assert(kafka.mock { topics = { first = 1 } })
      local p = assert(kafka.producer { brokers = mock.brokers, queue_buffering_max_messages = 1000, linger_ms = 0 })
      assert(p:send("first", "warm"))
      mock:rtt(0.005)
      local value = ("x"):rep(2000)
      for _ = 1, 2000 do assert(p:produce("first", value)) end
      collectgarbage()
      local before = megabytes()
      for _ = 1, 30000 do assert(p:produce("first", value)) end
      assert(p:flush())
      print(math.floor(megabytes() - before), p:counts().delivered)
      assert(p:close())
      mock:close()
    ]], { prefix = "env ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=1" })
    assert.equal("", r.err)
    local grown, delivered = r.out:match "^(-?%d+)\t(%d+)\n$"
    assert.equal("32001", delivered)
    assert.is_true(tonumber(grown) < 25, ("60 MB produced, grown by %s MB"):format(grown))
  end)

  it("bounds the memory of one whose broker never answers, in bytes", function()
    local r = child.run([[
      local kafka = require "kafka"
      local function megabytes()
        local f = assert(io.open "/proc/self/status")
        local kb = f:read("a"):match "VmRSS:%s*(%d+)"
        f:close()
        return kb / 1024
      end
      local quiet = function() end
      local mock = assert(kafka.mock { topics = { first = 1 } })
      local p = assert(kafka.producer { brokers = mock.brokers, queue_buffering_max_kbytes = 10240, on_log = quiet,
        on_delivery = quiet, on_error = quiet })
      assert(p:send("first", "warm"))
      mock:rtt(100)
      local value, before, refused = ("x"):rep(10000), megabytes(), 0
      local values = {}
      for i = 1, 100 do values[i] = value end
      for i = 1, 20000 do
        local ok, err = p:produce("first", value .. i, { timeout = 0 })
        if not ok then
          assert(err.name == "_QUEUE_FULL" and err.action == "wait")
          refused = refused + 1
        end
        if i % 100 == 0 then
          local n, e = p:produce_many("first", values, { timeout = 0 })
          if not n then refused = refused + #e.refused end
        end
      end
      print(math.floor(megabytes() - before), p:counts().accepted + refused == 40001, p:pending())
      local ok, err = p:close(0)
      assert(not ok and err.lost > 900)
      os.exit(true, false)
    ]], { prefix = "env ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=1" })
    assert.equal("", r.err)
    local grown, whole, pending = r.out:match "^(-?%d+)\t(%a+)\t(%d+)\n"
    assert.equal("true", whole)
    assert.is_true(tonumber(pending) <= 1050, pending)
    assert.is_true(tonumber(grown) < 60, ("400 MB offered, grown by %s MB"):format(grown))
  end)
end)

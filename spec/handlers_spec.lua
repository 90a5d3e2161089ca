-- Handlers of the caller: whatever one does, no report is swallowed, and an error of a handler comes out once.

local kafka = require "kafka"
local child = require "spec.support.child"
local events = require "kafka.events"
local handle = require "kafka.handle"
local process = require "spec.support.process"
local try = require "spec.support.try"

local mock, brokers

setup(function()
  mock = assert(kafka.mock { topics = { first = 1 } })
  brokers = mock.brokers
end)
teardown(function() mock:close() end)

local function open(options)
  options.brokers = brokers
  return assert(kafka.producer(options))
end

-- Produces n messages whose reports go to handler(i, report, err).
local function produce(p, n, handler)
  for i = 1, n do
    assert(p:produce("first", "v" .. i, { on_delivery = function(report, err) return handler(i, report, err) end }))
  end
end

describe("a handler that raises", function()
  it("does not keep the others from running; the first error is raised, the next go to the log", function()
    local p <close> = open {}
    local ran = {}
    produce(p, 10, function(i)
      ran[#ran + 1] = i
      if i == 3 then error("third handler", 0) end
      if i == 5 then error("fifth handler", 0) end
      if i == 9 then error("ninth handler", 0) end
    end)
    local lines, ok, err = try.logged(function()
      return pcall(function() try.until_true(5, function() return p:poll(0.1) and #ran == 10 end) end)
    end)
    assert.is_false(ok)
    assert.equal("third handler", err)
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, ran)
    local text = table.concat(lines, "\n")
    assert.truthy(text:find("fifth handler", 1, true))
    assert.truthy(text:find("ninth handler", 1, true))
    assert.is_nil(text:find("third handler", 1, true))
    assert.is_true(p:flush())
  end)

  it("raises its very object out of the call that served it", function()
    local p <close> = open {}
    local object = setmetatable({}, { __tostring = function() return "mine" end })
    produce(p, 1, function() error(object) end)
    local ok, err = pcall(p.flush, p)
    assert.is_false(ok)
    assert.is_true(rawequal(object, err))
    assert.is_true(p:flush())
  end)

  it("does not undo a send", function()
    local p <close> = open {}
    local ok, err = pcall(p.send, p, "first", "v", { on_delivery = function() error("mine too", 0) end })
    assert.is_false(ok)
    assert.equal("mine too", err)
    assert.same({ 1, 0 }, { p:counts().delivered, p:pending() })
  end)

  it("may be on_log or on_error, and reports still come", function()
    local n = 0
    local p = open { debug = "generic", on_log = function() error("in on_log", 0) end,
      on_delivery = function() n = n + 1 end }
    local ok, err
    try.logged(function()
      try.until_true(5, function()
        ok, err = pcall(p.poll, p, 0)
        return not ok
      end)
      assert.equal("in on_log", err)
      -- A handler's error raised by produce means that the message was not accepted.
      try.until_true(5, function() return (pcall(p.produce, p, "first", "v")) end)
      try.until_true(5, function()
        pcall(p.poll, p, 0.1)
        return n >= 1
      end)
      pcall(p.close, p)
    end)
    assert.equal(1, n)
  end)
end)

describe("a handler that yields", function()
  it("lets another caller serve the rest, and goes on when it is resumed", function()
    local p <close> = open {}
    local ran, finished = {}, {}
    produce(p, 6, function(i)
      ran[#ran + 1] = i
      if i == 2 then coroutine.yield("from the handler") end
      finished[#finished + 1] = i
    end)
    local co = coroutine.create(function() return p:flush() end)
    local ok, value = coroutine.resume(co)
    assert.is_true(ok, value)
    assert.equal("from the handler", value)
    assert.same({ 1, 2 }, ran)
    assert(p:flush())
    assert.same({ 1, 2, 3, 4, 5, 6 }, ran)
    assert.same({ 1, 3, 4, 5, 6 }, finished)
    ok, value = coroutine.resume(co)
    assert.is_true(ok, value)
    assert.is_true(value)
    assert.same({ 1, 3, 4, 5, 6, 2 }, finished)
    assert.equal("dead", coroutine.status(co))
  end)

  it("does not swallow a report where it is never resumed", function()
    local p <close> = open {}
    local ran = 0
    produce(p, 4, function(i)
      ran = ran + 1
      if i == 1 then coroutine.yield() end
    end)
    local co = coroutine.create(function() return p:flush() end)
    assert(coroutine.resume(co))
    co = nil -- luacheck: ignore
    collectgarbage()
    assert(p:flush())
    assert.equal(4, ran)
  end)
end)

describe("a handler that closes its own client", function()
  it("gets the reports of all others delivered before", function()
    local p = open {}
    local seen = {}
    produce(p, 10, function(i)
      seen[i] = (seen[i] or 0) + 1
      if i == 3 then assert(p:close()) end
    end)
    assert(p:flush())
    for i = 1, 10 do assert.equal(1, seen[i]) end
    try.misuse("closed kafka.Producer", function() p:pending() end)
  end)

  it("lets send end with what has come", function()
    local p = open {}
    local report = p:send("first", "v", { on_delivery = function() p:close() end })
    assert.truthy(report)
    assert.truthy(report.offset)
    assert.truthy(tostring(p):find "closed")
  end)

  it("may do so while others wait in flush", function()
    local p = open { on_delivery = function() end, linger_ms = 10000 } -- no report before the flush
    local closed
    produce(p, 1, function() closed = { p:close(0) } end)
    for _ = 1, 1000 do assert(p:produce("first", "v")) end
    local ok, err = p:flush()
    local lost = closed[2] and closed[2].lost or 0
    assert.is_true(ok or err.left == lost, tostring(err))
  end)

  it("gives a fetch under way an error", function()
    local k
    k = assert(kafka.connect { brokers = brokers, statistics_interval_ms = 50,
      on_stats = function() if k and not k.closed then k:close(0) end end })
    local ok, err = pcall(function()
      local part = assert(k:partition("first", 0, { offset = "latest" }))
      local seconds, batch, e = try.time(part.fetch, part, { timeout = 5 })
      try.failure("_DESTROY", batch, e)
      assert.is_true(seconds < 1)
    end)
    -- It may have been closed before the fetch: that is misuse of a closed object.
    assert.is_true(ok or tostring(err):find "closed" ~= nil or kafka.errors.is(err), tostring(err))
  end)
end)

describe("a handler that produces again", function()
  it("gets a report for that too", function()
    local p <close> = open {}
    local reports = 0
    local function again()
      reports = reports + 1
      if reports < 50 then assert(p:produce("first", "v", { on_delivery = again })) end
    end
    assert(p:produce("first", "v", { on_delivery = again }))
    try.until_true(5, function() return p:poll(0.1) and reports == 50 end)
    assert(p:flush())
    assert.equal(50, p:counts().delivered)
  end)

  it("may send, and wait for that report inside", function()
    local p <close> = open {}
    local ran, inner = 0, nil
    produce(p, 5, function(i)
      ran = ran + 1
      if i == 2 then inner = assert(p:send("first", "inner")) end
    end)
    assert(p:flush())
    assert.equal(5, ran)
    assert.truthy(inner.offset)
    assert.equal(6, p:counts().delivered)
  end)

  it("may flush", function()
    local p <close> = open {}
    local ran, flushed = 0, nil
    produce(p, 20, function(i)
      ran = ran + 1
      if i == 4 then flushed = p:flush() end
    end)
    assert(p:flush())
    assert.is_true(flushed)
    assert.equal(20, ran)
  end)

  it("may do so from a full queue", function()
    local p <close> = open { queue_buffering_max_messages = 5, linger_ms = 0 }
    local reports, extra = 0, 0
    local function more()
      reports = reports + 1
      if extra < 20 then
        extra = extra + 1
        assert(p:produce("first", "again", { on_delivery = more, timeout = 5 }))
      end
    end
    for _ = 1, 10 do assert(p:produce("first", "v", { on_delivery = more, timeout = 5 })) end
    try.until_true(5, function() return p:poll(0.1) and reports == 30 end)
    assert.equal(30, p:counts().delivered)
  end)
end)

describe("an event", function()
  it("goes to on_stats as a table, whole numbers as integers", function()
    local stats
    local p <close> = open { statistics_interval_ms = 20, on_stats = function(s) stats = s end }
    try.until_true(5, function()
      p:poll(0)
      return stats
    end, "the statistics")
    assert.equal("producer", stats.type)
    assert.equal("integer", math.type(stats.ts))
    assert.equal("integer", math.type((select(2, next(stats.brokers))).nodeid))
  end)

  it("goes to on_stats only as it is now, where more has come than the handler took", function()
    local emitted, at = 0, {}
    local p <close> = open { statistics_interval_ms = 10, on_stats = function(s)
      at[#at + 1] = s.ts
      local till = kafka.now() + 0.1
      repeat process.nap() until kafka.now() > till
    end }
    p.handle.on.stats_text = function() emitted = emitted + 1 end
    try.until_true(20, function()
      p:poll(0.05)
      return #at >= 4 and emitted >= 12
    end)
    assert.is_true(#at <= emitted // 2, ("%d of %d"):format(#at, emitted))
  end)

  it("goes to on_stats once a second where no interval is said", function()
    local times = {}
    local p <close> = open { on_stats = function() times[#times + 1] = kafka.now() end }
    try.until_true(5, function()
      p:poll(0)
      return #times == 2
    end, "the statistics")
    assert.is_true(math.abs(times[2] - times[1] - 1) < 0.5)
  end)

  it("goes to on_stats the same by cjson and by dkjson", function()
    for _, library in ipairs { "cjson", "dkjson" } do
      local run = child.run(([[
        local floats = function() return { n = 3.0, list = { { x = 1.5 } }, text = "3" } end
        package.preload.cjson = function() error "not there" end
        package.preload.dkjson = package.preload.cjson
        package.preload.%s = function() return { decode = floats } end
        local t = require("kafka.json").decode "{}"
        print(math.type(t.n), t.list[1].x, t.text)
      ]]):format(library))
      assert.matches("^integer\t1.5\t3", run.out, run.err)
    end
  end)

  it("cannot go to on_stats without a library that reads JSON, and that says which", function()
    local run = child.run(([[
      package.preload.cjson = function() error "not there" end
      package.preload.dkjson = package.preload.cjson
      local kafka = require "kafka"
      print(kafka.producer { brokers = "127.0.0.1:1", on_stats = print })
      print(kafka.connect { brokers = %q }:coordinator "g")
    ]]):format(brokers))
    assert.matches("^nil\tkafka.producer: on_stats: JSON is read by lua%-cjson or lua%-dkjson, and neither was found "
      .. "%(Debian: apt%-get install lua%-cjson%)", run.out)
    assert.matches("\nbroker 1 at ", run.out) -- nothing else needs one
  end)

  it("goes to on_log as level, facility and text", function()
    local line
    local p <close> = open { debug = "generic", on_log = function(l) line = line or l end }
    try.until_true(5, function()
      p:poll(0)
      return line
    end, "a log line")
    assert.equal("integer", math.type(line.level))
    assert.equal("string", type(line.facility))
    assert.equal("string", type(line.text))
    assert.equal("kafka.producer to " .. brokers, line.client)
    assert.equal(("%s: %s: %s"):format(line.client, line.facility, line.text), tostring(line))
  end)

  it("of a broker that refuses goes to on_error as an error object", function()
    local err
    local p <close> = assert(kafka.producer { brokers = "127.0.0.1:1", on_error = function(e) err = err or e end,
      on_log = function() end })
    try.until_true(5, function()
      p:poll(0)
      return err
    end, "the error")
    try.failure("_TRANSPORT", nil, err)
    assert.equal("network", err.category)
    assert.truthy(err.message:find("127.0.0.1:1", 1, true))
  end)

  it("goes to the log where there is no handler", function()
    local lines = try.logged(function(lines)
      local p <close> = assert(kafka.producer { brokers = "127.0.0.1:1" })
      try.until_true(5, function()
        p:poll(0)
        return #lines > 0
      end, "a line in the log")
    end)
    assert.truthy(lines[1]:find("Connection refused", 1, true))
  end)

  it("of a broker that makes a client wait goes to on_throttle, else to the log", function()
    local note
    local h = handle.over({ name = function() return "x" end }, { on_throttle = function(n) note = n end }, "a client")
    events.take(h, "throttle", { broker = "h:9092", id = 1, ms = 2504 })
    assert.same({ broker = "h:9092", id = 1, ms = 2504, client = "a client" }, note)
    assert.equal("a client: broker 1 at h:9092 makes this client wait 2504 ms (quota)", tostring(note))
    note.ms = 0
    assert.equal("a client: broker 1 at h:9092 makes it wait no longer", tostring(note))
    h.on.throttle = nil
    local lines = try.logged(function()
      for _, ms in ipairs { 18, 2504, 0 } do events.take(h, "throttle", { broker = "h:9092", id = 1, ms = ms }) end
    end)
    assert.same({ "a client: broker 1 at h:9092 makes this client wait 18 ms (quota)" }, lines)
  end)
end)

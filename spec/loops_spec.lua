-- Waits inside other loops: they yield, so that other clients, other coroutines and timers go on meanwhile.

local kafka = require "kafka"
local try = require "spec.support.try"

local has_cqueues, cqueues = pcall(require, "cqueues")
local uv = require "spec.support.luv"

local mock
local RTT = 0.25

setup(function()
  mock = assert(kafka.mock { topics = { first = 1 } })
  try.fill(mock.brokers, "first", 0, 10)
end)
teardown(function() mock:close() end)
before_each(function() mock:rtt(0) end)

local function open(loop)
  local p = assert(kafka.producer { brokers = mock.brokers, loop = loop, linger_ms = 0, on_error = function() end,
    on_log = function() end })
  assert(p:send("first", "warm"))
  return p
end

-- Runs functions as coroutines of a loop, with a timer beside them; returns how often it ticked, and the seconds.
local loops = {}

function loops.cqueues(...)
  local loop = cqueues.new()
  local left, ticks = select("#", ...), 0
  for _, f in ipairs { ... } do
    loop:wrap(function()
      f()
      left = left - 1
    end)
  end
  loop:wrap(function()
    while left > 0 do
      cqueues.sleep(0.01)
      ticks = ticks + 1
    end
  end)
  local seconds = try.time(function() assert(loop:loop()) end)
  return ticks, seconds
end

function loops.luv(...)
  local left, ticks, failure = select("#", ...), 0, nil
  local timer = uv.new_timer()
  timer:start(10, 10, function()
    ticks = ticks + 1
    if left == 0 and not timer:is_closing() then timer:close() end
  end)
  for _, f in ipairs { ... } do
    coroutine.wrap(function()
      local ok, err = xpcall(f, debug.traceback)
      failure = failure or (not ok and err or nil)
      left = left - 1
    end)()
  end
  local seconds = try.time(uv.run)
  if failure then error(failure, 0) end
  return ticks, seconds
end

for name, there in pairs { cqueues = has_cqueues, luv = uv and true } do
  describe("inside " .. name, function()
    if not there then
      it("waits yield", function() pending(name .. " is not installed") end)
      return
    end
    local run = loops[name]
    local loop = name == "luv" and uv or nil

    it("two clients and a timer make progress together", function()
      local a, b = open(loop), open(loop)
      mock:rtt(RTT)
      local reports = {}
      local ticks, seconds = run(
        function() reports[1] = assert(a:send("first", "from a")) end,
        function() reports[2] = assert(b:send("first", "from b")) end)
      assert.equal(2, #reports)
      assert.is_true(seconds >= RTT and seconds < 2 * RTT, "took " .. seconds)
      assert.is_true(ticks > 8, ticks .. " ticks")
      mock:rtt(0)
      assert(a:close())
      assert(b:close())
    end)

    it("many coroutines wait on one client, each for its own answer", function()
      local p = open(loop)
      mock:rtt(RTT)
      local offsets, waits = {}, {}
      for i = 1, 50 do
        waits[i] = function() offsets[i] = assert(p:send("first", "v" .. i, { tag = i })) end
      end
      local _, seconds = run(table.unpack(waits))
      for i = 1, 50 do assert.equal(i, offsets[i].tag) end
      assert.is_true(seconds < 4 * RTT, "took " .. seconds)
      mock:rtt(0)
      assert(p:close())
    end)

    it("a fetch waits while another coroutine produces what it waits for", function()
      local p = open(loop)
      local k = assert(kafka.connect { brokers = mock.brokers, loop = loop })
      local part = assert(k:partition("first", 0, { offset = "latest" }))
      local got
      run(function() got = assert(part:fetch { timeout = 5 })[1] end,
        function() assert(p:send("first", "for the other")) end)
      assert.equal("for the other", got.value)
      assert(k:close())
      assert(p:close())
    end)

    it("opening, asking and closing wait there too", function()
      mock:rtt(0.03)
      local offset
      local ticks = run(function()
        local k <close> = assert(kafka.connect { brokers = mock.brokers, loop = loop })
        assert(k:commit("loop-group-" .. name, { { topic = "first", partition = 0, offset = 3 } }))
        local part <close> = assert(k:partition("first", 0, { group = "loop-group-" .. name }))
        offset = assert(part:fetch { timeout = 5 })[1].offset
      end)
      assert.equal(3, offset)
      assert.is_true(ticks >= 8, ticks .. " ticks")
    end)

    it("a timeout is kept", function()
      local p = open(loop)
      mock:rtt(2)
      local seconds, err
      run(function()
        local _
        seconds, _, err = try.time(p.send, p, "first", "v", { timeout = 0.2, on_delivery = function() end })
      end)
      assert.is_true(err.in_flight)
      assert.is_true(seconds >= 0.2 and seconds < 0.4, "took " .. seconds)
      p:purge()
      p:close(0)
    end)

    it("an error of a handler comes out of the coroutine that served it", function()
      local p = open(loop)
      local ok, err
      run(function()
        ok, err = pcall(p.send, p, "first", "v", { on_delivery = function() error("in the loop", 0) end })
      end)
      assert.is_false(ok)
      assert.equal("in the loop", err)
      assert(p:close())
    end)

    it("a handler may close the client that others wait on", function()
      local p = open(loop)
      mock:rtt(0.1)
      local ended = 0
      run(
        function()
          p:send("first", "v", { on_delivery = function() p:close(2) end })
          ended = ended + 1
        end,
        function()
          p:send("first", "w")
          ended = ended + 1
        end)
      assert.equal(2, ended)
      assert.is_true(p:close())
    end)

    it("a client outside of any coroutine of the loop blocks as always", function()
      local p = open(loop)
      assert(p:send("first", "v"))
      assert(p:close())
    end)
  end)
end

describe("a loop given as a function", function()
  it("is called with the descriptor and the seconds, and may yield", function()
    local calls = {}
    local p = assert(kafka.producer { brokers = mock.brokers, linger_ms = 0, loop = function(fd, seconds)
      calls[#calls + 1] = { fd, seconds }
      return coroutine.yield(fd, seconds)
    end })
    assert(p:send("first", "warm"))
    assert.equal(0, #calls) -- not in a coroutine: there is nobody to yield to
    mock:rtt(RTT)
    local report
    local co = coroutine.create(function() report = assert(p:send("first", "v")) end)
    local yields = 0
    local deadline = kafka.now() + 5
    repeat
      local ok, fd, seconds = coroutine.resume(co)
      assert(ok, fd)
      if coroutine.status(co) == "suspended" then
        yields = yields + 1
        assert.equal("integer", math.type(fd))
        assert.is_true(seconds > 0 and seconds <= 0.1)
        p.handle.core:wait(seconds * 1000)
      end
    until coroutine.status(co) == "dead" or kafka.now() > deadline
    assert.truthy(report.offset)
    assert.equal(#calls, yields)
    assert.is_true(yields >= 2)
    mock:rtt(0)
    assert(p:close())
  end)
end)

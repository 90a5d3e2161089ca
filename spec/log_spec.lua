-- What nobody asked for goes to the log: each sentence once, and with a name that a person recognises.

local core = require "kafka.core"
local kafka = require "kafka"
local log = require "kafka.log"
local try = require "spec.support.try"

-- Runs f(tick) with a clock that only tick(seconds) moves on.
local function with_clock(f)
  local now, real = 1000, core.now
  core.now = function() return now end
  local lines = try.logged(function() f(function(seconds) now = now + seconds end) end)
  core.now = real
  return lines
end

local runs = 0
local function unseen(text)
  runs = runs + 1
  return ("%s, %s"):format(text, ("x"):rep(runs))
end

describe("the log", function()
  it("tells a sentence that goes on coming once, whatever numbers it tells", function()
    local text = unseen "Connect to ipv4#127.0.0.1:9092 failed"
    local lines = with_clock(function(tick)
      for i = 1, 100 do
        log.line("a client", 3, ("%s (after %dms in state CONNECT, %d identical error(s) suppressed)"):format(text, i, i))
        tick(30)
      end
    end)
    assert.same({ "a client: " .. text .. " (after 1ms in state CONNECT, 1 identical error(s) suppressed)" }, lines)
  end)

  it("tells it again after a minute without it, and how often it was silent", function()
    local text = unseen "Disconnected"
    local lines = with_clock(function(tick)
      for _ = 1, 5 do log.line("a client", 3, text) end
      tick(61)
      log.line("a client", 3, text)
      tick(61)
      log.line("a client", 3, text)
    end)
    text = "a client: " .. text
    assert.same({ text, text .. " (and 4 more since it was written last)", text }, lines)
  end)

  it("tells once what a log line and an error event say, of whichever thread and client", function()
    local text = unseen "Connect to ipv4#127.0.0.1:9092 failed"
    local lines = with_clock(function()
      log.line("one", 3, "[thrd:127.0.0.1:9092/bootstrap]: 127.0.0.1:9092/bootstrap: " .. text)
      log.line("one", 3, "127.0.0.1:9092/bootstrap: " .. text)
      log.line("another", 3, "127.0.0.1:9092/1: " .. text)
    end)
    assert.same({ "one: 127.0.0.1:9092/bootstrap: " .. text }, lines)
  end)

  it("tells once what the two connections to a broker say", function()
    local text = unseen "nothing listens there"
    local lines = with_clock(function()
      log.line("one", 3, text .. " (broker 1 at 127.0.0.1:9092)")
      log.line("one", 3, text .. " (coordinator at 127.0.0.1:9092)")
      log.line("one", 3, text .. " (broker 2 at 127.0.0.1:9093)")
    end)
    text = "one: " .. text
    assert.same({ text .. " (broker 1 at 127.0.0.1:9092)", text .. " (broker 2 at 127.0.0.1:9093)" }, lines)
  end)

  it("tells of each broker", function()
    local text = unseen "failed"
    local lines = with_clock(function()
      log.line("one", 3, "127.0.0.1:9092/bootstrap: " .. text)
      log.line("one", 3, "127.0.0.1:9093/bootstrap: " .. text)
      log.line("one", 3, "[::1]:9092/bootstrap: " .. text)
      log.line("one", 3, "[::1]:9093/bootstrap: " .. text)
    end)
    assert.equal(4, #lines)
  end)

  it("tells warnings and worse only", function()
    local lines = with_clock(function()
      for level = 0, 7 do log.line("one", level, unseen "words") end
    end)
    assert.equal(5, #lines)
  end)

  it("forgets in the end, so that it stays small", function()
    local text = unseen "first"
    local lines = with_clock(function()
      log.line("one", 3, text)
      for i = 1, 2000 do log.line("one", 3, "words " .. ("y"):rep(i)) end
      log.line("one", 3, text)
    end)
    assert.equal(2002, #lines)
  end)
end)

describe("a client that no broker answers, and that has no handlers,", function()
  local brokers = "127.0.0.1:1,127.0.0.1:2"

  it("tells each broker's trouble once, under the name that it was opened by", function()
    local lines = try.logged(function(lines)
      local p = assert(kafka.producer { brokers = brokers, reconnect_backoff_max_ms = 100 })
      local since = kafka.now()
      try.until_true(10, function()
        p:poll(0)
        p:produce("first", "v", { on_delivery = function() end })
        return #lines >= 3 and kafka.now() - since > 1.5
      end, "three lines")
      p:purge()
      p:close(0)
    end)
    local seen = {}
    for _, line in ipairs(lines) do
      local text = line:match("^kafka%.producer to 127%.0%.0%.1:1,127%.0%.0%.1:2: (.*)")
      assert.truthy(text, line)
      assert.is_nil(seen[text], text)
      seen[text] = true
    end
    local refused = "Connection refused: nothing listens there (127.0.0.1:%d)"
    assert.is_true(seen[refused:format(1)] and seen[refused:format(2)])
  end)

  it("is called by its own client.id and group, and a long list of brokers is cut", function()
    local lines = try.logged(function(lines)
      local many = ("127.0.0.1:3"):rep(20, ",")
      local k, err = kafka.connect { brokers = many, client_id = "mine", group = "g", timeout = 1 }
      try.failure(nil, k, err)
      assert.truthy(#lines > 0)
    end)
    local c <close> = assert(kafka.consumer { brokers = "127.0.0.1:4", group = "h" })
    assert.equal("kafka.consumer to 127.0.0.1:4 for group h", c.handle.title)
    for _, line in ipairs(lines) do assert.equal("kafka.connect mine to 127.0.0.1:3,... for group g: ", line:match "^.- g: ") end
  end)
end)

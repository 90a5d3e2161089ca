-- The world failing: nil and an error with the cause in words, within the call's timeout.

local kafka = require "kafka"
local try = require "spec.support.try"

local quiet = function() end
local mock, p, k

setup(function()
  mock = assert(kafka.mock { brokers = 2, topics = { first = 2 } })
  p = assert(kafka.producer { brokers = mock.brokers })
  k = assert(kafka.connect { brokers = mock.brokers, fetch_wait_max_ms = 10 })
end)
teardown(function()
  k:close()
  p:close()
  mock:close()
end)

-- Seconds, where what watches the run (a sanitizer, valgrind) makes it slow.
local SLACK = (os.getenv "SPEC_SLOW" or os.getenv "ASAN_OPTIONS") and 1.5 or 0

describe("the world failing", function()
  -- Expects f() to give nil, err in less than `most` seconds; more where the run is slow.
  local function fails(name, most, f)
    local results
    local seconds = try.time(function() results = table.pack(f()) end)
    local err = try.failure(name, results[1], results[2])
    assert.is_true(seconds < most + SLACK, ("took %g s: %s"):format(seconds, tostring(err)))
    assert.is_nil(tostring(err):find "\n")
    return err, tostring(err)
  end

  it("by a refused connection names it as the cause, within the timeout", function()
    local err, text = fails(nil, 0.8, function()
      return kafka.connect { brokers = "127.0.0.1:1", timeout = 0.5, on_error = quiet, on_log = quiet }
    end)
    assert.equal("kafka.connect", err.op)
    assert.truthy(text:find("127.0.0.1:1", 1, true))
    assert.truthy(err.cause and err.cause.message:find("refused", 1, true), text)
    assert.truthy(text:find("refused", 1, true))
  end)

  it("by a refused connection is the cause of what a producer cannot send", function()
    local dead <close> = assert(kafka.producer { brokers = "127.0.0.1:1", message_timeout_ms = 300, on_error = quiet,
      on_log = quiet, on_delivery = quiet })
    local err, text = fails(nil, 2, function() return dead:send("first", "v", { timeout = 1 }) end)
    assert.same({ "send", "first" }, { err.op, err.topic })
    assert.truthy(err.cause and err.cause.message:find("refused", 1, true), text)
  end)

  it("by a host that does not resolve names it", function()
    local err, text = fails(nil, 1.5, function()
      return kafka.connect { brokers = "no-such-host.invalid:9092", timeout = 1, on_error = quiet, on_log = quiet }
    end)
    assert.truthy(text:find("no-such-host.invalid", 1, true))
    assert.equal("_RESOLVE", err.cause and err.cause.name)
  end)

  it("by brokers that say nothing ends with the timeout", function()
    mock:rtt(3)
    finally(function() mock:rtt(0) end)
    local seconds, err = try.time(fails, nil, 0.8, function()
      return kafka.connect { brokers = mock.brokers, timeout = 0.4, on_error = quiet, on_log = quiet }
    end)
    assert.is_true(err.category == "timeout" or err.category == "network")
    assert.truthy(tostring(err):find("answered: timed out after 0.4 s", 1, true))
    assert.is_true(seconds >= 0.4)
  end)

  it("by a topic that is not there says so", function()
    assert(mock:topic_error("not-there", "UNKNOWN_TOPIC_OR_PART")) -- the mock would create what it is asked for
    local err = fails("UNKNOWN_TOPIC_OR_PART", 2, function() return k:topic "not-there" end)
    assert.same({ "topic", "not-there", "cluster", "fix" }, { err.op, err.topic, err.category, err.action })
  end)

  -- The calls that ask more than one question: an error names the call that the caller made, whichever question failed.
  local asking = {
    partition = function(topic, t) return k:partition(topic, 0, { offset = "latest", timeout = t }) end,
    partitions = function(topic, t) return k:partitions(topic, { offset = "latest", timeout = t }) end,
    offsets_at = function(topic, t) return k:offsets_at(topic, 1700000000000, t) end,
    tail = function(topic, t) return k:tail(topic, 1, { timeout = t }) end,
    message = function(topic, t) return k:message(topic, 0, 0, t) end,
    find = function(topic, t) return k:find(topic, { timeout = t }) end,
    describe_topic = function(topic, t) return k:describe_topic(topic, t) end,
  }
  for op, ask in pairs(asking) do
    it("by a topic that is not there is an error of " .. op, function()
      assert(mock:topic_error("not-there", "UNKNOWN_TOPIC_OR_PART"))
      local err = fails("UNKNOWN_TOPIC_OR_PART", 2, function() return ask("not-there", 5) end)
      assert.same({ op, "not-there" }, { err.op, err.topic })
    end)
  end

  it("by a topic's ends that nobody tells is an error of the call", function()
    local part <close> = assert(k:partition("first", 0))
    asking.seek = function(_, t) return part:seek("latest", t) end
    asking.offsets_at, asking.describe_topic = nil, nil -- which do not ask for them, or tell what they have
    for op, ask in pairs(asking) do
      assert(mock:delay("ListOffsets", assert(k:topic "first").partitions[1].leader, 0.5, 1))
      local err, text = fails("_TIMED_OUT", 1, function() return ask("first", 0.3) end)
      assert.matches("timed out after 0%.[23]", text)
      assert.same({ op, "first" }, { err.op, err.topic })
    end
  end)

  it("by a partition that is not there says so", function()
    fails(nil, 3, function() return k:watermarks("first", 77, 2) end)
    fails("_UNKNOWN_PARTITION", 2, function() return k:partition("first", 77) end)
    fails("_UNKNOWN_PARTITION", 2, function() return p:send("first", "v", { partition = 77 }) end)
  end)

  it("by a message that is too large refuses it", function()
    local err = fails("MSG_SIZE_TOO_LARGE", 2, function() return p:send("first", ("x"):rep(2000000)) end)
    assert.same({ "send", "first", "data", "fix" }, { err.op, err.topic, err.category, err.action })
  end)

  it("leaves an error that assert raises as it is", function()
    local _, err = k:topic "not-there"
    local ok, raised = pcall(function() _G.assert(nil, err) end)
    assert.is_false(ok)
    assert.is_true(rawequal(err, raised))
  end)
end)

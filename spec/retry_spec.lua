-- Trying again: in no time, by a clock of the spec's own.

local errors = require "kafka.error"
local retry = require "kafka.retry"

local now, slept

local function policy(changes)
  changes = changes or {}
  changes.clock = function() return now end
  changes.random = changes.random or function() return 0 end
  return retry.policy(changes)
end

local function sleep(seconds)
  slept[#slept + 1] = seconds
  now = now + seconds
end

-- Gives these one after the other: a string is an error's name, all else a result. Each call takes `seconds`.
local function script(list, seconds)
  local at = 0
  return function(left)
    at = at + 1
    now = now + (seconds or 0)
    local step = list[at] or list[#list]
    if type(step) == "string" then return nil, errors.new { name = step, op = "commit", message = "no" } end
    return step, left
  end
end

before_each(function() now, slept = 100, {} end)

describe("retry.run", function()
  it("returns what succeeds at once, and its second value", function()
    local value, left = retry.run(policy(), 110, sleep, script { 7 })
    assert.same({ 7, 10 }, { value, left })
    assert.same({}, slept)
  end)

  it("takes false for a success", function()
    assert.is_false((retry.run(policy(), 110, sleep, script { false })))
  end)

  it("tries again after errors that may pass, with longer and longer pauses", function()
    local value = retry.run(policy(), 110, sleep, script { "NOT_COORDINATOR", "NOT_COORDINATOR", "_TRANSPORT", 1 })
    assert.equal(1, value)
    assert.same({ 0.1, 0.2, 0.4 }, slept)
  end)

  it("pauses at most so long", function()
    retry.run(policy { most = 0.3 }, 102, sleep, script { "NOT_COORDINATOR" })
    for i = 3, #slept do assert.equal(0.3, slept[i]) end
  end)

  it("leaves a part of each pause to chance", function()
    retry.run(policy { jitter = 0.5, random = function() return 1 end }, 110, sleep, script { "NOT_COORDINATOR", 1 })
    assert.same({ 0.05 }, slept)
  end)

  it("gives up at once on an error that will not pass", function()
    local value, err = retry.run(policy(), 110, sleep, script { "TOPIC_AUTHORIZATION_FAILED" })
    assert.same({ nil, "TOPIC_AUTHORIZATION_FAILED" }, { value, err.name })
    assert.is_nil(err.history)
    assert.same({}, slept)
  end)

  it("gives up on a fatal error, whatever its action", function()
    local f = function() return nil, errors.new { name = "_TRANSPORT", fatal = true } end
    local _, err = retry.run(policy { actions = { recreate = true } }, 110, sleep, f)
    assert.is_true(err.fatal)
    assert.same({}, slept)
  end)

  it("gives up within its deadline, with the last cause and the history in words", function()
    local names = { "NOT_COORDINATOR", "NOT_COORDINATOR", "COORDINATOR_LOAD_IN_PROGRESS" }
    local value, err = retry.run(policy { first = 0.5 }, 105, sleep, script(names, 1.2))
    assert.is_nil(value)
    assert.equal("COORDINATOR_LOAD_IN_PROGRESS", err.name)
    assert.same(names, err.history)
    assert.matches("3 attempts in 5.1 s: NOT_COORDINATOR, NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS", err.message, 1, true)
  end)

  it("never begins a pause that the deadline would cut", function()
    retry.run(policy(), 100.25, sleep, script { "NOT_COORDINATOR" })
    assert.same({ 0.1 }, slept)
  end)

  it("tries so often at most", function()
    local _, err = retry.run(policy { attempts = 2 }, 200, sleep, script { "NOT_COORDINATOR" })
    assert.equal(2, #err.history)
  end)

  it("tries once where the deadline is over", function()
    local value = retry.run(policy(), 0, sleep, script { 5 })
    assert.equal(5, value)
  end)

  it("writes the last names of a long history", function()
    assert.equal("7 attempts in 2.0 s: 2 before, c, d, e, f, g", retry.words({ "a", "b", "c", "d", "e", "f", "g" }, 2))
  end)
end)

-- Commits of one group by one client: in turn, in the order of their calls.

local kafka = require "kafka"
local try = require "spec.support.try"

local mock, k, names = nil, nil, 0

local function row(name, offset) return { { topic = name, partition = 0, offset = offset } } end

local function topic()
  names = names + 1
  assert(mock:create_topic("turns-" .. names, 1))
  return "turns-" .. names
end

local function fail(n)
  local list = {}
  for i = 1, n do list[i] = "COORDINATOR_LOAD_IN_PROGRESS" end
  assert(mock:fail("OffsetCommit", table.unpack(list)))
end

-- Runs functions in turn, each as a coroutine that yields where it waits, until all have ended.
local function together(...)
  local tasks = {}
  for i, f in ipairs { ... } do tasks[i] = coroutine.create(f) end
  try.until_true(20, function()
    local open = false
    for _, co in ipairs(tasks) do
      if coroutine.status(co) ~= "dead" then
        assert(coroutine.resume(co))
        open = true
      end
    end
    return not open
  end)
end

describe("commits of a group", function()
  setup(function()
    mock = assert(kafka.mock {})
    k = assert(kafka.connect { brokers = mock.brokers, on_log = function() end, on_error = function() end,
      loop = function() coroutine.yield() end })
  end)
  teardown(function()
    k:close()
    mock:close()
  end)

  it("keep their order where the first is tried again", function()
    local name, done = topic(), {}
    local function commit(offset)
      return function()
        assert(k:commit("order", row(name, offset)))
        done[#done + 1] = offset
      end
    end
    fail(6)
    together(commit(1), commit(2), commit(3))
    assert.same({ 1, 2, 3 }, done)
    assert.equal(3, k:committed("order", row(name))[1].offset)
  end)

  it("refuse one that nobody waits for while another is tried again", function()
    local name, refused = topic(), 0
    local over = false
    fail(6)
    together(function()
      assert(k:commit("async", row(name, 1)))
      over = true
    end, function()
      while not over do
        local ok, err = k:commit("async", row(name, 2), { on_commit = function() end })
        if not over then
          assert.equal("_PREV_IN_PROGRESS", try.failure(nil, ok, err).name)
          refused = refused + 1
        end
        coroutine.yield()
      end
    end)
    assert.is_true(refused > 0)
    assert.equal(1, k:committed("async", row(name))[1].offset)
  end)

  it("go on after a coroutine was closed that waited", function()
    local name = topic()
    fail(6)
    local first = coroutine.create(function() k:commit("closed", row(name, 1)) end)
    assert(coroutine.resume(first))
    local second = coroutine.create(function() k:commit("closed", row(name, 2)) end)
    assert(coroutine.resume(second))
    assert(coroutine.close(second))
    assert(coroutine.close(first))
    assert(k:commit("closed", row(name, 3)))
    assert.equal(3, k:committed("closed", row(name))[1].offset)
  end)

  it("may be made by a handler that is called within one", function()
    local name, ok, err = topic(), nil, nil
    local h
    h = assert(kafka.connect { brokers = mock.brokers, on_log = function() end, ["statistics.interval.ms"] = 20,
      on_stats = function()
        if h and ok == nil and err == nil then ok, err = h:commit("nested", row(name, 2), { timeout = 5 }) end
      end })
    fail(4)
    local seconds, first = try.time(h.commit, h, "nested", row(name, 1), { timeout = 8 })
    assert.is_true(first)
    try.until_true(5, function()
      h:wait(0.1)
      return ok or err
    end)
    assert.is_true(ok, tostring(err))
    assert.is_true(seconds < 5)
    h:close()
  end)
end)

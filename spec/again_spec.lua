-- Requests to a cluster in transition: asked again within their deadline, and what they tell where that was in vain.

local kafka = require "kafka"
local try = require "spec.support.try"

local mock, k, topics = nil, nil, 0

local function topic(partitions)
  topics = topics + 1
  local name = "again-" .. topics
  assert(mock:create_topic(name, partitions or 1))
  return name
end

local function many(name, n)
  local list = {}
  for i = 1, n do list[i] = name end
  return table.unpack(list)
end

describe("a cluster in transition", function()
  setup(function()
    mock = assert(kafka.mock { brokers = 3 })
    k = assert(kafka.connect { brokers = mock.brokers, topic_metadata_refresh_interval_ms = 500, on_log = function() end,
      on_error = function() end })
  end)
  teardown(function()
    k:close()
    mock:close()
  end)

  it("takes a commit once its coordinator is there", function()
    local name = topic()
    mock:fail("OffsetCommit", many("COORDINATOR_LOAD_IN_PROGRESS", 8))
    assert(k:commit("g", { { topic = name, partition = 0, offset = 7 } }))
    assert.equal(7, assert(k:committed("g", { { topic = name, partition = 0 } }))[1].offset)
  end)

  it("asks no second time for a commit that will be refused again", function()
    local name = topic()
    mock:fail("OffsetCommit", "GROUP_AUTHORIZATION_FAILED")
    local ok, err = k:commit("g", { { topic = name, partition = 0, offset = 7 } })
    assert.is_nil(ok)
    assert.equal("GROUP_AUTHORIZATION_FAILED", err.name)
    assert.is_nil(err.history)
  end)

  it("takes commits in the order in which they were made, the ones not waited for among them", function()
    local name = topic()
    assert(k:commit("g", { { topic = name, partition = 0, offset = 1 } }))
    assert(mock:rtt(0.5))
    local ok, err = k:commit("g", { { topic = name, partition = 0, offset = 2 } }, { timeout = 0.1 })
    assert.same({ nil, true }, { ok, err.in_flight })
    ok, err = k:commit("g", { { topic = name, partition = 0, offset = 3 } }, { timeout = 0 })
    assert.is_nil(ok)
    assert.matches("an earlier commit of this group is not answered yet", err.message, 1, true)
    assert.is_nil(err.in_flight) -- it was not sent
    assert(k:commit("g", { { topic = name, partition = 0, offset = 4 } }))
    assert.equal(4, assert(k:committed("g", { { topic = name, partition = 0 } }))[1].offset)
    assert(mock:rtt(0))
  end)

  it("tells what a group has committed once its coordinator is there", function()
    local name = topic()
    assert(k:commit("g", { { topic = name, partition = 0, offset = 7 } }))
    mock:fail("OffsetFetch", many("NOT_COORDINATOR", 6))
    assert.equal(7, assert(k:committed("g", { { topic = name, partition = 0 } }))[1].offset)
  end)

  it("tells the ends of a partition that gets its leader meanwhile", function()
    local name = topic()
    mock:fail("ListOffsets", many("NOT_LEADER_FOR_PARTITION", 4))
    assert.same({ 0, 0 }, { k:watermarks(name, 0) })
  end)

  it("opens a partition at its end only where a leader tells the end", function()
    local name = topic()
    assert(mock:leader(name, 0, nil))
    local seconds, part, err = try.time(function() return k:partition(name, 0, { offset = "latest", timeout = 1.5 }) end)
    assert.is_nil(part)
    assert.is_true(seconds < 3)
    assert.equal(name, err.topic)
    assert.is_true(err.retriable, tostring(err))
    assert(mock:leader(name, 0, 2))
    part = assert(k:partition(name, 0, { offset = "latest" }))
    assert.equal(0, part:position())
    part:close()
  end)

  it("that does not take a commit is told with every attempt", function()
    local name = topic()
    mock:fail("OffsetCommit", many("COORDINATOR_LOAD_IN_PROGRESS", 500))
    local seconds, ok, err = try.time(function()
      return k:commit("g", { { topic = name, partition = 0, offset = 7 } }, { timeout = 3 })
    end)
    assert.is_nil(ok)
    assert.is_true(seconds < 4)
    assert.matches("%d+ attempts in %d%.%d s: .*COORDINATOR_LOAD_IN_PROGRESS", err.message)
    assert.is_true(#err.history > 1)
    assert.is_true(err.retriable)
  end)

  it("waits in one piece: what timed out names the caller's time", function()
    for id = 1, 3 do assert(mock:broker(id):kill()) end
    local seconds, ok, err = try.time(function() return k:metadata(nil, 4) end)
    assert.is_nil(ok)
    assert.is_true(seconds < 5)
    assert.matches("after 4 s", tostring(err) .. "; after 4 s", 1, true)
    assert.is_nil(err.message:find "after 3 s", tostring(err))
  end)
end)

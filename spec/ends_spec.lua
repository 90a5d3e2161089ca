-- The ends of many partitions, asked together.

local kafka = require "kafka"
local try = require "spec.support.try"

local mock, k

describe("the ends of partitions", function()
  setup(function()
    mock = assert(kafka.mock { brokers = 3, topics = { few = 3, many = 100 } })
    try.fill(mock.brokers, "few", 1, 4)
    k = assert(kafka.connect { brokers = mock.brokers, on_log = function() end, on_error = function() end })
  end)
  teardown(function()
    k:close(0)
    mock:close()
  end)

  it("come for all of a topic, or for rows, in their order", function()
    local all = assert(k:ends "few")
    assert.same({ topic = "few", partition = 1, earliest = 0, latest = 4 }, all[2])
    assert.equal(3, #all)
    assert.matches("few%s+1%s+0%s+4", tostring(all))
    local rows = assert(k:ends { { topic = "few", partition = 1 }, { topic = "many", partition = 7 } })
    assert.same({ 4, 0 }, { rows[1].latest, rows[2].latest })
  end)

  it("of one that fails hide no other", function()
    local rows = assert(k:ends({ { topic = "few", partition = 9 }, { topic = "few", partition = 1 } }, 2))
    assert.equal("_UNKNOWN_PARTITION", rows[1].err.name)
    assert.equal("ends", rows[1].err.op)
    assert.is_nil(rows[1].latest)
    assert.equal(4, rows[2].latest)
  end)

  it("come in a part of the time that one by one would take", function()
    mock:rtt(0.05)
    assert(k:ends("many", 20)) -- it connects
    local seconds, all = try.time(k.ends, k, "many", 20)
    assert.equal(100, #all)
    for _, row in ipairs(all) do assert.equal(0, row.latest) end
    assert.is_true(seconds < 100 * 0.05 / 2, ("%.1f s"):format(seconds))
    seconds = try.time(function() assert(k:partitions("many", { offset = "latest" })):close() end)
    assert.is_true(seconds < 100 * 0.05 / 2, ("%.1f s"):format(seconds))
    assert(mock:rtt(0))
  end)

  it("are told as timed out where nobody answers", function()
    mock:rtt(9)
    local seconds, rows = try.time(k.ends, k, { { topic = "few", partition = 0 }, { topic = "few", partition = 1 } }, 1)
    for _, row in ipairs(rows) do assert.equal("_TIMED_OUT", row.err.name) end
    assert.is_true(seconds < 2, ("%.1f s"):format(seconds))
    assert(mock:rtt(0))
  end)
end)

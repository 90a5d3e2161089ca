-- One function for all messages of one produce_many: called once, when the last of them is reported.

local kafka = require "kafka"
local try = require "spec.support.try"

local mock

setup(function() mock = assert(kafka.mock { topics = { first = 1, two = 2 } }) end)
teardown(function() mock:close() end)

local function open(options)
  options.brokers, options.on_log, options.on_error = mock.brokers, function() end, function() end
  return assert(kafka.producer(options))
end

local function values(n)
  local list = {}
  for i = 1, n do list[i] = tostring(i) end
  return list
end

describe("on_batch", function()
  it("is called once, with counts", function()
    local outcomes = {}
    local p <close> = open {}
    assert(p:produce_many("two", values(20000), { on_batch = function(o) outcomes[#outcomes + 1] = o end }))
    assert(p:produce_many("two", values(7), { partitions = { 0, 1, 0, 1, 0, 1, 0 },
      on_batch = function(o) outcomes[#outcomes + 1] = o end }))
    assert(p:flush())
    table.sort(outcomes, function(a, b) return a.n > b.n end)
    assert.same({ { topic = "two", n = 20000, delivered = 20000, failed = 0, failures = {} },
      { topic = "two", n = 7, delivered = 7, failed = 0, failures = {} } }, outcomes)
    assert.equal(20007, p:counts().delivered)
  end)

  it("is given the reports where they are collected", function()
    local outcome
    local p <close> = open {}
    local first = assert(p:send("two", "before", { partition = 1 })).offset + 1
    local ones = {}
    for i = 1, 100 do ones[i] = 1 end
    assert(p:produce_many("two", values(100), { partitions = ones, collect = true, on_batch = function(o) outcome = o end }))
    assert(p:flush())
    assert.same({ 100, 100 }, { outcome.delivered, #outcome.reports })
    for i, report in ipairs(outcome.reports) do
      assert.same({ 1, first + i - 1 }, { report.partition, report.offset })
      assert.equal(("delivered to two[1] at offset %d"):format(first + i - 1), tostring(report))
    end
  end)

  it("says which failed, and why", function()
    local outcome
    local p <close> = open { linger_ms = 1000 }
    assert(p:produce_many("first", values(5), { headers = { [2] = { { "h", "x" } } }, on_batch = function(o) outcome = o end }))
    assert(p:purge())
    p:flush()
    assert.same({ 5, 0, 5 }, { outcome.n, outcome.delivered, outcome.failed })
    for i, row in ipairs(outcome.failures) do
      assert.equal(i, row.index)
      assert.matches("^_PURGE", row.err.name)
    end
  end)

  it("counts only what was accepted, and is not called where nothing was", function()
    local outcomes = {}
    local p <close> = open { message_max_bytes = 1000 }
    local big = ("x"):rep(2000)
    local ok, err = p:produce_many("first", { "1", big, "3" }, { on_batch = function(o) outcomes[#outcomes + 1] = o end })
    assert.is_nil(ok)
    assert.same({ 2, 2 }, { err.accepted, err.refused[1].index })
    assert.is_nil(p:produce_many("first", { big }, { on_batch = function(o) outcomes[#outcomes + 1] = o end }))
    assert(p:flush())
    assert.equal(1, #outcomes)
    assert.same({ 2, 2 }, { outcomes[1].n, outcomes[1].delivered })
  end)

  it("has its error raised by the next call, and gives its ticket back", function()
    local p <close> = open {}
    assert(p:produce_many("first", values(3), { on_batch = function() error("mine", 0) end }))
    local ok, raised = pcall(p.flush, p)
    assert.same({ false, "mine" }, { ok, raised })
    assert(p:flush())
    assert.is_nil(next(p.delivery.batches))
  end)

  it("stands for on_delivery, and collect needs it", function()
    local p <close> = open {}
    local f = function() end
    try.misuse({ "produce_many", "on_delivery", "on_batch" }, function()
      p:produce_many("first", { "v" }, { on_batch = f, on_delivery = f })
    end)
    try.misuse({ "produce_many", "collect needs on_batch" }, function() p:produce_many("first", { "v" }, { collect = true }) end)
    try.misuse({ "on_batch", "42" }, function() p:produce_many("first", { "v" }, { on_batch = 42 }) end)
  end)
end)

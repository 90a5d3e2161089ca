-- The programs in the documents do what is said there.

local kafka = require "kafka"
local page = require "spec.support.page"
local try = require "spec.support.try"

local mock

setup(function() mock = assert(kafka.mock { topics = { first = 1, second = 1 } }) end)
teardown(function() mock:close() end)

describe("docs/handlers.md", function()
  it("shows handlers, of which the statistics come", function()
    local programs = page.programs(page.read "docs/handlers.md")
    assert.equal(1, #programs)
    assert.matches("messages sent so far\t%d+", table.concat(page.run(programs[1], mock.brokers), "\n"))
  end)
end)

describe("docs/producing.md", function()
  it("shows one message with its report, and a batch with its outcome", function()
    local programs = page.programs(page.read "docs/producing.md")
    assert.equal(2, #programs)
    assert.matches("^first\t0\t%d+$", page.run(programs[1], mock.brokers)[1])
    assert.same({ "3 of 3" }, page.run(programs[2], mock.brokers))
  end)
end)

describe("docs/transactions.md", function()
  it("shows a transaction, one that f refuses, and a copy", function()
    local programs = page.programs(page.read "docs/transactions.md")
    assert.equal(2, #programs)
    local out = page.run(programs[1], mock.brokers)
    assert.equal("true", out[1])
    assert.matches("aborted as the function asked: not paid", out[2])
    page.run(programs[2], mock.brokers)
    local k <close> = assert(kafka.connect { brokers = mock.brokers })
    local part <close> = assert(k:partition("second", 0, { offset = "earliest" }))
    local values = {}
    for _, m in ipairs(try.read_all(part)) do values[m.value] = true end
    assert.is_true(values["ORDER 1"] and values["ORDER 2"])
  end)
end)

describe("docs/watching.md", function()
  it("shows a leader that moves", function()
    local programs = page.programs(page.read "docs/watching.md")
    assert.equal(1, #programs)
    assert.same({ "first[0] leader 1 -> 2", "leader\tfirst\t0\t1\t2" }, page.run(programs[1], mock.brokers))
  end)
end)

describe("docs/reading.md", function()
  it("shows a loop, commits, a store of one's own, and a lost position", function()
    local cluster <close> = assert(kafka.mock { topics = { first = 1 } })
    try.fill(cluster.brokers, "first", 0, 5)
    local programs = page.programs(page.read "docs/reading.md")
    assert.equal(4, #programs)
    local out = page.run(programs[1], cluster.brokers)
    assert.same({ 5, "first\t0\t0\tnil\t1" }, { #out, out[1] })
    assert.same({}, page.run(programs[1], cluster.brokers)) -- it resumes
    out = page.run(programs[2], cluster.brokers)
    assert.matches("first +0 +5", out[1])
    assert.matches("^behind by\t0", out[2])
    assert.same({ "kept\t5" }, page.run(programs[3], cluster.brokers))
    out = page.run(programs[4], cluster.brokers)
    assert.matches("^1000000\t0\toffset 1000000 is not there: .*; the partition holds 0 to 4$", out[1])
    assert.same({ "5" }, { out[2], out[3] })
  end)
end)

describe("docs/mock.md", function()
  it("shows a cluster that fails on demand", function()
    local programs = page.programs(page.read "docs/mock.md")
    assert.equal(1, #programs)
    local out = page.run(programs[1], "unused:1")
    assert.matches("^delivered to first%[0%] at offset %d", out[#out])
  end)

  it("names every method there is", function()
    local text = page.read "docs/mock.md"
    local cluster <close>, found = assert(kafka.mock()), 0
    for name, f in pairs(debug.getmetatable(cluster)) do
      if type(f) == "function" and not name:find "^__" and name ~= "add_broker" then
        assert.is_truthy(text:find("cluster:" .. name, 1, true), name)
        found = found + 1
      end
    end
    assert.is_true(found >= 9)
  end)
end)

-- The programs in the documents do what is said there.

local kafka = require "kafka"
local page = require "spec.support.page"
local try = require "spec.support.try"

local mock

setup(function() mock = assert(kafka.mock { topics = { first = 1 } }) end)
teardown(function() mock:close() end)

describe("docs/handlers.md", function()
  it("shows handlers, of which the statistics come", function()
    local programs = page.programs(page.read "docs/handlers.md")
    assert.equal(1, #programs)
    assert.matches("messages sent so far\t%d+", table.concat(page.run(programs[1], mock.brokers), "\n"))
  end)
end)

describe("docs/consuming.md", function()
  it("shows programs that read what is there, commit it, and go elsewhere", function()
    local own <close> = assert(kafka.mock { topics = { first = 1 } })
    try.fill(own.brokers, "first", 0, 10)
    local programs, want = page.programs(page.read "docs/consuming.md"), {
      { "0\t0\tnil\t1", "0\t9\tnil\t10" },
      { "10\tmessages\t11\tbytes" },
      { "first          0      10  by the careful one", "behind by\t0" },
      { "at the end of\t0", "gives back\t1", "9", "10" },
      { "7\n8\n9", "first          0       0" },
    }
    assert.equal(#want, #programs)
    for i, program in ipairs(programs) do
      local out = table.concat(page.run(program, own.brokers), "\n")
      for _, line in ipairs(want[i]) do assert.truthy(out:find(line, 1, true), ("program %d: %s"):format(i, out)) end
    end
  end)
end)

-- The programs in the documents do what is said there.

local kafka = require "kafka"
local page = require "spec.support.page"

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

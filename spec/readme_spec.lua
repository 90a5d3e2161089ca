-- Every snippet of the README does what it says: programs run against a mock cluster, the prompt's lines print what is
-- printed there.

local kafka = require "kafka"

local page = require "spec.support.page"
local try = require "spec.support.try"

local readme = page.read "README.md"

describe("the README's programs", function()
  local mock

  setup(function() mock = assert(kafka.mock { brokers = 2, topics = { first = 2 } }) end)
  teardown(function() mock:close() end)

  local blocks = page.programs(readme)

  it("are four: a producer, a north face, a consumer and a reader", function() assert.equal(4, #blocks) end)

  it("produce: one report printed, and none of a thousand messages lost", function()
    local out = page.run(blocks[1], mock.brokers)
    assert.equal(1, #out)
    assert.matches("^delivered to first%[%d%] at offset 0$", out[1])
    local k <close> = assert(kafka.connect { brokers = mock.brokers })
    local total = 0
    for p = 0, 1 do
      local earliest, latest = assert(k:watermarks("first", p))
      total = total + latest - earliest
    end
    assert.equal(1001, total)
  end)

  it("climb the north face: messages, coordinator and committed offset are printed", function()
    local p <close> = assert(kafka.producer { brokers = mock.brokers })
    assert(p:send("first", "in partition 0", { partition = 0 }))
    local out = page.run(blocks[2], mock.brokers)
    assert.matches("partition  leader", out[1])
    assert.matches("^%d+\t", out[2])
    assert.matches("^coordinator of g: broker %d at ", out[#out - 1])
    assert.matches("^committed: %d+$", out[#out])
  end)
end)

describe("the README's consumer", function()
  it("prints every message and is not behind", function()
    local mock <close> = assert(kafka.mock { topics = { first = 2 } })
    try.fill(mock.brokers, "first", 0, 20)
    local out = page.run(page.programs(readme)[3], mock.brokers)
    assert.equal(21, #out)
    assert.matches("^0\t0\tnil\t1$", out[1])
    assert.equal("behind by 0", out[21])
  end)
end)

describe("the README's reader", function()
  it("prints every message, and resumes", function()
    local mock <close> = assert(kafka.mock { topics = { first = 2 } })
    try.fill(mock.brokers, "first", 1, 20)
    local program = page.programs(readme)[4]
    local out = page.run(program, mock.brokers)
    assert.equal(20, #out)
    assert.equal("1\t0\tnil\t1", out[1])
    assert.same({}, page.run(program, mock.brokers))
  end)
end)

describe("the README's prompt", function()
  it("prints what is printed there", function()
    local session = readme:match("%$ lua5%.4 %-i\n(.-)```")
    local env = setmetatable({}, { __index = _G })
    for line, shown in (session .. "> "):gmatch("> ([^\n]+)\n(.-)%f[>\0]") do
      local chunk = load("return " .. line, "=stdin", "t", env) or assert(load(line, "=stdin", "t", env))
      local results = table.pack(chunk())
      for i = 1, results.n do results[i] = tostring(results[i]) end
      if not line:find("^%w+ =") then
        -- Whether librdkafka tells of the end with the last message, or a moment later, is a matter of time.
        local function steady(text) return (text:gsub(", at the end\n", "\n")) end
        assert.equal(steady(shown), steady(table.concat(results, "\t") .. "\n"), line)
      end
    end
    env.p:close()
    env.k:close()
    env.cluster:close()
  end)
end)

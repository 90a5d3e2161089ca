-- A real prompt: lines typed into lua5.4 -i print what docs/prompt.md prints.

local kafka = require "kafka"
local page = require "spec.support.page"
-- Ports are others each time.
local function settled(text) return (text:gsub("%f[%d]%d%d%d%d%d%f[%D]", "PORT ")) end

describe("docs/prompt.md", function()
  it("is what a prompt prints", function()
    local expected, typed = {}, {}
    for block in page.read("docs/prompt.md"):gmatch "\n```\n(> .-)```\n" do
      expected[#expected + 1] = block
      for line in ("\n" .. block):gmatch "\n> ([^\n]*)" do typed[#typed + 1] = line end
    end
    assert.is_true(#typed > 20)
    assert.equal(settled(table.concat(expected)), settled(page.type_in(table.concat(typed, "\n") .. "\n")))
  end)
end)

describe("at a prompt", function()
  it("nothing prints as the address of a table", function()
    local shown = page.type_in [[
kafka = require "kafka"
kafka
cluster = assert(kafka.mock { brokers = 2, topics = { first = 2 } })
cluster
cluster:broker(1)
p = assert(kafka.producer { brokers = cluster.brokers, on_log = function(line) last = line end, debug = "broker" })
p
p:counts()
p:send("first", "v", { partition = 0, headers = { { "a", "1" } } })
last
k = assert(kafka.connect { brokers = cluster.brokers })
k
k:metadata()
k:metadata().topics
k:brokers()
k:brokers()[1]
k:topic "first"
k:topic("first").partitions
k:topic("first"):partition(1)
k:offsets_at("first", 1700000000000)
k:watermarks("first", 0)
k:commit("g", { { topic = "first", partition = 0, offset = 1 } })
k:committed("g", { { topic = "first", partition = 0 } })
k:coordinator "g"
k:lag "g"
k:tail "first"
k:find "first"
k:message("first", 0, 0)
k:message("first", 1, 0)
all = assert(k:partitions "first")
batch = all:fetch()
batch
batch[1]
batch.next
batch.next[1]
all:positions()
all
part = assert(k:partition("first", 0))
part
kafka.errors.list()
kafka.errors.list()[1]
c = assert(kafka.consumer { brokers = cluster.brokers, group = "h", topics = { "first" }, on_eof = print, on_reset = print })
c:poll(10)
c
c:assignment()
c:assignment()[1]
c:batch { timeout = 0.1 }
c:lag()
c:commit()
c:commit({ topic = "first", partition = 0, offset = 1 }, { on_commit = print })
c:seek("first", 1, 5)
c:seek("first", 0, 99)
c:batch { timeout = 5 }
c:batch { timeout = 0.5 }
p:produce_many("first", { "a" }, { on_batch = print, collect = true })
p:flush()
c:committed()
c:close()
k:groups()
select(2, kafka.connect { brokers = "127.0.0.1:1", timeout = 0.1 })
]]
    page.is_readable(shown)
    for _, line in ipairs {
      "\n> kafka\nlua-kafka " .. kafka.version .. ", librdkafka " .. kafka.librdkafka .. "\n",
      "\nfirst[0]: offset 1\t",
      "\nfirst[1]: offset 5 is behind the end of the partition: the partition is empty; reading goes on at 0\t",
      "\n1 message, 1 bytes\n",
      "\ntopic first, n 1, delivered 1, failed 0\n",
      "\n  topic  partition  offset\n  first          0       1\tnil\n",
      "\n> batch[1]\nfirst[0]@0 v (a: 1)\n",
      "\n> batch.next[1]\nfirst[0]: offset 1\n",
      "\n> k:topic(\"first\"):partition(1)\npartition 1, leader 2, replicas 1,2, isr 1,2\n",
    } do
      assert.truthy(shown:find(line, 1, true), shown)
    end
  end)
end)

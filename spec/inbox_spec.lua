-- What an inbox hands out, seen at the core.

local core = require "kafka.core"
local kafka = require "kafka"
local try = require "spec.support.try"

local MESSAGES = 400 -- so few that one take from librdkafka has them all

local mock

setup(function()
  mock = assert(kafka.mock { topics = { first = 1 } })
  local values = {}
  for i = 1, MESSAGES do values[i] = "m" .. i end
  try.produce_together(mock.brokers, "first", values)
end)
teardown(function() mock:close() end)

describe("an inbox", function()
  it("hands out nothing twice in one take, where what it holds has come again: its partition was assigned anew", function()
    local c = assert(core.consumer { ["bootstrap.servers"] = mock.brokers, ["group.id"] = "g", ["log.queue"] = "true",
      ["statistics.interval.ms"] = "100" })
    local inbox = c:inbox()
    local seen, n = {}, 0
    local function take(most)
      local batch = assert(inbox:take(math.maxinteger, most))
      for _, m in ipairs(batch) do
        assert.is_nil(seen[m.offset], "twice: " .. m.offset)
        seen[m.offset], n = true, n + 1
      end
      return batch.n > 0
    end
    local function assign(offset) assert(c:assign { { topic = "first", partition = 0, offset = offset } }) end
    inbox:open("first", 0, 0)
    assign(0)
    try.until_true(10, function() return take(1) end)
    c:drain({}, 0, 1000)
    assign(inbox:position("first", 0))
    try.until_true(10, function()
      local records = {}
      for i = 1, (c:drain(records, 0, 1000)) do
        for count in (records[i - 1] == "stats" and records[i] or ""):gmatch '"rxmsgs": *(%d+)' do
          if tonumber(count) >= 2 * MESSAGES - 1 then return true end
        end
      end
    end, "the same messages once more")
    try.until_true(10, function()
      take(MESSAGES)
      return n == MESSAGES
    end)
    c:close()
  end)
end)

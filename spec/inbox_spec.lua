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

-- A client of the core that tells each 100 ms what has come to it.
local function consumer()
  return assert(core.consumer { ["bootstrap.servers"] = mock.brokers, ["group.id"] = "g", ["log.queue"] = "true",
    ["statistics.interval.ms"] = "100" })
end

-- Waits until so many messages have come to librdkafka.
local function await_received(c, n)
  try.until_true(10, function()
    local records = {}
    for i = 1, (c:drain(records, 0, 1000)) do
      for count in (records[i - 1] == "stats" and records[i] or ""):gmatch '"rxmsgs": *(%d+)' do
        if tonumber(count) >= n then return true end
      end
    end
  end, n .. " messages")
end

describe("an inbox", function()
  it("hands out nothing twice in one take, where what it holds has come again: its partition was assigned anew", function()
    local c = consumer()
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
    await_received(c, 2 * MESSAGES - 1) -- the same messages once more
    try.until_true(10, function()
      take(MESSAGES)
      return n == MESSAGES
    end)
    c:close()
  end)

  it("holds no more than it needs, however long more is there than is taken", function()
    local many = 20000
    local values = {}
    for i = 1, many do values[i] = "" end
    assert(mock:create_topic("many", 1))
    try.produce_together(mock.brokers, "many", values)
    local c = consumer()
    local inbox = c:inbox()
    inbox:open("many", 0, 0)
    assert(c:assign { { topic = "many", partition = 0, offset = 0 } })
    await_received(c, many)
    local next_offset, held, room = 0, 0, 0
    while next_offset < many do
      local batch = assert(inbox:take(math.maxinteger, 100))
      assert.is_true(batch.n > 0)
      for _, m in ipairs(batch) do
        assert.equal(next_offset, m.offset)
        next_offset = next_offset + 1
      end
      local n, cap = tostring(inbox):match "^kafka%.inbox %(open, (%d+) held, room for (%d+)%)$"
      held, room = math.max(held, tonumber(n)), math.max(room, tonumber(cap))
    end
    assert.is_true(held > 0 and held < 1000, held .. " held")
    assert.is_true(room < 4000, "room for " .. room)
    c:close()
  end)
end)

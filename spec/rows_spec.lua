-- What a caller says was handled, as rows that mean "the next to read": pure.

local core = require "kafka.core"
local rows = require "kafka.rows"
local Batch = require("kafka.message").Batch
local try = require "spec.support.try"

local function row(partition, offset, metadata)
  return { topic = "t", partition = partition, offset = offset, metadata = metadata }
end

local function next_of(what) return rows.next("commit", what) end

describe("rows of what was handled", function()
  it("are the one behind a message", function()
    assert.same({ row(3, 8) }, next_of(setmetatable({ topic = "t", partition = 3, offset = 7, value = "v" }, core.message)))
  end)

  it("are where a batch says that reading goes on", function()
    local place = { topic = "t", partition = 1 }
    assert.same({ row(1, 20) }, next_of(setmetatable({ next = 20, place = place }, Batch)))
    assert.same({ row(0, 5), row(1, 6) }, next_of(setmetatable({ next = { row(0, 5), row(1, 6) } }, Batch)))
  end)

  it("are none of a batch that moved nothing", function()
    assert.same({}, next_of(setmetatable({ next = {} }, Batch)))
    assert.same({}, next_of(setmetatable({}, Batch)))
  end)

  it("stay as they are, as copies, with their metadata", function()
    local given = { row(0, 5, "note"), row(1, 0) }
    local got = next_of(given)
    assert.same(given, got)
    assert.is_true(got ~= given and got[1] ~= given[1])
  end)

  it("may be a single one", function() assert.same({ row(2, 1) }, next_of(row(2, 1))) end)
end)

describe("rows that mean nothing", function()
  local message = setmetatable({ topic = "t", partition = 0, offset = 1 }, core.message)
  for what, given in pairs {
    ["a number"] = 3,
    ["no row"] = {},
    ["a message among them"] = { message },
    ["no offset"] = { { topic = "t", partition = 0 } },
    ["an unknown field"] = { { topic = "t", partition = 0, offset = 1, ofset = 1 } },
    ["an offset below 0"] = { row(0, -1) },
    ["a partition twice"] = { row(0, 1), row(0, 2) },
  } do
    it("are refused: " .. what, function() try.misuse("commit", function() rows.next("commit", given) end) end)
  end
end)

describe("what an error about all rows names", function()
  it("is their partition or their topic, where they have but one", function()
    local other = { topic = "u", partition = 1 }
    assert.same({ op = "commit", topic = "t", partition = 1 }, rows.about("commit", { row(1) }))
    assert.same({ op = "commit", topic = "t" }, rows.about("commit", { row(1), row(2) }))
    assert.same({ op = "commit" }, rows.about("commit", { row(1), other }))
  end)
end)

describe("the first row that failed", function()
  local h = { cause = function() end, reason = function() end, facts = {} }

  it("is an error about its partition", function()
    local bad = row(1)
    bad.err = { name = "UNKNOWN_MEMBER_ID", code = 25, message = "no member" }
    local err = rows.error("commit", { row(0, 1), bad }, h)
    assert.same({ "UNKNOWN_MEMBER_ID", "t", 1 }, { err.name, err.topic, err.partition })
  end)

  it("is none where all went well", function() assert.is_nil(rows.error("commit", { row(0, 1) }, h)) end)
end)

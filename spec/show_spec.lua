-- How lists and rows look at a prompt.

local show = require "kafka.show"

local offsets = show.list({ "topic", "partition", "offset", show.maybe "metadata" }, { none = "nothing committed" })

local function rows()
  return { { topic = "first", partition = 0, offset = 7 }, { topic = "first", partition = 10 } }
end

describe("a list of rows", function()
  it("is aligned lines under their names: numbers to the right, nil a dash, no space at the end", function()
    assert.equal("  topic  partition  offset\n  first          0       7\n  first         10       -", tostring(offsets(rows())))
  end)

  it("has a column that is not always there, and errors, only where a row has them", function()
    local list = rows()
    list[2].metadata = "a note"
    list[1].err = { code = 3, name = "UNKNOWN_TOPIC_OR_PART", message = "no such topic" }
    assert.equal("  topic  partition  offset  metadata  err\n"
      .. "  first          0       7  -         UNKNOWN_TOPIC_OR_PART: no such topic\n"
      .. "  first         10       -  a note    -", tostring(offsets(list)))
  end)

  it("says that it is empty", function()
    assert.equal("nothing committed", tostring(offsets {}))
    assert.equal("none", tostring(show.list { "a" } {}))
  end)

  it("is cut after a hundred lines, and says how many there are", function()
    local list = {}
    for i = 1, 250 do list[i] = { a = i } end
    local text = tostring(show.list { "a" } (list))
    assert.truthy(text:find("100\n  ... and 150 more$"))
  end)

  it("stays the plain table it was", function()
    local list, plain = rows(), rows()
    assert.is_true(rawequal(list, offsets(list)))
    assert.same(plain, list)
    assert.equal(2, #list)
    for i, row in ipairs(list) do assert.equal("first", plain[i].topic, row.topic) end
    assert.is_nil(list.none)
  end)

  it("aligns letters of more than one byte, and joins lists in a cell", function()
    local list = show.list { "name", show.made("size", function(row) return #row.name end), "isr" } {
      { name = "Grüße", isr = { 1, 2 } }, { name = "abc", isr = {} } }
    assert.equal("  name   size  isr\n  Grüße     7  1,2\n  abc       3", tostring(list))
  end)
end)

describe("a row", function()
  it("is one line: where, then what", function()
    local list = offsets(rows())
    assert.equal("first[0]: offset 7", tostring(list[1]))
    list[2].metadata = "a note"
    assert.equal("first[10]: offset -, metadata a note", tostring(list[2]))
  end)

  it("without topic and partition is its fields", function()
    assert.equal("accepted 3, failed 0", tostring(show.row { "accepted", "failed" } { accepted = 3, failed = 0 }))
  end)

  it("that prints itself is left alone", function()
    local meta = { __tostring = function() return "mine" end }
    local list = show.list({ "id" }, { rows = false }) { setmetatable({ id = 1 }, meta) }
    assert.equal("mine", tostring(list[1]))
    assert.equal("  id\n   1", tostring(list))
  end)
end)

describe("bytes", function()
  it("are shown as they are where they are text, else as \\ddd", function()
    assert.equal("Grüße", show.bytes "Grüße")
    assert.equal("a\\010b\\000", show.bytes "a\nb\0")
    assert.equal("\\195(", show.bytes "\195(")
    assert.equal("\\194\\155", show.bytes "\194\155") -- a control character of a terminal
    assert.equal("nil", show.bytes(nil))
  end)

  it("are cut between letters, and their number told", function()
    assert.equal(("a"):rep(60), show.bytes(("a"):rep(60)))
    assert.equal(("a"):rep(60) .. "... (61 bytes)", show.bytes(("a"):rep(61)))
    assert.equal(("a"):rep(59) .. "... (61 bytes)", show.bytes(("a"):rep(59) .. "ü"))
    assert.equal(("ü"):rep(30) .. "... (80 bytes)", show.bytes(("ü"):rep(40)))
    assert.equal(("\\128"):rep(60) .. "... (70 bytes)", show.bytes(("\128"):rep(70)))
  end)
end)

describe("a time", function()
  it("is ISO 8601 with milliseconds, in UTC", function()
    assert.equal("2023-11-14T22:13:20.123Z", show.time(1700000000123))
    assert.equal("1969-12-31T23:59:59.999Z", show.time(-1))
    assert.is_nil(show.time(nil))
    assert.matches("^292278994%-08%-17T", show.time(math.maxinteger))
  end)
end)

-- Offsets that cannot be committed, and groups that there cannot be.

local core = require "kafka.core"
local kafka = require "kafka"
local misuse = require "spec.support.misuse"
local try = require "spec.support.try"

local mock, k, part, all, batch
setup(function()
  mock = assert(kafka.mock { brokers = 2, topics = { first = 2 } })
  try.fill(mock.brokers, "first", 0, 3)
  k = assert(kafka.connect { brokers = mock.brokers, fetch_wait_max_ms = 10 })
  part = assert(k:partition("first", 0))
  all = assert(k:partitions "first")
  batch = assert(part:fetch())
end)
teardown(function()
  k:close()
  mock:close()
end)

local nan = 0 / 0

-- A good row but for one field.
local function row(field, value)
  local r = { topic = "first", partition = 0, offset = 1 }
  if field then r[field] = value end
  return r
end

local function commit(field, value) return k:commit("g", { row(field, value) }) end

local function message(fields) return setmetatable(fields, core.message) end

local itself = {}
itself[1] = itself

describe("misuse of groups:", function()
  misuse.rows(it, {
    -- names
    { "commit", "no group", { "group", "nil" }, function() k:commit(nil, { row() }) end },
    { "commit", "an empty group", { "group", '""' }, function() k:commit("", { row() }) end },
    { "commit", "a group with NUL", { "group", [["g\000"]] }, function() k:commit("g\0", { row() }) end },
    { "commit", "a group that is no UTF-8", { "group", [["\255"]] }, function() k:commit("\xff", { row() }) end },
    { "commit", "a group of 32768 bytes", { "group", "(32768 bytes)" }, function() k:commit(("g"):rep(32768), { row() }) end },
    { "committed", "a number for a group", { "group", "7" }, function() k:committed(7) end },
    { "coordinator", "no group", { "group", "nil" }, function() k:coordinator() end },
    { "coordinator", "an empty group", { "group", '""' }, function() k:coordinator "" end },
    { "lag", "a table for a group", { "group", "a table" }, function() k:lag {} end },
    { "commit", "nobody's position", { "group", "nil" }, function() part:commit() end },
    { "commit", "false for a group", { "group", "false" }, function() part:commit(false) end },
    { "commit", "nobody's positions", { "group", "nil" }, function() all:commit() end },
    { "commit", "an empty group of several", { "group", '""' }, function() all:commit "" end },
    -- rows
    { "commit", "nothing", { "what", "nil" }, function() k:commit("g") end },
    { "commit", "a number", { "what", "42" }, function() k:commit("g", 42) end },
    { "commit", "no rows", { "rows", "at least one", "a table" }, function() k:commit("g", {}) end },
    { "commit", "a topic for a row", { "rows[1]", '"first"' }, function() k:commit("g", { "first" }) end },
    { "commit", "rows that hold themselves", { "rows[1]", "1" }, function() k:commit("g", itself) end },
    { "commit", "rows with a hole", { "rows", "hole" }, function() k:commit("g", { row(), nil, row("partition", 1) }) end },
    { "commit", "rows by topic", { "rows", '"first"' }, function() k:commit("g", { first = { [0] = 5 } }) end },
    { "commit", "a row without a topic", { "rows[1].topic", "nil" },
      function() k:commit("g", { { partition = 0, offset = 1 } }) end },
    { "commit", "an empty topic", { "rows[1].topic", '""' }, function() commit("topic", "") end },
    { "commit", "a topic with NUL", { "rows[1].topic", [["a\000"]] }, function() commit("topic", "a\0") end },
    { "commit", "a row without a partition", { "rows[1].partition", "nil" },
      function() k:commit("g", { { topic = "first", offset = 1 } }) end },
    { "commit", "partition -5", { "rows[1].partition", "-5" }, function() commit("partition", -5) end },
    { "commit", "partition 2^31", { "rows[1].partition", "2147483648" }, function() commit("partition", 1 << 31) end },
    { "commit", "a row without an offset", { "rows[1].offset", "nil" },
      function() k:commit("g", { { topic = "first", partition = 0 } }) end },
    { "commit", "a negative offset", { "rows[1].offset", "-1" }, function() commit("offset", -1) end },
    { "commit", "librdkafka's number of a name", { "rows[1].offset", "-1001" }, function() commit("offset", -1001) end },
    { "commit", "a named offset", { "rows[1].offset", '"latest"' }, function() commit("offset", "latest") end },
    { "commit", "an offset as a string", { "rows[1].offset", '"5"' }, function() commit("offset", "5") end },
    { "commit", "half an offset", { "rows[1].offset", "1.5" }, function() commit("offset", 1.5) end },
    { "commit", "a NaN for an offset", { "rows[1].offset", "nan" }, function() commit("offset", nan) end },
    { "commit", "offset 2^63", { "rows[1].offset", "9.2233720368548e+18" }, function() commit("offset", 2.0 ^ 63) end },
    { "commit", "a number for metadata", { "rows[1].metadata", "5" }, function() commit("metadata", 5) end },
    { "commit", "metadata with NUL", { "rows[1].metadata", [["a\000"]] }, function() commit("metadata", "a\0") end },
    { "commit", "metadata of 32768 bytes", { "rows[1].metadata", "(32768 bytes)" },
      function() commit("metadata", ("m"):rep(32768)) end },
    { "commit", "a misspelt field", { "rows[1]", '"metdata"', '"metadata"' }, function() commit("metdata", "x") end },
    { "commit", "the second row", { "rows[2].offset", "-7" },
      function() k:commit("g", { row(), { topic = "first", partition = 1, offset = -7 } }) end },
    { "commit", "the same partition twice", { "rows[2]", "rows[1]", "first[0]" },
      function() k:commit("g", { row(), row("offset", 5) }) end },
    { "commit", "a row by itself with a bad offset", { "offset", "-1" }, function() k:commit("g", row("offset", -1)) end },
    { "commit", "a row of lag", { "rows[1]", '"' },
      function() k:commit("g", { { topic = "first", partition = 0, committed = 1, latest = 3, lag = 2 } }) end },
    { "commit", "options that are none", { "options", '"m"' }, function() k:commit("g", { row() }, "m") end },
    { "commit", "metadata for all with NUL", { "metadata", "NUL" },
      function() k:commit("g", { row() }, { metadata = "a\0" }) end },
    { "commit", "a negative timeout", { "timeout", "-1" }, function() k:commit("g", { row() }, { timeout = -1 }) end },
    { "commit", "a timeout for options", { "options", "5" }, function() k:commit("g", { row() }, 5) end },
    -- messages and batches
    { "commit", "a list of messages", { "message" }, function() k:commit("g", { batch[1] }) end },
    { "commit", "a message among rows", { "message" }, function() k:commit("g", { row("partition", 1), batch[1] }) end },
    { "commit", "a message without an offset", { "message's offset", "nil" },
      function() k:commit("g", message { topic = "first", partition = 0 }) end },
    { "commit", "a message with an offset as a string", { "message's offset", '"1"' },
      function() k:commit("g", message { topic = "first", partition = 0, offset = "1" }) end },
    { "commit", "a message at the last offset", { "message's offset", "9223372036854775807" },
      function() k:commit("g", message { topic = "first", partition = 0, offset = math.maxinteger }) end },
    { "commit", "a message without a partition", { "partition", "nil" },
      function() k:commit("g", message { topic = "first", offset = 1 }) end },
    { "commit", "a batch that was changed", { "offset", '"3"' },
      function() k:commit("g", setmetatable({ next = "3", place = batch.place }, getmetatable(batch))) end },
    { "commit", "a batch without its place", { "place", "nil" },
      function() k:commit("g", setmetatable({ next = 3 }, getmetatable(batch))) end },
    -- positions
    { "commit", "a number for a position's metadata", { "metadata", "5" }, function() part:commit("g", 5) end },
    { "commit", "NUL in a position's metadata", { "metadata", [["\000"]] }, function() part:commit("g", "\0") end },
    { "commit", "a position's timeout", { "timeout", "nan" }, function() part:commit("g", nil, nan) end },
    { "commit", "a number for the positions' metadata", { "metadata", "5" }, function() all:commit("g", 5) end },
    { "commit", "the positions' timeout", { "timeout", '"1"' }, function() all:commit("g", nil, "1") end },
    -- what was committed
    { "committed", "a topic for rows", { "rows", '"first"' }, function() k:committed("g", "first") end },
    { "committed", "no rows", { "rows", "at least one" }, function() k:committed("g", {}) end },
    { "committed", "a row without a partition", { "rows[1].partition", "nil" },
      function() k:committed("g", { { topic = "first" } }) end },
    { "committed", "a negative partition", { "rows[1].partition", "-1" },
      function() k:committed("g", { { topic = "first", partition = -1 } }) end },
    { "committed", "the same partition twice", { "rows[2]", "first[0]" }, function() k:committed("g", { row(), row() }) end },
    { "committed", "a negative timeout", { "timeout", "-1" }, function() k:committed("g", nil, -1) end },
    { "committed", "a timeout for rows", { "rows", "5" }, function() k:committed("g", 5) end },
    { "coordinator", "a NaN for a timeout", { "timeout", "nan" }, function() k:coordinator("g", nan) end },
    { "lag", "a timeout as a string", { "timeout", '"1"' }, function() k:lag("g", "1") end },
  })
end)

describe("misuse of groups", function()
  it("commits nothing and opens nothing", function()
    assert.same({}, k.group_handles)
    assert.is_nil(assert(k:committed("g", { row() }))[1].offset)
  end)

  it("lets pass offsets written as fractions, and what was committed before", function()
    assert(k:commit("g", { row("offset", 2.0) }))
    local rows = assert(k:committed("g", { row() }))
    assert.equal(2, rows[1].offset)
    assert(k:commit("g", rows))
    assert(k:commit("g", batch))
    assert(k:commit("g", all:positions()))
  end)
end)

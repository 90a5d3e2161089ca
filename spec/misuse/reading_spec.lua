-- Partitions that cannot be read so, and questions that no cluster could be asked.

local kafka = require "kafka"
local misuse = require "spec.support.misuse"
local try = require "spec.support.try"

local mock, k, part, all, message
setup(function()
  mock = assert(kafka.mock { brokers = 2, topics = { first = 2 } })
  try.fill(mock.brokers, "first", 0, 3)
  k = assert(kafka.connect { brokers = mock.brokers, fetch_wait_max_ms = 10 })
  part = assert(k:partition("first", 0))
  all = assert(k:partitions "first")
  local other <close> = assert(k:partition("first", 0))
  message = assert(other:fetch { max_messages = 1 })[1]
end)
teardown(function()
  k:close()
  mock:close()
end)

local nan = 0 / 0

local function open(options) return k:partition("first", 0, options) end

local function fetch(options) return part:fetch(options) end

describe("misuse of reading:", function()
  misuse.rows(it, {
    -- opening
    { "partition", "no topic", { "topic", "nil" }, function() k:partition() end },
    { "partition", "an empty topic", { "topic", '""' }, function() k:partition("", 0) end },
    { "partition", "no partition", { "partition", "nil" }, function() k:partition "first" end },
    { "partition", "partition -5", { "partition", "0 to 2147483647", "-5" }, function() k:partition("first", -5) end },
    { "partition", "partition 2^31", { "partition", "2147483648" }, function() k:partition("first", 1 << 31) end },
    { "partition", "a partition as a string", { "partition", '"0"' }, function() k:partition("first", "0") end },
    { "partition", "half a partition", { "partition", "0.5" }, function() k:partition("first", 0.5) end },
    { "partition", "an unknown start", { "offset", "earliest", '"begin"' }, function() open { offset = "begin" } end },
    { "partition", "a start as a string", { "offset", '"3"' }, function() open { offset = "3" } end },
    { "partition", "a start of half a message", { "offset", "1.5" }, function() open { offset = 1.5 } end },
    { "partition", "a NaN for a start", { "offset", "nan" }, function() open { offset = nan } end },
    { "partition", "a start at 2^63", { "offset", "9.2233720368548e+18" }, function() open { offset = 2.0 ^ 63 } end },
    { "partition", "the smallest integer for a start", { "offset", "-9223372036854775808" },
      function() open { offset = math.mininteger } end },
    { "partition", "false for a start", { "offset", "false" }, function() open { offset = false } end },
    { "partition", "committed without a group", { "committed", "group" }, function() open { offset = "committed" } end },
    { "partition", "committed where nothing is", { "otherwise", '"committed"' },
      function() open { group = "g", otherwise = "committed" } end },
    { "partition", "an empty group", { "group", '""' }, function() open { group = "" } end },
    { "partition", "a group with NUL", { "group", [["g\000"]] }, function() open { group = "g\0" } end },
    { "partition", "a group that is no UTF-8", { "group", [["\255"]] }, function() open { group = "\xff" } end },
    { "partition", "an unknown option", { '"ofset"', '"offset"' }, function() open { ofset = 1 } end },
    { "partition", "an offset for options", { "options", "7" }, function() open(7) end },
    { "partition", "a negative timeout", { "timeout", "-1" }, function() open { timeout = -1 } end },
    { "partitions", "no topic", { "topic", "nil" }, function() k:partitions() end },
    { "partitions", "a topic of 250 bytes", { "topic", "(250 bytes)" }, function() k:partitions(("t"):rep(250)) end },
    { "partitions", "an unknown start", { "offset", '"first"' }, function() k:partitions("first", { offset = "first" }) end },
    { "partitions", "a number for options", { "options", "0" }, function() k:partitions("first", 0) end },
    { "partitions", "a NaN for a timeout", { "timeout", "nan" }, function() k:partitions("first", { timeout = nan }) end },
    { "partitions", "committed without a group", { "group" }, function() k:partitions("first", { offset = "committed" }) end },
    -- fetching
    { "fetch", "a negative number of bytes", { "max_bytes", "at least 0", "-1" }, function() fetch { max_bytes = -1 } end },
    { "fetch", "bytes as a string", { "max_bytes", '"64000"' }, function() fetch { max_bytes = "64000" } end },
    { "fetch", "bytes without end", { "max_bytes", "inf" }, function() fetch { max_bytes = math.huge } end },
    { "fetch", "no message at all", { "max_messages", "1 to 1000000", "0" }, function() fetch { max_messages = 0 } end },
    { "fetch", "half a message", { "max_messages", "0.5" }, function() fetch { max_messages = 0.5 } end },
    { "fetch", "a NaN for a timeout", { "timeout", "nan" }, function() fetch { timeout = nan } end },
    { "fetch", "a negative timeout", { "timeout", "-1" }, function() fetch { timeout = -1 } end },
    { "fetch", "a timeout for options", { "options", "5" }, function() fetch(5) end },
    { "fetch", "an unknown option", { '"max_byte"', '"max_bytes"' }, function() fetch { max_byte = 1 } end },
    { "fetch", "an unknown column", { '"values"', '"value"' }, function() fetch { columns = { "values" } } end },
    { "fetch", "a number for a column", { "column", "1" }, function() fetch { columns = { 1 } } end },
    { "fetch", "one column by itself", { "columns", '"value"' }, function() fetch { columns = "value" } end },
    { "fetch", "no column", { "columns", "1 to 8" }, function() fetch { columns = {} } end },
    { "fetch", "nine columns", { "columns", "1 to 8" }, function()
      local nine = {}
      for i = 1, 9 do nine[i] = "value" end
      fetch { columns = nine }
    end },
    { "fetch", "columns with a hole", { "columns" }, function() fetch { columns = { "key", nil, "value" } } end },
    { "fetch", "columns by name", { "columns", '"value"' }, function() fetch { columns = { value = true } } end },
    { "fetch", "an unknown column of several partitions", { '"keys"', '"key"' },
      function() all:fetch { columns = { "keys" } } end },
    { "fetch", "a string for options of several partitions", { "options", '"x"' }, function() all:fetch "x" end },
    -- moving
    { "seek", "nowhere", { "offset", "nil" }, function() part:seek() end },
    { "seek", "an unknown place", { "offset", '"end"' }, function() part:seek "end" end },
    { "seek", "the committed place", { "offset", '"committed"' }, function() part:seek "committed" end },
    { "seek", "an offset as a string", { "offset", '"5"' }, function() part:seek "5" end },
    { "seek", "half an offset", { "offset", "5.5" }, function() part:seek(5.5) end },
    { "seek", "2^63", { "offset", "e+18" }, function() part:seek(2.0 ^ 63) end },
    { "seek", "a timeout that is none", { "timeout", '"1"' }, function() part:seek(0, "1") end },
    { "seek", "a partition that is not read", { "partition", "one of the 2", "9" }, function() all:seek(9, 0) end },
    { "seek", "no partition", { "partition", "nil" }, function() all:seek() end },
    { "seek", "an unknown place in a partition", { "offset", '"now"' }, function() all:seek(0, "now") end },
    { "seek", "a NaN for a timeout", { "timeout", "nan" }, function() all:seek(0, 0, nan) end },
    { "position", "a partition that is not read", { "partition", "9" }, function() all:position(9) end },
    { "position", "a partition as a string", { "partition", '"0"' }, function() all:position "0" end },
    { "pause", "a partition that is not read", { "partition", "-1" }, function() all:pause(-1) end },
    { "pause", "no partition", { "partition", "nil" }, function() all:pause() end },
    { "resume", "half a partition", { "partition", "0.5" }, function() all:resume(0.5) end },
    -- questions
    { "topic", "no name", { "topic", "nil" }, function() k:topic() end },
    { "topic", "a negative timeout", { "timeout", "-1" }, function() k:topic("first", -1) end },
    { "topic", "options", { "timeout", "a table" }, function() k:topic("first", { timeout = 1 }) end },
    { "metadata", "an empty topic", { "topic", '""' }, function() k:metadata "" end },
    { "metadata", "true", { "topic", "true" }, function() k:metadata(true) end },
    { "metadata", "a timeout as a string", { "timeout", '"1"' }, function() k:metadata(nil, "1") end },
    { "brokers", "a NaN", { "timeout", "nan" }, function() k:brokers(nan) end },
    { "controller", "a negative timeout", { "timeout", "-1" }, function() k:controller(-1) end },
    { "cluster_id", "a boolean", { "timeout", "true" }, function() k:cluster_id(true) end },
    { "watermarks", "a number for a topic", { "topic", "7" }, function() k:watermarks(7, 0) end },
    { "watermarks", "no partition", { "partition", "nil" }, function() k:watermarks "first" end },
    { "watermarks", "a negative partition", { "partition", "-1" }, function() k:watermarks("first", -1) end },
    { "ends", "a number for a topic", { "topic", "7" }, function() k:ends(7) end },
    { "ends", "a row without a partition", { "partition", "nil" }, function() k:ends { { topic = "first" } } end },
    { "ends", "a timeout that is none", { "timeout", '"1"' }, function() k:ends("first", "1") end },
    { "watermarks", "a timeout that is none", { "timeout", "a table" }, function() k:watermarks("first", 0, {}) end },
    { "offsets_at", "no timestamp", { "timestamp", "nil" }, function() k:offsets_at "first" end },
    { "offsets_at", "a time in seconds", { "timestamp", "milliseconds", "1700000000" },
      function() k:offsets_at("first", 1700000000) end },
    { "offsets_at", "a negative time", { "timestamp", "-1" }, function() k:offsets_at("first", -1) end },
    { "offsets_at", "a time as a string", { "timestamp", '"now"' }, function() k:offsets_at("first", "now") end },
    { "offsets_at", "an infinite time", { "timestamp", "inf" }, function() k:offsets_at("first", math.huge) end },
    { "offsets_at", "a NaN for a timeout", { "timeout", "nan" }, function() k:offsets_at("first", 1.7e12, nan) end },
    { "create_topic", "nothing", { "options", "nil" }, function() k:create_topic() end },
    { "create_topic", "a name by itself", { "options", '"x"' }, function() k:create_topic "x" end },
    { "create_topic", "no name", { "name", "nil" }, function() k:create_topic {} end },
    { "create_topic", "a name with a blank", { "name", '"a b"' }, function() k:create_topic { name = "a b" } end },
    { "create_topic", "no partitions", { "partitions", "1 to", "0" },
      function() k:create_topic { name = "x", partitions = 0 } end },
    { "create_topic", "no replica", { "replication_factor", "0" },
      function() k:create_topic { name = "x", replication_factor = 0 } end },
    { "create_topic", "settings that are none", { "config", '"x"' }, function() k:create_topic { name = "x", config = "x" } end },
    { "create_topic", "a setting that is a table", { "retention.ms", "a table" },
      function() k:create_topic { name = "x", config = { ["retention.ms"] = {} } } end },
    { "create_topic", "a setting that is a function", { "retention.ms", "a function" },
      function() k:create_topic { name = "x", config = { ["retention.ms"] = print } } end },
    { "create_topic", "a setting that is a NaN", { "retention.ms", "nan" },
      function() k:create_topic { name = "x", config = { ["retention.ms"] = nan } } end },
    { "create_topic", "a setting without a name", { "setting", "1" },
      function() k:create_topic { name = "x", config = { "compact" } } end },
    { "create_topic", "an unknown option", { '"partition"', '"partitions"' },
      function() k:create_topic { name = "x", partition = 1 } end },
    { "close", "a negative timeout", { "timeout", "-1" }, function() k:close(-1) end },
    -- pictures and messages
    { "partition", "a name in a topic", { "partition", '"0"' }, function() assert(k:topic "first"):partition "0" end },
    { "partition", "nothing in a topic", { "partition", "nil" }, function() assert(k:topic "first"):partition() end },
    { "topic", "a number in a picture", { "topic", "1" }, function() assert(k:metadata()):topic(1) end },
    { "header", "a number", { "name", "1" }, function() message:header(1) end },
    { "header", "nothing", { "name", "nil" }, function() message:header() end },
  })
end)

describe("misuse of reading", function()
  it("opens nothing and moves nothing", function()
    local feeds = 0
    for _ in pairs(k.feeds) do feeds = feeds + 1 end
    assert.is_true(feeds <= 3)
    assert.equal(0, part:position())
    assert.equal(3, #assert(part:fetch { max_messages = 3.0, max_bytes = 1e6, timeout = math.huge }))
    assert.equal(0, all:position(1.0))
  end)
end)

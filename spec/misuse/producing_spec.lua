-- Messages that cannot be produced: refused before any of them is accepted.

local kafka = require "kafka"
local misuse = require "spec.support.misuse"

local mock, p
setup(function()
  mock = assert(kafka.mock { topics = { first = 2 } })
  p = assert(kafka.producer { brokers = mock.brokers })
end)
teardown(function()
  p:close()
  mock:close()
end)

local nan = 0 / 0

local function many(options, values) return p:produce_many("first", values or { "a", "b" }, options) end

local itself = {}
itself[1] = itself

describe("misuse of a producer:", function()
  misuse.rows(it, {
    -- topics
    { "produce", "an empty topic", { "topic", '""' }, function() p:produce("", "v") end },
    { "produce", "a topic that is no ASCII", { "topic", [["\255"]] }, function() p:produce("\xff", "v") end },
    { "produce", "a topic with NUL", { "topic", [["a\000b"]] }, function() p:produce("a\0b", "v") end },
    { "produce", "a topic of two lines", { "topic", [["a\010b"]] }, function() p:produce("a\nb", "v") end },
    { "produce", "a topic with a slash", { "topic", '"a/b"' }, function() p:produce("a/b", "v") end },
    { "produce", "a topic of 250 bytes", { "topic", "249", "(250 bytes)" }, function() p:produce(("t"):rep(250), "v") end },
    { "produce", "the topic of this folder", { "topic", '"."' }, function() p:produce(".", "v") end },
    { "produce", "the topic above it", { "topic", '".."' }, function() p:produce("..", "v") end },
    { "produce", "no topic", { "topic", "nil" }, function() p:produce() end },
    { "produce", "a number for a topic", { "topic", "7" }, function() p:produce(7, "v") end },
    { "send", "a table for a topic", { "topic", "a table" }, function() p:send({ "first" }, "v") end },
    { "send", "no topic", { "topic", "nil" }, function() p:send(nil, "v", {}) end },
    { "produce_many", "an empty topic", { "topic", '""' }, function() p:produce_many("", { "v" }) end },
    { "produce_many", "no topic", { "topic", "nil" }, function() p:produce_many(nil, { "v" }) end },
    -- values and keys
    { "produce", "a number for a value", { "value", "a string or nil", "42" }, function() p:produce("first", 42) end },
    { "produce", "false for a value", { "value", "false" }, function() p:produce("first", false) end },
    { "produce", "a file for a value", { "value", "a userdata" }, function() p:produce("first", io.stdout) end },
    { "send", "a table for a value", { "value", "a table" }, function() p:send("first", {}) end },
    { "produce", "a number for a key", { "key", "a string", "7" }, function() p:produce("first", "v", { key = 7 }) end },
    { "produce", "a boolean for a key", { "key", "true" }, function() p:produce("first", "v", { key = true }) end },
    -- partitions
    { "produce", "partition -5", { "partition", "0 to 2147483647", "-5" },
      function() p:produce("first", "v", { partition = -5 }) end },
    { "produce", "partition -1", { "partition", "-1" }, function() p:produce("first", "v", { partition = -1 }) end },
    { "produce", "partition 2^31", { "partition", "2147483648" },
      function() p:produce("first", "v", { partition = 1 << 31 }) end },
    { "produce", "partition 2^32", { "partition", "4294967296" },
      function() p:produce("first", "v", { partition = 1 << 32 }) end },
    { "produce", "the smallest integer", { "partition", "-9223372036854775808" },
      function() p:produce("first", "v", { partition = math.mininteger }) end },
    { "produce", "partition 2^53 as a fraction", { "partition", "e+15" },
      function() p:produce("first", "v", { partition = 2 ^ 53 }) end },
    { "produce", "a partition as a string", { "partition", '"3"' }, function() p:produce("first", "v", { partition = "3" }) end },
    { "produce", "half a partition", { "partition", "0.5" }, function() p:produce("first", "v", { partition = 0.5 }) end },
    { "produce", "a NaN for a partition", { "partition", "nan" }, function() p:produce("first", "v", { partition = nan }) end },
    { "send", "an infinite partition", { "partition", "inf" }, function() p:send("first", "v", { partition = math.huge }) end },
    -- timestamps
    { "produce", "a timestamp in seconds", { "timestamp", "milliseconds", "1700000000" },
      function() p:produce("first", "v", { timestamp = 1700000000 }) end },
    { "produce", "a timestamp of now", { "timestamp", "milliseconds" },
      function() p:produce("first", "v", { timestamp = os.time() }) end },
    { "produce", "a negative timestamp", { "timestamp", "-1" }, function() p:produce("first", "v", { timestamp = -1 }) end },
    { "produce", "the timestamp 0", { "timestamp", "0" }, function() p:produce("first", "v", { timestamp = 0 }) end },
    { "produce", "a timestamp as a string", { "timestamp", '"1700000000000"' },
      function() p:produce("first", "v", { timestamp = "1700000000000" }) end },
    { "produce", "a timestamp with a fraction", { "timestamp", "1700000000000.5" },
      function() p:produce("first", "v", { timestamp = 1700000000000.5 }) end },
    { "produce", "a NaN for a timestamp", { "timestamp", "nan" }, function() p:produce("first", "v", { timestamp = nan }) end },
    { "produce", "a timestamp of 2^63", { "timestamp", "9.2233720368548e+18" },
      function() p:produce("first", "v", { timestamp = 2.0 ^ 63 }) end },
    -- headers
    { "produce", "headers that are a string", { "headers", "a table", '"a"' },
      function() p:produce("first", "v", { headers = "a" }) end },
    { "produce", "headers by name", { "headers", "list", '"a"' },
      function() p:produce("first", "v", { headers = { a = "1" } }) end },
    { "produce", "a header by name behind others", { "headers", "list", '"b"' },
      function() p:produce("first", "v", { headers = { { "a", "1" }, b = "2" } }) end },
    { "produce", "headers from 0", { "headers", "list", "0" },
      function() p:produce("first", "v", { headers = { [0] = { "a" }, { "b" } } }) end },
    { "produce", "headers with a hole", { "header" },
      function() p:produce("first", "v", { headers = { { "a" }, nil, { "b" } } }) end },
    { "produce", "a header that is no pair", { "each header", '"a"' },
      function() p:produce("first", "v", { headers = { "a" } }) end },
    { "produce", "headers that hold themselves", { "header", "a table" },
      function() p:produce("first", "v", { headers = itself }) end },
    { "produce", "a header with a third entry", { "each header", "3" },
      function() p:produce("first", "v", { headers = { { "a", "b", "c" } } }) end },
    { "produce", "a header with fields", { "each header", '"value"' },
      function() p:produce("first", "v", { headers = { { "a", value = "b" } } }) end },
    { "produce", "a header without a name", { "a header's name", "nil" },
      function() p:produce("first", "v", { headers = { {} } }) end },
    { "produce", "a number for a header's name", { "a header's name", "42" },
      function() p:produce("first", "v", { headers = { { 42, "v" } } }) end },
    { "produce", "a header's name with NUL", { "a header's name", [["a\000"]] },
      function() p:produce("first", "v", { headers = { { "a\0", "v" } } }) end },
    { "produce", "a number for a header's value", { "a header's value", "42" },
      function() p:produce("first", "v", { headers = { { "h", 42 } } }) end },
    { "send", "a boolean for a header's value", { "a header's value", "false" },
      function() p:send("first", "v", { headers = { { "h", false } } }) end },
    -- options
    { "produce", "a string for options", { "options", "a table", '"key"' }, function() p:produce("first", "v", "key") end },
    { "produce", "a number for options", { "options", "5" }, function() p:produce("first", "v", 5) end },
    { "send", "false for options", { "options", "false" }, function() p:send("first", "v", false) end },
    { "produce", "an unknown option", { '"kye"', '"key"' }, function() p:produce("first", "v", { kye = "k" }) end },
    { "produce", "an option at 1", { "option", "1" }, function() p:produce("first", "v", { "key" }) end },
    { "produce", "an option of another call", { '"n"' }, function() p:produce("first", "v", { n = 1 }) end },
    { "produce", "an option without end", { "(300 bytes)" }, function() p:produce("first", "v", { [("k"):rep(300)] = 1 }) end },
    { "produce", "an option with NUL", { [["key\000"]] }, function() p:produce("first", "v", { ["key\0"] = "k" }) end },
    { "produce", "a handler that is none", { "on_delivery", "a function", '"f"' },
      function() p:produce("first", "v", { on_delivery = "f" }) end },
    { "produce", "a NaN for a timeout", { "timeout", "0 or more", "nan" },
      function() p:produce("first", "v", { timeout = nan }) end },
    { "send", "a negative timeout", { "timeout", "-0.5" }, function() p:send("first", "v", { timeout = -0.5 }) end },
    { "send", "a timeout as a string", { "timeout", '"1"' }, function() p:send("first", "v", { timeout = "1" }) end },
    { "send", "a number for options", { "options", "5" }, function() p:send("first", "v", 5) end },
    { "send", "negative eternity", { "timeout", "-inf" }, function() p:send("first", "v", { timeout = -math.huge }) end },
    -- what is under way
    { "flush", "a timeout as a string", { "timeout", '"1"' }, function() p:flush "1" end },
    { "flush", "a negative timeout", { "timeout", "-1" }, function() p:flush(-1) end },
    { "flush", "options", { "timeout", "a table" }, function() p:flush { timeout = 1 } end },
    { "poll", "a NaN", { "timeout", "nan" }, function() p:poll(nan) end },
    { "poll", "false", { "timeout", "false" }, function() p:poll(false) end },
    { "close", "a NaN", { "timeout", "nan" }, function() p:close(nan) end },
    { "close", "a negative timeout", { "timeout", "-1" }, function() p:close(-1) end },
  })
end)

describe("misuse of many messages:", function()
  misuse.rows(it, {
    { "produce_many", "no values", { "values", "a table", "nil" }, function() p:produce_many("first") end },
    { "produce_many", "a string for values", { "values", '"v"' }, function() p:produce_many("first", "v") end },
    { "produce_many", "a number among values", { "values[2]", "2.5" }, function() many(nil, { "a", 2.5 }) end },
    { "produce_many", "values that hold themselves", { "values[1]", "a table" }, function() many(nil, itself) end },
    { "produce_many", "values with a name", { "values", '"x"' }, function() many(nil, { "a", x = "b" }) end },
    { "produce_many", "values from 0", { "values", "0" }, function() many(nil, { [0] = "a", "b" }) end },
    { "produce_many", "values far apart", { "values", "n", "1000" }, function() many(nil, { "a", [1000] = "b" }) end },
    { "produce_many", "values beyond n", { "values", "1 to 1", "2" }, function() many { n = 1 } end },
    { "produce_many", "values between integers", { "values", "1.5" }, function() many(nil, { "a", [1.5] = "b" }) end },
    { "produce_many", "a string for keys", { "keys", "a table", '"k"' }, function() many { keys = "k" } end },
    { "produce_many", "a boolean among keys", { "keys[1]", "true" }, function() many { keys = { true } } end },
    { "produce_many", "more keys than values", { "keys", "1 to 2", "3" }, function() many { keys = { "a", "b", "c" } } end },
    { "produce_many", "keys by name", { "keys", '"a"' }, function() many { keys = { a = "b" } } end },
    { "produce_many", "a negative partition", { "partitions[1]", "-1" }, function() many { partitions = { -1 } } end },
    { "produce_many", "a partition as a string", { "partitions[2]", '"0"' }, function() many { partitions = { 0, "0" } } end },
    { "produce_many", "partition 2^31", { "partitions[2]", "2147483648" }, function() many { partitions = { 0, 1 << 31 } } end },
    { "produce_many", "one partition for all", { "partitions", "a table", "0" }, function() many { partitions = 0 } end },
    { "produce_many", "a timestamp in seconds", { "timestamp", "1700000000" },
      function() many { timestamps = { 1700000000 } } end },
    { "produce_many", "headers of one message for all", { "header" }, function() many { headers = { { "a", "1" } } } end },
    { "produce_many", "a header's value", { "a header's value", "1" }, function() many { headers = { { { "a", 1 } } } } end },
    { "produce_many", "a negative n", { "n", "-1" }, function() many { n = -1 } end },
    { "produce_many", "n as a string", { "n", '"2"' }, function() many { n = "2" } end },
    { "produce_many", "half of n", { "n", "1.5" }, function() many { n = 1.5 } end },
    { "produce_many", "a NaN for n", { "n", "nan" }, function() many { n = nan } end },
    { "produce_many", "n without end", { "n", "9223372036854775807" }, function() many { n = math.maxinteger } end },
    { "produce_many", "a key for all", { '"key"', '"keys"' }, function() many { key = "k" } end },
    { "produce_many", "a handler that is none", { "on_delivery", "1" }, function() many { on_delivery = 1 } end },
    { "produce_many", "a negative timeout", { "timeout", "-1" }, function() many { timeout = -1 } end },
    { "produce_many", "a number for options", { "options", "2" }, function() many(2) end },
  })
end)

describe("misuse of a producer", function()
  it("accepts nothing and breaks nothing", function()
    assert.same({ 0, 0 }, { p:counts().accepted, p:pending() })
    assert(p:send("first", "v"))
    assert.equal(1, p:counts().accepted)
  end)

  it("keeps no ticket", function()
    local before = p.handle.last_ticket
    for _ = 1, 20 do
      pcall(p.send, p, "first", 42, { on_delivery = print })
      pcall(p.produce, p, "first", 42, { tag = 1 })
      pcall(p.produce_many, p, "first", { 42 }, { on_delivery = print })
    end
    assert.is_true(p.handle.last_ticket <= before + 2)
  end)

  it("lets pass integers written as fractions, and times without end", function()
    local report = assert(p:send("first", "v", { partition = 1.0, timestamp = 1.7e12, timeout = math.huge }))
    assert.same({ 1, "integer" }, { report.partition, math.type(report.partition) })
    assert(p:send("first", nil, { timeout = math.maxinteger, headers = {} }))
    assert.equal(3, assert(p:produce_many("first", { "a", nil, "c" }, { n = 3.0, keys = { nil, "k" } })))
    assert(p:flush(math.maxinteger))
  end)
end)

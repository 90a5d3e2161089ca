-- Misuse raises one line that names the argument and its value, at the caller's own line; the world failing returns nil, err
-- within its time.

local kafka = require "kafka"
local try = require "spec.support.try"

local quiet = function() end
local mock, p, k, part, all
local closed_p, closed_k, closed_part

setup(function()
  mock = assert(kafka.mock { brokers = 2, topics = { first = 2 } })
  p = assert(kafka.producer { brokers = mock.brokers })
  k = assert(kafka.connect { brokers = mock.brokers, fetch_wait_max_ms = 10 })
  part = assert(k:partition("first", 0))
  all = assert(k:partitions "first")
  closed_p = assert(kafka.producer { brokers = mock.brokers })
  closed_p:close()
  closed_k = assert(kafka.connect { brokers = mock.brokers, fetch_wait_max_ms = 10 })
  closed_part = assert(closed_k:partition("first", 0))
  closed_k:close()
end)
teardown(function()
  part:close()
  all:close()
  k:close()
  p:close()
  mock:close()
end)

local nan = 0 / 0

-- what is wrong, words of the message, the call
local rows = {
  -- constructors
  { "no table", { "kafka.producer", "a table", "nil" }, function() kafka.producer() end },
  { "a string for a table", { "kafka.connect", '"localhost:9092"' }, function() kafka.connect "localhost:9092" end },
  { "no brokers", { "brokers", "nil" }, function() kafka.producer {} end },
  { "brokers as a list", { "brokers", "a table" }, function() kafka.producer { brokers = { "localhost:9092" } } end },
  { "empty brokers", { "brokers", '""' }, function() kafka.producer { brokers = "" } end },
  { "a broker without a port", { "port", "localhost" }, function() kafka.producer { brokers = "localhost" } end },
  { "a port that is none", { "port", "99999" }, function() kafka.connect { brokers = "localhost:99999" } end },
  { "an unknown setting", { "linger_mss", "linger.ms" },
    function() kafka.producer { brokers = "h:1", linger_mss = 1 } end },
  { "an unknown own option", { "on_delivry", '"on_delivery"' },
    function() kafka.producer { brokers = "h:1", on_delivry = print } end },
  { "a number as a setting's name", { "setting", "42" }, function() kafka.producer { brokers = "h:1", [42] = 1 } end },
  { "a handler that is none", { "on_error", "a function", "true" },
    function() kafka.connect { brokers = "h:1", on_error = true } end },
  { "a loop that is none", { "loop", '"luv"' }, function() kafka.connect { brokers = "h:1", loop = "luv" } end },
  { "a negative timeout of connect", { "timeout", "-1" }, function() kafka.connect { brokers = "h:1", timeout = -1 } end },
  { "a mock of no brokers", { "brokers", "0" }, function() kafka.mock { brokers = 0 } end },
  { "a mock of half a broker", { "brokers", "1.5" }, function() kafka.mock { brokers = 1.5 } end },
  { "an unknown option of a mock", { "broker", '"brokers"' }, function() kafka.mock { broker = 1 } end },
  { "a mock's topic without partitions", { "first", "0" }, function() kafka.mock { topics = { first = 0 } } end },
  -- topics
  { "an empty topic", { "topic", '""' }, function() p:produce("", "v") end },
  { "a topic of strange bytes", { "topic", [["\255"]] }, function() p:produce("\xff", "v") end },
  { "a topic with a NUL", { "topic", [["a\000b"]] }, function() p:produce("a\0b", "v") end },
  { "a topic of 250 bytes", { "topic", "250 bytes" }, function() p:produce(("t"):rep(250), "v") end },
  { "a topic that is only dots", { "topic", '".."' }, function() k:topic ".." end },
  { "no topic", { "topic", "nil" }, function() p:produce() end },
  { "a table for a topic", { "topic", "a table" }, function() p:send({ "first" }, "v") end },
  { "a number for a topic", { "topic", "7" }, function() k:watermarks(7, 0) end },
  -- producing
  { "a number as value", { "value", "42" }, function() p:produce("first", 42) end },
  { "a table as value", { "value", "a table" }, function() p:send("first", {}) end },
  { "a number as key", { "key", "7" }, function() p:produce("first", "v", { key = 7 }) end },
  { "a negative partition", { "partition", "-5" }, function() p:produce("first", "v", { partition = -5 }) end },
  { "a partition beyond 32 bits", { "partition", "4294967296" },
    function() p:produce("first", "v", { partition = 4294967296 }) end },
  { "a partition as a string", { "partition", '"3"' }, function() p:produce("first", "v", { partition = "3" }) end },
  { "half a partition", { "partition", "0.5" }, function() p:produce("first", "v", { partition = 0.5 }) end },
  { "a timestamp in seconds", { "timestamp", "milliseconds", "1700000000" },
    function() p:produce("first", "v", { timestamp = 1700000000 }) end },
  { "a timestamp as a string", { "timestamp", '"now"' }, function() p:produce("first", "v", { timestamp = "now" }) end },
  { "headers by name", { "headers", "list" }, function() p:produce("first", "v", { headers = { a = "1" } }) end },
  { "a header that is no pair", { "header", '"a"' }, function() p:produce("first", "v", { headers = { "a" } }) end },
  { "a header's name that is none", { "header", "42" }, function() p:produce("first", "v", { headers = { { 42, "v" } } }) end },
  { "a header's value that is none", { "header", "42" }, function() p:produce("first", "v", { headers = { { "h", 42 } } }) end },
  { "a string for options", { "options", '"key"' }, function() p:produce("first", "v", "key") end },
  { "an unknown option", { "kye", '"key"' }, function() p:produce("first", "v", { kye = "k" }) end },
  { "a handler of a message that is none", { "on_delivery", '"f"' },
    function() p:produce("first", "v", { on_delivery = "f" }) end },
  { "a NaN for a timeout", { "timeout", "nan" }, function() p:send("first", "v", { timeout = nan }) end },
  { "a negative timeout", { "timeout", "-0.5" }, function() p:send("first", "v", { timeout = -0.5 }) end },
  { "a timeout as a string", { "timeout", '"1"' }, function() p:flush "1" end },
  { "a negative timeout of flush", { "timeout", "-1" }, function() p:flush(-1) end },
  { "a NaN for poll", { "timeout", "nan" }, function() p:poll(nan) end },
  { "a NaN for close", { "timeout", "nan" }, function() p:close(nan) end },
  { "values that are no list", { "values", '"v"' }, function() p:produce_many("first", "v") end },
  { "a value in a list", { "value", "2.5" }, function() p:produce_many("first", { "a", 2.5 }) end },
  { "a column that is no list", { "keys", '"k"' }, function() p:produce_many("first", { "a" }, { keys = "k" }) end },
  { "a key in a column", { "key", "true" }, function() p:produce_many("first", { "a" }, { keys = { true } }) end },
  { "a partition in a column", { "partition", "-1" },
    function() p:produce_many("first", { "a" }, { partitions = { -1 } }) end },
  { "n that is none", { "n", "-1" }, function() p:produce_many("first", {}, { n = -1 }) end },
  -- reading
  { "a negative partition to read", { "partition", "-1" }, function() k:partition("first", -1) end },
  { "no partition to read", { "partition", "nil" }, function() k:partition "first" end },
  { "an unknown start", { "offset", '"begin"' }, function() k:partition("first", 0, { offset = "begin" }) end },
  { "a start of half a message", { "offset", "1.5" }, function() k:partition("first", 0, { offset = 1.5 }) end },
  { "committed without a group", { "committed", "group" },
    function() k:partition("first", 0, { offset = "committed" }) end },
  { "an empty group", { "group", '""' }, function() k:partition("first", 0, { group = "" }) end },
  { "an unknown option of partition", { "ofset", '"offset"' }, function() k:partition("first", 0, { ofset = 1 }) end },
  { "negative max_bytes", { "max_bytes", "-1" }, function() part:fetch { max_bytes = -1 } end },
  { "no message at all", { "max_messages", "0" }, function() part:fetch { max_messages = 0 } end },
  { "a NaN for fetch", { "timeout", "nan" }, function() part:fetch { timeout = nan } end },
  { "a number for fetch", { "options", "5" }, function() part:fetch(5) end },
  { "an unknown column", { "column", '"values"' }, function() part:fetch { columns = { "values" }, timeout = 0 } end },
  { "columns that are no list", { "columns", '"value"' }, function() part:fetch { columns = "value" } end },
  { "an unknown place to seek", { "offset", '"end"' }, function() part:seek "end" end },
  { "nowhere to seek", { "offset", "nil" }, function() part:seek() end },
  { "a partition that is not read", { "partition", "9" }, function() all:position(9) end },
  -- groups and questions
  { "no group", { "group", "nil" }, function() k:commit(nil, {}) end },
  { "no rows", { "row", "a table" }, function() k:commit("g", {}) end },
  { "rows that are none", { "42" }, function() k:commit("g", 42) end },
  { "a row without offset", { "offset", "nil" }, function() k:commit("g", { { topic = "first", partition = 0 } }) end },
  { "a negative offset", { "offset", "-1" },
    function() k:commit("g", { { topic = "first", partition = 0, offset = -1 } }) end },
  { "a row without topic", { "topic", "nil" }, function() k:commit("g", { { partition = 0, offset = 1 } }) end },
  { "a row that is none", { "row", '"first"' }, function() k:commit("g", { "first" }) end },
  { "metadata that is none", { "metadata", "5" },
    function() k:commit("g", { { topic = "first", partition = 0, offset = 1, metadata = 5 } }) end },
  { "messages in a list", { "message" }, function()
    local m = setmetatable({ topic = "first", partition = 0, offset = 1 }, require("kafka.core").message)
    k:commit("g", { m })
  end },
  { "a group for committed that is none", { "group", "7" }, function() k:committed(7) end },
  { "rows for committed that are none", { "rows", '"first"' }, function() k:committed("g", "first") end },
  { "a commit of nobody", { "group", "nil" }, function() part:commit() end },
  { "a time in seconds", { "timestamp", "1700000000" }, function() k:offsets_at("first", 1700000000) end },
  { "a negative timeout of topic", { "timeout", "-1" }, function() k:topic("first", -1) end },
  { "a partition of a negative number", { "partition", "-1" }, function() k:watermarks("first", -1) end },
  { "a topic to create without a name", { "topic", "nil" }, function() k:create_topic {} end },
  { "partitions of a topic to create", { "partitions", "0" }, function() k:create_topic { name = "x", partitions = 0 } end },
  -- the mock
  { "a broker that is not there", { "broker", "1 to 2", "3" }, function() mock:broker(3) end },
  { "an unknown request", { "Prodcue", '"Produce"' }, function() mock:fail("Prodcue", "NOT_COORDINATOR") end },
  { "an unknown error", { "NOT_CORDINATOR", '"NOT_COORDINATOR"' }, function() mock:fail("Produce", "NOT_CORDINATOR") end },
  { "a negative round trip", { "seconds", "-1" }, function() mock:rtt(-1) end },
  -- the wrong object
  { "a method without its object", { "kafka.Producer", '"first"' }, function() p.produce("first", "v") end },
  { "a method of another object", { "kafka.Producer", "table" }, function() p.flush(k) end },
  { "a client's method without it", { "kafka.Client" }, function() k.topic("first") end },
  { "a partition's method without it", { "kafka.Partition" }, function() part.fetch() end },
  -- closed
  { "a closed producer", { "produce", "closed kafka.Producer" }, function() closed_p:produce("first", "v") end },
  { "a closed client", { "topic", "closed kafka.Client" }, function() closed_k:topic "first" end },
  { "a closed client's partition", { "closed" }, function() closed_part:fetch() end },
}

describe("misuse:", function()
  for _, row in ipairs(rows) do
    it(row[1] .. " raises where it was written", function() try.misuse(row[2], row[3]) end)
  end

  it("is told at the caller's line through every layer", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local ok, message = pcall(function() p:send("first", "v", { headers = { { "h", {} } } }) end)
    assert.is_false(ok)
    assert.truthy(message:find("misuse_spec.lua:" .. line .. ": ", 1, true), message)
  end)

  it("accepts nothing and breaks nothing", function()
    assert.equal(0, p:counts().accepted)
    assert(p:send("first", "v"))
    assert(k:topic "first")
  end)

  it("does not call what the caller's tables have as metamethods", function()
    local options = setmetatable({}, { __index = function() error "called" end, __pairs = function() error "called" end })
    assert(p:send("first", "v", options))
  end)

  it("does not change or keep the caller's tables", function()
    local options = { key = "k", headers = { { "h", "1" } }, timeout = 5 }
    assert(p:send("first", "v", options))
    assert.same({ key = "k", headers = { { "h", "1" } }, timeout = 5 }, options)
    local settings = { brokers = mock.brokers, linger_ms = 3 }
    assert(kafka.producer(settings)):close()
    assert.same({ brokers = mock.brokers, linger_ms = 3 }, settings)
  end)
end)

describe("the world failing", function()
  -- Expects f() to give nil, err in less than `most` seconds.
  local function fails(name, most, f)
    local results
    local seconds = try.time(function() results = table.pack(f()) end)
    local err = try.failure(name, results[1], results[2])
    assert.is_true(seconds < most, "took " .. seconds)
    assert.is_nil(tostring(err):find "\n")
    return err, tostring(err)
  end

  it("by a refused connection names it as the cause, within the timeout", function()
    local err, text = fails(nil, 0.8, function()
      return kafka.connect { brokers = "127.0.0.1:1", timeout = 0.5, on_error = quiet, on_log = quiet }
    end)
    assert.equal("kafka.connect", err.op)
    assert.truthy(text:find("127.0.0.1:1", 1, true))
    assert.truthy(err.cause and err.cause.message:find("refused", 1, true), text)
    assert.truthy(text:find("refused", 1, true))
  end)

  it("by a host that does not resolve names it", function()
    local err, text = fails(nil, 1.5, function()
      return kafka.connect { brokers = "no-such-host.invalid:9092", timeout = 1, on_error = quiet, on_log = quiet }
    end)
    assert.truthy(text:find("no-such-host.invalid", 1, true))
    assert.equal("_RESOLVE", err.cause and err.cause.name)
  end)

  it("by brokers that say nothing ends with the timeout", function()
    mock:rtt(3)
    local seconds, err = try.time(fails, nil, 0.8, function()
      return kafka.connect { brokers = mock.brokers, timeout = 0.4, on_error = quiet, on_log = quiet }
    end)
    mock:rtt(0)
    assert.is_true(err.category == "timeout" or err.category == "network")
    assert.truthy(tostring(err):find("answered: timed out after 0.4 s", 1, true))
    assert.is_true(seconds >= 0.4)
  end)

  it("by a topic that is not there says so", function()
    assert(mock:topic_error("not-there", "UNKNOWN_TOPIC_OR_PART")) -- the mock would create what it is asked for
    local err = fails("UNKNOWN_TOPIC_OR_PART", 2, function() return k:topic "not-there" end)
    assert.same({ "topic", "not-there", "cluster", "fix" }, { err.op, err.topic, err.category, err.action })
    fails("UNKNOWN_TOPIC_OR_PART", 2, function() return k:partition("not-there", 0) end)
    fails("UNKNOWN_TOPIC_OR_PART", 2, function() return k:partitions "not-there" end)
  end)

  it("by a partition that is not there says so", function()
    fails(nil, 3, function() return k:watermarks("first", 77, 2) end)
    fails("_UNKNOWN_PARTITION", 2, function() return k:partition("first", 77) end)
    fails("_UNKNOWN_PARTITION", 2, function() return p:send("first", "v", { partition = 77 }) end)
  end)

  it("by a file that cannot be read is told by the constructor", function()
    local err, text = fails(nil, 2, function()
      return kafka.producer { brokers = "localhost:9092", security_protocol = "ssl", ssl_ca_location = "/no/such/file" }
    end)
    assert.same({ "config", "fix" }, { err.category, err.action })
    assert.truthy(text:find("/no/such/file", 1, true), text)
  end)

  it("by a message that is too large refuses it", function()
    local err = fails("MSG_SIZE_TOO_LARGE", 2, function() return p:send("first", ("x"):rep(2000000)) end)
    assert.same({ "send", "first", "data", "fix" }, { err.op, err.topic, err.category, err.action })
  end)

  it("leaves an error that assert raises as it is", function()
    local _, err = k:topic "not-there"
    local ok, raised = pcall(function() _G.assert(nil, err) end)
    assert.is_false(ok)
    assert.is_true(rawequal(err, raised))
  end)
end)

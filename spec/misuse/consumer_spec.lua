-- What a consumer cannot read, and what its group cannot be told.

local core = require "kafka.core"
local kafka = require "kafka"
local misuse = require "spec.support.misuse"

local mock, c, joined
setup(function()
  mock = assert(kafka.mock { topics = { first = 2 } })
  c = assert(kafka.consumer { brokers = mock.brokers, group = "by-hand" })
  assert(c:assign { { topic = "first", partition = 0, offset = "earliest" } })
  joined = assert(kafka.consumer { brokers = mock.brokers, group = "joined", topics = "first" })
end)
teardown(function()
  c:close()
  joined:close(0)
  mock:close()
end)

local nan = 0 / 0
local K = "kafka.consumer"

local function open(options)
  options.brokers = options.brokers or "h:1"
  if options.group == nil then options.group = "g" end
  return kafka.consumer(options)
end

-- A good row but for one field.
local function row(field, value)
  local r = { topic = "first", partition = 0 }
  r[field] = value
  return r
end

describe("misuse of a consumer:", function()
  misuse.rows(it, {
    { K, "nothing", { "a table", "nil" }, function() kafka.consumer() end },
    { K, "no group", { "group", "nil" }, function() kafka.consumer { brokers = "h:1" } end },
    { K, "an empty group", { "group", '""' }, function() open { group = "" } end },
    { K, "false for a group", { "group", "false" }, function() open { group = false } end },
    { K, "an unknown setting", { '"session_timout_ms"', "session.timeout.ms" }, function() open { session_timout_ms = 1 } end },
    { K, "a number for topics", { "topics", "1" }, function() open { topics = 1 } end },
    { K, "no topic", { "topics", "at least one" }, function() open { topics = {} } end },
    { K, "an empty topic", { "topics[1]", '""' }, function() open { topics = "" } end },
    { K, "a topic that is no ASCII", { "topics[2]", [["\255"]] }, function() open { topics = { "first", "\xff" } } end },
    { K, "topics with a hole", { "topics" }, function() open { topics = { "a", nil, "b" } } end },
    { K, "topics by name", { "topics", '"first"' }, function() open { topics = { first = true } } end },
    { K, "a handler that is none", { "on_assign", '"f"' }, function() open { on_assign = "f" } end },
    { K, "a loop that is none", { "loop", "a table" }, function() open { loop = {} } end },
    { "subscribe", "nothing", { "topics", "nil" }, function() joined:subscribe() end },
    { "subscribe", "a number", { "topics", "7" }, function() joined:subscribe(7) end },
    { "subscribe", "a topic of 250 bytes", { "topics[1]", "(250 bytes)" }, function() joined:subscribe(("t"):rep(250)) end },
    { "poll", "a NaN", { "timeout", "nan" }, function() c:poll(nan) end },
    { "poll", "a string", { "timeout", '"1"' }, function() c:poll "1" end },
    { "poll", "options", { "timeout", "a table" }, function() c:poll { timeout = 1 } end },
    { "batch", "a timeout", { "options", "1" }, function() c:batch(1) end },
    { "batch", "no message", { "max", "0" }, function() c:batch { max = 0 } end },
    { "batch", "another call's name", { "max_messages" }, function() c:batch { max_messages = 1 } end },
    { "batch", "an unknown column", { '"values"', '"value"' }, function() c:batch { columns = { "values" }, timeout = 0 } end },
    { "batch", "no column", { "columns", "1 to 8" }, function() c:batch { columns = {}, timeout = 0 } end },
    { "batch", "negative bytes", { "max_bytes", "-1" }, function() c:batch { max_bytes = -1 } end },
    { "messages", "a negative time", { "idle", "-1" }, function() c:messages { idle = -1 } end },
    { "messages", "a number for to_end", { "to_end", "1" }, function() c:messages { to_end = 1 } end },
    { "messages", "a timeout by itself", { "options", "5" }, function() c:messages(5) end },
    { "batches", "an unknown option", { '"maximum"' }, function() c:batches { maximum = 1 } end },
    { "batches", "a column by number", { "column", "1" }, function() c:batches { columns = { 1 } } end },
    { "store", "nothing", { "what", "nil" }, function() c:store() end },
    { "store", "a negative offset", { "rows[1].offset", "-1" }, function() c:store { row("offset", -1) } end },
    { "store", "a misspelt field", { '"ofset"', '"offset"' }, function() c:store { row("ofset", 1) } end },
    { "commit", "a number", { "what", "5" }, function() c:commit(5) end },
    { "commit", "a row without an offset", { "rows[1].offset", "nil" },
      function() c:commit { { topic = "first", partition = 0 } } end },
    { "commit", "a list of messages", { "message" }, function()
      c:commit { setmetatable({ topic = "first", partition = 0, offset = 1 }, core.message) }
    end },
    { "commit", "a handler that is none", { "on_commit", "true" }, function() c:commit(nil, { on_commit = true }) end },
    { "commit", "a NaN for a timeout", { "timeout", "nan" }, function() c:commit(nil, { timeout = nan }) end },
    { "committed", "no rows", { "rows", "at least one" }, function() c:committed {} end },
    { "committed", "a topic", { "rows", '"first"' }, function() c:committed "first" end },
    { "committed", "a timeout that is none", { "timeout", "false" }, function() c:committed(nil, false) end },
    { "watermarks", "half a partition", { "partition", "0.5" }, function() c:watermarks("first", 0.5) end },
    { "position", "no partition", { "partition", "nil" }, function() c:position "first" end },
    { "position", "no topic", { "topic", "nil" }, function() c:position() end },
    { "lag", "a negative timeout", { "timeout", "-1" }, function() c:lag(-1) end },
    { "seek", "nowhere", { "offset", "nil" }, function() c:seek("first", 0) end },
    { "seek", "an unknown place", { "offset", '"begin"' }, function() c:seek("first", 0, "begin") end },
    { "seek", "an offset as a string", { "offset", '"3"' }, function() c:seek("first", 0, "3") end },
    { "seek", "a time in seconds", { "offset", "milliseconds", "a table" },
      function() c:seek("first", 0, { time = 1700000000 }) end },
    { "seek", "a time and more", { "offset", "a table" }, function() c:seek("first", 0, { time = 1.7e12, offset = 1 }) end },
    { "seek", "a place that raises when it is looked at", { "offset", "a table" },
      function() c:seek("first", 0, setmetatable({}, { __index = function() error "no" end })) end },
    { "seek", "a negative partition", { "partition", "-1" }, function() c:seek("first", -1, 0) end },
    { "seek", "a NaN for a timeout", { "timeout", "nan" }, function() c:seek("first", 0, 0, nan) end },
    { "pause", "a partition as a string", { "partition", '"0"' }, function() c:pause("first", "0") end },
    { "pause", "a number for a topic", { "topic", "0" }, function() c:pause(0) end },
    { "resume", "a topic alone", { "partition", "nil" }, function() c:resume "first" end },
    { "assign", "nothing", { "rows", "nil" }, function() c:assign() end },
    { "assign", "a topic", { "rows", '"first"' }, function() c:assign "first" end },
    { "assign", "a list of topics", { "rows[1]", '"first"' }, function() c:assign { "first" } end },
    { "assign", "an unknown start", { "rows[1].offset", '"begin"' }, function() c:assign { row("offset", "begin") } end },
    { "assign", "the same partition twice", { "rows[2]", "first[0]" },
      function() c:assign { row("offset", 0), row("offset", 1) } end },
    { "assign", "a misspelt field", { '"partitoin"', '"partition"' },
      function() c:assign { { topic = "first", partitoin = 0 } } end },
    { "assign", "what the group assigns", { "subscribed" }, function() joined:assign { row("offset", 0) } end },
    { "add", "partition 2^31", { "rows[1].partition", "2147483648" }, function() c:add { row("partition", 1 << 31) } end },
    { "add", "rows with a hole", { "rows", "hole" }, function() c:add { row("offset", 0), nil, row("partition", 1) } end },
    { "remove", "a negative partition", { "rows[1].partition", "-1" }, function() c:remove { row("partition", -1) } end },
    { "close", "a time as a string", { "timeout", '"1"' }, function() c:close "1" end },
  })
end)

describe("misuse of a consumer", function()
  it("changes nothing", function()
    assert.equal(1, #c:assignment())
    assert.same({}, c.commits:pending())
    assert(c:seek("first", 0.0, 5.0))
    assert.equal(5, c:position("first", 0))
  end)
end)

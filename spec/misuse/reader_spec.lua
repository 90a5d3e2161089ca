-- What a reader and a watcher cannot be asked.

local kafka = require "kafka"
local misuse = require "spec.support.misuse"

local mock, k, r, manual
setup(function()
  mock = assert(kafka.mock { topics = { first = 2 } })
  k = assert(kafka.connect { brokers = mock.brokers })
  r = assert(kafka.reader { brokers = mock.brokers, topic = "first" })
  manual = assert(kafka.reader { brokers = mock.brokers, topic = "first", group = "by-hand", commit = "manual" })
end)
teardown(function()
  r:close()
  manual:close()
  k:close()
  mock:close()
end)

local nan = 0 / 0
local R = "kafka.reader"

local function open(options)
  options.brokers = options.brokers or "h:1"
  if options.topic == nil and options.topics == nil then options.topic = "first" end
  return kafka.reader(options)
end

local function load(rows) return rows end
local function save() return true end

describe("misuse of a reader:", function()
  misuse.rows(it, {
    { R, "nothing", { "a table", "nil" }, function() kafka.reader() end },
    { R, "a string", { "a table", '"h:1"' }, function() kafka.reader "h:1" end },
    { R, "no brokers", { "brokers" }, function() kafka.reader { topic = "first" } end },
    { R, "no topic", { "topics", "nil" }, function() kafka.reader { brokers = "h:1" } end },
    { R, "an empty topic", { "topic", '""' }, function() open { topic = "" } end },
    { R, "a topic that is a list", { "topic", "a table" }, function() open { topic = { "first" } } end },
    { R, "topics that are a string", { "topics", '"first"' }, function() open { topics = "first" } end },
    { R, "an empty list of topics", { "topics", "at least one" }, function() open { topics = {} } end },
    { R, "a topic that is a number", { "topics[2]", "2" }, function() open { topics = { "first", 2 } } end },
    { R, "topics with a hole", { "topics", "hole" }, function() open { topics = { "a", nil, "b" } } end },
    { R, "a topic twice", { "topics", '"a"', "twice" }, function() open { topics = { "a", "b", "a" } } end },
    { R, "topic and topics", { "topic and topics", "both" }, function() open { topic = "a", topics = { "b" } } end },
    { R, "an unknown option", { '"on_chnge"', "on_change" }, function() open { on_chnge = print } end },
    { R, "an empty group", { "group", '""' }, function() open { group = "" } end },
    { R, "an unknown start", { "start", '"begin"' }, function() open { start = "begin" } end },
    { R, "half an offset", { "start", "1.5" }, function() open { start = 1.5 } end },
    { R, "a NaN to start", { "start", "nan" }, function() open { start = nan } end },
    { R, "a time in seconds", { "start", "milliseconds", "a table" }, function() open { start = { time = 1700000000 } } end },
    { R, "a time and more", { "start", "a table" }, function() open { start = { time = 1700000000000, offset = 1 } } end },
    { R, "what was committed without a group", { "committed", "group" }, function() open { start = "committed" } end },
    { R, "what was committed where nothing was", { "otherwise", '"committed"' },
      function() open { group = "g", otherwise = "committed" } end },
    { R, "an unknown reset", { "reset", '"none"' }, function() open { reset = "none" } end },
    { R, "an unknown commit", { "commit", "true" }, function() open { group = "g", commit = true } end },
    { R, "commits without a group", { "commit", "group", "offsets.save" }, function() open { commit = "auto" } end },
    { R, "an interval without a group", { "interval", "offsets.save" }, function() open { interval = 1 } end },
    { R, "metadata that nobody keeps", { "metadata", "offsets.save" },
      function() open { offsets = { load = load }, metadata = "m" } end },
    { R, "a negative interval", { "interval", "-1" }, function() open { group = "g", interval = -1 } end },
    { R, "an interval in words", { "interval", '"5"' }, function() open { group = "g", interval = "5" } end },
    { R, "metadata that is none", { "metadata", "a table" }, function() open { group = "g", metadata = {} } end },
    { R, "offsets that are none", { "offsets", "a function" }, function() open { offsets = load } end },
    { R, "offsets without load", { "offsets.load" }, function() open { offsets = { save = save } } end },
    { R, "a load that is none", { "offsets.load", "true" }, function() open { offsets = { load = true } } end },
    { R, "a misspelt save", { '"sav"', '"save"' }, function() open { offsets = { load = load, sav = save } } end },
    { R, "a group and offsets", { "group and offsets", "both" }, function() open { group = "g", offsets = { load = load } } end },
    { R, "no time between pictures", { "every", "0.01", "0" }, function() open { every = 0 } end },
    { R, "for ever between pictures", { "every", "inf" }, function() open { every = math.huge } end },
    { R, "a handler that is none", { "on_change", '"f"' }, function() open { on_change = "f" } end },
    { R, "a row for on_reset", { "on_reset", "a table" }, function() open { on_reset = {} } end },
    { R, "an on_error that is none", { "on_error", "1" }, function() open { on_error = 1 } end },
    { R, "a negative timeout", { "timeout", "-1" }, function() open { timeout = -1 } end },
    { R, "a loop that is none", { "loop", "a table" }, function() open { loop = {} } end },
    { R, "a version that is none", { "broker_version", '"old"' }, function() open { broker_version = "old" } end },
    { "poll", "a NaN", { "timeout", "nan" }, function() r:poll(nan) end },
    { "poll", "options", { "timeout", "a table" }, function() r:poll { timeout = 1 } end },
    { "batch", "a timeout", { "options", "1" }, function() r:batch(1) end },
    { "batch", "no message", { "max", "0" }, function() r:batch { max = 0 } end },
    { "batch", "negative bytes", { "max_bytes", "-1" }, function() r:batch { max_bytes = -1 } end },
    { "batch", "columns", { '"columns"' }, function() r:batch { columns = { "value" } } end },
    { "messages", "a negative time", { "idle", "-1" }, function() r:messages { idle = -1 } end },
    { "messages", "a number for to_end", { "to_end", "1" }, function() r:messages { to_end = 1 } end },
    { "messages", "a timeout", { '"timeout"' }, function() r:messages { timeout = 1 } end },
    { "batches", "an unknown option", { '"maximum"' }, function() r:batches { maximum = 1 } end },
    { "batches", "half a message", { "max", "0.5" }, function() r:batches { max = 0.5 } end },
    { "commit", "no group", { "group", "offsets.save" }, function() r:commit() end },
    { "commit", "a message", { "metadata", "a table" }, function() manual:commit {} end },
    { "commit", "a timeout in words", { "timeout", '"1"' }, function() manual:commit(nil, "1") end },
    { "lag", "a negative timeout", { "timeout", "-1" }, function() r:lag(-1) end },
    { "seek", "no topic", { "topic", "nil" }, function() r:seek() end },
    { "seek", "a negative partition", { "partition", "-1" }, function() r:seek("first", -1, 0) end },
    { "seek", "nowhere", { "offset", "nil" }, function() r:seek("first", 0) end },
    { "seek", "an unknown place", { "offset", '"begin"' }, function() r:seek("first", 0, "begin") end },
    { "seek", "a NaN for a timeout", { "timeout", "nan" }, function() r:seek("first", 0, 0, nan) end },
    { "close", "a time as a string", { "timeout", '"1"' }, function() r:close "1" end },
    { "poll", "another object", { "kafka.Reader" }, function() r.poll(k) end },
    { "stop", "no object", { "kafka.Reader", "nil" }, function() r.stop() end },
  })
end)

describe("misuse of a watcher:", function()
  local w
  setup(function() w = assert(k:watch { topics = "first" }) end)
  teardown(function() w:close() end)

  misuse.rows(it, {
    { "watch", "a topic by itself", { "options", '"first"' }, function() k:watch "first" end },
    { "watch", "an unknown option", { '"topic"', '"topics"' }, function() k:watch { topic = "first" } end },
    { "watch", "an empty topic", { "topics", '""' }, function() k:watch { topics = "" } end },
    { "watch", "a topic that is a number", { "topics[1]", "1" }, function() k:watch { topics = { 1 } } end },
    { "watch", "a topic twice", { "topics", '"a"', "twice" }, function() k:watch { topics = { "a", "a" } } end },
    { "watch", "an empty group", { "groups[1]", '""' }, function() k:watch { groups = { "" } } end },
    { "watch", "no time between pictures", { "every", "0.01", "0" }, function() k:watch { every = 0 } end },
    { "watch", "a NaN for a timeout", { "timeout", "nan" }, function() k:watch { timeout = nan } end },
    { "watch", "a negative time", { "idle", "-1" }, function() k:watch { idle = -1 } end },
    { "watch", "a number for internal", { "internal", "1" }, function() k:watch { internal = 1 } end },
    { "next", "a time as a string", { "timeout", '"1"' }, function() w:next "1" end },
    { "next", "another object", { "kafka.Watcher" }, function() w.next(k) end },
  })
end)

describe("a reader that was misused", function()
  it("goes on", function()
    assert.same({ topic = "first", partition = 0, offset = 0 }, r:positions()[1])
    assert(r:seek("first", 0.0, 0.0))
    assert.is_nil(r:poll(0))
  end)
end)

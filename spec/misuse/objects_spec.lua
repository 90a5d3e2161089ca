-- Methods and metamethods called with the wrong object, and objects that are closed.

local kafka = require "kafka"
local core = require "kafka.core"
local misuse = require "spec.support.misuse"
local try = require "spec.support.try"

local mock, closed_mock, p, k, c, part, all, broker, topic, picture, batch, report, err
local closed_p, closed_k, closed_c, closed_part, closed_all, orphan
setup(function()
  mock = assert(kafka.mock { topics = { first = 2 } })
  try.fill(mock.brokers, "first", 0, 1)
  p = assert(kafka.producer { brokers = mock.brokers })
  k = assert(kafka.connect { brokers = mock.brokers, fetch_wait_max_ms = 10 })
  c = assert(kafka.consumer { brokers = mock.brokers, group = "g" })
  part, all = assert(k:partition("first", 0)), assert(k:partitions "first")
  broker = mock:broker(1)
  picture = assert(k:metadata())
  topic = assert(picture:topic "first")
  batch = assert(part:fetch())
  report = assert(p:send("first", "v", { partition = 1 }))
  err = kafka.errors.new { name = "_TIMED_OUT", op = "spec" }
  closed_mock = assert(kafka.mock())
  closed_mock:close()
  closed_p = assert(kafka.producer { brokers = mock.brokers })
  closed_p:close()
  closed_c = assert(kafka.consumer { brokers = mock.brokers, group = "closed" })
  closed_c:close()
  closed_k = assert(kafka.connect { brokers = mock.brokers, fetch_wait_max_ms = 10 })
  closed_part, closed_all = assert(closed_k:partition("first", 0)), assert(closed_k:partitions "first")
  closed_part:close()
  orphan = assert(closed_k:partition("first", 1))
  closed_k:close()
end)
teardown(function()
  c:close()
  k:close()
  p:close()
  mock:close()
end)

-- A metamethod, as anybody may call it.
local function meta(object, name) return debug.getmetatable(object)[name] end

describe("misuse of objects:", function()
  misuse.rows(it, {
    -- none, and other ones
    { "produce", "no object", { "kafka.Producer", '"first"' }, function() p.produce("first", "v") end },
    { "send", "nothing", { "kafka.Producer", "nil" }, function() p.send() end },
    { "produce_many", "a class", { "kafka.Producer", "a table" },
      function() p.produce_many(debug.getmetatable(p), "first", {}) end },
    { "flush", "a client", { "kafka.Producer", "a table" }, function() p.flush(k) end },
    { "poll", "the core's client", { "kafka.Producer", "a userdata" }, function() p.poll(p.handle.core, 0) end },
    { "pending", "a number", { "kafka.Producer", "0" }, function() p.pending(0) end },
    { "counts", "a string", { "kafka.Producer", '"p"' }, function() p.counts "p" end },
    { "purge", "a consumer", { "kafka.Producer" }, function() p.purge(c) end },
    { "close", "a client", { "kafka.Producer" }, function() p.close(k) end },
    { "close", "a producer", { "kafka.Client" }, function() k.close(p) end },
    { "topic", "no object", { "kafka.Client", '"first"' }, function() k.topic("first") end },
    { "topic", "an empty table", { "kafka.Client", "a table" }, function() k.topic({}, "first") end },
    { "topic", "a table that passes itself off", { "kafka.Client" },
      function() k.topic(setmetatable({}, { __name = "kafka.Client" }), "first") end },
    { "topic", "a table with a strange metatable", { "kafka.Client" },
      function() k.topic(setmetatable({}, { __metatable = 5 }), "first") end },
    { "metadata", "a producer", { "kafka.Client" }, function() k.metadata(p) end },
    { "brokers", "nothing", { "kafka.Client", "nil" }, function() k.brokers() end },
    { "partition", "no object", { "kafka.Client", '"first"' }, function() k.partition("first", 0) end },
    { "partitions", "a partition", { "kafka.Client" }, function() k.partitions(part, "first") end },
    { "create_topic", "no object", { "kafka.Client" }, function() k.create_topic { name = "x" } end },
    { "commit", "no object", { "kafka.Client", '"g"' }, function() k.commit("g", {}) end },
    { "lag", "a number", { "kafka.Client", "1" }, function() k.lag(1) end },
    { "fetch", "no object", { "kafka.Partition", "nil" }, function() part.fetch() end },
    { "fetch", "its options", { "kafka.Partition", "a table" }, function() part.fetch { timeout = 1 } end },
    { "seek", "several partitions", { "kafka.Partition" }, function() part.seek(all, 0) end },
    { "fetch", "one partition for several", { "kafka.Partitions" }, function() all.fetch(part) end },
    { "close", "one partition", { "kafka.Partitions" }, function() all.close(part) end },
    { "close", "several partitions", { "kafka.Partition" }, function() part.close(all) end },
    { "poll", "a producer", { "kafka.Consumer" }, function() c.poll(p, 0) end },
    { "messages", "nothing", { "kafka.Consumer", "nil" }, function() c.messages() end },
    { "close", "the consumer's core", { "kafka.Consumer", "a userdata" }, function() c.close(c.handle.core) end },
    { "broker", "a string", { "kafka.Mock" }, function() mock.broker "1" end },
    { "add_broker", "nothing", { "kafka.Mock", "nil" }, function() mock.add_broker() end },
    { "kill", "a mock", { "kafka.MockBroker" }, function() broker.kill(mock) end },
    { "stop", "another class", { "kafka.MockBroker", "a table" }, function() broker.stop(mock) end },
    { "pause", "nothing", { "kafka.MockBroker", "nil" }, function() broker.pause() end },
    { "partition", "a picture for a topic", { "kafka.Topic" }, function() topic.partition(picture, 0) end },
    { "topic", "a topic for a picture", { "kafka.Cluster" }, function() picture.topic(topic, "first") end },
    { "header", "no object", { "kafka.message", '"name"' }, function() batch[1].header "name" end },
    { "header", "a batch", { "kafka.message" }, function() batch[1].header(batch, "name") end },
    -- metamethods
    { "close", "__close with nothing", { "kafka.Producer", "nil" }, function() meta(p, "__close")() end },
    { "close", "__close with another object", { "kafka.Producer" }, function() meta(p, "__close")(k) end },
    { "close", "a client's __close with a partition", { "kafka.Client" }, function() meta(k, "__close")(part) end },
    { "close", "a partition's __close with a client", { "kafka.Partition" }, function() meta(part, "__close")(k) end },
    { "close", "the partitions' __close with one", { "kafka.Partitions" }, function() meta(all, "__close")(part) end },
    { "close", "a consumer's __close with a number", { "kafka.Consumer", "1" }, function() meta(c, "__close")(1) end },
    { "close", "a mock's __close with a string", { "kafka.Mock", '"m"' }, function() meta(mock, "__close")("m") end },
    { "tostring", "a producer's with nothing", { "kafka.Producer", "nil" }, function() meta(p, "__tostring")() end },
    { "tostring", "a client's with a number", { "kafka.Client", "1" }, function() meta(k, "__tostring")(1) end },
    { "tostring", "a consumer's with a producer", { "kafka.Consumer" }, function() meta(c, "__tostring")(p) end },
    { "tostring", "a partition's with a table", { "kafka.Partition" }, function() meta(part, "__tostring") {} end },
    { "tostring", "the partitions' with a string", { "kafka.Partitions" }, function() meta(all, "__tostring") "x" end },
    { "tostring", "a mock's with nothing", { "kafka.Mock" }, function() meta(mock, "__tostring")() end },
    { "tostring", "a mock broker's with a mock", { "kafka.MockBroker" }, function() meta(broker, "__tostring")(mock) end },
    { "tostring", "a broker's with a number", { "kafka.Broker", "1" }, function() meta(picture.brokers[1], "__tostring")(1) end },
    { "tostring", "a topic's with a string", { "kafka.Topic" }, function() meta(topic, "__tostring") "first" end },
    { "tostring", "a picture's with a topic", { "kafka.Cluster" }, function() meta(picture, "__tostring")(topic) end },
    { "tostring", "a message's with a batch", { "kafka.message" }, function() meta(batch[1], "__tostring")(batch) end },
    { "tostring", "a batch's with a message", { "kafka.Batch" }, function() meta(batch, "__tostring")(batch[1]) end },
    { "tostring", "a report's with nothing", { "kafka.Report", "nil" }, function() meta(report, "__tostring")() end },
    { "tostring", "an error's with a string", { "kafka.Error", '"x"' }, function() meta(err, "__tostring") "x" end },
    -- closed
    { "produce", "a closed producer", { "closed kafka.Producer" }, function() closed_p:produce("first", "v") end },
    { "send", "a closed producer", { "closed kafka.Producer" }, function() closed_p:send("first", "v") end },
    { "produce_many", "a closed producer", { "closed kafka.Producer" }, function() closed_p:produce_many("first", { "v" }) end },
    { "flush", "a closed producer", { "closed kafka.Producer" }, function() closed_p:flush() end },
    { "poll", "a closed producer", { "closed kafka.Producer" }, function() closed_p:poll(0) end },
    { "purge", "a closed producer", { "closed kafka.Producer" }, function() closed_p:purge() end },
    { "counts", "a closed producer", { "closed kafka.Producer" }, function() closed_p:counts() end },
    { "topic", "a closed client", { "closed kafka.Client" }, function() closed_k:topic "first" end },
    { "commit", "a closed client", { "closed kafka.Client" }, function() closed_k:commit("g", {}) end },
    { "partition", "a closed client", { "closed kafka.Client" }, function() closed_k:partition("first", 0) end },
    { "create_topic", "a closed client", { "closed kafka.Client" }, function() closed_k:create_topic { name = "x" } end },
    { "fetch", "a closed partition", { "closed kafka.Partition" }, function() closed_part:fetch() end },
    { "seek", "a closed partition", { "closed kafka.Partition" }, function() closed_part:seek(0) end },
    { "fetch", "a closed client's partition", { "closed" }, function() orphan:fetch() end },
    { "positions", "a closed client's partitions", { "closed" }, function() closed_all:positions() end },
    { "poll", "a closed consumer", { "closed kafka.Consumer" }, function() closed_c:poll(0) end },
    { "subscribe", "a closed consumer", { "closed kafka.Consumer" }, function() closed_c:subscribe "first" end },
    { "commit", "a closed consumer", { "closed kafka.Consumer" }, function() closed_c:commit() end },
    { "rtt", "a closed mock", { "closed kafka.Mock" }, function() closed_mock:rtt(0) end },
    { "broker", "a closed mock", { "closed kafka.Mock" }, function() closed_mock:broker(1) end },
    -- errors and the log
    { "errors.code", "a number", { "name", "7" }, function() kafka.errors.code(7) end },
    { "errors.new", "nothing", { "fields", "nil" }, function() kafka.errors.new() end },
    { "errors.new", "a number for a name", { "fields.name", "5" }, function() kafka.errors.new { name = 5 } end },
    { "errors.new", "a table for a message", { "fields.message", "a table" }, function() kafka.errors.new { message = {} } end },
    { "errors.new", "half a partition", { "fields.partition", "1.5" },
      function() kafka.errors.new { topic = "t", partition = 1.5 } end },
    { "errors.new", "a partition by name", { "fields.partition", '"x"' },
      function() kafka.errors.new { topic = "t", partition = "x" } end },
    { "errors.new", "a number for a cause", { "fields.cause", "5" },
      function() kafka.errors.new { name = "_TIMED_OUT", cause = 5 } end },
    { "errors.new", "a cause that says nothing", { "fields.cause", "a table" }, function() kafka.errors.new { cause = {} } end },
    { "errors.new", "an action that is none", { "fields.action", '"repeat"' },
      function() kafka.errors.new { action = "repeat" } end },
    { "errors.from", "a number", { "raw", "a table", "5" }, function() kafka.errors.from(5, {}) end },
    { "errors.from", "nothing to be about", { "about", "a table", "nil" }, function() kafka.errors.from {} end },
    { "log.line", "a level in a word", { "level", '"error"' }, function() kafka.log.line("me", "error", "text") end },
    { "log.line", "no text", { "text", "nil" }, function() kafka.log.line("me", 7) end },
    { "log.line", "nobody", { "who", "nil" }, function() kafka.log.line(nil, 7, "text") end },
  })
end)

describe("misuse of objects", function()
  it("closes and breaks none of them", function()
    for _, object in ipairs { p, k, c, part, all, mock } do assert.is_nil(tostring(object):find "closed") end
    assert(p:send("first", "v"))
    assert(k:topic "first")
    assert(part:fetch { timeout = 0 })
  end)

  it("is told at the caller's line through every layer and from every stack", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local function bad() p:send("first", "v", { headers = { { "h", {} } } }) end
    local function told(...)
      local ok, message = ...
      assert.is_false(ok)
      assert.truthy(message:find("objects_spec.lua:" .. line .. ": send: a header's value must be", 1, true), message)
    end
    told(pcall(bad))
    told(coroutine.resume(coroutine.create(bad)))
    told(pcall(coroutine.wrap(bad)))
    told(xpcall(bad, function(m) return m end))
  end)

  it("is told at the line that resumes it where a method is itself a coroutine", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local ok, message = pcall(function() coroutine.wrap(p.produce)(p, "", "v") end)
    assert.is_false(ok)
    assert.truthy(message:find("objects_spec.lua:" .. line .. ": produce: topic must be", 1, true), message)
  end)

  it("is told by name however the method is called", function()
    local produce = p.produce
    for _, call in ipairs { function() produce(p, "first", 1) end, function() (p.produce)(p, "first", 1) end,
      function() error(select(2, pcall(produce, p, "first", 1)), 0) end } do
      local _, message = pcall(call)
      assert.truthy(message:find(": produce: value must be", 1, true), message)
    end
  end)

  it("may be closed twice, and again", function()
    for _, object in ipairs { closed_p, closed_k, closed_c, closed_part, closed_all, closed_mock } do
      assert.is_true(object:close())
      assert.is_true(object:close(0))
      debug.getmetatable(object).__close(object)
      assert.truthy(tostring(object):find "closed")
    end
  end)

  it("needs the core's own message", function()
    assert.is_false(pcall(k.commit, k, "g", setmetatable({}, { __name = core.message.__name })))
  end)
end)

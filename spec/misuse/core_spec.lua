-- kafka.core is private, but any program can reach it: nothing that is done to it may crash the process.

local core = require "kafka.core"
local kafka = require "kafka"
local misuse = require "spec.support.misuse"

local mock, producer, consumer, inbox, closed
setup(function()
  mock = assert(core.mock(1, { ["log.queue"] = "true", ["log_level"] = "0" }))
  assert(mock:topic("first", 2, 1))
  local settings = { ["bootstrap.servers"] = mock:brokers(), ["log.queue"] = "true", ["log_level"] = "0" }
  producer = assert(core.producer(settings))
  settings["group.id"] = "g"
  consumer = assert(core.consumer(settings))
  inbox = consumer:inbox()
  closed = assert(core.producer(settings))
  closed:close()
  closed:release()
end)
teardown(function()
  inbox:close()
  consumer:close()
  producer:close()
  mock:client():close()
end)

local nan = 0 / 0

local function rows(offset) return { { topic = "first", partition = 0, offset = offset } } end

describe("misuse of the core:", function()
  misuse.rows(it, {
    { "producer", "nothing", { "settings", "nil" }, function() core.producer() end },
    { "producer", "a number as a setting's name", { "setting", "1" }, function() core.producer { "x" } end },
    { "producer", "a number as a setting", { "linger.ms" }, function() core.producer { ["linger.ms"] = 1 } end },
    { "producer", "a setting with NUL", { "client.id" }, function() core.producer { ["client.id"] = "a\0" } end },
    { "consumer", "an unknown setting", { "lingerms" }, function() core.consumer { lingerms = "1" } end },
    { "consumer", "a bad value", { "debug" }, function() core.consumer { debug = "nothing" } end },
    { "mock", "no brokers", { "brokers", "0" }, function() core.mock(0, {}) end },
    { "mock", "no settings", { "settings", "nil" }, function() core.mock(1) end },
    { "copy", "a number", { "table", "1" }, function() core.copy(1) end },
    { "drain", "nothing", { "a kafka.client", "nil" }, function() producer.drain() end },
    { "drain", "an inbox", { "a kafka.client", "a userdata" }, function() producer.drain(inbox, {}, 0, 1) end },
    { "drain", "a file", { "a kafka.client", "a userdata" }, function() producer.drain(io.stdout, {}, 0, 1) end },
    { "drain", "a table of the same metatable", { "a kafka.client", "a table" },
      function() producer.drain(setmetatable({}, debug.getmetatable(producer)), {}, 0, 1) end },
    { "drain", "no list", { "list", "nil" }, function() producer:drain() end },
    { "drain", "a negative tail", { "tail", "-1" }, function() producer:drain({}, -1, 1) end },
    { "drain", "a tail without end", { "tail" }, function() producer:drain({}, math.maxinteger, 1) end },
    { "drain", "nothing at most", { "max", "0" }, function() producer:drain({}, 0, 0) end },
    { "wait", "a string", { "timeout", '"1"' }, function() producer:wait "1" end },
    { "wait", "a NaN", { "timeout", "nan" }, function() producer:wait(nan) end },
    { "produce", "a consumer", { "not a producer" }, function() consumer:produce("first", "v", 0) end },
    { "produce", "no ticket", { "ticket", "nil" }, function() producer:produce("first", "v") end },
    { "produce", "a negative ticket", { "ticket", "-1" }, function() producer:produce("first", "v", -1) end },
    { "produce", "a topic of a table", { "topic" }, function() producer:produce({}, "v", 0) end },
    { "produce_many", "no values", { "values", "nil" }, function() producer:produce_many("first") end },
    { "produce_many", "a first of 0", { "first", "0" },
      function() producer:produce_many("first", {}, nil, nil, nil, nil, 0, 0, 1) end },
    { "produce_many", "a last without end", { "last" },
      function() producer:produce_many("first", {}, nil, nil, nil, nil, 0, 1, math.maxinteger) end },
    { "flush", "a boolean", { "timeout", "true" }, function() producer:flush(true, 1) end },
    { "add", "a producer", { "not a consumer" }, function() producer:add(rows(0)) end },
    { "add", "no rows", { "rows", "nil" }, function() consumer:add() end },
    { "add", "a row that is none", { "each row", "1" }, function() consumer:add { 1 } end },
    { "add", "an offset as a string", { "offset", '"0"' }, function() consumer:add(rows "0") end },
    { "add", "an offset that is no named position", { "offset", "-5" }, function() consumer:add(rows(-5)) end },
    { "add", "the smallest integer", { "offset", "-9223372036854775808" }, function() consumer:add(rows(math.mininteger)) end },
    { "commit", "a negative offset", { "offset", "-1001" }, function() consumer:commit(rows(-1001), 1) end },
    { "committed", "rows and no time", { "timeout", "nil" }, function() consumer:committed(rows(0)) end },
    { "watermarks", "partition 2^31", { "partition", "2147483648" }, function() consumer:watermarks("first", 1 << 31, 1, 1) end },
    { "metadata", "a number", { "topic", "1" }, function() consumer:metadata(1, 1, 1) end },
    { "group_offsets", "an empty group", { "group", '""' }, function() consumer:group_offsets("", nil, 1) end },
    { "take", "negative bytes", { "max_bytes", "-1" }, function() inbox:take(-1, 1) end },
    { "take", "a client", { "a kafka.inbox" }, function() inbox.take(consumer, 1, 1) end },
    { "kafka.core", "columns that are none", { "column" }, function() inbox:take(1, 1, { "x" }) end },
    { "open", "no topic", { "topic", "nil" }, function() inbox:open() end },
    { "position", "a partition as a string", { "partition", '"0"' }, function() inbox:position("first", "0") end },
    { "leader", "a client for a mock", { "a kafka.mock" }, function() mock.leader(producer, "first", 0, 1) end },
    { "coordinator", "a kind that is none", { "kind", '"x"' }, function() mock:coordinator("x", "g", 1) end },
    { "fail", "codes that are none", { "codes", "1" }, function() mock:fail(0, 1) end },
    { "fail", "a code that is none", { "code", '"x"' }, function() mock:fail(0, { "x" }) end },
    { "name", "a closed client", { "closed" }, function() closed:name() end },
    { "fd", "a released client", { "closed" }, function() closed:fd() end },
    { "inbox", "a closed client", { "closed" }, function() closed:inbox() end },
  })

  it("no metamethod crashes, whatever it is given", function()
    local things = { false, true, 0, "x", {}, print, coroutine.create(print), io.stdout, mock, producer, consumer, inbox, closed,
      debug.getregistry() }
    local classes = { mock, producer, inbox }
    -- Those without an object at hand are in the registry.
    for _, value in next, debug.getregistry() do
      local named = type(value) == "table" and tostring(rawget(value, "__name")):find "^kafka%."
      if named then classes[#classes + 1] = { meta = value } end
    end
    assert.is_true(#classes >= 7)
    for _, class in ipairs(classes) do
      local meta = type(class) == "table" and class.meta or debug.getmetatable(class)
      for _, name in ipairs { "__gc", "__close", "__tostring" } do
        if type(meta[name]) == "function" then
          pcall(meta[name])
          for i = 1, #things do
            local mine = type(things[i]) == "userdata" and rawequal(debug.getmetatable(things[i]), meta)
            if not (mine and name ~= "__tostring") then pcall(meta[name], things[i]) end
          end
        end
      end
    end
    assert.truthy(producer:name())
    assert.truthy(inbox:take(1, 1))
  end)

  it("an object is collected twice, by hand and by Lua", function()
    for _ = 1, 2 do
      local p = assert(core.producer { ["bootstrap.servers"] = "127.0.0.1:1", ["log.queue"] = "true", ["log_level"] = "0" })
      local k = assert(core.consumer { ["group.id"] = "g", ["log.queue"] = "true", ["log_level"] = "0" })
      local b = k:inbox()
      for _, object in ipairs { b, k, p } do
        local gc = debug.getmetatable(object).__gc
        gc(object)
        gc(object)
        assert.truthy(tostring(object))
      end
      assert.is_false(pcall(b.take, b, 1, 1))
      assert.is_false(pcall(p.name, p))
    end
    collectgarbage()
    collectgarbage()
  end)

  it("a user value that was changed is not believed", function()
    local another = debug.getuservalue(consumer, 1)
    local function produce()
      local ok
      repeat -- false: a report has come since
        producer:drain({}, 0, 1000)
        ok = producer:produce("first", "v", 0, nil, 0)
      until ok ~= false
      assert.is_true(ok)
    end
    produce()
    for _, value in ipairs { "junk", 42, { first = 99 }, { first = -1 }, { first = "x" }, { first = io.stdout },
      another or {} } do
      debug.setuservalue(producer, value, 1)
      produce()
      debug.setuservalue(inbox, value, 1)
      assert(inbox:take(1, 1))
    end
    debug.setuservalue(producer, nil, 1)
    produce()
    local m = assert(core.mock(1, { ["log.queue"] = "true", ["log_level"] = "0" }))
    local client = m:client()
    debug.setuservalue(m, "junk", 1)
    assert.truthy(m:brokers())
    client:close()
    assert.is_false(pcall(m.brokers, m))
  end)

  it("methods are called in any order after the end", function()
    for _, name in ipairs { "close", "release", "gone", "forked", "busy", "close", "release" } do closed[name](closed) end
    for name, method in pairs(debug.getmetatable(closed).__index) do
      if name ~= "wait" then pcall(method, closed, rows(0), 0, 1, 1) end
    end
    assert.is_false(closed:wait(0))
  end)

  it("every method takes every kind of value", function()
    local values = { nil, false, -1, 0.5, 2 ^ 63, nan, "", "\0", ("x"):rep(300), {}, { {} }, print, producer, inbox }
    for _, object in ipairs { mock, producer, consumer, inbox } do
      for name, method in pairs(debug.getmetatable(object).__index) do
        if name ~= "close" and name ~= "release" then
          for a = 1, 14 do
            for b = 1, 14 do
              pcall(method, object, values[a], values[b], values[(a + b) % 14 + 1], values[a], values[b], nil, 0)
            end
          end
        end
      end
    end
    assert.truthy(producer:name())
    assert.truthy(kafka.version)
  end)
end)

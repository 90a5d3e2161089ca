-- Tables that are no plain tables: with metamethods that raise, that change while they are read, or that hold themselves.

local kafka = require "kafka"
local misuse = require "spec.support.misuse"
local try = require "spec.support.try"

local mock, p, k, part
setup(function()
  mock = assert(kafka.mock { topics = { first = 2 } })
  p = assert(kafka.producer { brokers = mock.brokers })
  k = assert(kafka.connect { brokers = mock.brokers, fetch_wait_max_ms = 10 })
  part = assert(k:partition("first", 0))
end)
teardown(function()
  k:close()
  p:close()
  mock:close()
end)

-- The table, with every metamethod that Lua knows; each notes that it was called, and raises.
local function trapped(t)
  local called = {}
  local meta = {}
  for _, name in ipairs { "__index", "__newindex", "__pairs", "__len", "__call", "__eq", "__lt", "__le", "__tostring", "__concat",
    "__unm", "__add", "__close", "__name" } do
    meta[name] = function()
      called[#called + 1] = name
      error "a metamethod of the caller's"
    end
  end
  return setmetatable(t, meta), called
end

describe("a table whose metamethods raise", function()
  -- Each call reads a trapped table, which is good as it is.
  local calls = {
    ["kafka.producer"] = function(trap) assert(kafka.producer(trap { brokers = "h:1", log_level = 0 })):close(0) end,
    ["kafka.mock"] = function(trap) assert(kafka.mock(trap { topics = trap { first = 1 } })):close() end,
    ["produce"] = function(trap)
      assert(p:produce("first", "v", trap { key = "k", headers = trap { trap { "a", "1" }, trap { "b" } } }))
    end,
    ["produce_many"] = function(trap)
      assert.equal(2, assert(p:produce_many("first", trap { "a", "b" }, trap { keys = trap { "x" }, partitions = trap { 0, 1 },
        headers = trap { trap { trap { "h", "v" } } } })))
    end,
    ["send"] = function(trap) assert(p:send("first", "v", trap { timeout = 5 })) end,
    ["partition"] = function(trap) assert(k:partition("first", 1, trap { offset = "earliest" })):close() end,
    ["fetch"] = function(trap) assert(part:fetch(trap { timeout = 0, columns = trap { "value" } })) end,
    ["commit"] = function(trap)
      assert(k:commit("g", trap { trap { topic = "first", partition = 0, offset = 1 } }, trap { timeout = 5 }))
    end,
    ["commit of one row"] = function(trap) assert(k:commit("g", trap { topic = "first", partition = 0, offset = 1 })) end,
    ["committed"] = function(trap) assert(k:committed("g", trap { trap { topic = "first", partition = 0 } })) end,
  }
  for name, call in pairs(calls) do
    it("is read without them by " .. name, function()
      local all = {}
      call(function(t)
        local table, called = trapped(t)
        all[#all + 1] = called
        return table
      end)
      for _, called in ipairs(all) do assert.same({}, called) end
    end)
  end

  it("is misuse like any other where it does not fit", function()
    local bad = trapped {}
    for op, f in pairs {
      ["produce"] = function() p:produce(bad, "v") end,
      ["send"] = function() p:send("first", bad) end,
      ["flush"] = function() p:flush(bad) end,
      ["topic"] = function() k:topic(bad) end,
      ["seek"] = function() part:seek(bad) end,
      ["lag"] = function() k:lag(bad) end,
      ["kafka.producer"] = function() kafka.producer { brokers = "h:1", client_id = bad } end,
    } do misuse.raises(op, { "a table" }, f) end
    misuse.raises("commit", { "at least one row" }, function() k:commit("g", bad) end)
    misuse.raises("pending", { "kafka.Producer" }, function() p.pending(bad) end)
    misuse.raises("topic", { "kafka.Client" }, function() k.topic(bad, "first") end)
  end)
end)

describe("an option table that a finalizer changes while it is read", function()
  -- Runs f(t) often, with garbage whose finalizers put other fields into t.
  local function changing(t, f)
    local kept = {}
    for name, value in pairs(t) do kept[name] = value end
    local runs = 0
    local mode = collectgarbage "incremental"
    collectgarbage("setpause", 0)
    for i = 1, 300 do
      for name in pairs(t) do t[name] = nil end
      for name, value in pairs(kept) do t[name] = value end
      setmetatable({}, { __gc = function()
        runs = runs + 1
        for j = 1, 40 do t["key" .. j] = "x" end
        t.partition = -5
      end })
      if i % 3 == 0 then collectgarbage "step" end
      local ok, message = pcall(f, t)
      if not ok then
        assert.equal("string", type(message))
        assert.matches("^[^:]+:%d+: [%w_.]+: ", message)
        assert.is_nil(message:find("next", 1, true), message)
      end
    end
    collectgarbage("setpause", 200)
    collectgarbage(mode)
    collectgarbage()
    assert.is_true(runs > 0)
  end

  it("is taken as it was at one moment", function()
    changing({ key = "k", timeout = 5, headers = { { "a", "b" } } }, function(t) assert(p:produce("first", "v", t)) end)
    changing({ topic = "first", partition = 0, offset = 1 }, function(t) assert(k:committed("g", t)) end)
    changing({ max_bytes = 10, timeout = 0 }, function(t) assert(part:fetch(t)) end)
    assert(p:flush())
  end)
end)

describe("an option table", function()
  it("is neither changed nor kept", function()
    local options = { key = "k", headers = { { "h", "1" } }, timeout = 5 }
    assert(p:send("first", "v", options))
    assert.same({ key = "k", headers = { { "h", "1" } }, timeout = 5 }, options)
    local settings = { brokers = mock.brokers, linger_ms = 3 }
    assert(kafka.producer(settings)):close()
    assert.same({ brokers = mock.brokers, linger_ms = 3 }, settings)
    local rows = { { topic = "first", partition = 0.0, offset = 1.0 } }
    assert(k:commit("g", rows, { metadata = "m" }))
    assert.same({ { topic = "first", partition = 0.0, offset = 1.0 } }, rows)
    local columns = { "value" }
    assert(part:fetch { columns = columns, timeout = 0 })
    assert.same({ "value" }, columns)
  end)

  it("may be used by several calls, and hold what holds itself", function()
    local tag = {}
    tag.tag = tag
    local options = { tag = tag, partition = 0 }
    assert.is_true(rawequal(tag, assert(p:send("first", "v", options)).tag))
    assert.is_true(rawequal(tag, assert(p:send("first", "v", options)).tag))
  end)

  it("may be large", function()
    local many = { brokers = "h:1" }
    for i = 1, 100000 do many["setting" .. i] = i end
    local function open() kafka.producer(many) end
    local seconds = try.time(misuse.raises, "kafka.producer", { "unknown setting" }, open)
    assert.is_true(seconds < 2, "took " .. seconds)
  end)
end)

-- Any allocation may run a finalizer, and a finalizer may close the very client that is being used. Each primitive of the
-- core is called again and again while an unreachable object waits to close its client: it succeeds or raises that the client
-- is closed, and nothing is used that is gone (the run under sanitizers sees it).

local core = require "kafka.core"
local kafka = require "kafka"
local child = require "spec.support.child"
local try = require "spec.support.try"

local mock, brokers

setup(function()
  mock = assert(kafka.mock { topics = { first = 1 } })
  brokers = mock.brokers
end)
teardown(function() mock:close() end)

local quiet = { ["log.queue"] = "true", ["log_level"] = "0" }

local function open(kind, at)
  local settings = { ["bootstrap.servers"] = at or brokers }
  for k, v in pairs(quiet) do settings[k] = v end
  if kind == "consumer" then settings["group.id"] = "g" end
  return assert(core[kind](settings))
end

local rows = { { topic = "first", partition = 0, offset = 0, metadata = "m" } }
local acl = { resource = "topic", name = "first", pattern = "literal", principal = "User:a", host = "*", operation = "read",
  permission = "allow" }
local nowhere = "127.0.0.1:1" -- where librdkafka aborts once the mock answers
local headers = { { "a", "1" }, { "b", "2" }, { "c", "3" } }
local calls = {
  produce = { "producer", function(c) c:produce("first", "v", 0, "k", 0, nil, headers) end },
  produce_many = { "producer", function(c)
    c:produce_many("first", { "1", "2" }, nil, { 0, 0 }, nil, { headers, headers }, 0, 1, 2)
  end },
  flush = { "producer", function(c) c:flush(1, 1) end },
  metadata = { "producer", function(c) c:metadata("first", 1000, 1) end },
  create_topics = { "producer", function(c)
    c:create_topics({ { name = "other", partitions = 1, config = { a = "b" }, replicas = { { 1 } } } }, false, 100, 1)
  end },
  delete_topics = { "producer", function(c) c:delete_topics({ "other" }, 100, 1) end },
  create_partitions = { "producer", function(c)
    c:create_partitions({ { topic = "other", total = 2, replicas = { { 1 } } } }, false, 100, 1)
  end },
  delete_records = { "producer", function(c) c:delete_records(rows, 100, 1) end },
  describe_configs = { "producer", function(c) c:describe_configs("topic", "first", 100, 1) end },
  alter_configs = { "producer", function(c) c:alter_configs("topic", "first", { a = "b" }, false, 100, 1) end },
  list_groups = { "consumer", function(c) c:list_groups(100, 1) end },
  describe_groups = { "consumer", function(c) c:describe_groups({ "g", "h" }, 1) end, nowhere },
  delete_groups = { "consumer", function(c) c:delete_groups({ "g", "h" }, 1) end, nowhere },
  delete_group_offsets = { "consumer", function(c) c:delete_group_offsets("g", rows, 1) end, nowhere },
  create_acls = { "producer", function(c) c:create_acls({ acl, acl }, 100, 1) end },
  describe_acls = { "producer", function(c) c:describe_acls({ acl }, 100, 1) end },
  delete_acls = { "producer", function(c) c:delete_acls({ acl }, 100, 1) end },
  group_offsets = { "consumer", function(c) c:group_offsets("g", rows, 1) end },
  alter_group_offsets = { "consumer", function(c) c:alter_group_offsets("g", rows, 1) end },
  watermarks = { "consumer", function(c) c:watermarks("first", 0, 1000, 1) end },
  offsets_for_times = { "consumer", function(c) c:offsets_for_times(rows, 1000, 1) end },
  add = { "consumer", function(c)
    c:add(rows)
    c:remove(rows)
  end },
  assigned = { "consumer", function(c) c:assigned() end },
  inbox = { "consumer", function(c) c:inbox():open("first", 0, 0) end },
  drain = { "producer", function(c) c:drain({}, 0, 10) end },
}

-- An object that nothing refers to, whose finalizer closes the client.
local function bait(c)
  setmetatable({}, { __gc = function() pcall(c.close, c) end })
end

describe("a client closed by a finalizer in the middle of", function()
  for name, call in pairs(calls) do
    it(name .. " is closed for that call, or after it", function()
      for round = 1, 40 do
        local c = open(call[1], call[3])
        -- Work enough for the collector to reach the object at one of the call's own allocations.
        bait(c)
        collectgarbage "step"
        local ok, err
        for _ = 1, round do
          ok, err = pcall(call[2], c)
          if not ok then break end
        end
        if not ok then assert.matches("closed kafka", err) end
        pcall(c.close, c)
        c:release()
      end
    end)
  end

  it("close() of a producer is refused to a finalizer within its own call", function()
    local p = assert(kafka.producer { brokers = brokers, linger_ms = 0, on_log = function() end })
    for i = 1, 2000 do assert(p:produce("first", tostring(i), { tag = i })) end
    local answers = {}
    local function again()
      setmetatable({}, { __gc = function()
        if p.handle.closed or not p.handle.core:busy() then return again() end
        answers[#answers + 1] = { pcall(p.close, p, 3) }
      end })
    end
    again()
    local pause = collectgarbage("setpause", 0)
    assert(p:flush(10))
    collectgarbage("setpause", pause)
    for _, answer in ipairs(answers) do
      assert.is_false(answer[1])
      assert.matches("a finalizer that runs within a call", answer[2])
    end
    assert.same({ accepted = 2000, delivered = 2000, failed = 0, pending = 0 }, p:counts())
    assert(p:close())
  end)
end)

describe("a partition that was never closed", function()
  it("is given back when it is collected, so that opening it again takes the same handle", function()
    local k <close> = assert(kafka.connect { brokers = brokers })
    for _ = 1, 5 do
      assert(k:partition("first", 0)) -- and dropped
      collectgarbage()
      collectgarbage()
    end
    assert.equal(1, #k.handles)
    try.until_true(5, function() return #assert(k.handles[1].core:assigned()) == 0 end)
  end)
end)

describe("lua_close", function()
  it("refuses a client that a finalizer opens when the library is gone, in words", function()
    local text = child.works [[lua5.4 -e '
      local brokers = "127.0.0.1:1"
      older = setmetatable({}, { __gc = function() print(pcall(require("kafka").producer, { brokers = brokers })) end })
      require "kafka"']]
    assert.matches("the Lua state is closing", text)
  end)
end)

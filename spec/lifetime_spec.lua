-- The end of every object: by close, by its block, by collection, and by the process.

local core = require "kafka.core"
local kafka = require "kafka"
local child = require "spec.support.child"
local process = require "spec.support.process"
local try = require "spec.support.try"

local function held()
  return { threads = process.entries "/proc/self/task", descriptors = process.entries "/proc/self/fd" }
end

-- Waits until this process holds no more than before.
local function assert_nothing_left(before)
  local now
  local ok = pcall(try.until_true, 8, function()
    collectgarbage()
    now = held()
    return now.threads <= before.threads and now.descriptors <= before.descriptors
  end)
  if not ok then
    error(("%d threads and %d descriptors more than before"):format(now.threads - before.threads,
      now.descriptors - before.descriptors), 2)
  end
end

-- One of everything, used.
local function everything()
  local mock = assert(kafka.mock { topics = { first = 2 } })
  local p = assert(kafka.producer { brokers = mock.brokers })
  assert(p:send("first", "v", { partition = 0 }))
  local k = assert(kafka.connect { brokers = mock.brokers })
  assert(k:commit("g", { { topic = "first", partition = 0, offset = 1 } }))
  local part = assert(k:partition("first", 0))
  assert(part:fetch { timeout = 5 })
  local all = assert(k:partitions "first")
  return mock, p, k, part, all
end

describe("close", function()
  it("leaves no thread and no descriptor", function()
    local before = held()
    for _ = 1, 3 do
      local mock, p, k, part, all = everything()
      assert(part:close())
      assert(all:close())
      assert(k:close())
      assert(p:close())
      assert(mock:close())
    end
    assert_nothing_left(before)
  end)

  it("may come in any order, and again", function()
    local before = held()
    local function in_order(order)
      local objects = { everything() }
      for _, i in ipairs(order) do objects[i]:close(1) end
      for _, i in ipairs(order) do assert.is_true(objects[i]:close()) end
    end
    try.logged(function() -- what the others say of a mock that was closed first
      for _, order in ipairs { { 1, 2, 3, 4, 5 }, { 5, 4, 3, 2, 1 }, { 3, 1, 5, 2, 4 } } do in_order(order) end
    end)
    assert_nothing_left(before)
  end)

  it("comes by itself at the end of a block", function()
    local p, k, part, mock
    do
      local m <close> = assert(kafka.mock { topics = { first = 1 } })
      local p1 <close> = assert(kafka.producer { brokers = m.brokers })
      local k1 <close> = assert(kafka.connect { brokers = m.brokers })
      local part1 <close> = assert(k1:partition("first", 0))
      mock, p, k, part = m, p1, k1, part1
    end
    try.misuse("closed", function() p:pending() end)
    try.misuse("closed", function() k:brokers() end)
    try.misuse("closed", function() part:fetch() end)
    try.misuse("closed", function() mock:rtt(0) end)
  end)

  it("gives its descriptors back at once, though the object is still there", function()
    local before = held()
    local objects = { everything() }
    for _, object in ipairs(objects) do assert(object:close()) end
    assert_nothing_left(before)
    assert.truthy(tostring(objects[1]):find "closed")
  end)

  it("ends connections soon where nothing is under way, long before its timeout", function()
    -- Now and then a thread of librdkafka misses the call to end, and looks again after a second.
    local mock <close> = assert(kafka.mock { topics = { first = 1 } })
    local p = assert(kafka.producer { brokers = mock.brokers })
    assert(p:send("first", "v"))
    assert.is_true((try.time(p.close, p)) < 4)
    local k = assert(kafka.connect { brokers = mock.brokers })
    assert.is_true((try.time(k.close, k)) < 4)
  end)

  it("of a producer whose broker is gone takes its timeout and little more", function()
    local p = assert(kafka.producer { brokers = "127.0.0.1:1", on_error = function() end, on_log = function() end })
    assert(p:produce("first", "v", { on_delivery = function() end }))
    local seconds, ok, err = try.time(p.close, p, 0.3)
    assert.equal(1, try.failure(nil, ok, err).lost)
    assert.is_true(seconds >= 0.3 and seconds < 1.5, "took " .. seconds)
  end)
end)

describe("collection", function()
  it("closes what was forgotten, whatever the order", function()
    local before = held()
    for _ = 1, 3 do everything() end
    assert_nothing_left(before)
  end)

  it("does not close a client whose partition is still in use", function()
    local mock <close> = assert(kafka.mock { topics = { first = 1 } })
    try.fill(mock.brokers, "first", 0, { "v" })
    local part = assert(assert(kafka.connect { brokers = mock.brokers }):partition("first", 0))
    collectgarbage()
    collectgarbage()
    assert.equal("v", assert(part:fetch { timeout = 5 })[1].value)
    part:close()
  end)

  it("does not wait, and prints how many messages had no report", function()
    local r = child.run [[
      local kafka = require "kafka"
      local p = kafka.producer { brokers = "127.0.0.1:1", on_error = function() end, on_log = function() end }
      for i = 1, 3 do p:produce("first", "v") end
      p = nil
      local start = kafka.now()
      collectgarbage()
      print(kafka.now() - start < 0.3)
    ]]
    assert.same({ 0, "true\n" }, { r.code, r.out })
    assert.truthy(r.err:find("3 messages not reported", 1, true), r.err)
  end)

  it("prints nothing where all was reported", function()
    local r = child.run [[
      local kafka = require "kafka"
      local mock = kafka.mock { topics = { first = 1 } }
      local p = kafka.producer { brokers = mock.brokers }
      assert(p:send("first", "v"))
      local k = kafka.connect { brokers = mock.brokers }
      local part = k:partition("first", 0)
      p, k, part = nil
      collectgarbage()
      collectgarbage()
    ]]
    assert.same({ 0, "", "" }, { r.code, r.out, r.err })
  end)
end)

describe("the end of a process with clients open", function()
  local open = [[
    local kafka = require "kafka"
    mock = kafka.mock { topics = { first = 1 } }
    p = kafka.producer { brokers = mock.brokers }
    assert(p:send("first", "v"))
    k = kafka.connect { brokers = mock.brokers }
    part = k:partition("first", 0)
    part:fetch { timeout = 5 }
    dead = kafka.producer { brokers = "127.0.0.1:1", on_error = function() end, on_log = function() end }
  ]]

  for name, last in pairs {
    ["that falls off its end"] = { "", 0 },
    ["by os.exit"] = { "os.exit(3)", 3 },
    ["by os.exit that closes the state"] = { "os.exit(4, true)", 4 },
    ["by an error"] = { "error 'the end'", 1 },
    ["in a coroutine"] = { "coroutine.wrap(function() os.exit(5, true) end)()", 5 },
  } do
    it(name .. " neither hangs nor crashes", function()
      local seconds, r = try.time(child.run, open .. last[1])
      assert.equal(last[2], r.code, r.err)
      assert.is_true(seconds < 5, "took " .. seconds)
    end)
  end

  it("tells of messages without a report", function()
    local r = child.run(open .. [[ dead:produce("first", "v") ]])
    assert.equal(0, r.code)
    assert.truthy(r.err:find("1 message not reported", 1, true), r.err)
  end)
end)

describe("two clusters", function()
  it("live in one Lua state without touching each other", function()
    local a <close> = assert(kafka.mock { topics = { first = 1 } })
    local b <close> = assert(kafka.mock { brokers = 2, topics = { first = 1 } })
    try.fill(a.brokers, "first", 0, { "to a" })
    try.fill(b.brokers, "first", 0, { "to b", "to b too" })
    local ka <close> = assert(kafka.connect { brokers = a.brokers })
    local kb <close> = assert(kafka.connect { brokers = b.brokers })
    assert.same({ 1, 2 }, { #assert(ka:brokers()), #assert(kb:brokers()) })
    local pa <close> = assert(ka:partition("first", 0))
    local pb <close> = assert(kb:partition("first", 0))
    assert.equal("to a", assert(pa:fetch { timeout = 5 })[1].value)
    assert.equal("to b", assert(pb:fetch { timeout = 5 })[1].value)
    assert(ka:commit("g", { { topic = "first", partition = 0, offset = 1 } }))
    assert.is_nil(assert(kb:committed("g", { { topic = "first", partition = 0 } }))[1].offset)
    a:close()
    assert(kb:brokers())
  end)
end)

describe("the module", function()
  it("may be loaded again in the same state while its clients live", function()
    local r = child.run [[
      local kafka = require "kafka"
      local mock = kafka.mock { topics = { first = 1 } }
      local p = kafka.producer { brokers = mock.brokers }
      for name in pairs(package.loaded) do
        if name:find "^kafka" then package.loaded[name] = nil end
      end
      local again = require "kafka"
      assert(again ~= kafka)
      assert(p:send("first", "v"))
      local k = again.connect { brokers = mock.brokers }
      local part = k:partition("first", 0)
      local m = part:fetch { timeout = 5 } [1]
      print(m, k:commit("g", m))
    ]]
    assert.same({ 0, "first[0]@0 v\ttrue\n", "" }, { r.code, r.out, r.err })
  end)
end)

describe("a reader of a topic that nobody knows", function()
  local PARTITIONS = 500

  local function read(ending)
    local c = assert(core.consumer { ["bootstrap.servers"] = "127.0.0.1:1", ["log_level"] = "0", ["log.queue"] = "true",
      ["group.id"] = "g" })
    local inbox, rows = c:inbox(), {}
    for i = 0, PARTITIONS - 1 do
      inbox:open("first", i, 0)
      rows[i + 1] = { topic = "first", partition = i, offset = 0 }
    end
    assert(c:add(rows))
    ending(c, inbox, rows)
    c:close()
    try.until_true(10, function() return c:gone() end, "its end")
    c:release()
    return collectgarbage()
  end

  local function assert_flat(ending)
    read(ending)
    local before = process.allocated()
    read(ending)
    local each = (process.allocated() - before) / PARTITIONS
    assert.is_true(each < 500, each .. " bytes remain for each partition")
  end

  it("leaves no memory when it is closed", function()
    assert_flat(function() end)
  end)

  it("leaves no memory when its partitions are let go of", function()
    assert_flat(function(c, inbox, rows)
      assert(c:remove(rows))
      for _, row in ipairs(rows) do inbox:drop(row.topic, row.partition) end
    end)
  end)

  it("leaves no memory when its inbox is closed first", function()
    assert_flat(function(_, inbox) inbox:close() end)
  end)
end)

-- A consumer among what else a process does: Ctrl-C, forks, loops, finalizers.

local kafka = require "kafka"
local child = require "spec.support.child"
local try = require "spec.support.try"

local has_cqueues, cqueues = pcall(require, "cqueues")

local prelude = [[
  local kafka = require "kafka"
  local process = require "spec.support.process"
  local quiet = function() end
  local mock = assert(kafka.mock { topics = { first = 1 } })
  local p = assert(kafka.producer { brokers = mock.brokers })
  for i = 1, 5 do assert(p:send("first", tostring(i), { partition = 0 })) end
  local function open(options)
    options.brokers, options.group, options.on_commit = mock.brokers, options.group or "g", quiet
    return assert(kafka.consumer(options))
  end
]]

describe("Ctrl-C", function()
  it("ends each wait of a consumer in time, and the consumer goes on", function()
    local r = child.run(prelude .. [[
      local c = open {}
      assert(c:assign { { topic = "first", partition = 0 } })
      for _ in c:messages { to_end = true } do end
      local function interrupted(name, f)
        process.interrupt_in(0.15)
        local ok, err = pcall(f)
        print(name, not ok and tostring(err):match "interrupted!$", process.since_interrupt() < 0.3)
      end
      interrupted("poll", function() c:poll() end)
      interrupted("batch", function() c:batch {} end)
      interrupted("messages", function() for _ in c:messages() do end end)
      interrupted("in a coroutine", coroutine.wrap(function() c:poll() end))
      mock:rtt(1)
      interrupted("commit", function() c:commit { topic = "first", partition = 0, offset = 1 } end)
      interrupted("seek", function() c:seek("first", 0, "earliest") end)
      mock:rtt(0)
      assert(c:seek("first", 0, 2))
      print(c:poll(5).value, c:close())
    ]])
    local want = ""
    for _, name in ipairs { "poll", "batch", "messages", "in a coroutine", "commit", "seek" } do
      want = want .. name .. "\tinterrupted!\ttrue\n"
    end
    assert.same({ 0, want .. "3\ttrue\n" }, { r.code, r.out }, r.err)
  end)

  it("within a handler leaves the group in order: it has its answer", function()
    local r = child.run(prelude .. [[
      local c = open { topics = "first", session_timeout_ms = 6000, on_assign = function(rows, consumer)
        mock:rtt(1)
        process.interrupt_in(0.15)
        consumer:commit { topic = "first", partition = 0, offset = 1 }
      end }
      print(pcall(function() for _ in c:messages() do end end))
      mock:rtt(0)
      print(c:poll(10).value, #c:assignment(), c:close())
    ]])
    assert.equal(0, r.code, r.err)
    assert.matches("^false\t[^\n]*interrupted!\n1\t1\ttrue\n$", r.out)
  end)
end)

describe("a fork", function()
  it("leaves the child a consumer that raises, a close that does nothing, and the parent unharmed", function()
    local r = child.run(prelude .. [[
      local c = open {}
      assert(c:assign { { topic = "first", partition = 0 } })
      assert(c:poll(5))
      local pid = process.fork()
      if pid == 0 then
        local bad = 0
        for _, name in ipairs { "poll", "batch", "commit", "committed", "lag" } do
          local ok, err = pcall(c[name], c)
          if ok or not tostring(err):find("parent process", 1, true) then
            io.stderr:write(name, " ", tostring(err), "\n")
            bad = bad + 1
          end
        end
        if not pcall(c.close, c) then bad = bad + 1 end
        c = nil
        collectgarbage()
        process.exit(bad)
      end
      local code
      repeat code = process.waitpid(pid) until code
      print(code, c:poll(5).value, c:close())
    ]])
    assert.same({ 0, "0\t2\ttrue\n", "" }, { r.code, r.out, r.err })
  end)
end)

describe("a member that is collected", function()
  it("leaves no thread and no descriptor", function()
    local r = child.run(prelude .. [[
      local function held() return process.entries "/proc/self/task" + process.entries "/proc/self/fd" end
      local before = held()
      for _, seconds in ipairs { 0, 4 } do
        local c = open { topics = "first", group = "collected-" .. seconds }
        c:poll(seconds)
        c = nil
        collectgarbage()
        collectgarbage()
      end
      local late = kafka.now() + 10
      while held() > before and kafka.now() < late do process.nap() end
      print(held() <= before)
    ]], { timeout = 30 })
    assert.same({ 0, "true\n" }, { r.code, r.out }, r.err)
  end)
end)

describe("a consumer that a finalizer closes", function()
  it("within a call on it ends there, and nothing is used that is gone", function()
    local r = child.run(prelude .. [[
      for _ = 1, 20 do
        local c = open {}
        assert(c:assign { { topic = "first", partition = 0 } })
        setmetatable({}, { __gc = function() pcall(c.close, c, 0) end })
        pcall(function()
          for _ = 1, 200 do
            c:poll(0.001)
            local t = {}
            for i = 1, 50 do t[i] = { i } end
          end
        end)
      end
      print "lives"
    ]], { timeout = 60 })
    assert.same({ 0, "lives\n" }, { r.code, r.out }, r.err)
  end)
end)

describe("a consumer in cqueues", function()
  it("yields while it waits; a second coroutine is refused meanwhile, and may end its loop", function()
    if not has_cqueues then return pending "cqueues is not installed" end
    local mock <close> = assert(kafka.mock { topics = { first = 1 } })
    try.fill(mock.brokers, "first", 0, 5)
    local c <close> = assert(kafka.consumer { brokers = mock.brokers, group = "g" })
    local loop, n, ticks, refused = cqueues.new(), 0, 0, nil
    loop:wrap(function()
      assert(c:assign { { topic = "first", partition = 0 } })
      for _ in c:messages() do n = n + 1 end
      assert(c:close())
    end)
    loop:wrap(function()
      while n < 5 or ticks < 10 do
        cqueues.sleep(0.01)
        ticks = ticks + 1
      end
      refused = try.misuse("another coroutine waits", function() c:poll(0) end)
      c:stop()
    end)
    assert(loop:loop(10))
    assert.same({ 5, true, true }, { n, ticks >= 10, refused ~= nil })
  end)
end)

-- A forked child: its objects raise, their closes do nothing, and the parent goes on unharmed.

local child = require "spec.support.child"

describe("a fork", function()
  it("leaves the child objects that raise, closes that do nothing, and the parent unharmed", function()
    local r = child.run [[
      local kafka = require "kafka"
      local process = require "spec.support.process"
      local mock = assert(kafka.mock { topics = { first = 1 } })
      local p = assert(kafka.producer { brokers = mock.brokers })
      local k = assert(kafka.connect { brokers = mock.brokers })
      assert(p:send("first", "before"))
      local part = assert(k:partition("first", 0))
      assert(part:fetch { timeout = 5 })
      local all = assert(k:partitions "first")
      local r = assert(kafka.reader { brokers = mock.brokers, topic = "first", group = "forked" })
      assert(r:poll(5))
      r:poll(0) -- the first is handled now, and not committed
      assert(p:produce("first", "in flight"))
      local unwatched = false
      k.handles[1].unwatch = function() unwatched = true end -- of an event loop, which both processes share

      local pid = process.fork()
      if pid == 0 then
        local bad = 0
        local function expect(condition, what)
          if condition then return end
          bad = bad + 1
          io.stderr:write("in the child: ", what, "\n")
        end
        local calls = {
          produce = function() p:produce("first", "v") end,
          send = function() p:send("first", "v") end,
          flush = function() p:flush(1) end,
          poll = function() p:poll(1) end,
          pending = function() p:pending() end,
          brokers = function() k:brokers(1) end,
          topic = function() k:topic("first", 1) end,
          commit = function() k:commit("g", { topic = "first", partition = 0, offset = 1 }) end,
          open = function() k:partition("first", 0) end,
          fetch = function() part:fetch { timeout = 1 } end,
          fetch_all = function() all:fetch { timeout = 1 } end,
          seek = function() part:seek(0) end,
          read = function() r:poll(1) end,
          rtt = function() mock:rtt(0) end,
        }
        for name, call in pairs(calls) do
          local ok, err = pcall(call)
          expect(not ok, name .. " did not raise")
          expect(tostring(err):find("parent process", 1, true), name .. ": " .. tostring(err))
        end
        for _, object in ipairs { p, k, part, all, r, mock } do
          expect(pcall(tostring, object), "tostring raised")
          local start = kafka.now()
          local ok, err = pcall(object.close, object)
          expect(ok, "close raised: " .. tostring(err))
          expect(kafka.now() - start < 0.5, "close waited")
        end
        expect(not unwatched, "close took the descriptor from the parent's loop")
        p, k, part, all, r, mock = nil
        collectgarbage()
        collectgarbage()
        process.exit(bad)
      end

      local code
      local deadline = kafka.now() + 10
      repeat
        process.nap()
        code = process.waitpid(pid)
      until code or kafka.now() > deadline
      print("child", code)
      assert(p:send("first", "after"))
      local n, last = 0, nil
      repeat
        local batch = assert(part:fetch { timeout = 2 })
        for _, m in ipairs(batch) do n, last = n + 1, m.value end
      until last == "after" or batch.n == 0
      print("parent", n, last)
      assert(p:close())
      assert(r:close())
      assert(k:close())
      mock:close()
    ]]
    assert.equal("", r.err)
    assert.same({ 0, "child\t0\nparent\t2\tafter\n" }, { r.code, r.out })
  end)

  it("may end the child by os.exit", function()
    local r = child.run([[
      local kafka = require "kafka"
      local process = require "spec.support.process"
      local mock = assert(kafka.mock { topics = { first = 1 } })
      local p = assert(kafka.producer { brokers = mock.brokers })
      assert(p:send("first", "before"))
      local pid = process.fork()
      if pid == 0 then os.exit(7, true) end
      local code
      repeat
        process.nap()
        code = process.waitpid(pid)
      until code
      assert(p:send("first", "after"))
      p:close()
      mock:close()
      os.exit(code)
    ]], { prefix = "env ASAN_OPTIONS=detect_leaks=0" }) -- a child cannot free what the parent's threads use
    assert.same({ 7, "" }, { r.code, r.err })
  end)
end)

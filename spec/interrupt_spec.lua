-- Ctrl-C: every wait ends within 0.1 s (0.3 s here, on a busy machine) and all stays usable.

local child = require "spec.support.child"

-- Prints for each wait: its name, how it ended, how long after Ctrl-C it did.
local prelude = [[
  local kafka = require "kafka"
  local process = require "spec.support.process"
  local mock = assert(kafka.mock { topics = { first = 1 } })
  local quiet = function() end

  local function producer(options)
    options = options or {}
    options.brokers = options.brokers or mock.brokers
    options.linger_ms, options.on_error, options.on_log, options.on_delivery = 0, quiet, quiet, quiet
    return assert(kafka.producer(options))
  end

  local function interrupted(name, f, ...)
    process.interrupt_in(0.15)
    local ok, err = pcall(f, ...)
    local after = process.since_interrupt()
    print(("%s %s %s"):format(name, not ok and tostring(err) or "ended", after and after < 0.3 and "in time" or
      ("after %s s"):format(after)))
  end

  local k = assert(kafka.connect { brokers = mock.brokers, on_error = quiet, on_log = quiet })
  local p = producer()
  assert(p:send("first", "warm"))
  assert(k:commit("g", { { topic = "first", partition = 0, offset = 0 } }))
  local part = assert(k:partition("first", 0, { offset = "latest" }))

  -- All that was interrupted goes on.
  local function usable()
    mock:rtt(0)
    assert(p:flush(10))
    local report = assert(p:send("first", "after Ctrl-C"))
    assert(part:seek(report.offset))
    local m = assert(part:fetch { timeout = 5 })[1]
    print(m and m.value, assert(k:commit("g", m)))
    assert(p:close())
    assert(k:close())
    assert(mock:close())
  end
]]

local function run(program)
  local r = child.run(prelude .. program .. "\nusable()")
  assert.same({ 0, "" }, { r.code, r.err })
  local lines = {}
  for line in r.out:gmatch "[^\n]+" do lines[#lines + 1] = line end
  assert.equal("after Ctrl-C\ttrue", table.remove(lines))
  return lines
end

local function assert_all_interrupted(lines, names)
  assert.equal(#names, #lines)
  for i, name in ipairs(names) do
    assert.truthy(lines[i]:find("^" .. name .. " .*interrupted! in time$"), lines[i])
  end
end

describe("Ctrl-C", function()
  it("stops the waits of a producer", function()
    assert_all_interrupted(run [[
      mock:rtt(1)
      assert(p:produce("first", "slow"))
      interrupted("poll", p.poll, p)
      interrupted("flush", p.flush, p, 10)
      mock:rtt(1)
      interrupted("send", p.send, p, "first", "slower")
      local full = producer { queue_buffering_max_messages = 1, brokers = "127.0.0.1:1" }
      assert(full:produce("first", "v"))
      interrupted("produce", full.produce, full, "first", "v", { timeout = 10 })
      interrupted("produce_many", full.produce_many, full, "first", { "v", "w" }, { timeout = 10 })
      interrupted("close", full.close, full, 10)
      full:purge()
      full:close(0)
      -- Its loop allocates: the thread sanitizer keeps a signal until its thread does.
      local token = producer { brokers = "127.0.0.1:1", security_protocol = "sasl_plaintext", sasl_mechanism = "OAUTHBEARER",
        oauth_token = function() while true do local _ = ("x"):rep(100) end end }
      interrupted("oauth_token", token.send, token, "first", "v", { timeout = 10 })
      token:close(0)
    ]], { "poll", "flush", "send", "produce", "produce_many", "close", "oauth_token" })
  end)

  it("stops the waits of a client", function()
    assert_all_interrupted(run [[
      interrupted("connect", kafka.connect, { brokers = "127.0.0.1:1", on_error = quiet, on_log = quiet, timeout = 10 })
      interrupted("fetch", part.fetch, part, { timeout = 10 })
      local all = k:partitions("first", { offset = "latest" })
      interrupted("fetch all", all.fetch, all, { timeout = 10 })
      all:close()
      mock:rtt(1.2)
      interrupted("topic", k.topic, k, "first")
      interrupted("watermarks", k.watermarks, k, "first", 0)
      interrupted("partition", k.partition, k, "first", 0)
      interrupted("seek", part.seek, part, "earliest")
      interrupted("commit", k.commit, k, "g", { { topic = "first", partition = 0, offset = 0 } })
      interrupted("committed", k.committed, k, "g", { { topic = "first", partition = 0 } })
      interrupted("coordinator", k.coordinator, k, "g")
    ]], { "connect", "fetch", "fetch all", "topic", "watermarks", "partition", "seek", "commit", "committed", "coordinator" })
  end)

  it("stops a wait inside a coroutine, and both the coroutine and the program go on", function()
    local lines = run [[
      local co = coroutine.wrap(function()
        interrupted("fetch", part.fetch, part, { timeout = 10 })
        mock:rtt(1)
        interrupted("send", p.send, p, "first", "slow")
        mock:rtt(0)
        print("goes on", (p:flush(10)))
      end)
      print("resumed", pcall(co))
    ]]
    assert.same({ "fetch interrupted! in time", "send interrupted! in time", "goes on\ttrue", "resumed\ttrue" }, lines)
  end)

  it("that nobody catches ends the program, its coroutines too", function()
    for _, wait in ipairs { "part:fetch { timeout = 10 }", "coroutine.wrap(function() part:fetch { timeout = 10 } end)()" } do
      local r = child.run(prelude .. "process.interrupt_in(0.2)\n" .. wait .. "\nprint 'not here'", { timeout = 8 })
      assert.same({ 1, "" }, { r.code, r.out })
      assert.truthy(r.err:find("interrupted!", 1, true))
    end
  end)

  it("that another thread than the program's gets does no harm", function()
    local r = child.run(prelude .. [[
      for _ = 1, 5 do
        process.interrupt_threads()
        process.nap()
      end
      usable()
    ]])
    assert.same({ 0, "after Ctrl-C\ttrue\n", "" }, { r.code, r.out, r.err })
  end)

  it("stops a loop of cqueues, which can be caught", function()
    if not package.searchpath("cqueues", package.path) then pending "cqueues is not installed" end
    local lines = run [[
      local loop = require("cqueues").new()
      loop:wrap(function() part:fetch { timeout = 10 } end)
      interrupted("loop", loop.loop, loop)
    ]]
    assert_all_interrupted(lines, { "loop" })
  end)

  it("stops a loop of luv, and with it the program", function()
    if not require "spec.support.luv" then pending "luv is not installed" end
    local r = child.run(prelude .. [[
      local uv = require "luv"
      local own = assert(kafka.connect { brokers = mock.brokers, loop = uv })
      local waiting = assert(own:partition("first", 0, { offset = "latest" }))
      coroutine.wrap(function() waiting:fetch { timeout = 10 } end)()
      process.interrupt_in(0.2)
      uv.run()
      print "not here"
    ]], { timeout = 8 })
    assert.is_true(r.code ~= 0 and r.code ~= 124, "code " .. r.code)
    assert.equal("", r.out)
    assert.truthy(r.err:find("interrupted!", 1, true), r.err)
  end)
end)

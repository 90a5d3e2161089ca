-- What kafka.core holds by itself, whoever calls it and whatever runs out: found by `make fuzz`.

local core = require "kafka.core"
local child = require "spec.support.child"
local try = require "spec.support.try"

local function consumer(settings)
  local all = { ["log.queue"] = "true", ["group.id"] = "g" }
  for k, v in pairs(settings or {}) do all[k] = v end
  return core.consumer(all)
end

describe("the core", function()
  it("refuses a consumer without a group, for which librdkafka has no queue", function()
    try.misuse("group.id", function() core.consumer { ["log.queue"] = "true" } end)
    try.misuse("group.id", function() consumer { ["group.id"] = "" } end)
  end)

  it("takes a partition that is removed twice in one list as removed once, where librdkafka would abort", function()
    local result = child.run [[
      local core = require "kafka.core"
      local c = assert(core.consumer { ["log.queue"] = "true", ["group.id"] = "g" })
      local row = { topic = "first", partition = 0, offset = 0 }
      assert(c:add { row })
      assert(c:remove { row, row })
      assert(#c:assigned() == 0)
      c:close()]]
    assert.equal(0, result.code, result.err)
  end)

  it("deletes records in no time at all, where librdkafka would free its look-up of the leaders twice", function()
    local result = child.run [[
      local kafka = require "kafka"
      local core = require "kafka.core"
      local mock = assert(kafka.mock { topics = { first = 1 } })
      local c = assert(core.consumer { ["log.queue"] = "true", ["group.id"] = "g", ["bootstrap.servers"] = mock.brokers })
      for ticket = 1, 200 do
        assert(c:delete_records({ { topic = "first", partition = 0, offset = 0 } }, 0, ticket))
        c:wait(2)
        c:drain({}, 0, 1000)
      end
      c:close()]]
    assert.equal(0, result.code, result.err)
  end)

  it("ends no request a part of a millisecond before its time", function()
    local c = assert(consumer { ["bootstrap.servers"] = "127.0.0.1:1" })
    finally(function() c:close() end)
    for ticket = 1, 5 do
      local began, answered = core.now(), false
      assert(c:metadata(false, 50.95, ticket))
      try.until_true(5, function()
        c:wait(10)
        local records = {}
        for i = 1, c:drain(records, 0, 1000), 2 do answered = answered or records[i] == ticket end
        return answered
      end)
      local took = core.now() - began
      assert.is_true(took >= 0.05095, "took " .. took)
    end
  end)

  -- librdkafka's calls might wait for ever.
  it("asks a group that is being left nothing but to take all partitions back, which is not waited for", function()
    local result = child.run([[
      local kafka = require "kafka"
      local core = require "kafka.core"
      local mock = assert(kafka.mock { topics = { first = 2 } })
      local function open(new, group)
        return assert(new { ["log.queue"] = "true", ["group.id"] = group, ["bootstrap.servers"] = mock.brokers,
          ["partition.assignment.strategy"] = "range", ["session.timeout.ms"] = "6000" })
      end
      local rows = { { topic = "first", partition = 0, offset = 0 } }
      local function refused(c)
        for _, call in ipairs { "add", "remove", "assign", "unassign", "assigned", "subscribe", "unsubscribe" } do
          local ok, err = c[call](c, call == "subscribe" and { "first" } or rows)
          assert(ok == nil and err.name == "_STATE" and err.message:find "left", call)
        end
      end
      local function await(c, kind)
        local deadline = core.now() + 10
        while core.now() < deadline do
          c:wait(100)
          c:pulse()
          local records = {}
          for i = 1, c:drain(records, 0, 1000), 2 do
            if records[i] == "rebalance" and records[i + 1].kind == kind then return true end
          end
          if kind == nil and c:left() then return true end
        end
        error("no " .. (kind or "end"))
      end

      local c = open(core.consumer, "nobody's")
      local inbox = c:inbox()
      inbox:open("first", 0)
      assert(c:add(rows))
      local farewell = assert(c:leave())
      local another = c:leave() -- twice: as some librdkafka says
      await(c)
      refused(c)
      local p = assert(core.producer { ["log.queue"] = "true", ["transactional.id"] = "t" })
      assert(p:txn_offsets(rows, c, 100, 1)) -- as the member it was
      inbox:close()
      c:close()
      p:close()

      local members = { [false] = open(core.member, "one"), [true] = open(core.member, "two") }
      for _, member in pairs(members) do assert(member:subscribe { "first" }) end
      for answered, c in pairs(members) do
        await(c, "assign")
        if answered then assert(c:assign(rows)) end
        farewell = assert(c:leave())
        refused(c)
        if answered then await(c, "revoke") end
        assert(c:resign(1))
        await(c)
        refused(c)
        c:close()
      end
      print "left" ]], { timeout = 60 })
    assert.same({ 0, "left\n" }, { result.code, result.out }, result.err)
  end)

  it("shows the name of a setting in one line, and takes none that ends at a NUL", function()
    try.misuse([["client\010id"]], function() consumer { ["client\nid"] = "x" } end)
    try.misuse([["client.id\000x"]], function() consumer { ["client.id\0x"] = "x" } end)
  end)
end)

-- In a program of its own, since it replaces the allocator.
describe("where memory runs out", function()
  it("the error of a job keeps what it asks for", function()
    local result = child.run [[
      local process = require "spec.support.process"
      local core = require "kafka.core"
      local p = assert(core.producer { ["log.queue"] = "true", ["transactional.id"] = "t" })
      assert(p:txn_init(1, 7)) -- no broker: to be tried again
      local deadline, records, n = core.now() + 10, {}, 0
      repeat
        p:wait(100)
        process.refuse_memory(n)
        local ok, tail = pcall(p.drain, p, records, 0, 1000)
        process.refuse_memory(-1)
        n = ok and n or n + 1
        for i = 1, ok and tail or 0, 2 do
          if records[i] == 7 then
            assert(n > 3, "memory was refused within the conversion")
            assert(records[i + 1].err.retriable, records[i + 1].err.name)
            p:close()
            return
          end
        end
      until core.now() > deadline
      error "no record"]]
    assert.equal(0, result.code, result.err)
  end)

  it("no produce raises for a message that it has accepted", function()
    local result = child.run [[
      local process = require "spec.support.process"
      local core = require "kafka.core"
      local p = assert(core.producer { ["log.queue"] = "true" })
      local headers, accepted = { { "a", "b" } }, 0
      for deep = 0, 19 do
        for n = 0, 60 do
          -- In a new thread Lua has built no list of calls yet: each depth finds another end of it.
          local co = coroutine.create(function()
            local function down(level)
              if level > 0 then return (down(level - 1)) end
              process.refuse_memory(n)
              return p:produce("first", "v", 0, "k", nil, nil, headers)
            end
            return down(deep)
          end)
          p:drain({}, 0, 1000000) -- it accepts nothing before
          local ok, result = coroutine.resume(co)
          process.refuse_memory(-1)
          local now = p:counts()
          assert((ok and result == true and 1 or 0) == now - accepted, "raised for an accepted message")
          accepted = now
        end
      end
      p:purge()
      p:drain({}, 0, 1000000)
      p:close()
      print(accepted)]]
    assert.equal(0, result.code, result.err)
    assert.is_true(tonumber(result.out) > 100, result.out)
  end)

  it("the list of settings is read whole, or again", function()
    local result = child.run [[
      local process = require "spec.support.process"
      local config = require "kafka.config"
      local n, step, ok = 0, os.getenv "SPEC_SLOW" and 10 or 1
      repeat
        n = n + step
        process.refuse_memory(n)
        ok = pcall(config.settings)
        process.refuse_memory(-1)
      until ok
      assert(n > 100)
      assert(config.settings()["linger.ms"] and config.settings()["group.id"])]]
    assert.equal(0, result.code, result.err)
  end)
end)

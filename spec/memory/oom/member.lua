-- Membership of a group: joining and leaving, and the records of what the group gives and takes.

local core = require "kafka.core"
local support = require "spec.memory.oom.support"

local TOGETHER = 30 -- a group needs seconds to form, so many of them form at once

-- Hands on the rebalance records: o.kind is the last one's.
local function drain(o)
  local list = o.list
  local tail = o.c:drain(list, o.tail, 100)
  o.tail = tail or o.tail
  for i = 1, o.tail, 2 do
    if list[i] == "rebalance" then
      o.kind = list[i + 1].kind
      if o.kind == "assign" then o.rows = list[i + 1].rows end
    end
    list[i], list[i + 1] = nil, nil
  end
  o.tail = 0
end

local function member(i)
  local settings = support.settings { ["group.id"] = "group-" .. i }
  return { c = assert(core.member(settings)), list = {}, tail = 0, kind = nil, rows = nil }
end

-- So many members, each alone in its group and with its partitions.
local function joined(o, n)
  local members = {}
  for i = 1, n do
    members[i] = member(o.opened + i)
    assert(members[i].c:subscribe { "many" })
  end
  o.opened = o.opened + n
  local deadline = core.now() + 30
  for _, m in ipairs(members) do
    while m.kind ~= "assign" do
      assert(core.now() < deadline, "no assignment came")
      m.c:wait(20)
      m.c:pulse()
      drain(m)
    end
    for _, row in ipairs(m.rows) do row.offset = 0 end
    assert(m.c:assign(m.rows))
  end
  return members
end

local function end_of(m)
  m.farewell = nil
  collectgarbage()
  support.close(m)
end

return {
  {
    name = "subscribing",
    open = function() return member(0) end,
    run = function(o)
      assert(o.c:subscribe { "odd", "^many" })
      o.c:pulse()
      assert(o.c:unassign())
      assert(o.c:unsubscribe())
    end,
    close = support.close,
  },
  {
    name = "what a member fetches",
    open = function()
      local o = { opened = 1000, members = {} }
      o.m = joined(o, 1)[1]
      o.inbox = o.m.c:inbox()
      return o
    end,
    run = function(o)
      local c, inbox = o.m.c, o.inbox
      assert(c:unassign())
      inbox:open("many", 0, 0)
      assert(c:assign { { topic = "many", partition = 0, offset = 0 } })
      assert(#c:assigned() == 1 and not c:left())
      assert(c:assign { { topic = "many", partition = 0, offset = 7 } })
      inbox:rewind("many", 0, 7)
      c:pulse()
      inbox:drop("many", 0)
    end,
    check = function(o)
      local c, inbox = o.m.c, o.inbox
      local deadline = core.now() + 10
      inbox:drop("many", 0)
      inbox:open("many", 0, 3)
      assert(c:assign { { topic = "many", partition = 0, offset = 3 } })
      local batch
      repeat
        assert(core.now() < deadline, "no message came")
        c:wait(20)
        drain(o.m)
        batch = assert(inbox:take(100, 1))
      until batch.n == 1
      assert(batch[1].offset == 3)
      assert(c:unassign())
      inbox:drop("many", 0)
    end,
    close = function(o)
      o.inbox:close()
      end_of(o.m)
    end,
  },
  {
    name = "leaving",
    open = function() return { opened = 0, members = {} } end,
    prepare = function(o)
      if #o.members == 0 then o.members = joined(o, TOGETHER) end
      o.m = table.remove(o.members)
    end,
    run = function(o)
      local m = o.m
      m.farewell = m.farewell or assert(m.c:leave())
      while m.kind ~= "revoke" do
        m.c:wait(20)
        drain(m)
      end
      m.resigned = assert(m.c:resign(1))
    end,
    check = function(o)
      local m = o.m
      local deadline = core.now() + 10
      m.farewell = m.farewell or m.c:leave()
      while m.kind ~= "revoke" do
        assert(core.now() < deadline, "the record of what the group takes away is lost")
        m.c:wait(20)
        drain(m)
      end
      if not m.resigned then assert(m.c:resign(1)) end
      while not m.c:left() do
        assert(core.now() < deadline, "the member does not leave")
        m.c:wait(20)
        drain(m)
      end
      end_of(m)
    end,
    close = function(o)
      for _, m in ipairs(o.members) do end_of(m) end
    end,
  },
}

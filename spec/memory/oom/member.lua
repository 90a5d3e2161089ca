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

-- Many members, each alone in its group and with its partitions.
local function joined(o)
  local members = {}
  for i = 1, TOGETHER do
    members[i] = member(o.opened + i)
    assert(members[i].c:subscribe { "many" })
  end
  o.opened = o.opened + TOGETHER
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
    name = "leaving",
    open = function() return { opened = 0, members = {} } end,
    prepare = function(o)
      if #o.members == 0 then o.members = joined(o) end
      o.m = table.remove(o.members)
    end,
    run = function(o)
      local m = o.m
      m.farewell = m.farewell or assert(m.c:leave())
      while m.kind ~= "revoke" do
        m.c:wait(20)
        drain(m)
      end
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
      assert(m.c:unassign())
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

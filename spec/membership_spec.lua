-- How a group that is being left is answered, whatever it says and in which order, with a core that only counts: librdkafka says
-- such things at moments that no mock cluster can be brought to.

local core = require "kafka.core"
local membership = require "kafka.membership"
local process = require "spec.support.process"

-- A membership whose group says `records` as it is left, and is left once `enough(resigned)` is true; `refuse` may keep an answer
-- from being sent. Also what it did.
local function open(records, enough, refuse)
  local told, asked = {}, {}
  local handle = { on = {}, title = "spec", closed = false, core = {} }
  handle.core.leave = function(_)
    for _, record in ipairs(records) do handle.on.rebalance(record) end
    return {}
  end
  handle.core.left = function(_) return enough(#asked) end
  handle.core.resign = function(_, ticket)
    asked[#asked + 1] = ticket
    return true
  end
  handle.start = function(_, _, _, start)
    if refuse and refuse(#asked) then return nil, { message = "refused" } end
    start(#asked + 1)
    return { answer = {} }
  end
  handle.tell = function(_, err) told[#told + 1] = err.message end
  handle.dispatch = function(_) end
  handle.await = function(_, done, deadline)
    while not done() and core.now() < deadline do process.nap() end
  end
  local parts = { list = {} }
  parts.freeze = function() end
  parts.thaw = function() return true end
  parts.forget_all = function() end
  parts.add = function() error "taken up" end
  local member = membership.open({}, { handle = handle, parts = parts, position = function() end })
  member.joined = true
  return member, { told = told, asked = asked }
end

local function finish(member) return member:finish(core.now() + 5, function() end) end

local REVOKE = { kind = "revoke", rows = {}, cooperative = true }

describe("a group that is being left", function()
  for name, record in pairs {
    ["gives partitions"] = { kind = "assign", rows = { { topic = "t", partition = 0 } } },
    ["takes partitions away"] = { kind = "revoke", rows = {} },
    ["fails to form"] = { err = { name = "_FAIL", message = "no assignment" } },
  } do
    it("is answered by giving all back where it " .. name, function()
      local member, seen = open({ record }, function(n) return n >= 1 end)
      local _, err, raised = finish(member)
      assert.same({ nil, nil }, { err, raised })
      assert.equal(1, #seen.asked)
    end)
  end

  it("is answered once however much it says, and again where it is not left then", function()
    local member, seen = open({ REVOKE, REVOKE, REVOKE }, function(n) return n >= 2 end)
    local began = core.now()
    finish(member)
    assert.equal(2, #seen.asked)
    assert.is_true(core.now() - began >= 0.5)
  end)

  it("is not answered again where it said nothing more", function()
    local began = core.now()
    local member, seen = open({ REVOKE }, function() return core.now() - began > 1.5 end)
    finish(member)
    assert.equal(1, #seen.asked)
  end)

  -- Keeps the first answer from being sent.
  local function once(f)
    local tries = 0
    return function()
      tries = tries + 1
      return tries == 1 and f()
    end
  end

  it("is answered again where memory ran out while it was answered", function()
    local member, seen = open({ REVOKE }, function(n) return n >= 1 end, once(function() error("not enough memory", 0) end))
    local _, _, raised = finish(member)
    assert.equal("not enough memory", raised)
    assert.equal(1, #seen.asked)
  end)

  it("is answered again where the answer could not be sent, and that is told", function()
    local member, seen = open({ REVOKE }, function(n) return n >= 1 end, once(function() return true end))
    finish(member)
    assert.equal(1, #seen.asked)
    assert.same({ "refused" }, seen.told)
  end)
end)

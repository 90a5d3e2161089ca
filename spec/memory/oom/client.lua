-- A client's life: opening, closing, and the events that nobody asked for.

local core = require "kafka.core"
local support = require "spec.memory.oom.support"

local function life(kind, settings)
  return {
    name = "the life of a " .. kind,
    open = function() return { settings = support.settings(settings) } end,
    run = function(o)
      local c = core[kind](o.settings)
      c:close()
      c:release()
    end,
  }
end

return {
  life("producer"),
  life("consumer", { ["group.id"] = "g" }),
  life("member", { ["group.id"] = "g" }),
  {
    name = "a client that cannot be opened",
    open = function()
      return { settings = support.settings { ["ssl.ca.location"] = "/nowhere", ["security.protocol"] = "ssl" } }
    end,
    run = function(o)
      local c, err = core.producer(o.settings)
      assert(not c and err.name)
    end,
  },
  {
    name = "what a client says of itself",
    open = function() return support.open "producer" end,
    run = function(o)
      local c = o.c
      assert(c:name() and tostring(c):find "kafka.client" and c:fd() and not c:gone() and not c:busy() and not c:forked())
      assert(c:fatal() == nil)
      c:wait(0)
    end,
    check = support.check,
    close = support.close,
  },
  {
    name = "a closed client",
    open = function()
      local o = support.open "producer"
      o.c:close()
      return o
    end,
    run = function(o)
      local ok, raised = pcall(o.c.name, o.c)
      assert(not ok)
      if raised:find "not enough memory" then error(raised, 0) end
      assert(tostring(o.c) == "kafka.client (closed)")
      o.c:gone()
    end,
    close = support.close,
  },
  {
    name = "statistics",
    open = function() return support.open("producer", { ["statistics.interval.ms"] = "5" }) end,
    run = function(o)
      local before = o.other
      while o.other == before do
        o.c:wait(100)
        support.drain(o)
      end
    end,
    check = support.check,
    close = support.close,
  },
  {
    name = "log lines and errors",
    open = function()
      return support.open("producer", { ["bootstrap.servers"] = "127.0.0.1:1", ["log_level"] = "7", debug = "broker",
        ["reconnect.backoff.ms"] = "1", ["reconnect.backoff.max.ms"] = "2" })
    end,
    run = function(o)
      local before = o.other
      while o.other == before do
        o.c:wait(100)
        support.drain(o)
      end
    end,
    check = support.check,
    close = support.close,
  },
}

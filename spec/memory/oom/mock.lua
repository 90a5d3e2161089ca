-- The mock cluster.

local core = require "kafka.core"
local support = require "spec.memory.oom.support"

local PRODUCE, DISCONNECT = 0, -195

return {
  {
    name = "the life of a mock",
    open = function() return { settings = support.settings() } end,
    run = function(o)
      local m = assert(core.mock(1, o.settings))
      m:client():close()
    end,
  },
  {
    name = "its faults",
    open = function()
      local o = { settings = support.settings() }
      o.mock = assert(core.mock(2, o.settings))
      o.c = o.mock:client()
      assert(o.mock:topic("first", 2, 1))
      return o
    end,
    run = function(o)
      local m = o.mock
      assert(m:brokers() and tostring(m))
      m:topic("second", 1, 1)
      assert(m:topic_error("first", 3) and m:topic_error("first", 0))
      assert(m:leader("first", 0, 2) and m:follower("first", 0, 1))
      assert(m:coordinator("group", "g", 2))
      assert(m:rtt(1, 1) and m:rtt(1, 0))
      assert(m:fail(PRODUCE, { DISCONNECT, 3 }) and m:clear(PRODUCE))
      assert(m:delay(1, PRODUCE, 1, 2))
      assert(m:down(2) and m:up(2))
    end,
    check = function(o) assert(o.mock:brokers()) end,
    close = support.close,
  },
}

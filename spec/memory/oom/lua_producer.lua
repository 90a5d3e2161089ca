-- kafka.producer: whatever call finds no memory, each accepted message has one report, to its own function.

local kafka = require "kafka"

local reported = 0

-- Counts without making a value.
local function on_delivery() reported = reported + 1 end

local sent = { partition = 0, on_delivery = on_delivery }

local function quiet() end

local function open()
  reported = 0
  return { p = assert(kafka.producer { brokers = _G.brokers, linger_ms = 0, on_error = quiet, on_log = quiet,
    on_delivery = on_delivery }) }
end

local function check(o)
  local p = o.p
  local deadline = kafka.now() + 10
  repeat
    local ok, raised = pcall(p.flush, p, 5)
    if not ok and not tostring(raised):find "memory" then error(raised, 0) end -- what an earlier dispatch kept for the next
    assert(kafka.now() < deadline, "messages stay pending")
  until p:pending() == 0 and ok
  local c = p:counts()
  assert(c.accepted == c.delivered + c.failed, "all that was accepted was reported")
  assert(c.accepted == reported, ("%d accepted, %d reports came"):format(c.accepted, reported))
end

local function close(o) assert(o.p:close(10)) end

local function case(name, run) return { name = name, open = open, run = run, check = check, close = close } end

return {
  case("produce", function(o)
    assert(o.p:produce("sink", "v", sent))
    o.p:flush(10)
  end),
  case("send", function(o) assert(o.p:send("sink", "v", sent)) end),
  case("produce_many", function(o)
    o.p:produce_many("sink", { "1", "2", "3" }, { on_delivery = on_delivery })
    o.p:flush(10)
  end),
  case("poll", function(o)
    assert(o.p:produce("sink", "v"))
    o.p:poll(10)
  end),
  {
    name = "its life",
    open = function() return {} end,
    run = function(o)
      o.p = assert(kafka.producer { brokers = _G.brokers, on_error = quiet, on_log = quiet })
      o.p:produce("sink", "v")
      o.p:close(10)
    end,
    check = function(o)
      local p = o.p
      o.p = nil
      if p then assert(p:close(10)) end
    end,
  },
}

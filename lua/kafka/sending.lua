-- Sending one message and waiting for what became of it. Knows a producer's handle and delivery.

local core = require "kafka.core"
local enqueue = require "kafka.enqueue"
local flushing = require "kafka.flushing"
local log = require "kafka.log"

local now = core.now

local sending = {}

local DEFAULT_TIMEOUT = 10 -- seconds

---See Producer:send; the options are checked.
function sending.send(p, topic, value, o)
  local h = p.handle
  local timeout = o.timeout or DEFAULT_TIMEOUT
  local deadline = now() + timeout
  local report, failure
  local theirs = o.on_delivery
  local ticket = p.delivery:take(function(r, e)
    report, failure = r, e
    if e then p.sent_failed = p.sent_failed + 1 end
    if theirs then return theirs(r, e) end
  end, o.tag)
  local done, ok, err = pcall(enqueue.one, p.delivery, topic, value, o, ticket)
  if not done or not ok then
    p.delivery:count_off(ticket, 1)
    if not done then error(ok, 0) end
    err.op = "send"
    return nil, err
  end
  local waited, raised = pcall(h.await, h, function()
    if not report and p.linger then flushing.hurry(p, deadline - now()) end
    return report
  end, deadline)
  if not report then
    -- send has told of this message, so flush and close do not tell again.
    local late = theirs or p.delivery.on_delivery or function(r, e)
      log.line(h.title, 4, ("a report came after send had given up: %s%s"):format(tostring(r), e and ": " .. e.message or ""))
    end
    p.delivery:redirect(ticket, function(r, e)
      if e then p.sent_failed = p.sent_failed + 1 end
      return late(r, e)
    end)
  end
  if not waited then error(raised, 0) end
  if not report then
    return nil, h:late({ op = "send", topic = topic, in_flight = true }, timeout, "no report, and it may still arrive")
  end
  if failure then
    failure.op = "send"
    return nil, failure
  end
  return report
end

core.public(sending.send, "send")
return sending

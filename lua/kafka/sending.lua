-- Sending one message and waiting for what became of it; where librdkafka takes its topic or partition for unknown, a look at the
-- topic first. Knows a producer's handle and delivery.

local core = require "kafka.core"
local enqueue = require "kafka.enqueue"
local flushing = require "kafka.flushing"
local log = require "kafka.log"

local now = core.now

local sending = {}

local DEFAULT_TIMEOUT = 10 -- seconds
local LOOK = 2 -- seconds that a look at a topic may take
local UNKNOWN = { _UNKNOWN_TOPIC = true, UNKNOWN_TOPIC_OR_PART = true, _UNKNOWN_PARTITION = true }

-- Whether a broker tells of the topic, and of the partition where one is named.
local function is_there(h, topic, partition, seconds)
  local answer = h:request({ op = "send", topic = topic }, math.min(LOOK, seconds), function(ticket, ms)
    return h.core:metadata(topic, ms, ticket)
  end)
  local found = answer and answer.topics[1]
  if not found or found.err then return false end
  for _, p in ipairs(found.partitions) do
    if partition == nil or p.partition == partition then return true end
  end
  return false
end

-- librdkafka refuses by what it heard last of a topic, which may have been created, or have got partitions, since. Not within a
-- transaction, which may end while this looks.
local function hand_over(p, topic, value, o, ticket, deadline)
  local ok, err = enqueue.one(p.delivery, topic, value, o, ticket)
  if ok or not UNKNOWN[err.name] or p.txn or not is_there(p.handle, topic, o.partition, deadline - now()) then return ok, err end
  o.timeout = math.max(0, deadline - now())
  return enqueue.one(p.delivery, topic, value, o, ticket)
end

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
  local done, ok, err = pcall(hand_over, p, topic, value, o, ticket, deadline)
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

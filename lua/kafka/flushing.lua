-- Waiting for a producer's reports: one more, all of them, and the end, which gives up what is left. Knows a producer's handle
-- and its counts.

local core = require "kafka.core"
local args = require "kafka.args"
local await = require "kafka.await"
local errors = require "kafka.error"
local log = require "kafka.log"
local transaction = require "kafka.transaction"

local now = core.now

local flushing = {}

local DEFAULT_TIMEOUT = 10 -- seconds
local PURGE_TIME = 1 -- seconds that close waits for the reports of what it gave up

---A flush in the background: while it runs, linger.ms counts as nothing.
function flushing.hurry(p, seconds)
  if p.flushing then return end
  local h = p.handle
  local ticket = h:ticket()
  h.waiting[ticket] = function() p.flushing = false end
  if h.core:flush(math.max(0, seconds) * 1000, ticket) then
    p.flushing = true
  else
    h.waiting[ticket] = nil
    h:done_with(ticket)
  end
end

---Waits until there is a report, then takes all that have come; see Producer:poll.
function flushing.poll(p, timeout)
  local h = p.handle
  local function reported()
    local _, delivered, failed = h.core:counts()
    return delivered + failed
  end
  local before = reported()
  if p:pending() == 0 then
    h:dispatch()
    return 0
  end
  h:await(function() return reported() > before end, now() + (timeout or math.huge))
  return h.closed and 0 or reported() - before
end

local function flush_error(p, timeout, left, failed)
  local fatal = p.handle:fatal_error { op = "flush" }
  if fatal then
    fatal.left, fatal.failed = left, failed
    return fatal
  end
  local message
  if left > 0 and failed > 0 then
    message = ("%d messages without a report after %g s, and %d failed"):format(left, timeout, failed)
  elseif left > 0 then
    message = ("%d message%s without a report after %g s"):format(left, left == 1 and "" or "s", timeout)
  else
    message = ("%d message%s failed since the last flush"):format(failed, failed == 1 and "" or "s")
  end
  local cause = p.handle:reason()
  return errors.new { name = left > 0 and "_TIMED_OUT" or "_FAIL", op = "flush", message = message, left = left, failed = failed,
    cause = cause, action = left == 0 and (cause and cause.action or "retry") or nil }
end

---Waits until every accepted message has its report; see Producer:flush.
function flushing.flush(p, timeout)
  local h = p.handle
  timeout = timeout or DEFAULT_TIMEOUT
  h:dispatch()
  if p:pending() > 0 then
    local deadline = now() + timeout
    h:await(function()
      if p:pending() == 0 then return true end
      flushing.hurry(p, deadline - now()) -- again where the one under way has just ended
    end, deadline)
  end
  if h.closed then return true end -- by a handler, whose close has told what was lost
  local accepted, delivered, failed = h.core:counts()
  local left, new = accepted - delivered - failed, failed - p.sent_failed - p.failed_seen
  p.failed_seen = p.failed_seen + new
  if left == 0 and new == 0 and not h:fatal_error {} then return true end
  return nil, flush_error(p, timeout, left, new)
end

---Aborts an open transaction, flushes, gives up what is left, ends the client; see Producer:close.
function flushing.close(p, timeout)
  timeout = timeout or DEFAULT_TIMEOUT
  local h = p.handle
  if h.closed or h.core:forked() then
    h.closed = true
    return true
  end
  if h.core:busy() then args.misuse("close", "a finalizer that runs within a call on this producer cannot close it") end
  local deadline, told = now() + timeout, p.failed_seen
  local unfinished
  local flushed, raised = pcall(function()
    unfinished = transaction.close(p, timeout)
    if not flushing.flush(p, timeout) and not h.closed and p:pending() > 0 then
      h.core:purge()
      h:await(function() return p:pending() == 0 end, now() + PURGE_TIME)
    end
  end)
  if h.closed then return true end -- a handler closed it meanwhile
  if await.is_interrupt(raised) then error(raised, 0) end -- still open: nothing was given up
  h:close(math.max(deadline, now() + PURGE_TIME))
  local unreported = h.accepted - h.succeeded - h.failed -- also of what handlers have produced until the end
  local lost = h.failed - p.sent_failed - told + unreported
  local cause = h:reason()
  local err = lost > 0 and errors.new { op = "close", action = cause and cause.action or "retry", lost = lost,
    unreported = unreported, cause = cause,
    message = ("%d message%s not delivered"):format(lost, lost == 1 and " was" or "s were") }
  if not flushed then -- a handler's error: closed all the same
    if err then log.line(h.title, 3, tostring(err)) end
    error(raised, 0)
  end
  if err or unfinished then return nil, err or unfinished end
  return true
end

return flushing

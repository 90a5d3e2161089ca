-- One step of a producer's transaction, which librdkafka has only as a blocking call: on a thread, repeated while its error asks
-- for that. A step that nobody waited for to its end (Ctrl-C, a timeout) goes on; the same step again takes up its answer.
-- Knows a producer's handle, nothing of what the steps are.

local core = require "kafka.core"
local args = require "kafka.args"
local await = require "kafka.await"
local errors = require "kafka.error"
local log = require "kafka.log"

local now = core.now

local step = {}

local PAUSE = 0.1 -- seconds between two tries
local GRACE = 1 -- seconds that librdkafka gets to end a step by itself

local function failure(p, op, raw)
  local h = p.handle
  local fatal = (raw.fatal or raw.name == "_FATAL") and h:fatal_error { op = op }
  if fatal then return fatal end
  local err = errors.from(raw, { op = op, cause = h:cause(), abortable = raw.abortable or raw.name == "_ASSIGNMENT_LOST" })
  if raw.retriable and not (err.fatal or err.abortable) then err.action, err.retriable = "retry", true end
  return err
end

-- Serves the producer, whatever handlers raise. Ctrl-C is raised at once.
local function serve(h, kept)
  local ok, raised = pcall(h.dispatch, h)
  if ok then return kept end
  if await.is_interrupt(raised) then error(raised, 0) end
  if kept == nil then return raised end
  log.line(h.title, 3, "a handler raised: " .. tostring(raised))
  return kept
end

local function wait_for(h, s, deadline)
  local kept
  while true do
    kept = serve(h, kept)
    local left = deadline - now()
    if s.answer or h.closed or left <= 0 then break end
    local ok, raised = pcall(await.pause, h, left)
    if not ok then
      if kept ~= nil then h:fail_later(kept) end
      error(raised, 0)
    end
  end
  if kept ~= nil then h:fail_later(kept) end
end

-- The step's answer, or nil. Where it is left here, nobody waits for it any more.
local function answer_of(p, s, deadline)
  s.awaited = true
  local ok, raised = pcall(wait_for, p.handle, s, deadline)
  s.awaited = false
  if not ok then error(raised, 0) end
  if s.answer then p.step = nil end
  return s.answer
end

local function launch(p, op, call, ms, start)
  local h = p.handle
  local s = { op = op, call = call }
  local ticket = h:ticket()
  h.waiting[ticket] = function(payload) s.answer = payload end
  local called, ok, raw = pcall(start, ms, ticket)
  if called and ok then
    p.step = s
    return s
  end
  h.waiting[ticket] = nil
  h:done_with(ticket)
  if not called then error(ok, 0) end
  return nil, raw
end

local function late(p, op, timeout)
  local err = p.handle:late({ op = op }, timeout)
  err.in_flight = true
  return err
end

---Raises where another coroutine, or the call that a handler runs in, has a step under way.
function step.check_alone(p, op)
  if p.step and p.step.awaited then args.misuse(op, ("%s is under way on this producer"):format(p.step.op)) end
end

-- Between two tries no other step comes in.
local function rest(p, op)
  local pause = { op = op }
  p.step = pause
  local ok, raised = pcall(answer_of, p, pause, now() + PAUSE)
  p.step = nil
  if not ok then error(raised, 0) end
end

---A step on a thread, repeated while it says so and there is time. What a handler raises meanwhile is raised by the next call
---that is no step.
---@param p table the producer
---@param op string for errors
---@param call string what the core is asked for: a step of that name that was left takes the place of this one
---@param timeout number seconds
---@param start fun(ms: number, ticket: integer): true|nil, table|nil starts it
---@return true|nil
---@return kafka.Error|nil retriable: the same step again; abortable: an abort; fatal: a new producer
function step.run(p, op, call, timeout, start)
  local h = p.handle
  step.check_alone(p, op)
  local deadline = now() + timeout
  local s = p.step
  if s and not answer_of(p, s, deadline) then return nil, late(p, op, timeout) end
  if s and s.call ~= call then s = nil end
  while true do
    if not s then
      local kept = serve(h)
      if kept ~= nil then h:fail_later(kept) end
      if h.closed then return nil, late(p, op, timeout) end
      local fatal = h:fatal_error { op = op }
      if fatal then return nil, fatal end
      local raw
      s, raw = launch(p, op, call, math.max(0, deadline - now()) * 1000, start)
      if not s then return nil, failure(p, op, raw) end
    end
    local answer = s.answer or answer_of(p, s, deadline + GRACE)
    if not answer then return nil, late(p, op, timeout) end
    if not answer.err then return true end
    local err = failure(p, op, answer.err)
    if err.action ~= "retry" or err.fatal or err.abortable or now() + PAUSE >= deadline then return nil, err end
    s = rest(p, op)
  end
end

return step

-- The steps of a producer's transactions: begin, send offsets, commit, abort. Once a commit was asked for, nothing else is done
-- before it is decided: what it did is not known until then. Knows consumers only by what they have handed out.

local core = require "kafka.core"
local args = require "kafka.args"
local await = require "kafka.await"
local consumed = require "kafka.consumed"
local errors = require "kafka.error"
local rows_of = require "kafka.rows"
local step = require "kafka.step"

local now = core.now

local transaction = {}

local STEP_TIME = 10 -- seconds of one step, where nothing is said
local ARRIVE_TIME = 5 -- seconds that messages get to arrive before an abort

local function checked_time(op, timeout)
  return args.optional(op, "timeout", timeout, args.seconds) or STEP_TIME
end

-- Beginning ----------------------------------------------------------------------------------------------------------

-- Raises where the call cannot be made now.
local function check(p, op)
  if not p.transactional_id then
    args.misuse(op, "this producer has no transactions: open it with transactional_id")
  end
  if p.calling then args.misuse(op, "transaction(f) begins, commits and aborts by itself: f returns, or raises") end
  step.check_alone(p, op)
end

-- Failures that neither send nor flush has told of.
local function untold(p)
  local _, _, failed = p.handle.core:counts()
  return failed - p.sent_failed - p.failed_seen
end

function transaction.check_new(p, op)
  check(p, op)
  if p.txn then args.misuse(op, "a transaction has begun already: commit or abort ends it") end
end

function transaction.begin(p, timeout)
  transaction.check_new(p, "begin")
  timeout = checked_time("begin", timeout)
  local client, deadline = p.handle.core, now() + timeout
  if not p.initialized then -- fences others of the same id, ends what they had begun
    local ok, err = step.run(p, "begin", "txn_init", timeout, function(ms, ticket) return client:txn_init(ms, ticket) end)
    if not ok then return nil, err end
    p.initialized = true
  end
  local ok, err = step.run(p, "begin", "txn_begin", math.max(0, deadline - now()), function(_, ticket)
    return client:txn_begin(0, ticket)
  end)
  if not ok then return nil, err end
  p.txn = {
    untold = untold(p),
    consumers = {}, -- that take part -> rows whose offsets were sent
    asked = false, -- a commit was asked for
    undecided = false, -- and it is not known what became of it
    held = false, -- an abort leaves the consumers where they are
    outcome = nil, -- "committed", "aborted" or "unknown"
  }
  p.delivery.in_transaction = true
  return true
end

-- The end of it ------------------------------------------------------------------------------------------------------

local function must_have_begun(p, op)
  check(p, op)
  if not p.txn then args.misuse(op, "no transaction has begun") end
  return p.txn
end

---What became of the open transaction, and so of the consumers that took part.
---@param outcome "committed"|"aborted"|"unknown"
function transaction.conclude(p, outcome)
  local t = p.txn
  if not t then return end
  p.txn, p.delivery.in_transaction, t.outcome = nil, false, outcome
  for consumer, rows in pairs(t.consumers) do
    if outcome == "committed" then
      consumed.settle(consumer, rows)
    elseif outcome == "unknown" then
      consumed.ask(consumer, rows)
    elseif not t.held then
      consumed.rewind(consumer)
    end
  end
end

-- An error that ends the producer's use ends the transaction too.
local function conclude_by(p, t, err)
  if not (err.fatal or p.handle.closed) then return end
  err.in_doubt = t.asked or nil
  if p.txn == t then transaction.conclude(p, t.asked and "unknown" or "aborted") end
end

function transaction.commit(p, timeout)
  local t = must_have_begun(p, "commit")
  local ok, err = step.run(p, "commit", "txn_commit", checked_time("commit", timeout), function(ms, ticket)
    t.asked, t.undecided = true, true
    return p.handle.core:txn_commit(ms, ticket)
  end)
  if ok then
    if p.txn == t then transaction.conclude(p, "committed") end
    return true
  end
  if err.abortable then
    t.undecided = false
  elseif t.undecided and not err.fatal then
    err.message = err.message .. "; it may still take effect: commit again to know"
  end
  conclude_by(p, t, err)
  return nil, err
end

-- An abort that overtakes the announcement of the transaction's first partitions is refused by the coordinator, and librdkafka
-- takes that for fatal. So what is queued is let go first; with it the announcement has arrived.
local function let_arrive(p, deadline)
  local h = p.handle
  if h.fatal or h.closed or p:pending() == 0 then return end
  local ok, raised = pcall(p.flush, p, math.max(0, math.min(ARRIVE_TIME, deadline - now())))
  if ok then return end
  if await.is_interrupt(raised) then error(raised, 0) end
  h:fail_later(raised)
end

function transaction.abort(p, timeout)
  local t = must_have_begun(p, "abort")
  timeout = checked_time("abort", timeout)
  if t.undecided then
    return nil, errors.new { name = "_CONFLICT", op = "abort", category = "transaction", action = "retry",
      message = "a commit was asked for, and what became of it is not known yet: commit again" }
  end
  local deadline = now() + timeout
  let_arrive(p, deadline)
  local ok, err = step.run(p, "abort", "txn_abort", math.max(0, deadline - now()), function(ms, ticket)
    return p.handle.core:txn_abort(ms, ticket)
  end)
  -- What failed in an aborted transaction counts as told: neither flush nor close tells it as lost.
  if not p.handle.closed then p.failed_seen = p.failed_seen + untold(p) - t.untold end
  if not ok then
    conclude_by(p, t, err)
    return nil, err
  end
  if p.txn == t then transaction.conclude(p, "aborted") end
  return true
end

-- What close does within its time.
local function last_step(p, t, timeout)
  if t.undecided then return transaction.commit(p, timeout) end
  local ok, err = transaction.abort(p, timeout)
  if not ok then return nil, err end
  return nil, errors.new { name = "_FAIL", op = "close", category = "transaction", action = "retry",
    message = "the transaction was not committed: it is aborted" }
end

---Before the producer closes: ends what is open, and says so.
---@return kafka.Error|nil
function transaction.close(p, timeout)
  local t = p.txn
  if not t then return nil end
  p.calling = false
  local ok, err
  if not (p.step and p.step.awaited) then ok, err = last_step(p, t, timeout) end -- closed by a handler within a step
  if ok or t.outcome == "aborted" and not err.fatal then return err end
  if p.txn == t then transaction.conclude(p, t.asked and "unknown" or "aborted") end
  return errors.new { name = "_FAIL", op = "close", category = "transaction", action = "retry", cause = err,
    in_doubt = t.asked or nil, message = t.asked and "it is not known whether the transaction was committed"
      or "the transaction was not committed; the broker aborts it after transaction.timeout.ms" }
end

-- Offsets ------------------------------------------------------------------------------------------------------------

---@param mark table|nil since when nothing of what the consumer handed out may have been lost
function transaction.send_offsets(p, consumer, what, timeout, mark)
  if not p.calling then must_have_begun(p, "send_offsets") end
  consumed.check("send_offsets", consumer)
  timeout = checked_time("send_offsets", timeout)
  local t = p.txn
  local rows = what == nil and consumed.rows(consumer) or rows_of.next("send_offsets", what)
  local sent = t.consumers[consumer] or {}
  t.consumers[consumer] = sent
  local problem = consumed.problem(consumer, rows, mark)
  if problem then return nil, problem end
  if #rows == 0 then return true end
  for _, row in ipairs(rows) do sent[#sent + 1] = row end
  local ok, err = step.run(p, "send_offsets", "txn_offsets", timeout, function(ms, ticket)
    return p.handle.core:txn_offsets(rows, consumer.handle.core, ms, ticket)
  end)
  if ok then return true end
  conclude_by(p, t, err)
  return nil, err
end

return transaction

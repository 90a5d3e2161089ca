-- Transactions of a producer: the steps, and `run`, which does them all: begins, calls, sends a consumer's offsets, commits; or
-- aborts, takes the consumer back, and tries again where that may help. Knows a producer's handle and a consumer's parts.
--
-- What an error of a step asks for is told by its flags: `retriable` the same step again, `abortable` an abort, `fatal` a new
-- producer.

local core = require "kafka.core"
local args = require "kafka.args"
local errors = require "kafka.error"
local log = require "kafka.log"
local rows_of = require "kafka.rows"

local now = core.now

local transaction = {}

local STEP_TIME = 10 -- seconds of one step, where nothing is said
local RUN_TIME = 60 -- seconds of a whole run
local ABORT_TIME = 10 -- seconds that an abort gets at the end of a run, beyond the run's own time
local ARRIVE_TIME = 5 -- seconds that messages get to arrive before an abort
local PAUSE = 0.1 -- seconds between two tries

-- Steps --------------------------------------------------------------------------------------------------------------

local function check(p, op)
  if not p.transactional_id then
    args.misuse(op, "this producer has no transactions: open it with transactional_id")
  end
  return p.handle
end

local function failure(p, op, raw)
  local h = p.handle
  if raw.name == "_FATAL" then raw = h.core:fatal() or raw end
  local err = errors.from(raw, { op = op, cause = h:cause() })
  if err.name == "_FENCED" or err.name == "INVALID_PRODUCER_EPOCH" or err.name == "PRODUCER_FENCED" then
    err.message = ("another producer has taken over transactional.id %s; this one may write no more"):format(
      core.show(p.transactional_id))
  end
  if raw.retriable and not (err.fatal or err.abortable) then err.action, err.retriable = "retry", true end
  return err
end

-- One step on a thread, repeated while it says so and there is time.
local function step(p, op, timeout, start)
  local h = p.handle
  local deadline = now() + timeout
  while true do
    h:dispatch()
    if h.fatal then return nil, failure(p, op, { name = "_FATAL", message = h.fatal.message }) end
    local left = math.max(0, deadline - now())
    local answer
    local ticket = h:ticket()
    h.waiting[ticket] = function(payload) answer = payload end
    local called, ok, raw = pcall(start, left * 1000, ticket)
    if not called or not ok then
      h.waiting[ticket] = nil
      h:done_with(ticket)
      if not called then error(ok, 0) end
      return nil, failure(p, op, raw)
    end
    h:await(function() return answer end, deadline + 1) -- librdkafka ends it by then, and says why
    if not answer then
      h.waiting[ticket] = false
      local err = h:late({ op = op }, timeout)
      err.in_flight = true
      return nil, err
    end
    if not answer.err then return true end
    local err = failure(p, op, answer.err)
    if err.action ~= "retry" or err.fatal or err.abortable or now() + PAUSE >= deadline then return nil, err end
    h:await(function() return false end, now() + PAUSE)
  end
end

local function is_open(p, yes)
  p.in_transaction, p.delivery.in_transaction = yes, yes
end

local function checked_time(op, timeout)
  return args.optional(op, "timeout", timeout, args.seconds) or STEP_TIME
end

-- Once for a producer: fences others of the same id, ends what they had begun.
local function init(p, op, timeout)
  if p.initialized then return true end
  local ok, err = step(p, op, timeout, function(ms, ticket) return p.handle.core:txn_init(ms, ticket) end)
  if ok then p.initialized = true end
  return ok, err
end

-- Failures that neither send nor flush has told of.
local function untold(p)
  local _, _, failed = p.handle.core:counts()
  return failed - p.sent_failed - p.failed_seen
end

function transaction.begin(p, timeout)
  check(p, "begin")
  timeout = checked_time("begin", timeout)
  if p.in_transaction then args.misuse("begin", "a transaction has begun already: commit or abort ends it") end
  local deadline = now() + timeout
  local ok, err = init(p, "begin", timeout)
  if not ok then return nil, err end
  ok, err = step(p, "begin", math.max(0, deadline - now()), function(_, ticket)
    return p.handle.core:txn_begin(0, ticket)
  end)
  if not ok then return nil, err end
  p.untold = untold(p)
  is_open(p, true)
  return true
end

local function must_have_begun(p, op)
  check(p, op)
  if not p.in_transaction then args.misuse(op, "no transaction has begun") end
end

function transaction.commit(p, timeout)
  must_have_begun(p, "commit")
  local ok, err = step(p, "commit", checked_time("commit", timeout), function(ms, ticket)
    return p.handle.core:txn_commit(ms, ticket)
  end)
  if ok or err.fatal then is_open(p, false) end
  return ok, err
end

-- An abort that overtakes the announcement of the transaction's first partitions is refused by the coordinator, and librdkafka
-- takes that for fatal. So what is queued is let go first; with it the announcement has arrived.
local function let_arrive(p, deadline)
  if p.handle.fatal or p:pending() == 0 then return end
  p:flush(math.max(0, math.min(ARRIVE_TIME, deadline - now())))
end

function transaction.abort(p, timeout)
  must_have_begun(p, "abort")
  timeout = checked_time("abort", timeout)
  local deadline = now() + timeout
  let_arrive(p, deadline)
  local ok, err = step(p, "abort", math.max(0, deadline - now()), function(ms, ticket)
    return p.handle.core:txn_abort(ms, ticket)
  end)
  -- What failed in an aborted transaction counts as told: neither flush nor close tells it as lost.
  p.failed_seen = p.failed_seen + untold(p) - p.untold
  if ok or err.fatal then is_open(p, false) end
  return ok, err
end

---Before the producer closes: aborts what is open, and says so.
---@return kafka.Error|nil
function transaction.close(p, timeout)
  if not p.in_transaction then return nil end
  local ok, err = transaction.abort(p, timeout)
  is_open(p, false)
  return errors.new { name = "_FAIL", op = "close", category = "transaction", action = "retry", cause = err,
    message = ok and "the transaction was not committed: it is aborted"
      or "the transaction was not committed; the broker aborts it after transaction.timeout.ms" }
end

-- Offsets ------------------------------------------------------------------------------------------------------------

-- What was handed out, what is in hand included: it is the transaction that makes it count.
local function handed_rows(consumer)
  local rows, offsets = {}, {}
  for _, row in ipairs(consumer.backlog:handed()) do
    local part = consumer.parts:find(row.topic, row.partition)
    if part then offsets[part] = row.offset end
  end
  for _, part in ipairs(consumer.parts.list) do
    local offset = offsets[part] or part.passed
    if offset and offset ~= part.base then
      rows[#rows + 1] = { topic = part.topic, partition = part.partition, offset = offset }
    end
  end
  return rows
end

local function not_ours(row)
  return errors.new { name = "_ASSIGNMENT_LOST", op = "send_offsets", topic = row.topic, partition = row.partition,
    abortable = true, message = "the partition is not this consumer's any more: another member may handle its messages" }
end

function transaction.send_offsets(p, consumer, what, timeout)
  must_have_begun(p, "send_offsets")
  if type(consumer) ~= "table" or rawget(consumer, "parts") == nil then
    args.fail("send_offsets", "consumer", "a kafka.Consumer", consumer)
  end
  if consumer.closed then args.misuse("send_offsets", "attempt to use a closed kafka.Consumer") end
  if consumer.commits.interval then
    args.misuse("send_offsets", "the consumer commits by itself: open it with enable_auto_commit = false")
  end
  timeout = checked_time("send_offsets", timeout)
  local rows = what == nil and handed_rows(consumer) or rows_of.next("send_offsets", what)
  p.consumers[consumer] = p.consumers[consumer] or {}
  for _, row in ipairs(rows) do
    if not consumer.parts:find(row.topic, row.partition) then return nil, not_ours(row) end
  end
  if #rows == 0 then return true end
  local ok, err = step(p, "send_offsets", timeout, function(ms, ticket)
    return p.handle.core:txn_offsets(rows, consumer.handle.core, ms, ticket)
  end)
  if not ok then return nil, err end
  for _, row in ipairs(rows) do p.consumers[consumer][#p.consumers[consumer] + 1] = row end
  return true
end

-- The transaction is committed: from here on nothing goes back behind these.
local function settle_consumers(p)
  for consumer, rows in pairs(p.consumers) do
    for _, row in ipairs(rows) do
      local part = consumer.parts:find(row.topic, row.partition)
      if part then part.base = row.offset end
    end
  end
  p.consumers = {}
end

-- The transaction is aborted: what the consumers handed out since the last committed one is read again.
local function rewind_consumers(p)
  for consumer in pairs(p.consumers) do
    if not consumer.closed then
      for _, part in ipairs { table.unpack(consumer.parts.list) } do
        local at = consumer.backlog:first(part.topic, part.partition) or consumer.parts:position(part)
        if at ~= part.base then
          consumer.backlog:drop(part.topic, part.partition)
          local ok, err = consumer.parts:seek(part, part.base)
          if not ok then consumer.handle:tell(err) end
        end
      end
    end
  end
  p.consumers = {}
end

-- A whole run ----------------------------------------------------------------------------------------------------------

local run_options = { consumer = args.table, timeout = args.seconds, attempts = args.integer(1, 1000000) }

local function how_far(consumer) return consumer and consumer.backlog.count or 0 end

-- Gives the transaction up; what cannot even be aborted is told.
local function give_up(p, deadline)
  if not p.in_transaction then return end
  local ok, err = transaction.abort(p, math.max(ABORT_TIME, deadline - now()))
  if ok then return end
  is_open(p, false)
  return err
end

-- Calls f, then sends offsets and commits.
-- -> "done", results | "raised", error | "refused", what f returned | "failed", error
local function attempt(p, f, o, deadline)
  local function left() return math.max(0, deadline - now()) end
  local ok, err = transaction.begin(p, left())
  if not ok then return "failed", err end
  if o.consumer then p.consumers[o.consumer] = {} end
  local results = table.pack(pcall(f, p))
  if not results[1] then
    if errors.is(results[2]) then return "failed", results[2] end
    return "raised", results[2]
  end
  if results[2] == false or (results[2] == nil and results[3] ~= nil) then
    if errors.is(results[3]) then return "failed", results[3] end
    return "refused", results[3]
  end
  if o.consumer then
    ok, err = transaction.send_offsets(p, o.consumer, nil, left())
    if not ok then return "failed", err end
  end
  ok, err = transaction.commit(p, left())
  if not ok then return "failed", err end
  return "done", results
end

-- Whether another attempt may go better.
local function may_repeat(err)
  if err.fatal or err.category == "group" then return false end
  return err.abortable or err.action == "abort" or err.retriable
end

function transaction.run(p, f, options)
  check(p, "transaction")
  args.check("transaction", "the function", f, args.func)
  local o = args.fields("transaction", options, run_options)
  if p.in_transaction then args.misuse("transaction", "a transaction has begun already: commit or abort ends it") end
  local deadline = now() + (o.timeout or RUN_TIME)
  local tried = 0
  while true do
    tried = tried + 1
    p.consumers = {}
    local before = how_far(o.consumer)
    local outcome, what = attempt(p, f, o, deadline)
    if outcome == "done" then
      settle_consumers(p)
      return true, table.unpack(what, 2, what.n)
    end
    local problem = give_up(p, deadline)
    local again = outcome == "failed" and not problem and may_repeat(what) and now() < deadline
      and tried < (o.attempts or math.huge)
    -- What f itself has taken from the consumer is taken again; what the caller had in hand before stays there.
    if not again or how_far(o.consumer) ~= before then rewind_consumers(p) end
    if outcome == "raised" then
      if problem then log.line(p.handle.title, 3, tostring(problem)) end
      error(what, 0)
    end
    if outcome == "refused" then
      if problem then return nil, problem end
      return nil, errors.new { name = "_FAIL", op = "transaction", category = "transaction", action = "fix", reason = what,
        message = "aborted as the function asked: " .. tostring(what) }
    end
    if not again then
      if problem and problem.fatal then what = problem end
      what.op, what.attempts = "transaction", tried
      return nil, what
    end
    p.handle:await(function() return false end, math.min(deadline, now() + PAUSE))
  end
end

return transaction

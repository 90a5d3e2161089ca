-- A whole transaction: begins, calls a function, sends consumers' offsets, commits; or aborts, takes the consumers back, and
-- tries again where that may help. It is tried again only where the abort is certain.

local core = require "kafka.core"
local args = require "kafka.args"
local await = require "kafka.await"
local consumed = require "kafka.consumed"
local errors = require "kafka.error"
local log = require "kafka.log"
local transaction = require "kafka.transaction"

local now = core.now

local attempts = {}

local RUN_TIME = 60 -- seconds of all attempts
local END_TIME = 10 -- seconds at most that the last commit or abort gets beyond the run's own time
local PAUSE = 0.1 -- seconds between two attempts

local run_options = { consumer = args.table, timeout = args.seconds, attempts = args.integer(1, 1000000) }

-- One consumer, or a list of them.
local function consumers_of(given)
  if given == nil then return {} end
  local list = rawget(given, 1) ~= nil and args.list("transaction", "consumer", given, "a kafka.Consumer or a list of them")
    or { given }
  for _, consumer in ipairs(list) do consumed.check("transaction", consumer) end
  return list
end

local function changed(err, fields)
  local e = core.copy(err)
  for name, value in pairs(fields) do e[name] = value end
  return errors.new(e)
end

local function closed(what)
  return errors.new { name = "_DESTROY", op = "transaction", message = ("the %s was closed meanwhile"):format(what) }
end

-- Calls f.
-- -> "done", results | "raised", error | "refused", what f returned | "failed", error
local function call(p, f)
  p.calling = true
  local results = table.pack(pcall(f, p))
  p.calling = false
  if not results[1] then
    if await.is_interrupt(results[2]) then error(results[2], 0) end
    return errors.is(results[2]) and "failed" or "raised", results[2]
  end
  if results[2] == false or (results[2] == nil and results[3] ~= nil) then
    return errors.is(results[3]) and "failed" or "refused", results[3]
  end
  return "done", results
end

-- A commit that was asked for must be decided: no other call tells what became of it.
local function commit(p, deadline, extra)
  local t = p.txn
  local ok, err = transaction.commit(p, math.max(0, deadline - now()))
  if ok or not t.undecided or p.txn ~= t then return ok, err end
  return transaction.commit(p, extra)
end

local function attempt(p, f, consumers, marks, deadline, extra)
  local function left() return math.max(0, deadline - now()) end
  local ok, err = transaction.begin(p, left())
  if not ok then return "failed", err end
  local t = p.txn
  t.held = true
  for _, consumer in ipairs(consumers) do t.consumers[consumer] = {} end
  local outcome, what = call(p, f)
  if outcome ~= "done" then return outcome, what, t end
  if p.txn ~= t then return "failed", closed "producer", t end
  for _, consumer in ipairs(consumers) do
    if consumer.closed then return "failed", closed "consumer", t end
    local called
    called, ok, err = pcall(transaction.send_offsets, p, consumer, nil, left(), marks[consumer])
    if not called then
      if await.is_interrupt(ok) then error(ok, 0) end
      return "raised", ok, t
    end
    if not ok then return "failed", err, t end
  end
  ok, err = commit(p, deadline, extra)
  if not ok then return "failed", err, t end
  return "done", what, t
end

-- Ends the producer's use where a step that must be decided was not.
local function doom(p, t, err)
  local message = t.undecided and "it is not known whether the transaction was committed: its coordinator did not answer in time"
    or "the transaction was not aborted: " .. err.message
  err = changed(err, { message = message, fatal = true, category = "transaction", retriable = false })
  p.handle.fatal = err
  transaction.conclude(p, t.asked and "unknown" or "aborted")
  return changed(err, { in_doubt = t.asked or nil })
end

-- Gives up what is open. -> what ends the producer's use
local function give_up(p, err, seconds)
  local t = p.txn
  if not t then return nil end
  if t.undecided then return doom(p, t, err) end
  local ok, problem = transaction.abort(p, seconds)
  if ok then return nil end
  if p.txn == t then return doom(p, t, problem) end
  return problem
end

-- Whether another attempt may go better.
local function may_repeat(err)
  if err.fatal or err.category == "group" then return false end
  return err.abortable or err.action == "abort" or err.retriable
end

local function take_back(consumers, t)
  if t and t.outcome ~= "aborted" then return end -- conclude has seen to them
  local all = t and t.consumers or {}
  for _, consumer in ipairs(consumers) do all[consumer] = all[consumer] or {} end
  for consumer in pairs(all) do consumed.rewind(consumer) end
end

local function told(outcome, what, tried)
  if outcome == "refused" then
    return nil, errors.new { name = "_FAIL", op = "transaction", category = "transaction", action = "fix", reason = what,
      attempts = tried, message = "aborted as the function asked" .. (what == nil and "" or ": " .. tostring(what)) }
  end
  return nil, changed(what, { op = "transaction", attempts = tried })
end

-- Tries until it is done, or trying again does not help.
local function run(p, f, consumers, o)
  local deadline = now() + (o.timeout or RUN_TIME)
  local extra = math.min(o.timeout or RUN_TIME, END_TIME)
  local tried = 0
  while true do
    tried = tried + 1
    local marks = {}
    for _, consumer in ipairs(consumers) do marks[consumer] = consumed.mark(consumer) end
    local outcome, what, t = attempt(p, f, consumers, marks, deadline, extra)
    if outcome == "done" then return true, table.unpack(what, 2, what.n) end
    local problem = give_up(p, what, math.max(extra, deadline - now()))
    if problem and outcome == "raised" then
      log.line(p.handle.title, 3, tostring(problem))
    elseif problem then
      problem.cause = problem.cause or outcome == "failed" and what or nil
      outcome, what = "failed", problem
    end
    local again = outcome == "failed" and (not t or t.outcome == "aborted") and may_repeat(what) and now() < deadline
      and tried < (o.attempts or math.huge)
    if not again then
      take_back(consumers, t)
      if outcome == "raised" then error(what, 0) end
      return told(outcome, what, tried)
    end
    for _, consumer in ipairs(consumers) do consumed.restore(consumer, marks[consumer]) end
    p.handle:await(function() return false end, math.min(deadline, now() + PAUSE))
  end
end

function attempts.run(p, f, options)
  transaction.check_new(p, "transaction")
  args.check("transaction", "the function", f, args.func)
  local o = args.fields("transaction", options, run_options)
  local consumers = consumers_of(o.consumer)
  local results = table.pack(pcall(run, p, f, consumers, o))
  if results[1] then return table.unpack(results, 2, results.n) end
  -- Ctrl-C, or a handler's error between two attempts: what is open stays so, until commit, abort or close ends it.
  if p.txn then
    p.txn.held = false
  elseif not await.is_interrupt(results[2]) then
    take_back(consumers)
  end
  error(results[2], 0)
end

return attempts

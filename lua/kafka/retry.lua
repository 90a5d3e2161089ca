-- Trying again while a cluster is in transition: policy as data, and the one loop that follows it. Knows no client: the clock,
-- the sleep and the chance are given, so that a spec needs no time.

local core = require "kafka.core"
local errors = require "kafka.error"

---@class kafka.RetryPolicy
---@field attempts integer at most (default: as many as the deadline allows)
---@field first number seconds before the second attempt
---@field factor number what each pause is longer than the one before
---@field most number seconds: the longest pause
---@field jitter number 0 to 1: the part of each pause that is left to chance, so that many clients do not come back at once
---@field actions table<string, boolean> the actions of an error that call for another attempt
---@field clock fun():number seconds
---@field random fun():number from 0 to 1

local retry = {}

retry.default = {
  attempts = math.huge,
  first = 0.1,
  factor = 2,
  most = 1,
  jitter = 0.2,
  actions = { wait = true, retry = true },
  clock = core.now,
  random = math.random,
}

---A policy that differs from the default in some fields.
---@param changes table|nil
---@return kafka.RetryPolicy
function retry.policy(changes)
  local policy = {}
  for name, value in next, retry.default do policy[name] = value end
  for name, value in next, changes or {} do policy[name] = value end
  return policy
end

---The pause behind an attempt.
---@param policy kafka.RetryPolicy
---@param attempt integer 1 for the first
---@return number seconds
function retry.pause(policy, attempt)
  local whole = math.min(policy.most, policy.first * policy.factor ^ (attempt - 1))
  return whole * (1 - policy.jitter * policy.random())
end

local LISTED = 5 -- names of a history that are written out

-- "NOT_COORDINATOR, NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS"
local function names(history)
  local list, from = {}, math.max(1, #history - LISTED + 1)
  if from > 1 then list[1] = ("%d before"):format(from - 1) end
  for i = from, #history do list[#list + 1] = history[i] end
  return table.concat(list, ", ")
end

---@param history string[] names of errors
---@param seconds number
---@return string such as "3 attempts in 5.0 s: NOT_COORDINATOR, NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS"
function retry.words(history, seconds)
  return ("%d attempt%s in %.1f s: %s"):format(#history, #history == 1 and "" or "s", seconds, names(history))
end

---Whether an error calls for another attempt.
function retry.wanted(policy, err)
  return errors.is(err) and not err.fatal and policy.actions[err.action] or false
end

---Calls `f(left)` until it succeeds, its error does not call for another attempt, or the deadline leaves no time for one.
---@param policy kafka.RetryPolicy
---@param deadline number by the policy's clock
---@param sleep fun(seconds: number) waits, serving what is to be served meanwhile
---@param f fun(left: number): any, kafka.Error|nil left seconds; succeeds with anything but nil
---@return any what f gave
---@return any its second value; or the last error, with `history` (the names of all) and its words in the message
function retry.run(policy, deadline, sleep, f)
  local clock = policy.clock
  local began, history = clock(), {}
  while true do
    local value, second = f(math.max(0, deadline - clock()))
    if value ~= nil then return value, second end
    local err = second
    if not errors.is(err) then return nil, err end
    history[#history + 1] = err.name
    local pause = retry.pause(policy, #history)
    if not retry.wanted(policy, err) or #history >= policy.attempts or clock() + pause >= deadline then
      if #history > 1 then
        err.history = history
        err.message = ("%s (%s)"):format(err.message, retry.words(history, clock() - began))
      end
      return nil, err
    end
    sleep(pause)
  end
end

return retry

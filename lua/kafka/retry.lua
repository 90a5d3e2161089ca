-- Trying again while a cluster is in transition: policy as data, and the one loop that follows it. Knows no client: the clock,
-- the sleep and the chance are given, so that a spec needs no time. What asks a cluster by it is ask.lua.

local core = require "kafka.core"
local errors = require "kafka.error"

---@class kafka.RetryPolicy
---@field attempts integer at most (default: as many as the deadline allows)
---@field first number seconds before the second attempt
---@field factor number what each pause is longer than the one before
---@field most number seconds: the longest pause
---@field jitter number 0 to 1: the part of each pause that is left to chance, so that many clients do not come back at once
---@field each number seconds that the first attempt may take (default: all there are); the next ones longer by the factor
---@field actions table<string, boolean> the actions of an error that call for another attempt
---@field names table<string, boolean> the names of errors that do so whatever their action
---@field clock fun():number seconds
---@field random fun():number from 0 to 1

local retry = {}

retry.default = {
  attempts = math.huge,
  first = 0.1,
  factor = 2,
  most = 1,
  jitter = 0.2,
  each = math.huge,
  actions = { wait = true, retry = true },
  names = {},
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

-- The time of an attempt. The last takes what would be too little for another one.
local function share(policy, attempt, left)
  local one = policy.each * policy.factor ^ (attempt - 1)
  return left - one < one and left or one
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
  if not errors.is(err) or err.fatal then return false end
  return policy.actions[err.action] or policy.names[err.name] or false
end

---Calls `f(seconds, attempt)` until it succeeds, its error does not call for another attempt, or the deadline leaves no time for
---one.
---@param policy kafka.RetryPolicy
---@param deadline number by the policy's clock
---@param sleep fun(seconds: number) waits, serving what is to be served meanwhile
---@param f fun(seconds: number, attempt: integer): any, kafka.Error|nil in these seconds; succeeds with anything but nil
---@return any what f gave
---@return any its second value; or the last error: where there were several, with `history` (the names of all), `took`
---  (seconds), and both in its message
function retry.run(policy, deadline, sleep, f)
  local clock = policy.clock
  local began, history = clock(), {}
  while true do
    local attempt = #history + 1
    local value, second = f(share(policy, attempt, math.max(0, deadline - clock())), attempt)
    if value ~= nil then return value, second end
    local err = second
    if not errors.is(err) then return nil, err end
    history[attempt] = err.name
    local pause = retry.pause(policy, attempt)
    if not retry.wanted(policy, err) or attempt >= policy.attempts or clock() + pause >= deadline then
      if attempt > 1 then
        err.history, err.took = history, clock() - began
        err.message = ("%s (%s)"):format(err.message, retry.words(history, err.took))
      end
      return nil, err
    end
    sleep(pause)
  end
end

return retry

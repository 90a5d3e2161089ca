-- The commits of a group take turns, in the order of their calls: one that overtook an earlier one, or was tried again behind a
-- later one, would take the group back. So would one that nobody waits for any more, which may still take effect: its turn lasts
-- until librdkafka answers, which it does in the end. Knows a handle's wait, and no offsets.

local core = require "kafka.core"
local errors = require "kafka.error"

local turns = {}

local BUSY = "an earlier commit of this group is not answered yet"

---@class kafka.Turn
---@field owner thread whose call it is
---@field sent boolean whether an answer is awaited; the one that takes the answer sets it to false
---@field done boolean whether the call has ended

local function leave(h, turn)
  for i, one in ipairs(h.turns) do
    if one == turn then return table.remove(h.turns, i) end
  end
end

-- Whether a turn is over though it is in the list: it was answered after its call had ended, or its coroutine was closed while it
-- waited.
local function is_over(turn) return not turn.sent and (turn.done or coroutine.status(turn.owner) == "dead") end

local function new(done) return { owner = coroutine.running(), sent = false, done = done } end

local function join(h, turn)
  h.turns = h.turns or {}
  for i = #h.turns, 1, -1 do
    if is_over(h.turns[i]) then table.remove(h.turns, i) end
  end
  table.insert(h.turns, turn)
  return turn
end

-- Whether another call must end first: not the one within which a handler makes this one, unless it is on its way.
local function must_wait(h, turn)
  for _, one in ipairs(h.turns or {}) do
    if one == turn then return false end
    if one.sent or one.owner ~= coroutine.running() and not is_over(one) then return true end
  end
  return false
end

---The call has ended: so does its turn where no answer is awaited.
---@param turn kafka.Turn
function turns.over(h, turn)
  turn.done = true
  if not turn.sent then leave(h, turn) end
end

---The turn of a call that does not wait for it, and ends at once: it holds others up only when it is `sent`.
---@return kafka.Turn|nil
---@return kafka.Error|nil where another one is not over yet
function turns.take(h, about)
  if not must_wait(h) then return join(h, new(true)) end
  about.name, about.message = "_PREV_IN_PROGRESS", BUSY
  return nil, errors.new(about)
end

local function ended(h, turn, called, ok, err)
  turns.over(h, turn)
  if not called then error(ok, 0) end
  if ok then return ok end
  return nil, err
end

---Calls f(turn, seconds) when it is this call's turn.
---@param f fun(turn: kafka.Turn, seconds: number): true|nil, kafka.Error|nil
function turns.run(h, about, timeout, f)
  local deadline, turn = core.now() + timeout, new(false)
  return ended(h, turn, pcall(function()
    join(h, turn) -- within: where memory runs out the turn ends with the call
    if must_wait(h, turn) then
      h:await(function() return not must_wait(h, turn) end, deadline)
      if must_wait(h, turn) or h.closed then return nil, h:late(core.copy(about), timeout, BUSY) end
    end
    return f(turn, math.max(0, deadline - core.now()))
  end))
end

return turns

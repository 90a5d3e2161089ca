-- Which faults come, in which order: drawn by the seed and nothing else, so that two runs of one seed see the same. Pure.
-- Knows of a fault its name, its cards and how long it may hold; what each does is faults.lua's.

local plan = {}

---@class kafka.chaos.Card
---@field fault string name of its row
---@field rest number seconds before it
---@field hold number seconds that it lasts, where it does
---@field partition integer whose leader it means, where it means one
---@field broker integer whom it means, where it means any

-- Marsaglia's xorshift: the global generator of Lua is other people's too.
local function dice(seed)
  local state = seed * 0x9e3779b97f4a7c15 ~ 0x2545f4914f6cdd1d
  if state == 0 then state = 1 end
  local function number()
    state = state ~ (state << 13)
    state = state ~ (state >> 7)
    state = state ~ (state << 17)
    return (state >> 11) / 2.0 ^ 53
  end
  for _ = 1, 8 do number() end -- seeds that are near each other part
  return number
end

local function between(roll, from, to) return from + roll() * (to - from) end

local function pick(roll, from, to) return from + math.floor(roll() * (to - from + 1)) end

-- Every row as often as it has cards, shuffled: also a short run sees each kind.
local function deck(rows, roll)
  local cards = {}
  for _, row in ipairs(rows) do
    for _ = 1, row.cards do cards[#cards + 1] = row end
  end
  for i = #cards, 2, -1 do
    local j = pick(roll, 1, i)
    cards[i], cards[j] = cards[j], cards[i]
  end
  return cards
end

---@param seed integer
---@param rows { name: string, cards: integer, hold: number[]|nil }[] hold: at least, at most
---@param partitions integer
---@param brokers integer
---@return fun(): kafka.chaos.Card the next one, without end
function plan.cards(seed, rows, partitions, brokers)
  local roll = dice(seed)
  local cards = {}
  return function()
    if #cards == 0 then cards = deck(rows, roll) end
    local row = table.remove(cards)
    local hold = row.hold or { 0, 0 }
    return {
      fault = row.name,
      rest = between(roll, 0.5, 2.5),
      hold = between(roll, hold[1], hold[2]),
      partition = pick(roll, 0, partitions - 1),
      broker = pick(roll, 1, brokers),
    }
  end
end

return plan

-- Lets the faults come, one card after the other. Those that need every broker follow each other; others come in between.
-- Must not know: what a fault does.

local machine = require "kafka.localcluster.machine"
local stage = require "chaos.stage"

local PATIENCE = 300 -- seconds for a fault to end

---Runs in a task of the play, until the time is over and the last fault has ended.
---@param play table see stage.lua
---@param scene table
---@param rows table[] of faults.lua
---@param next_card fun(): kafka.chaos.Card
---@param till number
return function(play, scene, rows, next_card, till)
  local of_name, lanes = {}, {}
  for _, row in ipairs(rows) do of_name[row.name] = row end

  local function free(name)
    stage.await(PATIENCE, "the end of a fault", function() return not lanes[name] or lanes[name].over end)
  end

  while true do
    local card = next_card()
    local row = of_name[card.fault]
    local lane = row.whole and "whole" or "any"
    stage.wait(card.rest)
    free(lane)
    if machine.now() >= till then break end
    lanes[lane] = play:start(function()
      row.run(scene, card, row.name)
      if row.whole then scene:whole() end
    end)
  end
  free "whole"
  free "any"
end

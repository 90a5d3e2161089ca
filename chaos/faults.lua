-- The faults, a row each. A kind of fault is added by a row.
-- cards: how many there are in the deck that plan.lua shuffles. hold: how long it lasts, seconds, at least and at most. whole:
-- every broker must be in sync before, so that no more than one is ever missing; such faults follow each other, the others may
-- come meanwhile. limit: how long silence may last behind it, seconds, from the broker's session, the client's
-- socket.timeout.ms, and how long it was held.
-- run does it and undoes it, in a coroutine (see stage.lua), from a scene and a card.

local machine = require "kafka.localcluster.machine"
local stage = require "chaos.stage"

local PATIENCE = 20 -- seconds in which a cluster must do what it is asked

-- A broker that paused may be in sync again and registered a moment later: until then it is "unknown" to Kafka's tools.
local function insist(f, ...)
  local till = machine.now() + PATIENCE
  while true do
    local ok, err = f(...)
    if ok then return end
    if machine.now() >= till then error(err, 0) end
    stage.wait(1)
  end
end

local function killing(who)
  return function(scene, card, kind)
    local broker, words = who(scene, card)
    scene:strike(kind, card, ("kill -9 of broker %d, %s, for %.1f s"):format(broker.id, words, card.hold), broker)
    assert(broker:kill())
    stage.wait(card.hold)
  end
end

local function pausing(who)
  return function(scene, card, kind)
    local broker, words = who(scene, card)
    scene:strike(kind, card, ("broker %d, %s, pauses for %.1f s"):format(broker.id, words, card.hold), broker)
    assert(broker:pause())
    stage.wait(card.hold)
    assert(broker:resume())
  end
end

local function leader(scene, card) return scene:leader(card.partition), ("leader of partition %d"):format(card.partition) end

local function coordinator(scene) return scene:coordinator(), "the group's coordinator" end

local function anyone(scene, card) return scene.cluster:broker(card.broker), "any" end

local function rolling(scene, card, kind)
  for _, broker in ipairs(scene.cluster.members) do
    scene:strike(kind, card, ("rolling restart: broker %d stops"):format(broker.id), broker)
    assert(broker:stop(30))
    scene:whole()
  end
end

local function rotated(list)
  local found = table.move(list, 2, #list, 1, {})
  found[#list] = list[1]
  return found
end

-- Another order of the same replicas moves nothing by itself; the election does.
local function election(scene, card, kind)
  local partition = card.partition
  local order = scene:replicas(partition)
  while order[1] == scene:leader(partition).id do order = rotated(order) end
  insist(scene.cluster.reassign, scene.cluster, scene.topic, partition, order)
  scene:strike(kind, card, ("leader of partition %d moves to broker %d by election"):format(partition, order[1]))
  insist(scene.cluster.elect, scene.cluster, scene.topic, partition)
end

-- Away from the leader, and then it is a replica again.
local function reassignment(scene, card, kind)
  local partition, old = card.partition, scene:leader(card.partition).id
  local others = {}
  for _, id in ipairs(scene:replicas(partition)) do
    if id ~= old then others[#others + 1] = id end
  end
  scene:strike(kind, card, ("partition %d moves away from broker %d by reassignment"):format(partition, old))
  insist(scene.cluster.reassign, scene.cluster, scene.topic, partition, others)
  others[#others + 1] = old
  insist(scene.cluster.reassign, scene.cluster, scene.topic, partition, others)
end

local function another_reader(how)
  return function(scene, card, kind)
    local fault = scene:strike(kind, card, ("reader %s, for %.1f s"):format(kind:match "%S+$", card.hold))
    scene.readers[how](scene.readers)
    stage.wait(card.hold)
    fault.restarted = scene.readers:start()
  end
end

local function killed(session) return session + 1.5 end

local function paused(_, socket_timeout, held) return math.min(socket_timeout, held) + 1 end

-- A reader begins anew also while a broker is away or pauses.
local function returned(_, socket_timeout) return socket_timeout + 1 end

local faults = {}

faults.rows = {
  { name = "kill -9 of a leader", cards = 3, hold = { 0.2, 5 }, whole = true, limit = killed, run = killing(leader) },
  { name = "kill -9 of the coordinator", cards = 2, hold = { 0.2, 5 }, whole = true, limit = killed, run = killing(coordinator) },
  { name = "kill -9 of any broker", cards = 1, hold = { 0.2, 5 }, whole = true, limit = killed, run = killing(anyone) },
  -- Both end before clients lose patience with requests that are under way; the third does not, and comes only where it is asked
  -- for: see README.md.
  { name = "pause of a leader", cards = 2, hold = { 0.5, 8 }, whole = true, limit = paused, run = pausing(leader) },
  { name = "pause of the coordinator", cards = 1, hold = { 0.5, 8 }, whole = true, limit = paused, run = pausing(coordinator) },
  { name = "hang of a leader", cards = 0, hold = { 11, 14 }, whole = true, limit = paused, run = pausing(leader) },
  { name = "rolling restart", cards = 1, whole = true, run = rolling },
  { name = "election", cards = 2, whole = true, run = election },
  { name = "reassignment", cards = 1, whole = true, run = reassignment },
  { name = "reader killed", cards = 3, hold = { 0, 3 }, limit = returned, run = another_reader "kill" },
  { name = "reader closed", cards = 1, hold = { 0, 3 }, limit = returned, run = another_reader "close" },
}

local function with_a_card(row)
  local copy = {}
  for name, value in pairs(row) do copy[name] = value end
  copy.cards = math.max(1, row.cards)
  return copy
end

---Rows whose names hold one of these words, each with a card; where there is no word, all that have one.
---@param words string separated by commas
---@return table[]
function faults.chosen(words)
  local list = {}
  for _, row in ipairs(faults.rows) do
    local chosen = not words:find "%S" and row.cards > 0
    for word in words:gmatch "[^,]+" do chosen = chosen or row.name:find(word, 1, true) ~= nil end
    if chosen then list[#list + 1] = with_a_card(row) end
  end
  if #list == 0 then error("FAULTS must be words of their names, separated by commas: see chaos/faults.lua", 0) end
  return list
end

return faults

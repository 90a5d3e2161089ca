-- What the faults are done to: the cluster, whom its topic and its group stand with just now, and the reader's process. Notes
-- each fault as it strikes.
-- Must not know: which faults there are, nor when they come.

local javahash = require "kafka.javahash"
local machine = require "kafka.localcluster.machine"
local stage = require "chaos.stage"

local Scene = {}
Scene.__index = Scene

local scene = {}

local WHOLE = 60 -- seconds until a broker is back in sync
local MARGIN = 1 -- seconds after which a broker whose session is over is no longer shown
local LOOK = 0.3 -- seconds between two looks whether it is

---@class kafka.chaos.Fault what was done
---@field kind string name of its row
---@field words string
---@field held number seconds that it lasts, where it does
---@field at number when it struck
---@field restarted number|nil of the reader: when the next process was started
---@field leads integer[]|nil partitions that the broker led
---@field coordinates boolean|nil whether it was the group's coordinator

---@param o table {cluster, topic, group, session, readers: kafka.chaos.Readers, say: fun(line: string)}
function scene.new(o)
  o.faults = {}
  return setmetatable(o, Scene)
end

-- The cluster's own picture of a topic; it may be between two states for a moment.
local function described(self, topic)
  return stage.await(WHOLE, "a description of " .. topic, function() return (self.cluster:describe(topic, 10)) end)
end

local function leader_id(self, topic, partition)
  return stage.await(WHOLE, ("a leader of %s[%d]"):format(topic, partition), function()
    local row = described(self, topic):partition(partition)
    return row and row.leader
  end)
end

---@param partition integer
---@return kafka.localcluster.Node
function Scene:leader(partition) return self.cluster:broker(leader_id(self, self.topic, partition)) end

---@return kafka.localcluster.Node
function Scene:coordinator()
  local count = #described(self, javahash.TOPIC).partitions
  return self.cluster:broker(leader_id(self, javahash.TOPIC, javahash.partition(self.group, count)))
end

---@param partition integer
---@return integer[] broker ids, the preferred leader first
function Scene:replicas(partition) return described(self, self.topic):partition(partition).replicas end

local function in_sync(self, name)
  local topic = self.cluster:describe(name, 10)
  if not topic then return false end
  for _, row in ipairs(topic.partitions) do
    if not row.leader or #row.isr < #self.cluster.members then return false end
  end
  return true
end

-- A broker that ended while it started, because its name was still taken, is started again.
local function all_run(self)
  local all = true
  for _, broker in ipairs(self.cluster.members) do
    if broker:state() == "stopped" then broker:start(0) end
    all = broker:state() == "running" and broker:listens() and all
  end
  return all
end

---Waits until every broker runs and is in sync again, so that the next one may be taken away. Starts those that are down. A
---broker is shown as in sync until its session ends, also one that has just been killed.
function Scene:whole()
  local last = self.faults[#self.faults]
  stage.wait(last and last.at + self.session + MARGIN - machine.now() or 0)
  stage.await(WHOLE, "every replica to be in sync again", function()
    stage.wait(LOOK)
    return all_run(self) and in_sync(self, self.topic) and in_sync(self, javahash.TOPIC)
  end)
end

---Notes a fault that strikes now.
---@param kind string
---@param card kafka.chaos.Card
---@param words string
---@param broker kafka.localcluster.Node|nil whom it strikes, where it is one
---@return kafka.chaos.Fault
function Scene:strike(kind, card, words, broker)
  local fault = { kind = kind, held = card.hold }
  if broker then
    fault.leads, fault.coordinates = {}, self:coordinator() == broker
    for _, row in ipairs(described(self, self.topic).partitions) do
      if row.leader == broker.id then fault.leads[#fault.leads + 1] = row.partition end
    end
    words = ("%s (leads %s%s)"):format(words, #fault.leads > 0 and table.concat(fault.leads, ", ") or "nothing",
      fault.coordinates and "; coordinator" or "")
  end
  fault.words, fault.at = words, machine.now()
  self.faults[#self.faults + 1] = fault
  self.say(words)
  return fault
end

return scene

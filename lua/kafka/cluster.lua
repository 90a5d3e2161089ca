-- Pictures of a cluster: what metadata says, as tables that print themselves. Pure: nothing here asks anybody.

local args = require "kafka.args"
local show = require "kafka.show"

local cluster = {}

---@class kafka.Broker
---@field id integer
---@field host string
---@field port integer
---@field rack string|nil
local Broker = { __name = "kafka.Broker" }
Broker.__index = Broker

function Broker:__tostring()
  args.object("tostring", self, Broker)
  return ("broker %d at %s:%d"):format(self.id, self.host, self.port)
end

---@class kafka.TopicPartition
---@field partition integer
---@field leader integer|nil the broker's id; nil where there is none now
---@field replicas integer[]
---@field isr integer[] the replicas in sync
---@field err table|nil what the cluster says is wrong with it

---@class kafka.Topic
---@field name string
---@field partitions kafka.TopicPartition[] in order: partition 0 is partitions[1]
local Topic = { __name = "kafka.Topic" }
Topic.__index = Topic

---The row of that partition, or nil.
---@param number integer
---@return kafka.TopicPartition|nil
function Topic:partition(number)
  args.object("partition", self, Topic)
  args.check("partition", "partition", number, args.partition)
  local row = self.partitions[number + 1]
  if row and row.partition == number then return row end
  for _, p in ipairs(self.partitions) do
    if p.partition == number then return p end
  end
  return nil
end

---A grid of all partitions: leader, replicas, in-sync replicas.
function Topic:__tostring()
  args.object("tostring", self, Topic)
  return self.name .. "\n" .. tostring(self.partitions)
end

local brokers = show.list({ "id", "host", "port", show.maybe "rack" }, { none = "no brokers", rows = false })
local topics = show.list({ "name", show.made("partitions", function(t) return #t.partitions end) },
  { none = "no topics", rows = false })
local partitions = show.list({ "partition", show.made("leader", function(p) return p.leader or "none" end),
  "replicas", "isr" }, { none = "no partitions" })

---@class kafka.Cluster
---@field brokers kafka.Broker[] by id
---@field topics kafka.Topic[] by name
---@field controller integer|nil
---@field cluster_id string|nil
---@field answered_by integer|nil the broker that answered
---@field coordinators table<string, integer>|nil of a picture of some groups: group -> the broker's id
local Cluster = { __name = "kafka.Cluster" }
Cluster.__index = Cluster

---The topic of that name, or nil.
function Cluster:topic(name)
  args.object("topic", self, Cluster)
  args.topic("topic", name)
  for _, t in ipairs(self.topics) do
    if t.name == name then return t end
  end
  return nil
end

function Cluster:__tostring()
  args.object("tostring", self, Cluster)
  local lines = { ("cluster %s"):format(self.cluster_id or "(no id)") }
  for _, b in ipairs(self.brokers) do
    lines[#lines + 1] = tostring(b) .. (b.id == self.controller and " (controller)" or "")
  end
  for _, t in ipairs(self.topics) do lines[#lines + 1] = tostring(t) end
  local groups = {}
  for group, id in next, self.coordinators or {} do groups[#groups + 1] = ("group %s: coordinator %d"):format(group, id) end
  table.sort(groups)
  table.move(groups, 1, #groups, #lines + 1, lines)
  return table.concat(lines, "\n")
end

---Makes a broker of the core's row.
---@return kafka.Broker
function cluster.broker(raw) return setmetatable(raw, Broker) end

local function by(field)
  return function(a, b) return a[field] < b[field] end
end

---Lets a picture of plain tables print itself.
---@param picture table
---@return kafka.Cluster
function cluster.shown(picture)
  for _, b in ipairs(brokers(picture.brokers)) do cluster.broker(b) end
  for _, t in ipairs(topics(picture.topics)) do
    partitions(t.partitions)
    setmetatable(t, Topic)
  end
  return setmetatable(picture, Cluster)
end

---Makes a picture of the core's metadata, in a steady order.
---@return kafka.Cluster
function cluster.picture(raw)
  for _, t in ipairs(raw.topics) do
    t.name, t.topic = t.topic, nil
    table.sort(t.partitions, by "partition")
  end
  table.sort(raw.brokers, by "id")
  table.sort(raw.topics, by "name")
  return cluster.shown(raw)
end

return cluster

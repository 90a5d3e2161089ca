-- What is done to the topics of a cluster: created, grown, deleted, their leaders elected, their replicas moved. Each returns
-- when every running broker shows it. How a generation does it is in its row.
-- Must not know: versions, requests, tools.

local fault = require "kafka.localcluster.fault"
local options = require "kafka.localcluster.options"
local ready = require "kafka.localcluster.ready"

---@class kafka.localcluster.Cluster
local Topics = {}

local SHOWN_WITHIN = 5 -- seconds in which an election shows, or did not happen

local function same_set(a, b)
  local set = {}
  for _, id in ipairs(a) do
    set[id] = true
  end
  for _, id in ipairs(b) do
    if not set[id] then
      return false
    end
  end
  return #a == #b
end

local function includes(list, id)
  for _, each in ipairs(list) do
    if each == id then
      return true
    end
  end
  return false
end

-- The topic and one partition of it, or the error that there is none.
local function known(self, name, partition, deadline)
  local topic, err = self.row.verbs.describe(self, name, deadline)
  if not topic then
    return nil, nil, err
  end
  local row = topic:partition(partition)
  if not row then
    local words = ("topic %s has %d partitions, counted from 0"):format(name, #topic.partitions)
    return nil, nil, fault.new(words, "_UNKNOWN_PARTITION")
  end
  return topic, row
end

-- A broker that is down would be waited for in vain.
local function all_run(self, ids, why)
  for _, id in ipairs(ids) do
    local broker = self.members[id]
    if broker:state() ~= "running" then
      return nil, fault.new(("%s is %s, and %s"):format(broker.name, broker:state(), why), "BROKER_NOT_AVAILABLE")
    end
  end
  return true
end

local function all_have(self, topic, why)
  for _, row in ipairs(topic.partitions) do
    local ok, err = all_run(self, row.replicas, why)
    if not ok then
      return nil, err
    end
  end
  return true
end

---@param topic table as checked by options.lua
---@param deadline number
---@return true? ok
---@return table? err
function Topics:make_topic(topic, deadline)
  local ok, err = self.row.verbs.create_topic(self, topic, deadline)
  if not ok then
    return nil, err
  end
  return ready.topic(self, topic, deadline)
end

---Creates a topic; returns when every running broker knows a leader for each of its partitions.
---@param name string
---@param partitions integer? 1 unless told
---@param replication_factor integer? the number of brokers, but 3 at most, unless told
---@param config table<string, string|number|boolean>? the topic's settings
---@param timeout number? seconds; 30 unless told
---@return true? ok
---@return table? err TOPIC_ALREADY_EXISTS and the like
function Topics:create_topic(name, partitions, replication_factor, config, timeout)
  self:check("create_topic", timeout)
  local topic = options.topic(name, partitions, replication_factor, config, #self.members, "create_topic")
  return self:make_topic(topic, options.deadline(timeout, 30))
end

---A topic's partitions with leaders, replicas and in-sync replicas, as the cluster itself has it.
---@param name string
---@param timeout number? seconds; 30 unless told
---@return kafka.Topic? topic
---@return table? err UNKNOWN_TOPIC_OR_PART where there is none
function Topics:describe(name, timeout)
  self:check("describe", timeout)
  options.topic_name(name, "describe")
  return self.row.verbs.describe(self, name, options.deadline(timeout, 30))
end

---Gives a topic more partitions; returns when every running broker knows a leader for each.
---@param name string
---@param total integer how many it is to have, not how many more
---@param timeout number? seconds; 30 unless told
---@return true? ok
---@return table? err INVALID_PARTITIONS where it has as many already
function Topics:add_partitions(name, total, timeout)
  self:check("add_partitions", timeout)
  local topic = options.topic(name, total, nil, nil, #self.members, "add_partitions", "total")
  local deadline = options.deadline(timeout, 30)
  local now, err = self.row.verbs.describe(self, name, deadline)
  if not now then
    return nil, err
  end
  if #now.partitions >= topic.partitions then
    return nil, fault.new(("topic %s has %d partitions already"):format(name, #now.partitions), "INVALID_PARTITIONS")
  end
  local ok
  ok, err = self.row.verbs.add_partitions(self, name, topic.partitions, deadline)
  if not ok then
    return nil, err
  end
  return ready.topic(self, topic, deadline)
end

---Deletes a topic; returns when no running broker shows it any more, and its name can be used again.
---@param name string
---@param timeout number? seconds; 30 unless told
---@return true? ok
---@return table? err UNKNOWN_TOPIC_OR_PART where there is none
function Topics:delete_topic(name, timeout)
  self:check("delete_topic", timeout)
  options.topic_name(name, "delete_topic")
  local deadline = options.deadline(timeout, 30)
  local ok, err = self.row.verbs.describe(self, name, deadline)
  if ok and self.row.deletes_together then
    ok, err = all_have(self, ok, ("Kafka %s deletes a topic only while all brokers that have it run"):format(self.version))
  end
  if ok then
    ok, err = self.row.verbs.delete_topic(self, name, deadline)
  end
  if not ok then
    return nil, err
  end
  return ready.gone(self, name, deadline)
end

local function elect_once(self, name, partition, wanted, deadline)
  local ok, err = self.row.verbs.elect(self, name, partition, deadline)
  if not ok then
    return nil, err
  end
  local soon = math.min(deadline, options.deadline(SHOWN_WITHIN, 0))
  return ready.placed(self, name, partition, ("broker %d to lead"):format(wanted), soon, function(shown)
    return shown.leader == wanted
  end)
end

---Has the controller make the preferred replica, the first of the list, a partition's leader; returns when every running broker
---shows it.
---@param name string topic
---@param partition integer
---@param timeout number? seconds; 30 unless told
---@return true? ok
---@return table? err BROKER_NOT_AVAILABLE where that broker does not run
function Topics:elect(name, partition, timeout)
  self:check("elect", timeout)
  partition = options.partition(name, partition, "elect")
  local deadline = options.deadline(timeout, 30)
  local topic, row, err = known(self, name, partition, deadline)
  if not topic then
    return nil, err
  end
  local wanted = row.replicas[1]
  local ok
  ok, err = all_run(self, { wanted }, ("is to lead %s[%d]"):format(name, partition))
  if not ok then
    return nil, err
  end
  -- It may not be back in the cluster yet: then it is tried again.
  repeat
    ok, err = elect_once(self, name, partition, wanted, deadline)
  until ok or err.action == "fix" or options.deadline(0, 0) >= deadline
  return ok, err
end

---Moves a partition to other brokers; returns when they have caught up and every running broker shows it.
---@param name string topic
---@param partition integer
---@param replicas integer[] broker ids, the preferred leader first
---@param timeout number? seconds; 60 unless told
---@return true? ok
---@return table? err BROKER_NOT_AVAILABLE where one of them does not run
function Topics:reassign(name, partition, replicas, timeout)
  self:check("reassign", timeout)
  partition = options.partition(name, partition, "reassign")
  local wanted = options.replicas(replicas, #self.members, "reassign")
  local deadline = options.deadline(timeout, 60)
  local topic, _, err = known(self, name, partition, deadline)
  if not topic then
    return nil, err
  end
  local ok
  ok, err = all_run(self, wanted, ("is to have %s[%d]"):format(name, partition))
  if ok then
    ok, err = self.row.verbs.reassign(self, name, partition, wanted, deadline)
  end
  if ok then
    ok, err = ready.placed(self, name, partition, "its new replicas", deadline, function(shown)
      return same_set(shown.replicas, wanted) and shown.leader ~= nil and includes(wanted, shown.leader)
    end)
  end
  if not ok then
    return nil, err
  end
  return ready.described(self, name, "the new replicas", deadline, function(now)
    local row = now and now:partition(partition)
    return row and table.concat(row.replicas, ",") == table.concat(wanted, ",") and same_set(row.isr, wanted)
  end)
end

return Topics

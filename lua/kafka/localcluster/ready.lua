-- When started processes can be used: they live, they listen, and every broker that runs tells of all of them.
-- Must not know: how processes are started, nor by which client brokers are asked.

local fault = require "kafka.localcluster.fault"
local machine = require "kafka.localcluster.machine"
local probe = require "kafka.localcluster.probe"

local M = {}

local function living(nodes)
  for _, node in ipairs(nodes) do
    if node:state() == "stopped" then
      local words = node.process and node.process:last_words() or "it was not started"
      return nil, fault.new(("%s ended while it started: %s"):format(node.name, words))
    end
  end
  return true
end

local function running(cluster)
  local found = {}
  for _, broker in ipairs(cluster.members) do
    if broker:state() == "running" then
      found[#found + 1] = broker
    end
  end
  return found
end

local function told_of(all, listed)
  for _, broker in ipairs(all) do
    if listed[broker.id] ~= broker.port then
      return false
    end
  end
  return true
end

---Waits until the processes listen.
---@param nodes kafka.localcluster.Node[]
---@param deadline number
---@return true? ok
---@return table? err
function M.listening(nodes, deadline)
  local late
  local ok, err = machine.wait(deadline, function()
    local alive, why = living(nodes)
    if not alive then
      return nil, why
    end
    for _, node in ipairs(nodes) do
      local listens, wrong = node:listens()
      late = node.name
      if not listens then
        return nil, wrong
      end
    end
    return true
  end)
  return ok, err or not ok and fault.timed_out(late .. " to listen") or nil
end

---Waits until every running broker, asked on its own port, names all running brokers.
---@param cluster kafka.localcluster.Cluster
---@param started kafka.localcluster.Node[] an end of one of these is an error
---@param deadline number
---@return true? ok
---@return table? err
function M.answering(cluster, started, deadline)
  local ok, err = M.listening(started, deadline)
  if not ok then
    return nil, err
  end
  local late
  ok, err = machine.wait(deadline, function()
    local alive, why = living(started)
    if not alive then
      return nil, why
    end
    local all = running(cluster)
    for _, broker in ipairs(all) do
      late = broker.name
      local left = math.max(0.1, math.min(2, deadline - machine.now()))
      if not told_of(all, probe.brokers(broker, cluster.row.probe, left) or {}) then
        return nil
      end
    end
    return living(started)
  end)
  return ok, err or not ok and fault.timed_out(late .. " to answer") or nil
end

-- Waits until the topic, as each running broker shows it, fits.
local function shown(cluster, name, what, deadline, fits)
  local late
  local ok = machine.wait(deadline, function()
    for _, broker in ipairs(running(cluster)) do
      late = broker.name
      local left = math.max(0.1, math.min(2, deadline - machine.now()))
      local answered, topic = probe.topic(broker, cluster.row.probe, name, left)
      if not answered or not fits(topic) then
        return nil
      end
    end
    return true
  end)
  return ok, not ok and fault.timed_out(("%s, as %s shows it"):format(what, late or "a broker")) or nil
end

---Waits until every running broker tells of a topic with a leader for each partition.
---@param cluster kafka.localcluster.Cluster
---@param topic { name: string, partitions: integer }
---@param deadline number
---@return true? ok
---@return table? err
function M.topic(cluster, topic, deadline)
  return shown(cluster, topic.name, ("the leaders of topic %s"):format(topic.name), deadline, function(found)
    local count = 0
    for _, partition in ipairs(found and found.partitions or {}) do
      count = count + (partition.leader and 1 or 0)
    end
    return count == topic.partitions
  end)
end

---Waits until a partition fits, as every running broker shows it.
---@param cluster kafka.localcluster.Cluster
---@param name string topic
---@param partition integer
---@param what string
---@param deadline number
---@param fits fun(row: kafka.TopicPartition): boolean
---@return true? ok
---@return table? err
function M.placed(cluster, name, partition, what, deadline, fits)
  return shown(cluster, name, ("%s of %s[%d]"):format(what, name, partition), deadline, function(topic)
    local row = topic and topic:partition(partition)
    return row and fits(row)
  end)
end

---Waits until a topic fits, as the cluster itself has it.
---@param cluster kafka.localcluster.Cluster
---@param name string
---@param what string
---@param deadline number
---@param fits fun(topic: kafka.Topic?): boolean?
---@return true? ok
---@return table? err
function M.described(cluster, name, what, deadline, fits)
  local ok, err = machine.wait(deadline, function()
    local topic, wrong = cluster.row.verbs.describe(cluster, name, deadline)
    if topic or wrong.name == "UNKNOWN_TOPIC_OR_PART" then
      return fits(topic) or nil
    end
    return nil, wrong.action == "fix" and wrong or nil
  end)
  return ok, err or not ok and fault.timed_out(("%s of topic %s"):format(what, name)) or nil
end

---Waits until no running broker tells of a topic, and the cluster itself has none of that name.
---@param cluster kafka.localcluster.Cluster
---@param name string
---@param deadline number
---@return true? ok
---@return table? err
function M.gone(cluster, name, deadline)
  local function none(topic)
    return topic == nil
  end
  local ok, err = shown(cluster, name, ("the end of topic %s"):format(name), deadline, none)
  if not ok then
    return nil, err
  end
  return M.described(cluster, name, "the end", deadline, none)
end

return M

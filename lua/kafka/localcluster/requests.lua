-- What a cluster is told to do by a client's requests, where its brokers serve them.
-- Must not know: versions, tools.

local fault = require "kafka.localcluster.fault"
local machine = require "kafka.localcluster.machine"
local probe = require "kafka.localcluster.probe"

local M = {}

-- Connects, and calls the client's method; the seconds that are left come from `left()`.
local function by_client(cluster, deadline, ask)
  local client <close>, err = probe.connect(cluster.brokers, cluster.row.probe, probe.left(deadline))
  if not client then
    return nil, err
  end
  return ask(client, function()
    return probe.left(deadline)
  end)
end

---@param cluster kafka.localcluster.Cluster
---@param topic { name: string, partitions: integer, replication_factor: integer, config: table? }
---@param deadline number
---@return true? ok
---@return table? err
function M.create_topic(cluster, topic, deadline)
  return by_client(cluster, deadline, function(client, left)
    return client:create_topic {
      name = topic.name,
      partitions = topic.partitions,
      replication_factor = topic.replication_factor,
      config = topic.config,
      timeout = left(),
    }
  end)
end

---@param cluster kafka.localcluster.Cluster
---@param name string
---@param deadline number
---@return kafka.Topic?
---@return table? err
function M.describe(cluster, name, deadline)
  return by_client(cluster, deadline, function(client, left)
    return client:topic(name, left())
  end)
end

---@param cluster kafka.localcluster.Cluster
---@param name string
---@param total integer
---@param deadline number
---@return true? ok
---@return table? err
function M.add_partitions(cluster, name, total, deadline)
  return by_client(cluster, deadline, function(client, left)
    return client:add_partitions(name, total, { timeout = left() })
  end)
end

---@param cluster kafka.localcluster.Cluster
---@param name string
---@param deadline number
---@return true? ok
---@return table? err
function M.delete_topic(cluster, name, deadline)
  return by_client(cluster, deadline, function(client, left)
    local ok, err = client:delete_topic(name, left())
    if not ok then
      return nil, err
    end
    -- Brokers forget it at once, while its name stays taken until the last of them has deleted its files.
    ok = machine.wait(deadline, function()
      local free, why = client:create_topic { name = name, dry_run = true, timeout = left() }
      return free or why.name ~= "TOPIC_ALREADY_EXISTS" or nil
    end)
    return ok, not ok and fault.timed_out(("the name of topic %s to be free again"):format(name)) or nil
  end)
end

---Elects by a request, where this librdkafka has it.
---@param otherwise fun(cluster: table, name: string, partition: integer, deadline: number): true?, table?
---@return fun(cluster: table, name: string, partition: integer, deadline: number): true?, table?
function M.elect(otherwise)
  return function(cluster, name, partition, deadline)
    local rows, err = by_client(cluster, deadline, function(client, left)
      return client:elect_leaders({ { topic = name, partition = partition } }, { timeout = left() })
    end)
    if rows then
      err = rows[1].err
      return not err and true or nil, err
    elseif err.name == "_UNSUPPORTED_FEATURE" then
      return otherwise(cluster, name, partition, deadline)
    end
    return nil, err
  end
end

return M

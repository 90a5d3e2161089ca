-- What a cluster is told to do by Kafka's own command-line tools, where a client has no request for it. Each run of one costs
-- the start of a JVM, half a second to one and a half.
-- Must not know: versions; which tool a generation has is in its row.

local clusters = require "kafka.cluster"
local fault = require "kafka.localcluster.fault"
local java = require "kafka.localcluster.java"
local machine = require "kafka.localcluster.machine"

local M = {}

---@class kafka.localcluster.Tool
---@field main string class
---@field at fun(cluster: kafka.localcluster.Cluster): string[] arguments that say where the cluster is
---@field options string[]? more arguments
---@field fails string? a pattern of what it says where it failed and ends as if it had not

local function run(tool, cluster, arguments, deadline)
  local all = tool.at(cluster)
  for _, more in ipairs { tool.options or {}, arguments } do
    table.move(more, 1, #more, #all + 1, all)
  end
  local name = tool.main:match("[^.]+$")
  local ok, text = java.run(cluster.java, cluster.sandbox, name, tool.main, all, deadline)
  local why = ok and tool.fails and text:match(tool.fails)
  if why then
    return nil, fault.new(("%s failed: %s"):format(name, why))
  end
  return ok, text
end

-- These tools take what is long from a file.
local function with_file(tool, cluster, option, text, more, deadline)
  local path = ("%s/%s.json"):format(cluster.sandbox.folder, tool.main:match("[^.]+$"))
  local ok, why = machine.write(path, text)
  if not ok then
    return nil, fault.new(why)
  end
  local all = { option, path }
  table.move(more, 1, #more, 3, all)
  return run(tool, cluster, all, deadline)
end

---@param tool kafka.localcluster.Tool
---@return fun(cluster: table, topic: table, deadline: number): true?, table?
function M.create_topic(tool)
  return function(cluster, topic, deadline)
    local all = {
      "--create", "--topic", topic.name, "--partitions", tostring(topic.partitions),
      "--replication-factor", tostring(topic.replication_factor),
    }
    for name, value in pairs(topic.config or {}) do
      all[#all + 1] = "--config"
      all[#all + 1] = ("%s=%s"):format(name, tostring(value))
    end
    local ok, err = run(tool, cluster, all, deadline)
    if not ok and err.message:find("already exists", 1, true) then
      err = fault.new(("topic %s already exists"):format(topic.name), "TOPIC_ALREADY_EXISTS")
    end
    return ok and true, err
  end
end

local function ids(text)
  local found = {}
  for id in text:gmatch("%d+") do
    found[#found + 1] = math.tointeger(id)
  end
  return found
end

-- "Topic: t  Partition: 0  Leader: 1  Replicas: 1,2  Isr: 1,2"; the leader is none or -1 where there is none.
local function rows_of(text)
  local rows = {}
  for partition, leader, replicas, isr in
    text:gmatch("Partition: (%d+)%s+Leader: (%S+)%s+Replicas: ([%d,]*)%s+Isr: ([%d,]*)")
  do
    local id = math.tointeger(leader)
    rows[#rows + 1] = {
      partition = math.tointeger(partition),
      leader = id and id >= 0 and id or nil,
      replicas = ids(replicas),
      isr = ids(isr),
    }
  end
  return rows
end

---@param tool kafka.localcluster.Tool
---@return fun(cluster: table, name: string, deadline: number): kafka.Topic?, table?
function M.describe(tool)
  return function(cluster, name, deadline)
    local ok, text = run(tool, cluster, { "--describe", "--topic", name }, deadline)
    if not ok then
      return nil, text
    end
    local rows = rows_of(text)
    if #rows == 0 then
      return nil, fault.no_topic(name)
    end
    local picture = clusters.picture { brokers = {}, topics = { { topic = name, partitions = rows } } }
    return picture:topic(name)
  end
end

---@param tool kafka.localcluster.Tool
---@return fun(cluster: table, name: string, total: integer, deadline: number): true?, table?
function M.add_partitions(tool)
  return function(cluster, name, total, deadline)
    local ok, err = run(tool, cluster, { "--alter", "--topic", name, "--partitions", tostring(total) }, deadline)
    return ok and true, not ok and err or nil
  end
end

---@param tool kafka.localcluster.Tool
---@return fun(cluster: table, name: string, deadline: number): true?, table?
function M.delete_topic(tool)
  return function(cluster, name, deadline)
    local ok, err = run(tool, cluster, { "--delete", "--topic", name }, deadline)
    return ok and true, not ok and err or nil
  end
end

---@param tool kafka.localcluster.Tool
---@return fun(cluster: table, name: string, partition: integer, deadline: number): true?, table?
function M.elect(tool)
  return function(cluster, name, partition, deadline)
    local text = ('{"partitions":[{"topic":"%s","partition":%d}]}'):format(name, partition)
    local ok, err = with_file(tool, cluster, "--path-to-json-file", text, {}, deadline)
    if not ok and err.message:find("LeaderNotAvailable", 1, true) then
      err = fault.new(("the preferred leader of %s[%d] is not in sync"):format(name, partition), "PREFERRED_LEADER_NOT_AVAILABLE",
        "wait")
    end
    return ok and true, not ok and err or nil
  end
end

---@param tool kafka.localcluster.Tool
---@return fun(cluster: table, name: string, partition: integer, replicas: integer[], deadline: number): true?, table?
function M.reassign(tool)
  return function(cluster, name, partition, replicas, deadline)
    local text = ('{"version":1,"partitions":[{"topic":"%s","partition":%d,"replicas":[%s]}]}'):format(
      name, partition, table.concat(replicas, ","))
    local ok, err = with_file(tool, cluster, "--reassignment-json-file", text, { "--execute" }, deadline)
    return ok and true, not ok and err or nil
  end
end

return M

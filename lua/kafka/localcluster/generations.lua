-- The generations of Kafka that can be started here, a row each: where its jars come from, which processes it needs,
-- with which properties, and how its topics are made. A generation is added by a row; the code that reads the rows
-- knows no version.
-- Must not know: how processes are started or watched.

local java = require "kafka.localcluster.java"
local machine = require "kafka.localcluster.machine"
local probe = require "kafka.localcluster.probe"

---@alias kafka.localcluster.Describe fun(cluster: kafka.localcluster.Cluster, node: kafka.localcluster.Node): table
---@alias kafka.localcluster.Prepare fun(cluster: table, node: table, deadline: number): true?, table?

---@class kafka.localcluster.Part one process, or each broker
---@field name string
---@field main string class
---@field first boolean? the brokers are started only when this one listens on its port
---@field properties kafka.localcluster.Describe
---@field files kafka.localcluster.Describe texts by the name of a file in its data folder
---@field prepare nil|kafka.localcluster.Prepare

---@class kafka.localcluster.Generation
---@field version string
---@field artifacts string[] group:name:version for Maven
---@field proof string a jar that this version has and no other
---@field flags string[] for the JVM
---@field own table<string, true> properties that cannot be given by settings
---@field support kafka.localcluster.Part[] processes beside the brokers
---@field broker kafka.localcluster.Part
---@field probe table properties for a client that asks its brokers
---@field create_topic fun(cluster: kafka.localcluster.Cluster, topic: table, deadline: number): true?, table?

local M = {}

local function set(names)
  local found = {}
  for _, name in ipairs(names) do
    found[name] = true
  end
  return found
end

local function merged(...)
  local all = {}
  for _, properties in ipairs({ ... }) do
    for name, value in pairs(properties) do
      all[name] = value
    end
  end
  return all
end

-- Fast to notice a dead broker, small, and steady: nothing moves but by the hand of the person who tries things.
local function kraft_defaults(cluster)
  local copies = math.min(cluster.count, 3)
  return {
    ["broker.session.timeout.ms"] = 1000,
    ["broker.heartbeat.interval.ms"] = 200,
    ["unclean.leader.election.interval.ms"] = 1000,
    ["auto.create.topics.enable"] = false,
    ["auto.leader.rebalance.enable"] = false,
    ["group.initial.rebalance.delay.ms"] = 0,
    ["offsets.topic.num.partitions"] = 4,
    ["offsets.topic.replication.factor"] = copies,
    ["transaction.state.log.num.partitions"] = 4,
    ["transaction.state.log.replication.factor"] = copies,
    ["transaction.state.log.min.isr"] = 1,
    ["share.coordinator.state.topic.num.partitions"] = 1,
    ["share.coordinator.state.topic.replication.factor"] = copies,
    ["share.coordinator.state.topic.min.isr"] = 1,
  }
end

-- The controller fences silent brokers, so it needs the session's settings as much as they do.
local function kraft(role, listener)
  return function(cluster, node)
    local controller = cluster.support.controller
    local address = ("%s://127.0.0.1:%d"):format(listener, node.port)
    return merged(kraft_defaults(cluster), cluster.settings, {
      ["process.roles"] = role,
      ["node.id"] = node.id,
      ["controller.quorum.voters"] = ("%d@127.0.0.1:%d"):format(controller.id, controller.port),
      ["controller.listener.names"] = "CONTROLLER",
      ["listeners"] = address,
      ["advertised.listeners"] = role == "broker" and address or nil,
      ["log.dirs"] = node.folder,
    })
  end
end

-- A broker takes a data folder that holds no more than this; only the controller needs Kafka's own formatting.
local function kraft_identity(cluster, node)
  return { ["meta.properties"] = ("version=1\ncluster.id=%s\nnode.id=%d\n"):format(cluster.id, node.id) }
end

-- The tool takes as long as a broker's start and always writes the same: the levels of the version's features. So that
-- file is kept, and the identity beside it written here. A setting that opens unreleased features would change it.
local function kraft_format(cluster, node, deadline)
  local name = "bootstrap.checkpoint"
  local made = node.folder .. "/" .. name
  local keep = cluster.java.keep
  if not keep or cluster.settings["unstable.feature.versions.enable"] ~= nil then
    keep = nil
  end
  local kept = keep and machine.read(keep .. "/" .. name)
  if kept and machine.write(made, kept) then
    return machine.write(node.folder .. "/meta.properties", kraft_identity(cluster, node)["meta.properties"])
  end
  local args = { "format", "-t", cluster.id, "-c", node.file }
  local ok, err = java.run(cluster.java, cluster.sandbox, "format", "kafka.tools.StorageTool", args, deadline)
  if ok and keep then
    machine.replace(keep .. "/" .. name, machine.read(made))
  end
  return ok, err
end

local function no_files()
  return {}
end

M["4.3.1"] = {
  version = "4.3.1",
  -- Kafka leaves the choice of a logger to its distribution; without one it dies in silence.
  artifacts = {
    "org.apache.kafka:kafka_2.13:4.3.1",
    "org.apache.kafka:kafka-tools:4.3.1",
    "org.slf4j:slf4j-simple:1.7.36",
  },
  proof = "kafka_2.13-4.3.1.jar",
  flags = { "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn" },
  own = set({
    "process.roles", "node.id", "broker.id", "log.dir", "log.dirs", "metadata.log.dir",
    "listeners", "advertised.listeners", "listener.security.protocol.map", "inter.broker.listener.name",
    "controller.quorum.voters", "controller.quorum.bootstrap.servers", "controller.listener.names",
  }),
  support = {
    {
      name = "controller",
      main = "kafka.Kafka",
      properties = kraft("controller", "CONTROLLER"),
      files = no_files,
      prepare = kraft_format,
    },
  },
  broker = { name = "broker", main = "kafka.Kafka", properties = kraft("broker", "PLAINTEXT"), files = kraft_identity },
  probe = {},
  create_topic = probe.create_topic,
}

return M

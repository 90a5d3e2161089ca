-- Kafka 4.3.1: brokers that answer to a controller, without ZooKeeper.
-- Must not know: how processes are started or watched.

local java = require "kafka.localcluster.java"
local machine = require "kafka.localcluster.machine"
local security = require "kafka.localcluster.security"
local shared = require "kafka.localcluster.generations.shared"

local function kraft_defaults(cluster)
  local copies = shared.copies(cluster)
  return shared.merged(shared.defaults(cluster), {
    ["broker.session.timeout.ms"] = 1000,
    ["broker.heartbeat.interval.ms"] = 200,
    ["unclean.leader.election.interval.ms"] = 1000,
    ["share.coordinator.state.topic.num.partitions"] = 1,
    ["share.coordinator.state.topic.replication.factor"] = copies,
    ["share.coordinator.state.topic.min.isr"] = 1,
  })
end

-- The controller fences silent brokers, so it needs the session's settings as much as they do.
local function kraft(role, listener)
  return function(cluster, node)
    local controller = cluster.support.controller
    local address = ("%s://127.0.0.1:%d"):format(listener, node.port)
    local plain = role == "broker" and address or nil
    local more = cluster.secure and security.properties(cluster, node, plain) or {}
    return shared.merged(kraft_defaults(cluster), more, cluster.settings, {
      ["process.roles"] = role,
      ["node.id"] = node.id,
      ["controller.quorum.voters"] = ("%d@127.0.0.1:%d"):format(controller.id, controller.port),
      ["controller.listener.names"] = "CONTROLLER",
      ["listeners"] = more["listeners"] or address,
      ["advertised.listeners"] = more["listeners"] or plain,
      ["log.dirs"] = node.folder,
    })
  end
end

-- A broker takes a data folder that holds no more than this; only the controller needs Kafka's own formatting.
local function kraft_identity(cluster, node)
  return { ["meta.properties"] = ("version=1\ncluster.id=%s\nnode.id=%d\n"):format(cluster.id, node.id) }
end

-- The tool takes as long as a broker's start and always writes the same: the levels of the version's features. So that
-- file is kept, and the identity beside it written here. A setting that opens unreleased features would change it, and the
-- users of a secure cluster are in it.
local function kraft_format(cluster, node, deadline)
  local made = node.folder .. "/bootstrap.checkpoint"
  local name = cluster.secure and "bootstrap-secure.checkpoint" or "bootstrap.checkpoint"
  local keep = cluster.java.keep
  if not keep or cluster.settings["unstable.feature.versions.enable"] ~= nil then
    keep = nil
  end
  local kept = keep and machine.read(keep .. "/" .. name)
  if kept and machine.write(made, kept) then
    return machine.write(node.folder .. "/meta.properties", kraft_identity(cluster, node)["meta.properties"])
  end
  local args = { "format", "-t", cluster.id, "-c", node.file }
  if cluster.secure then
    for user, password in pairs(security.users) do
      for _, mechanism in ipairs(security.scram) do
        args[#args + 1] = "--add-scram"
        args[#args + 1] = ("%s=[name=%s,password=%s]"):format(mechanism, user, password)
      end
    end
  end
  local ok, err = java.run(cluster.java, cluster.sandbox, "format", "kafka.tools.StorageTool", args, deadline)
  if ok and keep then
    machine.replace(keep .. "/" .. name, machine.read(made))
  end
  return ok, err
end

---@type kafka.localcluster.Generation
return {
  version = "4.3.1",
  -- Kafka leaves the choice of a logger to its distribution; without one it dies in silence.
  artifacts = {
    "org.apache.kafka:kafka_2.13:4.3.1",
    "org.apache.kafka:kafka-tools:4.3.1",
    "org.slf4j:slf4j-simple:1.7.36",
  },
  proof = "kafka_2.13-4.3.1.jar",
  flags = { "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn" },
  own = shared.set({
    "process.roles", "node.id", "broker.id", "log.dir", "log.dirs", "metadata.log.dir",
    "listeners", "advertised.listeners", "listener.security.protocol.map", "inter.broker.listener.name",
    "controller.quorum.voters", "controller.quorum.bootstrap.servers", "controller.listener.names",
  }),
  support = {
    {
      name = "controller",
      main = "kafka.Kafka",
      properties = kraft("controller", "CONTROLLER"),
      files = shared.no_files,
      prepare = kraft_format,
    },
  },
  broker = { name = "broker", main = "kafka.Kafka", properties = kraft("broker", "PLAINTEXT"), files = kraft_identity },
  probe = {},
  verbs = shared.verbs,
  security = {
    authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    acl = "org.apache.kafka.tools.AclCommand",
  },
  cannot = {},
}

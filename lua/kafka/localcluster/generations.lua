-- The generations of Kafka that can be started here, a row each: where its jars come from, which processes it needs,
-- with which properties, and how its topics are made. A generation is added by a row; the code that reads the rows
-- knows no version.
-- Must not know: how processes are started or watched.

local java = require "kafka.localcluster.java"
local machine = require "kafka.localcluster.machine"
local probe = require "kafka.localcluster.probe"
local security = require "kafka.localcluster.security"

---@alias kafka.localcluster.Describe fun(cluster: kafka.localcluster.Cluster, node: kafka.localcluster.Node): table
---@alias kafka.localcluster.Prepare fun(cluster: table, node: table, deadline: number): true?, table?

---@class kafka.localcluster.Part one process, or each broker
---@field name string
---@field main string class
---@field first boolean? the brokers are started only when this one listens on its port
---@field properties kafka.localcluster.Describe
---@field files kafka.localcluster.Describe texts by the name of a file in its data folder
---@field prepare nil|kafka.localcluster.Prepare
---@field again string? a start that ends with these words may succeed a moment later

---@class kafka.localcluster.Generation
---@field version string
---@field artifacts string[] group:name:version for Maven
---@field proof string a jar that this version has and no other
---@field flags string[] for the JVM
---@field own table<string, true> properties that cannot be given by settings
---@field support kafka.localcluster.Part[] processes beside the brokers
---@field broker kafka.localcluster.Part
---@field probe table properties for a client that asks its brokers
---@field security { authorizer: string, acl: string, add_users: nil|fun(cluster: table, deadline: number): true?, table? }
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
local function defaults(cluster)
  local copies = math.min(cluster.count, 3)
  return {
    ["auto.create.topics.enable"] = false,
    ["auto.leader.rebalance.enable"] = false,
    ["group.initial.rebalance.delay.ms"] = 0,
    ["offsets.topic.num.partitions"] = 4,
    ["offsets.topic.replication.factor"] = copies,
    ["transaction.state.log.num.partitions"] = 4,
    ["transaction.state.log.replication.factor"] = copies,
    ["transaction.state.log.min.isr"] = 1,
  }
end

local function kraft_defaults(cluster)
  local copies = math.min(cluster.count, 3)
  return merged(defaults(cluster), {
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
    return merged(kraft_defaults(cluster), more, cluster.settings, {
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
  security = {
    authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    acl = "org.apache.kafka.tools.AclCommand",
  },
}

-- ZooKeeper's session is short, so that a dead broker is soon replaced; its ticks must be shorter still.
local function zookeeper(_, node)
  return {
    ["dataDir"] = node.folder,
    ["clientPort"] = node.port,
    ["clientPortAddress"] = "127.0.0.1",
    ["maxClientCnxns"] = 0,
    ["admin.enableServer"] = false,
    ["tickTime"] = 500,
  }
end

local function with_zookeeper(cluster, node)
  local address = ("PLAINTEXT://127.0.0.1:%d"):format(node.port)
  local more = cluster.secure and security.properties(cluster, node, address) or {}
  return merged(defaults(cluster), { ["zookeeper.session.timeout.ms"] = 1500 }, more, cluster.settings, {
    ["broker.id"] = node.id,
    ["zookeeper.connect"] = ("127.0.0.1:%d/kafka"):format(cluster.support.zookeeper.port),
    ["listeners"] = more["listeners"] or address,
    ["advertised.listeners"] = more["listeners"] or address,
    ["log.dirs"] = node.folder,
  })
end

-- The logger that comes with these jars writes nothing unless told where. It is looked for in the folder they run in.
local LOG4J = [[
log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%p %m%n
]]

local function log4j()
  return { ["../log4j.properties"] = LOG4J }
end

-- A broker's users with SCRAM cannot be there before its first start.
local function add_users(cluster, deadline)
  for user, password in pairs(security.users) do
    local both = {}
    for i, mechanism in ipairs(security.scram) do
      both[i] = ("%s=[password=%s]"):format(mechanism, password)
    end
    local ok, err = java.run(cluster.java, cluster.sandbox, "users", "kafka.admin.ConfigCommand", {
      "--bootstrap-server", cluster.brokers, "--alter", "--entity-type", "users", "--entity-name", user,
      "--add-config", table.concat(both, ","),
    }, deadline)
    if not ok then
      return nil, err
    end
  end
  return true
end

M["3.9.2"] = {
  version = "3.9.2",
  artifacts = { "org.apache.kafka:kafka_2.13:3.9.2", "org.apache.kafka:kafka-tools:3.9.2" },
  proof = "kafka_2.13-3.9.2.jar",
  flags = { "-Dlog4j.configuration=file:log4j.properties" },
  own = set({
    "broker.id", "log.dir", "log.dirs", "listeners", "advertised.listeners", "listener.security.protocol.map",
    "inter.broker.listener.name", "zookeeper.connect", "process.roles", "node.id",
  }),
  support = {
    {
      name = "zookeeper",
      main = "org.apache.zookeeper.server.quorum.QuorumPeerMain",
      first = true,
      properties = zookeeper,
      files = log4j,
    },
  },
  broker = {
    name = "broker",
    main = "kafka.Kafka",
    properties = with_zookeeper,
    files = no_files,
    -- After a crash its name is still taken, until ZooKeeper ends the session of the one before.
    again = "NodeExists",
  },
  probe = {},
  create_topic = probe.create_topic,
  security = {
    authorizer = "kafka.security.authorizer.AclAuthorizer",
    acl = "kafka.admin.AclCommand",
    add_users = add_users,
  },
}

return M

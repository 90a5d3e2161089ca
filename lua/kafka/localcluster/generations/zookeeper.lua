-- Kafka 3.9.2: the last generation whose brokers meet in ZooKeeper.
-- Must not know: how processes are started or watched.

local java = require "kafka.localcluster.java"
local security = require "kafka.localcluster.security"
local shared = require "kafka.localcluster.generations.shared"

local function with_zookeeper(cluster, node)
  local address = ("PLAINTEXT://127.0.0.1:%d"):format(node.port)
  local more = cluster.secure and security.properties(cluster, node, address) or {}
  return shared.merged(shared.defaults(cluster), shared.zookeeper_defaults, more, cluster.settings, {
    ["broker.id"] = node.id,
    ["zookeeper.connect"] = shared.zookeeper_address(cluster),
    ["listeners"] = more["listeners"] or address,
    ["advertised.listeners"] = more["listeners"] or address,
    ["log.dirs"] = node.folder,
  })
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

---@type kafka.localcluster.Generation
return {
  version = "3.9.2",
  artifacts = { "org.apache.kafka:kafka_2.13:3.9.2", "org.apache.kafka:kafka-tools:3.9.2" },
  proof = "kafka_2.13-3.9.2.jar",
  flags = shared.log4j_flags,
  own = shared.set({
    "broker.id", "log.dir", "log.dirs", "listeners", "advertised.listeners", "listener.security.protocol.map",
    "inter.broker.listener.name", "zookeeper.connect", "process.roles", "node.id",
  }),
  support = { shared.zookeeper },
  broker = {
    name = "broker",
    main = "kafka.Kafka",
    properties = with_zookeeper,
    files = shared.no_files,
    -- After a crash its name is still taken, until ZooKeeper ends the session of the one before. Where the machine is busy, its
    -- own short session may end while it starts.
    again = { "NodeExists", "SessionExpired" },
  },
  probe = {},
  verbs = shared.verbs,
  security = {
    authorizer = "kafka.security.authorizer.AclAuthorizer",
    acl = "kafka.admin.AclCommand",
    add_users = add_users,
  },
  cannot = {},
}

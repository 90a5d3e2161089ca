-- Kafka 0.8.2.1 with ZooKeeper 3.4.6: brokers that know topics, messages and a group's offsets, and nothing of what came later.
-- What they do not serve is done by Kafka's tools, which write to ZooKeeper.
-- Must not know: how processes are started or watched.

local shared = require "kafka.localcluster.generations.shared"
local tools = require "kafka.localcluster.tools"

-- In this generation an acknowledged message may be lost by an election unless that is forbidden, and a broker that is alone
-- would take 15 s to find that nobody takes its leaderships over.
local DEFAULTS = {
  ["delete.topic.enable"] = true,
  ["unclean.leader.election.enable"] = false,
  ["controlled.shutdown.retry.backoff.ms"] = 500,
}

local function broker(cluster, node)
  return shared.merged(shared.defaults(cluster), shared.zookeeper_defaults, DEFAULTS, cluster.settings, {
    ["broker.id"] = node.id,
    ["zookeeper.connect"] = shared.zookeeper_address(cluster),
    ["host.name"] = "127.0.0.1",
    ["advertised.host.name"] = "127.0.0.1",
    ["port"] = node.port,
    ["log.dirs"] = node.folder,
  })
end

local function by_zookeeper(cluster)
  return { "--zookeeper", shared.zookeeper_address(cluster) }
end

-- These tools end with 0 whatever happens.
local TOPICS = {
  main = "kafka.admin.TopicCommand",
  at = by_zookeeper,
  fails = "Error while executing topic command :? *([^\n]+)",
}
local ELECTION = {
  main = "kafka.admin.PreferredReplicaLeaderElectionCommand",
  at = by_zookeeper,
  fails = "Failed to start preferred replica election[^\n]*",
}
local REASSIGNMENT = {
  main = "kafka.admin.ReassignPartitionsCommand",
  at = by_zookeeper,
  fails = "Partitions reassignment failed[^\n]*",
}

---@type kafka.localcluster.Generation
return {
  version = "0.8.2.1",
  artifacts = { "org.apache.kafka:kafka_2.10:0.8.2.1" },
  proof = "kafka_2.10-0.8.2.1.jar",
  flags = shared.log4j_flags,
  own = shared.set({
    "broker.id", "log.dir", "log.dirs", "port", "host.name", "advertised.host.name", "advertised.port", "zookeeper.connect",
  }),
  support = { shared.zookeeper },
  -- One that finds its name still taken after a crash waits by itself until ZooKeeper ends the session of the one before.
  broker = { name = "broker", main = "kafka.Kafka", properties = broker, files = shared.no_files },
  probe = { broker_version = "0.8.2.1" },
  verbs = {
    create_topic = tools.create_topic(TOPICS),
    describe = tools.describe(TOPICS), -- in the brokers' metadata the in-sync replicas are stale
    add_partitions = tools.add_partitions(TOPICS),
    delete_topic = tools.delete_topic(TOPICS),
    elect = tools.elect(ELECTION),
    reassign = tools.reassign(REASSIGNMENT),
  },
  deletes_together = true,
  cannot = { security = "Kafka 0.8.2.1 has no TLS, no logins and no ACLs" },
}

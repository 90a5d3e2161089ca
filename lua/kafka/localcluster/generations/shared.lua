-- What the generations have in common: properties of every cluster here, and ZooKeeper.
-- Must not know: a version.

local requests = require "kafka.localcluster.requests"
local tools = require "kafka.localcluster.tools"

local M = {}

---@param names string[]
---@return table<string, true>
function M.set(names)
  local found = {}
  for _, name in ipairs(names) do
    found[name] = true
  end
  return found
end

---@return table<string, any> properties of all, of which the last that has a name counts
function M.merged(...)
  local all = {}
  for _, properties in ipairs({ ... }) do
    for name, value in pairs(properties) do
      all[name] = value
    end
  end
  return all
end

---@param cluster kafka.localcluster.Cluster
---@return integer how often Kafka's own topics are kept
function M.copies(cluster)
  return math.min(cluster.count, 3)
end

---Fast to notice a dead broker, small, and steady: nothing moves but by the hand of the person who tries things.
---@param cluster kafka.localcluster.Cluster
---@return table<string, any>
function M.defaults(cluster)
  local copies = M.copies(cluster)
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

local function by_brokers(cluster)
  return { "--bootstrap-server", cluster.brokers }
end

---How the generations whose brokers serve administrative requests do what the cluster is told to.
---@type kafka.localcluster.Verbs
M.verbs = {
  create_topic = requests.create_topic,
  describe = requests.describe,
  add_partitions = requests.add_partitions,
  delete_topic = requests.delete_topic,
  elect = requests.elect(tools.elect {
    main = "org.apache.kafka.tools.LeaderElectionCommand",
    at = by_brokers,
    options = { "--election-type", "preferred" },
  }),
  reassign = tools.reassign { main = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand", at = by_brokers },
}

---@return table
function M.no_files()
  return {}
end

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

---The part of a cluster that its brokers meet in, where they do so by ZooKeeper.
M.zookeeper = {
  name = "zookeeper",
  main = "org.apache.zookeeper.server.quorum.QuorumPeerMain",
  first = true,
  properties = zookeeper,
  files = log4j,
}

---Of the JVM, for that logger.
M.log4j_flags = { "-Dlog4j.configuration=file:log4j.properties" }

---@param cluster kafka.localcluster.Cluster
---@return string address of the cluster in its ZooKeeper
function M.zookeeper_address(cluster)
  return ("127.0.0.1:%d/kafka"):format(cluster.support.zookeeper.port)
end

---A session ends soon, so that a dead broker is replaced; to find ZooKeeper at the start a broker may take longer.
M.zookeeper_defaults = {
  ["zookeeper.session.timeout.ms"] = 1500,
  ["zookeeper.connection.timeout.ms"] = 15000,
}

return M

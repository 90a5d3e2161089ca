-- The generations of Kafka that can be started here, a row each, in a file of its own below generations/: where its jars come
-- from, which processes it needs, with which properties, and how its topics are made and moved. A generation is added by a
-- row; the code that reads the rows knows no version.
-- Must not know: how processes are started or watched.

---@alias kafka.localcluster.Describe fun(cluster: kafka.localcluster.Cluster, node: kafka.localcluster.Node): table
---@alias kafka.localcluster.Prepare fun(cluster: table, node: table, deadline: number): true?, table?

---@class kafka.localcluster.Part one process, or each broker
---@field name string
---@field main string class
---@field first boolean? the brokers are started only when this one listens on its port
---@field properties kafka.localcluster.Describe
---@field files kafka.localcluster.Describe texts by the name of a file in its data folder
---@field prepare nil|kafka.localcluster.Prepare
---@field again string[]? a start that ends with one of these words may succeed a moment later

---@class kafka.localcluster.Generation
---@field version string
---@field artifacts string[] group:name:version for Maven
---@field proof string a jar that this version has and no other
---@field flags string[] for the JVM
---@field own table<string, true> properties that cannot be given by settings
---@field support kafka.localcluster.Part[] processes beside the brokers
---@field broker kafka.localcluster.Part
---@field probe table properties for a client that asks its brokers
---@field security nil|{ authorizer: string, acl: string, add_users: nil|fun(cluster: table, deadline: number): true?, table? }
---@field verbs kafka.localcluster.Verbs
---@field deletes_together boolean? a topic is deleted only while all brokers that have it run
---@field cannot table<string, string> why an option or a method of the cluster is refused, by its name

---@class kafka.localcluster.Verbs each returns when it was done or begun; the cluster waits until its brokers show it
---@field create_topic fun(cluster: table, topic: table, deadline: number): true?, table?
---@field describe fun(cluster: table, name: string, deadline: number): kafka.Topic?, table?
---@field add_partitions fun(cluster: table, name: string, total: integer, deadline: number): true?, table?
---@field delete_topic fun(cluster: table, name: string, deadline: number): true?, table?
---@field elect fun(cluster: table, name: string, partition: integer, deadline: number): true?, table?
---@field reassign fun(cluster: table, name: string, partition: integer, replicas: integer[], deadline: number): true?, table?

---@type table<string, kafka.localcluster.Generation>
return {
  ["4.3.1"] = require "kafka.localcluster.generations.kraft",
  ["3.9.2"] = require "kafka.localcluster.generations.zookeeper",
  ["0.8.2.1"] = require "kafka.localcluster.generations.old",
}

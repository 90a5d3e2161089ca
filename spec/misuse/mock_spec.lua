-- Clusters of brokers that there cannot be, and faults that they cannot have.

require "spec.support.luv"
local kafka = require "kafka"
local misuse = require "spec.support.misuse"

local mock
setup(function() mock = assert(kafka.mock { brokers = 2, topics = { first = 2 } }) end)
teardown(function() mock:close() end)

local nan = 0 / 0

local function topics(t) return kafka.mock { topics = t } end

local M, L = "kafka.mock", "kafka.localcluster"

describe("misuse of the mock:", function()
  misuse.rows(it, {
    { M, "a number", { "options", "a table", "3" }, function() kafka.mock(3) end },
    { M, "no brokers", { "brokers", "1 to 100", "0" }, function() kafka.mock { brokers = 0 } end },
    { M, "half a broker", { "brokers", "1.5" }, function() kafka.mock { brokers = 1.5 } end },
    { M, "brokers as a string", { "brokers", '"2"' }, function() kafka.mock { brokers = "2" } end },
    { M, "a thousand brokers", { "brokers", "1000" }, function() kafka.mock { brokers = 1000 } end },
    { M, "an unknown option", { '"broker"', '"brokers"' }, function() kafka.mock { broker = 1 } end },
    { M, "more replicas than brokers", { "replication_factor", "3" },
      function() kafka.mock { brokers = 2, replication_factor = 3 } end },
    { M, "a topic by itself", { "topics", '"first"' }, function() topics "first" end },
    { M, "a list of topics", { "topic", "1" }, function() topics { "first" } end },
    { M, "a topic with a strange name", { "topic", [["\255"]] }, function() topics { ["\xff"] = 1 } end },
    { M, "a topic of 250 bytes", { "topic", "(250 bytes)" }, function() topics { [("t"):rep(250)] = 1 } end },
    { M, "a topic without partitions", { "first", "0" }, function() topics { first = 0 } end },
    { M, "partitions as a table", { "first", "a table" }, function() topics { first = {} } end },
    { "create_topic", "no name", { "topic", "nil" }, function() mock:create_topic() end },
    { "create_topic", "no number of partitions", { "partitions", "nil" }, function() mock:create_topic "x" end },
    { "create_topic", "a NaN of partitions", { "partitions", "nan" }, function() mock:create_topic("x", nan) end },
    { "create_topic", "more replicas than brokers", { "replication_factor", "1 to 2", "3" },
      function() mock:create_topic("x", 1, 3) end },
    { "broker", "a broker that is not there", { "broker", "1 to 2", "3" }, function() mock:broker(3) end },
    { "broker", "a broker by name", { "broker", '"1"' }, function() mock:broker "1" end },
    { "broker", "no broker", { "broker", "nil" }, function() mock:broker() end },
    { "leader", "a negative partition", { "partition", "-1" }, function() mock:leader("first", -1, 1) end },
    { "leader", "a broker that is not there", { "broker", "0" }, function() mock:leader("first", 0, 0) end },
    { "leader", "false", { "broker", "false" }, function() mock:leader("first", 0, false) end },
    { "leader", "no topic", { "topic", "nil" }, function() mock:leader() end },
    { "coordinator", "an empty group", { "group", '""' }, function() mock:coordinator("", 1) end },
    { "coordinator", "no broker", { "broker", "nil" }, function() mock:coordinator "g" end },
    { "fail", "an unknown request", { '"Prodcue"', '"Produce"' }, function() mock:fail("Prodcue", "NOT_COORDINATOR") end },
    { "fail", "a request by number", { "request", "0" }, function() mock:fail(0, "NOT_COORDINATOR") end },
    { "fail", "no request", { "request", "nil" }, function() mock:fail() end },
    { "fail", "an unknown error", { '"NOT_CORDINATOR"', '"NOT_COORDINATOR"' },
      function() mock:fail("Produce", "NOT_CORDINATOR") end },
    { "fail", "an error by number", { "error", "16" }, function() mock:fail("Produce", 16) end },
    { "fail", "nil among errors", { "error", "nil" }, function() mock:fail("Produce", nil, "NOT_COORDINATOR") end },
    { "delay", "an unknown request", { '"fetch"', '"Fetch"' }, function() mock:delay("fetch", 1, 0) end },
    { "delay", "a broker that is not there", { "broker", "9" }, function() mock:delay("Fetch", 9, 0) end },
    { "delay", "a NaN", { "seconds", "nan" }, function() mock:delay("Fetch", 1, nan) end },
    { "delay", "no times", { "times", "0" }, function() mock:delay("Fetch", 1, 1, 0) end },
    { "topic_error", "an unknown error", { '"UNKNOWN_TOPIC_OR_PARTITION"', '"UNKNOWN_TOPIC_OR_PART"' },
      function() mock:topic_error("first", "UNKNOWN_TOPIC_OR_PARTITION") end },
    { "topic_error", "an error that no broker sends", { '"_TRANSPORT"' },
      function() mock:topic_error("first", "_TRANSPORT") end },
    { "fail", "an error that no broker sends", { '"_TIMED_OUT"' }, function() mock:fail("Produce", "_TIMED_OUT") end },
    { "topic_error", "false for an error", { "error", "false" }, function() mock:topic_error("first", false) end },
    { "rtt", "a negative time", { "seconds", "-1" }, function() mock:rtt(-1) end },
    { "rtt", "no time", { "seconds", "nil" }, function() mock:rtt() end },
    { "rtt", "a broker that is not there", { "broker", "3" }, function() mock:rtt(0, 3) end },
    { "close", "a time as a string", { "timeout", '"1"' }, function() mock:close "1" end },
  })
end)

-- Told before a file is fetched or a process started.
describe("misuse of local brokers:", function()
  misuse.rows(it, {
    { L, "a number", { "options", "3" }, function() kafka.localcluster(3) end },
    { L, "an unknown option", { '"verison"', '"version"' }, function() kafka.localcluster { verison = "4.3.1" } end },
    { L, "an unknown version", { "version", '"0.0"' }, function() kafka.localcluster { version = "0.0" } end },
    { L, "a version as a number", { "version", "4.3" }, function() kafka.localcluster { version = 4.3 } end },
    { L, "no broker", { "brokers", "0" }, function() kafka.localcluster { brokers = 0 } end },
    { L, "brokers as a string", { "brokers", '"2"' }, function() kafka.localcluster { brokers = "2" } end },
    { L, "one port", { "ports", "9092" }, function() kafka.localcluster { ports = 9092 } end },
    { L, "port 99999", { "ports[1]", "65535", "99999" }, function() kafka.localcluster { ports = { 99999 } } end },
    { L, "the same port twice", { "ports", "9092" }, function() kafka.localcluster { brokers = 2, ports = { 9092, 9092 } } end },
    { L, "fewer ports than brokers", { "ports", "2" }, function() kafka.localcluster { brokers = 2, ports = { 9092 } } end },
    { L, "a list of topics", { "topic", "1" }, function() kafka.localcluster { topics = { "first" } } end },
    { L, "a topic without partitions", { "partitions", "0" }, function() kafka.localcluster { topics = { first = 0 } } end },
    { L, "a setting of two lines", { [["a\010b"]] }, function() kafka.localcluster { settings = { ["a\nb"] = {} } } end },
    { L, "a setting's value of two lines", { "x", [["1\0102"]] },
      function() kafka.localcluster { settings = { x = "1\n2" } } end },
    { L, "a setting that is the cluster's", { "node.id" }, function() kafka.localcluster { settings = { ["node.id"] = 7 } } end },
    { L, "a setting without a name", { "setting", "1" }, function() kafka.localcluster { settings = { "x" } } end },
    { L, "a NaN for a timeout", { "timeout", "nan" }, function() kafka.localcluster { timeout = nan } end },
  })
end)

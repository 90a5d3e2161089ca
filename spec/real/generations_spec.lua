-- What a local cluster does to its topics, the same on each generation of Kafka; and what only the oldest asks of a client.

require "spec.support.luv"
local kafka = require "kafka"
local generations = require "spec.support.generations"
local page = require "spec.support.page"
local probe = require "kafka.localcluster.probe"
local try = require "spec.support.try"

local function partition_of(cluster, name, number) return assert(cluster:describe(name)):partition(number) end

-- What every broker says, asked on its own port, at the moment that a call has returned.
local function shown(cluster, name)
  local found = {}
  for id = 1, 2 do
    local answered, topic = probe.topic(cluster:broker(id), cluster.row.probe, name, 5)
    assert.is_true(answered)
    found[id] = topic or "none"
  end
  return found[1], found[2]
end

generations.each(describe, "a local cluster", function(kind)
  local cluster

  setup(function() cluster = kind:cluster { topics = { first = 1 } } end)
  teardown(function() assert(cluster:close()) end)

  it("makes and describes topics, and gives them more partitions", function()
    assert(cluster:create_topic("grows", 2, 2, { ["retention.ms"] = 100000 }))
    local topic = assert(cluster:describe "grows")
    assert.equal("grows", topic.name)
    assert.equal(2, #topic.partitions)
    assert.equal(2, #topic:partition(1).replicas)
    assert(cluster:add_partitions("grows", 3))
    for _, seen in ipairs { shown(cluster, "grows") } do assert.equal(3, #seen.partitions) end
    try.failure("INVALID_PARTITIONS", cluster:add_partitions("grows", 3))
    try.failure("TOPIC_ALREADY_EXISTS", cluster:create_topic "grows")
    local err = try.failure(nil, cluster:create_topic("strange", 1, 1, { ["no.such.setting"] = 1 }))
    assert.matches("no.such.setting", err.message, 1, true)
  end)

  it("moves a partition to other brokers, and its leadership to the preferred one", function()
    assert(cluster:create_topic("moves", 1, 1))
    local to = partition_of(cluster, "moves", 0).replicas[1]
    local from = 3 - to
    assert(cluster:reassign("moves", 0, { from, to }))
    local now = partition_of(cluster, "moves", 0)
    assert.same({ from, to }, now.replicas)
    assert.equal(2, #now.isr)
    assert.equal(to, now.leader)
    assert(cluster:elect("moves", 0))
    for _, seen in ipairs { shown(cluster, "moves") } do assert.equal(from, seen:partition(0).leader) end
    assert(cluster:elect("moves", 0)) -- as it is already
    assert(cluster:reassign("moves", 0, { to }))
    for _, seen in ipairs { shown(cluster, "moves") } do
      assert.same({ to, { to } }, { seen:partition(0).leader, seen:partition(0).replicas })
    end
  end)

  it("deletes a topic, whose name can be used again at once", function()
    assert(cluster:create_topic("goes", 1, 2))
    assert(cluster:delete_topic "goes")
    assert.same({ "none", "none" }, { shown(cluster, "goes") })
    assert(cluster:create_topic("goes", 3, 1))
    assert.equal(3, #assert(cluster:describe "goes").partitions)
  end)

  it("says what is not there", function()
    for _, call in ipairs {
      { "describe" }, { "delete_topic" }, { "add_partitions", 2 }, { "elect", 0 }, { "reassign", 0, { 1 } },
    } do
      try.failure("UNKNOWN_TOPIC_OR_PART", cluster[call[1]](cluster, "nowhere", table.unpack(call, 2)))
    end
    try.failure("_UNKNOWN_PARTITION", cluster:elect("first", 7))
    try.failure("_UNKNOWN_PARTITION", cluster:reassign("first", 7, { 1 }))
  end)

  it("starts a broker within the session of the one that was killed", function()
    assert(cluster:broker(2):kill())
    assert(cluster:broker(2):start())
    assert.equal("running", cluster:broker(2):state())
    assert(cluster:create_topic("after", 1, 2))
  end)

  it("is misused with words", function()
    try.misuse({ "reassign", "replicas", "list" }, function() cluster:reassign("first", 0, 1) end)
    try.misuse({ "reassign", "replicas[2]", "3" }, function() cluster:reassign("first", 0, { 1, 3 }) end)
    try.misuse({ "reassign", "different", "1" }, function() cluster:reassign("first", 0, { 1, 1 }) end)
    try.misuse({ "reassign", "replicas", "one" }, function() cluster:reassign("first", 0, {}) end)
    try.misuse({ "elect", "partition", "-1" }, function() cluster:elect("first", -1) end)
    try.misuse({ "add_partitions", "total", "nil" }, function() cluster:add_partitions "first" end)
    try.misuse({ "delete_topic", "topic", '"a b"' }, function() cluster:delete_topic "a b" end)
    try.misuse({ "describe", "timeout", "-1" }, function() cluster:describe("first", -1) end)
  end)

  it("replaces a broker that is down, and asks nothing of it", function()
    assert(cluster:create_topic("kept", 1, 2))
    local leader = partition_of(cluster, "kept", 0).replicas[1]
    assert(cluster:broker(leader):kill())
    local started = kafka.now()
    try.until_true(20, function()
      local _, topic = probe.topic(cluster:broker(3 - leader), cluster.row.probe, "kept", 5)
      return topic and topic:partition(0).leader == 3 - leader
    end, "another leader")
    local took = kafka.now() - started
    local err = try.failure("BROKER_NOT_AVAILABLE", cluster:elect("kept", 0))
    assert.matches(("broker %d is stopped, and is to lead kept[0]"):format(leader), err.message, 1, true)
    try.failure("BROKER_NOT_AVAILABLE", cluster:reassign("first", 0, { leader }))
    if cluster.row.deletes_together then
      err = try.failure("BROKER_NOT_AVAILABLE", cluster:delete_topic "kept")
      assert.matches("deletes a topic only while all brokers that have it run", err.message, 1, true)
    end
    assert.is_true(took < 6, "another leader after " .. took) -- about two seconds where nothing else runs
  end)
end)

describe("a client of Kafka 0.8.2.1", function()
  local OLD = "0.8.2.1"
  local cluster

  local function quiet() end

  setup(function()
    cluster = assert(kafka.localcluster { version = OLD, settings = {
      ["message.max.bytes"] = 4000000, ["replica.fetch.max.bytes"] = 4000000 } })
  end)
  teardown(function() assert(cluster:close()) end)

  it("that does not say so is told what such a broker's silence may mean", function()
    local _, err = kafka.connect { brokers = cluster.brokers, timeout = 1, on_log = quiet, on_error = quiet }
    assert.matches('an old broker, before 0.10? broker_version = "0.8.2.1"', tostring(err), 1, true)
    local p <close> = assert(kafka.producer { brokers = cluster.brokers, on_log = quiet, on_error = quiet })
    _, err = p:send("first", "v", { timeout = 1 })
    assert.matches('broker_version = "0.8.2.1"', tostring(err), 1, true)
    p:close(0)
  end)

  it("sees the brokers of an empty cluster", function()
    local k <close> = assert(kafka.connect { brokers = cluster.brokers, broker_version = OLD })
    local picture = assert(k:metadata())
    assert.equal(cluster:broker(1).port, picture.brokers[1].port)
    assert.is_nil(picture:topic "first")
  end)

  it("does what the page about old brokers shows", function()
    assert(cluster:create_topic "first")
    local programs = page.programs(page.read "docs/old-brokers.md")
    assert.equal(1, #programs)
    local lines = page.run(programs[1], cluster.brokers)
    assert.equal("hello", lines[1])
    assert.matches("^broker 1 at ", lines[2])
    assert.matches("^nil\tsend first: headers of messages need brokers of Kafka 0.11 or newer", lines[3])
  end)

  it("reads a message of 3 MB with its defaults, and what follows it", function()
    assert(cluster:create_topic "big")
    local p <close> = assert(kafka.producer { brokers = cluster.brokers, broker_version = OLD, message_max_bytes = 4000000 })
    local value = ("0123456789abcde\n"):rep(3000000 // 16)
    assert(p:send("big", value))
    assert(p:send("big", "next"))
    local k <close> = assert(kafka.connect { brokers = cluster.brokers, broker_version = OLD })
    local part <close> = assert(k:partition("big", 0))
    local read = try.read_all(part)
    assert.equal(2, #read)
    assert.is_true(read[1].value == value)
    assert.equal("next", read[2].value)
    assert.equal(1, assert(k:coordinator "g").id)
  end)
end)

describe("what passes by itself", function()
  local clusters = require "kafka.cluster"
  local errors = require "kafka.error"
  local nodes = require "kafka.localcluster.node"
  local topics = require "kafka.localcluster.topics"

  it("is tried again by elect, and what does not pass is not", function()
    local asked, answer = 0, nil
    local looks = 0
    local one = { name = "broker 1", state = function()
      looks = looks + 1
      return looks == 1 and "running" or "paused" -- so that nobody is asked what it shows
    end }
    local cluster = setmetatable({ members = { one }, check = function() end, row = { verbs = {
      describe = function()
        local row = { partition = 0, leader = 2, replicas = { 1, 2 }, isr = { 2 } }
        return clusters.picture({ brokers = {}, topics = { { topic = "t", partitions = { row } } } }):topic "t"
      end,
      elect = function()
        asked = asked + 1
        if asked == 3 then return true end
        return nil, errors.new { name = answer }
      end,
    } } }, { __index = topics })
    answer = "PREFERRED_LEADER_NOT_AVAILABLE"
    assert.is_true(cluster:elect("t", 0, 10))
    assert.equal(3, asked)
    asked, looks, answer = 0, 0, "_FAIL"
    try.failure("_FAIL", cluster:elect("t", 0, 10))
    assert.equal(1, asked)
  end)

  it("is tried again by the start of a broker, by its last words", function()
    for words, again in pairs {
      ["ERROR KeeperErrorCode = NodeExists"] = true, ["SessionExpiredException: x"] = true, ["no space left"] = false,
    } do
      local part = require("kafka.localcluster.generations")["3.9.2"].broker
      local node = nodes.new({ sandbox = { folder = "/nowhere" } }, { id = 1, name = "broker 1", port = 1, part = part })
      local launched = 0
      function node.launch()
        launched = launched + 1
        return true
      end
      node.process = { state = function() return "ended" end, last_words = function() return words end }
      assert.equal(again, node:launch_again())
      assert.equal(again and 1 or 0, launched)
      node.process.state = function() return "running" end
      assert.is_false(node:launch_again())
    end
  end)
end)

describe("Kafka 0.8.2.1", function()
  it("has no security to ask for", function()
    try.misuse({ "security", "Kafka 0.8.2.1 has no TLS" }, function()
      kafka.localcluster { version = "0.8.2.1", security = true }
    end)
  end)
end)

-- Administration on real brokers: topics, settings, records, groups, offsets. ACLs have a spec of their own.

require "spec.support.luv"
local kafka = require "kafka"
local try = require "spec.support.try"

local quiet = function() end
local cluster, k, p

setup(function()
  cluster = assert(kafka.localcluster { version = "4.3.1", brokers = 2 })
  k = assert(kafka.connect { brokers = cluster.brokers, on_log = quiet, on_error = quiet })
  p = assert(kafka.producer { brokers = cluster.brokers, on_log = quiet, on_error = quiet })
end)
teardown(function()
  p:close()
  k:close()
  cluster:close()
end)

local count = 0
local function name(what)
  count = count + 1
  return ("%s-%d"):format(what or "admin", count)
end

local function topic(partitions, config)
  local new = name()
  assert(k:create_topic { name = new, partitions = partitions, replication_factor = 1, config = config })
  return new
end

local T0 = 1700000000000

-- n messages in each partition, a second apart.
local function fill(new, partitions, n)
  for i = 0, partitions * n - 1 do
    assert(p:produce(new, "v", { partition = i % partitions, timestamp = T0 + i // partitions * 1000 }))
  end
  assert(p:flush(20))
end

local function failed(err_name, value, err) return try.failure(err_name, value, err) end

describe("topics", function()
  it("are created with replicas and settings, and each failure is its own row", function()
    local plain, placed, wrong = name(), name(), name()
    local list = assert(k:create_topics { plain, { name = placed, replicas = { { 2, 1 }, { 1 } } },
      { name = wrong, replication_factor = 9 }, { name = name(), config = { ["no.such"] = 1 } } })
    assert.equal(4, #list)
    assert.is_nil(list[plain].err)
    assert.equal("INVALID_REPLICA_ASSIGNMENT", list[placed].err.name) -- Kafka wants as many replicas for each
    assert.equal("INVALID_REPLICATION_FACTOR", list[wrong].err.name)
    assert.same({ "create_topics", wrong, "INVALID_CONFIG" }, { list[wrong].err.op, list[wrong].err.topic, list[4].err.name })
    assert.truthy(tostring(list):find("INVALID_REPLICATION_FACTOR", 1, true))
    assert(k:create_topic { name = placed, replicas = { { 2, 1 }, { 1, 2 } } })
    local partitions = assert(k:topic(placed)).partitions
    assert.same({ { 2, 1 }, { 1, 2 } }, { partitions[1].replicas, partitions[2].replicas })
    assert.equal(2, partitions[1].leader)
  end)

  it("just made may be asked of and changed, though not every broker has heard of them", function()
    for _ = 1, 15 do
      local new = topic(1)
      assert(k:watermarks(new, 0))
      assert(k:configs { topic = new })
      assert(k:alter_configs({ topic = new }, { ["retention.ms"] = 1000 }))
      assert(k:add_partitions(new, 2))
      for _, row in ipairs(assert(k:delete_records { { topic = new, partition = 1, offset = 0 } })) do assert.is_nil(row.err) end
      assert(k:watermarks(new, 1))
    end
  end)

  it("of a dry run are checked and not created", function()
    local new = name()
    assert(k:create_topic { name = new, dry_run = true })
    failed("INVALID_REPLICATION_FACTOR", k:create_topic { name = new, replication_factor = 9, dry_run = true })
    failed("UNKNOWN_TOPIC_OR_PART", k:topic(new))
  end)

  it("are deleted", function()
    local one, two = topic(1), topic(1)
    assert(k:delete_topic(one))
    try.until_true(10, function() return not k:topic(one) end) -- another broker may hear of it a moment later
    local err = failed("UNKNOWN_TOPIC_OR_PART", k:delete_topic(one))
    assert.same({ "delete_topic", one }, { err.op, err.topic })
    local list = assert(k:delete_topics { one, two })
    assert.equal("UNKNOWN_TOPIC_OR_PART", list[one].err.name)
    assert.is_nil(list[two].err)
    assert(k:create_topic { name = two }) -- the name is free
  end)

  it("get more partitions, never as many as they have", function()
    local new = topic(1)
    assert(k:add_partitions(new, 4, { dry_run = true }))
    assert.equal(1, #assert(k:topic(new)).partitions)
    assert(k:add_partitions(new, 3, { replicas = { { 2 }, { 1 } } }))
    local partitions = try.until_true(10, function()
      local list = assert(k:topic(new)).partitions
      return #list == 3 and list
    end)
    assert.same({ { 2 }, { 1 } }, { partitions[2].replicas, partitions[3].replicas })
    assert.matches("already has 3 partition", failed("INVALID_PARTITIONS", k:add_partitions(new, 3)).message)
    failed("UNKNOWN_TOPIC_OR_PART", k:add_partitions("no-such-topic", 3))
  end)

  it("are described with both ends and what is set", function()
    local new = topic(2, { ["retention.ms"] = 86400000 })
    fill(new, 2, 5)
    local found = assert(k:describe_topic(new))
    assert.same({ 0, 5, 0, 5 }, { found.partitions[1].earliest, found.partitions[1].latest, found.partitions[2].earliest,
      found.partitions[2].latest })
    assert.equal("86400000", found.configs["retention.ms"].value)
    assert.is_nil(found.configs["segment.ms"])
    local text = tostring(found)
    assert.truthy(text:find(new, 1, true) and text:find("latest", 1, true) and text:find("retention.ms", 1, true), text)
    local err = failed("UNKNOWN_TOPIC_OR_PART", k:describe_topic "no-such-topic")
    assert.equal("describe_topic", err.op)
  end)

  it("lose records up to an offset, partition by partition", function()
    local new = topic(3)
    fill(new, 3, 10)
    local list = assert(k:delete_records { { topic = new, partition = 0, offset = 4 },
      { topic = new, partition = 1, offset = "latest" }, { topic = new, partition = 2, offset = 11 } })
    assert.same({ 4, 10 }, { list[1].offset, list[2].offset })
    assert.equal("OFFSET_OUT_OF_RANGE", list[3].err.name)
    assert.same({ 4, 10 }, { k:watermarks(new, 0) })
    assert.same({ 0, 10 }, { k:watermarks(new, 2) })
  end)
end)

describe("settings", function()
  local function value(what, setting)
    local entry = assert(k:configs(what))[setting]
    return entry.value, entry.source
  end

  it("are read with their source, default, and whether they can be changed or read", function()
    local new = topic(1, { ["retention.ms"] = 1000000 })
    local all = assert(k:configs { topic = new })
    assert.same({ name = "retention.ms", value = "1000000", source = "DYNAMIC_TOPIC_CONFIG", default = false, read_only = false,
      sensitive = false }, all["retention.ms"])
    assert.same({ "DEFAULT_CONFIG", true }, { all["segment.ms"].source, all["segment.ms"].default })
    for i = 2, #all do assert.is_true(all[i - 1].name < all[i].name) end
    local broker = assert(k:configs { broker = 1 })
    assert.same({ "1", "STATIC_BROKER_CONFIG", true },
      { broker["node.id"].value, broker["node.id"].source, broker["node.id"].read_only })
    assert.is_true(broker["ssl.key.password"].sensitive)
    assert.is_nil(broker["ssl.key.password"].value)
    assert.equal(new .. "x", failed("UNKNOWN_TOPIC_OR_PART", k:configs { topic = new .. "x" }).topic)
    assert.matches("no broker 99 is up; these are: 1, 2", failed("_UNKNOWN_BROKER", k:configs { broker = 99 }).message)
    failed("_UNKNOWN_BROKER", k:alter_configs({ broker = 99 }, { ["background.threads"] = 11 }))
  end)

  it("are changed one by one: the others stay, one after the other in a hurry too", function()
    local new = topic(1, { ["segment.ms"] = 2000000, ["max.message.bytes"] = 5000 })
    for i = 1, 5 do assert(k:alter_configs({ topic = new }, { ["retention.ms"] = i * 1000 })) end
    assert(k:alter_configs({ topic = new }, { ["unclean.leader.election.enable"] = true, ["segment.ms"] = kafka.default }))
    try.until_true(10, function() return value({ topic = new }, "segment.ms") ~= "2000000" end)
    assert.equal("5000", (value({ topic = new }, "max.message.bytes")))
    assert.equal("5000", (value({ topic = new }, "retention.ms")))
    assert.equal("true", (value({ topic = new }, "unclean.leader.election.enable")))
    assert.equal("DEFAULT_CONFIG", select(2, value({ topic = new }, "segment.ms")))
  end)

  it("of a broker are changed likewise", function()
    assert(k:alter_configs({ broker = 1 }, { ["num.io.threads"] = 9 }))
    assert(k:alter_configs({ broker = 1 }, { ["background.threads"] = 11 }))
    try.until_true(10, function() return value({ broker = 1 }, "background.threads") == "11" end)
    assert.equal("9", (value({ broker = 1 }, "num.io.threads")))
    assert(k:alter_configs({ broker = 1 }, { ["num.io.threads"] = kafka.default, ["background.threads"] = kafka.default }))
    try.until_true(10, function() return value({ broker = 1 }, "num.io.threads") == "8" end)
  end)

  it("that are wrong change nothing, nor does a dry run", function()
    local new = topic(1)
    assert(k:alter_configs({ topic = new }, { ["retention.ms"] = 1 }, { dry_run = true }))
    local err = failed("INVALID_CONFIG", k:alter_configs({ topic = new }, { ["retention.ms"] = "a week", ["segment.ms"] = 5 }))
    assert.matches("a week", err.message)
    local all = assert(k:configs { topic = new })
    assert.is_true(all["retention.ms"].default and all["segment.ms"].default)
    failed("UNKNOWN_TOPIC_OR_PART", k:alter_configs({ topic = new .. "x" }, { ["retention.ms"] = 1 }))
  end)

  it("that cannot be read are never dropped in silence", function()
    local secret = { ["listener.name.other.ssl.key.password"] = "sesame" }
    assert(k:alter_configs({ broker = 2 }, secret))
    local other <close> = assert(kafka.connect { brokers = cluster.brokers, on_log = quiet, on_error = quiet })
    try.until_true(10, function() return assert(k:configs { broker = 2 })["listener.name.other.ssl.key.password"] end)
    local ok, err = other:alter_configs({ broker = 2 }, { ["background.threads"] = 11 })
    if kafka.librdkafka:find "^2%.[01]%." then
      assert.matches("listener.name.other.ssl.key.password is sensitive", failed("_UNSUPPORTED_FEATURE", ok, err).message)
      secret["background.threads"] = 11
      assert(other:alter_configs({ broker = 2 }, secret)) -- given again it is kept
    else
      assert.is_true(ok)
    end
    assert(k:alter_configs({ broker = 2 }, { ["listener.name.other.ssl.key.password"] = kafka.default,
      ["background.threads"] = kafka.default }))
  end)
end)

describe("groups", function()
  it("are listed, those that only keep offsets too", function()
    local new, group = topic(1), name "group"
    assert(k:alter_offsets(group, { topic = new, partition = 0, offset = 0 }))
    local list = assert(k:groups())
    assert.same({ "Empty", true }, { list[group].state, list[group].simple })
    assert.same({}, list.errors)
    assert.matches("group +state", tostring(list))
  end)

  it("are described with members and their partitions", function()
    local new, group = topic(2), name "group"
    local c <close> = assert(kafka.consumer { brokers = cluster.brokers, group = group, topics = { new }, client_id = "reader",
      on_log = quiet, on_error = quiet })
    try.until_true(20, function()
      c:poll(0.1)
      return #c:assignment() == 2
    end)
    local found = assert(k:describe_group(group))
    assert.same({ "Stable", "range", false, 1 }, { found.state, found.assignor, found.simple, #found.members })
    assert.is_true(found.coordinator.id == 1 or found.coordinator.id == 2)
    local member = found.members[1]
    assert.equal("reader", member.client_id)
    assert.same({ { topic = new, partition = 0 }, { topic = new, partition = 1 } }, member.partitions)
    assert.truthy(tostring(found):find(new .. "[0]," .. new .. "[1]", 1, true), tostring(found))
    failed("NON_EMPTY_GROUP", k:delete_group(group))
    local list = assert(k:alter_offsets(group, { topic = new, partition = 0, offset = 0 }))
    assert.equal("UNKNOWN_MEMBER_ID", list[1].err.name)
    list = assert(k:reset_offsets(group, { topic = new, to = "earliest" }))
    assert.equal("UNKNOWN_MEMBER_ID", list[2].err.name)
    assert.equal("GROUP_SUBSCRIBED_TO_TOPIC", assert(k:delete_offsets(group, { topic = new, partition = 0 }))[1].err.name)
  end)

  it("that are not there say so, and hide no other", function()
    local new, group = topic(1), name "group"
    assert(k:alter_offsets(group, { topic = new, partition = 0, offset = 0 }))
    local err = failed("GROUP_ID_NOT_FOUND", k:describe_group "no such group")
    assert.equal("describe_group", err.op)
    local list = assert(k:describe_groups { "no such group", group })
    assert.same({ "GROUP_ID_NOT_FOUND", "Empty" }, { list["no such group"].err.name, list[group].state })
    assert.matches("group +state +coordinator +members", tostring(list))
    list = assert(k:delete_groups { "no such group", group })
    assert.equal("GROUP_ID_NOT_FOUND", list["no such group"].err.name)
    assert.is_nil(list[group].err)
    assert.equal("the cluster has no such group", failed("GROUP_ID_NOT_FOUND", k:delete_group(group)).message)
  end)
end)

describe("a group's offsets", function()
  local function committed(group)
    local offsets = {}
    for _, row in ipairs(assert(k:committed(group))) do offsets[row.partition] = row.offset end
    return offsets
  end

  it("are deleted one by one", function()
    local new, group = topic(2), name "group"
    assert(k:alter_offsets(group, { { topic = new, partition = 0, offset = 1 }, { topic = new, partition = 1, offset = 2 } }))
    local list = assert(k:delete_offsets(group, { { topic = new, partition = 0 }, { topic = new, partition = 7 } }))
    assert.is_nil(list[1].err)
    assert.is_true(kafka.errors.is(list[2].err))
    assert.same({ [1] = 2 }, committed(group))
    failed("GROUP_ID_NOT_FOUND", k:delete_offsets("no such group", { topic = new, partition = 0 }))
  end)

  it("are reset by time, the rest by what the mock shows too", function()
    local new, group = topic(2), name "group"
    fill(new, 2, 10)
    assert(k:alter_offsets(group, { { topic = new, partition = 0, offset = 9 }, { topic = new, partition = 1, offset = 2 } }))
    local plan = assert(k:reset_offsets(group, { time = T0 + 4500, dry_run = true }))
    assert.same({ { topic = new, partition = 0, from = 9, to = 5 }, { topic = new, partition = 1, from = 2, to = 5 } }, plan)
    assert.same({ [0] = 9, 2 }, committed(group))
    assert(k:reset_offsets(group, { time = T0 + 4500 }))
    assert.same({ [0] = 5, 5 }, committed(group))
    assert(k:reset_offsets(group, { time = T0 + 3600000 })) -- later than all
    assert.same({ [0] = 10, 10 }, committed(group))
    assert(k:reset_offsets(group, { shift = -3 }))
    assert.same({ [0] = 7, 7 }, committed(group))
  end)

  it("are reset within what retention has left, and of topics that are there", function()
    local new, group = topic(1), name "group"
    fill(new, 1, 10)
    assert(k:delete_records { topic = new, partition = 0, offset = 6 })
    local plan = assert(k:reset_offsets(group, { topics = { new, "no-such-topic" }, to = 2 }))
    assert.equal(6, plan[1].to)
    assert.same({ "UNKNOWN_TOPIC_OR_PART", "no-such-topic" }, { plan[2].err.name, plan[2].topic })
    assert.same({ [0] = 6 }, committed(group))
    assert.truthy(tostring(plan):find("UNKNOWN_TOPIC_OR_PART", 1, true))
    failed("_NO_OFFSET", k:reset_offsets("no such group", { to = "latest" }))
  end)
end)

describe("brokers without an authorizer", function()
  it("say so when asked for ACLs", function()
    local err = failed("SECURITY_DISABLED", k:acls())
    assert.equal("acls", err.op)
    failed("SECURITY_DISABLED", k:delete_acls { resource = "any" })
  end)
end)

describe("brokers that hang", function()
  it("fail each call within its time, and their late answers do no harm", function()
    local new, group = topic(1), name "group"
    assert(k:alter_offsets(group, { topic = new, partition = 0, offset = 0 }))
    local calls = {
      function(timeout) return k:alter_offsets(group, { topic = new, partition = 0, offset = 0 }, timeout) end,
      function(timeout) return k:delete_offsets(group, { topic = new, partition = 0 }, timeout) end,
      function(timeout) return k:delete_groups({ "no such group", "none" }, timeout) end,
      function(timeout) return k:describe_group(group, timeout) end,
      function(timeout) return k:groups(timeout) end,
      function(timeout) return k:configs({ broker = 1 }, timeout) end,
      function(timeout) return k:add_partitions(new, 1, { timeout = timeout, dry_run = true }) end,
    }
    for id = 1, 2 do assert(cluster:broker(id):pause()) end
    for i, call in ipairs(calls) do
      local seconds, value, err = try.time(call, 0.3)
      try.failure("_TIMED_OUT", value, err)
      assert.is_true(seconds < 1, ("call %d took %g s"):format(i, seconds))
      if i <= 3 then assert.is_true(err.in_flight) end
    end
    for id = 1, 2 do assert(cluster:broker(id):resume()) end
    try.until_true(20, function() return k:describe_topic(new, 1) end)
    assert(k:groups())
  end)
end)

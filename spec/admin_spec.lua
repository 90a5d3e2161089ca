-- Administrative calls where no real broker is needed: what the mock cluster or a librdkafka cannot do is refused with a reason,
-- bad input raises, and the offsets of groups, which the mock does serve, are altered and reset.

local kafka = require "kafka"
local try = require "spec.support.try"

local quiet = function() end
local mock, k

setup(function()
  mock = assert(kafka.mock { brokers = 2, topics = { first = 2, second = 1 } })
  k = assert(kafka.connect { brokers = mock.brokers })
  try.fill(mock.brokers, "first", 0, 10)
  try.fill(mock.brokers, "first", 1, 20)
end)
teardown(function()
  k:close()
  mock:close()
end)

local row = { topic = "first", partition = 0, offset = 1 }
local place = { topic = "first", partition = 0 }
local acl = { resource = "topic", name = "first", principal = "User:alice", operation = "read" }

describe("refused on the mock cluster, which does not serve it:", function()
  local calls = {
    { "create_topic", "CreateTopics", function() return k:create_topic { name = "x" } end },
    { "create_topics", "CreateTopics", function() return k:create_topics { "x" } end },
    { "delete_topic", "DeleteTopics", function() return k:delete_topic "first" end },
    { "delete_topics", "DeleteTopics", function() return k:delete_topics { "first" } end },
    { "add_partitions", "CreatePartitions", function() return k:add_partitions("first", 3) end },
    { "delete_records", "DeleteRecords", function() return k:delete_records(row) end },
    { "configs", "DescribeConfigs", function() return k:configs { topic = "first" } end },
    { "alter_configs", "DescribeConfigs", "AlterConfigs",
      function() return k:alter_configs({ topic = "first" }, { ["retention.ms"] = 1 }) end },
    { "groups", "ListGroups", function() return k:groups() end },
    { "describe_group", "DescribeGroups", function() return k:describe_group "g" end },
    { "describe_groups", "DescribeGroups", function() return k:describe_groups { "g" } end },
    { "delete_group", "DeleteGroups", function() return k:delete_group "g" end },
    { "delete_groups", "DeleteGroups", function() return k:delete_groups { "g" } end },
    { "delete_offsets", "OffsetDelete", function() return k:delete_offsets("g", place) end },
    { "create_acls", "CreateAcls", function() return k:create_acls(acl) end },
    { "acls", "DescribeAcls", function() return k:acls() end },
    { "delete_acls", "DeleteAcls", function() return k:delete_acls(acl) end },
  }
  for _, call in ipairs(calls) do
    it(call[1], function()
      local seconds, value, err = try.time(call[#call])
      try.failure("_UNSUPPORTED_FEATURE", value, err)
      assert.same({ call[1], "fix" }, { err.op, err.action })
      assert.truthy(err.message:find("the mock cluster does not serve " .. call[2], 1, true), err.message)
      assert.is_true(seconds < 2)
    end)
  end

  it("offsets by time, and all offsets of a group", function()
    for said, options in pairs {
      ["has no offsets by time"] = { topic = "first", time = 1700000000000 },
      ["only of given topics or partitions"] = { to = "earliest" },
    } do
      local err = try.failure("_UNSUPPORTED_FEATURE", k:reset_offsets("g", options))
      assert.truthy(err.message:find(said, 1, true), err.message)
    end
  end)
end)

describe("what a librdkafka does not have", function()
  local calls = {
    { "describe_users", "2.2", function() return k:users() end },
    { "alter_users", "2.2", function() return k:alter_users { user = "u", mechanism = "SCRAM-SHA-256", password = "p" } end },
    { "describe_cluster", "2.3", function() return k:describe_cluster() end },
    { "elect_leaders", "2.6", function() return k:elect_leaders(place) end },
  }
  for _, call in ipairs(calls) do
    it("is refused with the version that has it, " .. call[1] .. "; the mock serves none of these", function()
      local err = try.failure("_UNSUPPORTED_FEATURE", call[3]())
      local said = k.handles[1].core[call[1]] and "the mock cluster does not serve" or ("librdkafka %s is needed"):format(call[2])
      assert.truthy(err.message:find(said, 1, true), err.message)
    end)
  end

  it("is refused with the version that has it, list_offsets; the mock serves it", function()
    local list, err = k:list_offsets { { topic = "first", partition = 1, at = "latest" },
      { topic = "first", partition = 0, at = "earliest" } }
    if not k.handles[1].core.list_offsets then
      try.failure("_UNSUPPORTED_FEATURE", list, err)
      assert.truthy(err.message:find("librdkafka 2.3 is needed", 1, true))
    else
      assert.same({ { topic = "first", partition = 0, offset = 0 }, { topic = "first", partition = 1, offset = 20 } }, list)
    end
  end)
end)

describe("brokers of which nothing is known", function()
  it("are sent nothing that could abort the process", function()
    local old <close> = assert(kafka.connect { brokers = mock.brokers, api_version_request = false,
      broker_version_fallback = "0.9.0", on_log = quiet, on_error = quiet })
    local err = try.failure("_UNSUPPORTED_FEATURE", old:delete_group "g")
    assert.truthy(err.message:find("DeleteGroups", 1, true), err.message)
  end)

  it("and cannot be asked, fail the call within its time", function()
    local own <close> = assert(kafka.mock { brokers = 1 })
    local lost <close> = assert(kafka.connect { brokers = own.brokers, on_log = quiet, on_error = quiet })
    assert(own:broker(1):kill())
    local seconds, value, err = try.time(lost.delete_group, lost, "g", 0.5)
    try.failure(nil, value, err)
    assert.equal("delete_group", err.op)
    assert.is_true(seconds < 1.5, "took " .. seconds)
  end)
end)

describe("alter_offsets", function()
  it("sets what the group resumes at, and tells of each partition", function()
    local list = assert(k:alter_offsets("altered", { row, { topic = "first", partition = 1, offset = 7 } }))
    assert.same({ { topic = "first", partition = 0, offset = 1 }, { topic = "first", partition = 1, offset = 7 } }, list)
    assert.equal("  topic  partition  offset\n  first          0       1\n  first          1       7", tostring(list))
    assert.equal(7, assert(k:committed("altered", { topic = "first", partition = 1 }))[1].offset)
  end)

  it("keeps metadata, and takes what committed gave", function()
    assert(k:alter_offsets("noted", { topic = "first", partition = 0, offset = 3, metadata = "a note" }))
    local rows = assert(k:committed("noted", place))
    assert.equal("a note", rows[1].metadata)
    assert(k:alter_offsets("noted too", rows))
    assert.same(rows, assert(k:committed("noted too", place)))
  end)

  it("does not let one partition hide the others", function()
    local list = assert(k:alter_offsets("hidden", { row, { topic = "first", partition = 77, offset = 0 } }))
    assert.is_nil(list[1].err)
    assert.same({ "alter_offsets", "first", 77 }, { list[2].err.op, list[2].err.topic, list[2].err.partition })
    assert.is_true(kafka.errors.is(list[2].err))
    assert.equal(1, assert(k:committed("hidden", place))[1].offset)
    assert.truthy(tostring(list):find("UNKNOWN_TOPIC_OR_PART", 1, true))
  end)
end)

describe("reset_offsets", function()
  local function committed(group)
    local list = assert(k:committed(group, { place, { topic = "first", partition = 1 } }))
    return { list[1].offset, list[2].offset }
  end

  local function plan(group, options)
    options.topic = options.topic or not options.partitions and "first" or nil
    local list = assert(k:reset_offsets(group, options))
    local brief = {}
    for i, r in ipairs(list) do brief[i] = { r.partition, r.from, r.to } end
    return brief, list
  end

  before_each(function()
    assert(k:alter_offsets("reset", { { topic = "first", partition = 0, offset = 4 },
      { topic = "first", partition = 1, offset = 15 } }))
  end)

  it("goes to the earliest, the latest and an offset", function()
    assert.same({ { 0, 4, 0 }, { 1, 15, 0 } }, (plan("reset", { to = "earliest" })))
    assert.same({ 0, 0 }, committed "reset")
    assert.same({ { 0, 0, 10 }, { 1, 0, 20 } }, (plan("reset", { to = "latest" })))
    assert.same({ 10, 20 }, committed "reset")
    assert.same({ { 0, 10, 3 }, { 1, 20, 3 } }, (plan("reset", { to = 3 })))
    assert.same({ 3, 3 }, committed "reset")
  end)

  it("shifts forth and back", function()
    assert.same({ { 0, 4, 6 }, { 1, 15, 17 } }, (plan("reset", { shift = 2 })))
    assert.same({ { 0, 6, 3 }, { 1, 17, 14 } }, (plan("reset", { shift = -3 })))
    assert.same({ 3, 14 }, committed "reset")
  end)

  it("never leaves what the partition holds", function()
    assert.same({ { 0, 4, 10 }, { 1, 15, 18 } }, (plan("reset", { to = 18 })))
    assert.same({ { 0, 10, 5 }, { 1, 18, 13 } }, (plan("reset", { shift = -5 })))
    assert.same({ { 0, 5, 0 }, { 1, 13, 3 } }, (plan("reset", { shift = -10 })))
    assert.same({ { 0, 0, 10 }, { 1, 3, 20 } }, (plan("reset", { shift = math.maxinteger })))
    assert.same({ { 0, 10, 0 }, { 1, 20, 0 } }, (plan("reset", { shift = -math.maxinteger })))
  end)

  it("returns the plan of a dry run and changes nothing", function()
    local brief, list = plan("reset", { to = "latest", dry_run = true })
    assert.same({ { 0, 4, 10 }, { 1, 15, 20 } }, brief)
    assert.same({ 4, 15 }, committed "reset")
    assert.equal("  topic  partition  from  to\n  first          0     4  10\n  first          1    15  20", tostring(list))
  end)

  it("of one partition leaves the others", function()
    local given = assert(k:committed("reset", { topic = "first", partition = 1 }))
    local brief, list = plan("reset", { partitions = given, to = "earliest" })
    assert.same({ { 1, 15, 0 } }, brief)
    assert.is_nil(list[1].offset)
    assert.same({ 4, 0 }, committed "reset")
  end)

  it("of a group that has committed nothing goes to a place, and cannot shift", function()
    assert.same({ { 0, nil, 10 }, { 1, nil, 20 } }, (plan("nobody", { to = "latest", dry_run = true })))
    local _, list = plan("nobody", { shift = -1 })
    assert.same({ "_NO_OFFSET", "_NO_OFFSET" }, { list[1].err.name, list[2].err.name })
    assert.is_nil(list[1].to)
  end)

  it("does not let one partition hide the others", function()
    local _, list = plan("reset", { partitions = { place, { topic = "first", partition = 77 } }, to = "earliest" })
    assert.equal(0, list[1].to)
    assert.is_true(kafka.errors.is(list[2].err))
    assert.equal(0, committed("reset")[1])
  end)

  it("tells of a partition without leader at once", function()
    assert(mock:leader("first", 1, nil))
    local seconds, _, list = try.time(plan, "reset", { to = "earliest" })
    assert(mock:leader("first", 1, 2))
    assert.equal("LEADER_NOT_AVAILABLE", list[2].err.name)
    assert.equal(0, list[1].to)
    assert.is_true(seconds < 2)
  end)
end)

describe("describe_topic", function()
  it("shows partitions with their ends, and why there are no settings", function()
    local topic = assert(k:describe_topic "first")
    assert.same({ 0, 10, 0, 20 }, { topic.partitions[1].earliest, topic.partitions[1].latest,
      topic.partitions[2].earliest, topic.partitions[2].latest })
    assert.equal("_UNSUPPORTED_FEATURE", topic.configs_err.name)
    local text = tostring(topic)
    assert.truthy(text:find("^first\n  partition  leader  replicas"), text)
    assert.truthy(text:find("settings: describe_topic: the mock cluster", 1, true), text)
  end)
end)

describe("misuse of administration:", function()
  local rows = {
    { "no options", { "create_topic", "options", "nil" }, function() k:create_topic() end },
    { "a bad name", { "create_topic", "name", '"a b"' }, function() k:create_topic { name = "a b" } end },
    { "no partitions", { "partitions", "0" }, function() k:create_topic { name = "x", partitions = 0 } end },
    { "an unknown option", { "partition", '"partitions"' }, function() k:create_topic { name = "x", partition = 1 } end },
    { "a setting that is a table", { "create_topic", "retention.ms", "a table" },
      function() k:create_topic { name = "x", config = { ["retention.ms"] = {} } } end },
    { "a setting that is not a number", { "retention.ms", "nan" },
      function() k:create_topic { name = "x", config = { ["retention.ms"] = 0 / 0 } } end },
    { "the default of a topic that is not there", { "retention.ms", "a table" },
      function() k:create_topic { name = "x", config = { ["retention.ms"] = kafka.default } } end },
    { "replicas and a factor", { "replicas or replication_factor" },
      function() k:create_topic { name = "x", replicas = { { 1 } }, replication_factor = 1 } end },
    { "replicas of fewer partitions", { "replicas", "1" },
      function() k:create_topic { name = "x", partitions = 2, replicas = { { 1 } } } end },
    { "replicas that are no lists", { "replicas[1]", "1" }, function() k:create_topic { name = "x", replicas = { 1 } } end },
    { "a replica that is no broker", { "replicas[1]", "-1" },
      function() k:create_topic { name = "x", replicas = { { -1 } } } end },
    { "no topics", { "create_topics", "at least one" }, function() k:create_topics {} end },
    { "a topic of a list without a name", { "topics[2].name", "nil" }, function() k:create_topics { "x", {} } end },
    { "a topic of a list that is none", { "topics[1]", "7" }, function() k:create_topics { 7 } end },
    { "a timeout for one of several topics", { "timeout" }, function() k:create_topics { { name = "x", timeout = 1 } } end },
    { "a topic to delete", { "delete_topic", "topic", "nil" }, function() k:delete_topic() end },
    { "topics to delete as words", { "delete_topics", "topics", '"first"' }, function() k:delete_topics "first" end },
    { "a topic to create that is named twice", { "create_topics: topics must name each once", '"first"' },
      function() k:create_topics { "first", { name = "first" } } end },
    { "a topic to delete that is named twice", { "delete_topics: topics must name each once", '"first"' },
      function() k:delete_topics { "first", "first" } end },
    { "topics to delete that have no name", { "topics[1]", "7" }, function() k:delete_topics { 7 } end },
    { "no total", { "add_partitions", "total", "nil" }, function() k:add_partitions "first" end },
    { "a dry run that is a word", { "dry_run", '"yes"' }, function() k:add_partitions("first", 3, { dry_run = "yes" }) end },
    { "a topic to describe", { "describe_topic", "topic", "7" }, function() k:describe_topic(7) end },
    { "records without an offset", { "delete_records", "rows[1].offset", "nil" }, function() k:delete_records(place) end },
    { "records up to a word", { "rows[1].offset", '"all"' },
      function() k:delete_records { topic = "first", partition = 0, offset = "all" } end },
    { "the same partition twice", { "rows[2]", "first[0]" }, function() k:delete_records { row, row } end },
    { "settings of nothing", { "configs", "topic and broker" }, function() k:configs {} end },
    { "settings of two", { "topic and broker" }, function() k:configs { topic = "x", broker = 1 } end },
    { "settings of a name", { "configs", "what", '"first"' }, function() k:configs "first" end },
    { "settings of a broker by name", { "what.broker", '"1"' }, function() k:configs { broker = "1" } end },
    { "no change", { "alter_configs", "changes" }, function() k:alter_configs({ topic = "x" }, {}) end },
    { "a change that is none", { "a.b", "kafka.default", "a table" },
      function() k:alter_configs({ topic = "x" }, { ["a.b"] = {} }) end },
    { "a setting that has no name", { "setting", "1" }, function() k:alter_configs({ topic = "x" }, { "retention.ms" }) end },
    { "a negative timeout", { "groups", "timeout", "-1" }, function() k:groups(-1) end },
    { "no group", { "describe_group", "group", "nil" }, function() k:describe_group() end },
    { "an empty group", { "delete_group", "group", '""' }, function() k:delete_group "" end },
    { "no groups", { "delete_groups", "groups", "at least one" }, function() k:delete_groups {} end },
    { "groups with a hole", { "describe_groups", "holes" }, function() k:describe_groups { "a", nil, "c" } end },
    { "offsets of nobody", { "alter_offsets", "group" }, function() k:alter_offsets(nil, row) end },
    { "offsets that are none", { "alter_offsets", "rows[1].offset", "-1" },
      function() k:alter_offsets("g", { topic = "first", partition = 0, offset = -1 }) end },
    { "offsets without rows", { "delete_offsets", "rows", "nil" }, function() k:delete_offsets "g" end },
    { "nowhere to reset to", { "reset_offsets", "one of to, time and shift" },
      function() k:reset_offsets("g", { topic = "x" }) end },
    { "two places to reset to", { "one of to, time and shift" }, function() k:reset_offsets("g", { to = 1, shift = 1 }) end },
    { "two sets to reset", { "one of topic, topics and partitions" },
      function() k:reset_offsets("g", { to = 1, topic = "x", topics = { "x" } }) end },
    { "a place that is none", { "to", '"begin"' }, function() k:reset_offsets("g", { to = "begin" }) end },
    { "a negative place", { "to", "-10" }, function() k:reset_offsets("g", { to = -10 }) end },
    { "a time in seconds", { "time", "1700000000" }, function() k:reset_offsets("g", { time = 1700000000 }) end },
    { "half a shift", { "shift", "0.5" }, function() k:reset_offsets("g", { shift = 0.5 }) end },
    { "an ACL without principal", { "create_acls", "acls[1].principal", "nil" },
      function() k:create_acls { resource = "topic", name = "x", operation = "read" } end },
    { "an ACL of an unknown operation", { "acls[1].operation", '"reed"' },
      function() k:create_acls { resource = "topic", name = "x", principal = "User:a", operation = "reed" } end },
    { "an ACL for a name alone", { "principal", '"alice"' },
      function() k:create_acls { resource = "topic", name = "x", principal = "alice", operation = "read" } end },
    { "an ACL of any topic", { "acls[1].resource", '"any"' }, function() k:create_acls { resource = "any" } end },
    { "an ACL without a name", { "acls[1].name", "nil" },
      function() k:create_acls { resource = "topic", principal = "User:a", operation = "read" } end },
    { "an unknown field of a filter", { "user", "filter" }, function() k:acls { user = "alice" } end },
    { "an empty filter", { "delete_acls", "at least one field" }, function() k:delete_acls {} end },
    { "a user without a mechanism", { "alter_users", "users[1].mechanism" },
      function() k:alter_users { user = "u", password = "p" } end },
    { "a user with nothing to do", { "password, or delete" },
      function() k:alter_users { user = "u", mechanism = "SCRAM-SHA-256" } end },
    { "offsets at nowhere", { "list_offsets", "rows[1].at", "nil" }, function() k:list_offsets(place) end },
    { "an election that is unclean by word", { "elect_leaders", "unclean", '"yes"' },
      function() k:elect_leaders(nil, { unclean = "yes" }) end },
    { "no client", { "groups", "kafka.Client" }, function() k.groups() end },
  }
  for _, case in ipairs(rows) do
    it(case[1] .. " raises where it was written", function() try.misuse(case[2], case[3]) end)
  end

  it("does not repeat what somebody meant to be a password", function()
    local message = try.misuse({ "alter_users", "password" }, function()
      k:alter_users { user = "u", mechanism = "SCRAM-SHA-256", password = 8675309 }
    end)
    assert.is_nil(message:find("8675309", 1, true))
  end)

  it("on a closed client says so", function()
    local closed = assert(kafka.connect { brokers = mock.brokers })
    closed:close()
    try.misuse({ "reset_offsets", "closed" }, function() closed:reset_offsets("g", { to = 1 }) end)
  end)
end)

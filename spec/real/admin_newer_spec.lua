-- What only a newer librdkafka can ask of a cluster. With an older one each call says which version it needs. BROKERS=host:port
-- uses brokers that are there already, two of them.

require "spec.support.luv"
local kafka = require "kafka"
local try = require "spec.support.try"

local quiet = function() end
local cluster, brokers, k, p

setup(function()
  brokers = os.getenv "BROKERS"
  if not brokers or brokers == "" then
    cluster = assert(kafka.localcluster { version = "4.3.1", brokers = 2 })
    brokers = cluster.brokers
  end
  k = assert(kafka.connect { brokers = brokers, on_log = quiet, on_error = quiet })
  p = assert(kafka.producer { brokers = brokers, on_log = quiet, on_error = quiet })
end)
teardown(function()
  p:close()
  k:close()
  if cluster then cluster:close() end
end)

local function topic(partitions)
  local name = ("newer-%x-%d"):format(os.time(), math.random(1000000))
  assert(k:create_topic { name = name, partitions = partitions, replication_factor = 2 })
  return name
end

-- Runs what needs that version, or expects the refusal that names it.
local function since(version, core_name, call, expected)
  if k.handles[1].core[core_name] then return expected() end
  local err = try.failure("_UNSUPPORTED_FEATURE", call())
  assert.truthy(err.message:find(("librdkafka %s is needed, this is %s"):format(version, kafka.librdkafka), 1, true), err.message)
end

describe("SCRAM users", function()
  it("get passwords and lose them, each by itself", function()
    local alice = { user = "alice", mechanism = "SCRAM-SHA-256", password = "sesame" }
    since("2.2", "alter_users", function() return k:alter_users(alice) end, function()
      local list = assert(k:alter_users { alice, { user = "bob", mechanism = "SCRAM-SHA-512", delete = true } })
      assert.is_nil(list.alice.err)
      assert.equal("RESOURCE_NOT_FOUND", list.bob.err.name)
      local users = try.until_true(10, function()
        local all = assert(k:users())
        return all.alice and all
      end)
      assert.same({ { mechanism = "SCRAM-SHA-256", iterations = 4096 } }, users.alice.credentials)
      assert.equal("  user   credentials\n  alice  SCRAM-SHA-256 (4096 iterations)", tostring(users))
      users = assert(k:users { "alice", "nobody" })
      assert.is_nil(users.alice.err)
      assert.equal("RESOURCE_NOT_FOUND", users.nobody.err.name)
      assert(k:alter_users { user = "alice", mechanism = "SCRAM-SHA-256", delete = true })
      try.until_true(10, function() return #assert(k:users()) == 0 end)
    end)
  end)

  it("are refused as a list likewise", function()
    since("2.2", "describe_users", function() return k:users() end, function() assert(k:users()) end)
  end)
end)

describe("the cluster", function()
  it("is described with its brokers and what may be done to it", function()
    since("2.3", "describe_cluster", function() return k:describe_cluster() end, function()
      local found = assert(k:describe_cluster())
      assert.equal(assert(k:cluster_id()), found.cluster_id)
      assert.same({ 1, 2 }, { found.brokers[1].id, found.brokers[2].id })
      local may = {}
      for _, word in ipairs(found.operations) do may[word] = true end
      assert.is_true(may.alter_configs and may.create)
      assert.truthy(tostring(found):find("broker 1 at ", 1, true))
    end)
  end)
end)

describe("offsets of many partitions", function()
  it("are listed in one request, each with its own error", function()
    local name = topic(2)
    for i = 1, 10 do assert(p:produce(name, "v", { partition = 0, timestamp = 1700000000000 + i * 1000 })) end
    assert(p:flush(20))
    local rows = { { topic = name, partition = 0, at = 1700000004500 }, { topic = name, partition = 1, at = "latest" },
      { topic = name, partition = 7, at = "earliest" } }
    since("2.3", "list_offsets", function() return k:list_offsets(rows) end, function()
      local list = assert(k:list_offsets(rows))
      assert.same({ 4, 1700000005000, 0 }, { list[1].offset, list[1].timestamp, list[2].offset })
      assert.equal("_UNKNOWN_PARTITION", list[3].err.name)
      assert.equal(9, assert(k:list_offsets { topic = name, partition = 0, at = "max_timestamp" })[1].offset)
      assert.equal(10, assert(k:list_offsets { topic = name, partition = 0, at = "latest" })[1].offset)
    end)
  end)
end)

describe("leaders", function()
  it("are elected where that is needed, each partition with its own answer", function()
    local name = topic(1)
    local rows = { { topic = name, partition = 0 }, { topic = "no-such-topic", partition = 0 } }
    since("2.6", "elect_leaders", function() return k:elect_leaders(rows) end, function()
      local list = assert(k:elect_leaders(rows))
      assert.same({ "ELECTION_NOT_NEEDED", "UNKNOWN_TOPIC_OR_PART" }, { list[1].err.name, list[2].err.name })
      for _, row in ipairs(assert(k:elect_leaders())) do
        assert.is_true(row.err == nil or row.err.name == "ELECTION_NOT_NEEDED", tostring(row.err))
      end
    end)
  end)
end)

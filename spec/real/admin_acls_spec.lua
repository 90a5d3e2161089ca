-- ACLs on a broker with an authorizer, and what the documents show of administration.

require "spec.support.luv"
local kafka = require "kafka"
local child = require "spec.support.child"
local page = require "spec.support.page"
local try = require "spec.support.try"

local quiet = function() end
local cluster, k

setup(function()
  cluster = assert(kafka.localcluster { version = "4.3.1", brokers = 1, settings = {
    ["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    ["super.users"] = "User:ANONYMOUS",
  } })
  k = assert(kafka.connect { brokers = cluster.brokers, on_log = quiet, on_error = quiet })
end)
teardown(function()
  k:close()
  cluster:close()
end)

local reads = { resource = "topic", name = "first", principal = "User:alice", operation = "read" }
local full = { resource = "topic", name = "first", pattern = "literal", principal = "User:alice", host = "*",
  operation = "read", permission = "allow" }
local denied = { resource = "cluster", principal = "User:bob", host = "10.0.0.1", operation = "describe_configs",
  permission = "deny" }
local prefixed = { resource = "group", name = "team-", pattern = "prefixed", principal = "User:alice", operation = "all" }

-- Brokers learn of a change a moment later.
local function see(n, filter)
  return try.until_true(10, function()
    local list = assert(k:acls(filter))
    return #list == n and list
  end)
end

describe("ACLs", function()
  before_each(function()
    assert(k:create_acls { reads, denied, prefixed })
    see(3)
  end)
  after_each(function()
    assert(k:delete_acls { resource = "any" })
    see(0)
  end)

  it("are created with the usual defaults, and listed as they can be given again", function()
    assert.same(full, see(1, { resource = "topic" })[1])
    assert.same({ resource = "cluster", name = "kafka-cluster", pattern = "literal", principal = "User:bob", host = "10.0.0.1",
      operation = "describe_configs", permission = "deny" }, see(1, { permission = "deny" })[1])
    local all = see(3)
    local again = assert(k:create_acls(all)) -- no error, and no more than there were
    assert.same(all, again)
    see(3)
    local line = "  cluster   kafka-cluster  literal   User:bob    10.0.0.1  describe_configs  deny"
    assert.truthy(tostring(all):find(line, 1, true), tostring(all))
  end)

  it("are found by any of their fields, and by a name that they apply to", function()
    see(2, { principal = "User:alice" })
    see(1, { operation = "all" })
    see(1, { host = "10.0.0.1" })
    see(0, { resource = "group", name = "team-blue" })
    assert.equal("team-", see(1, { resource = "group", name = "team-blue", pattern = "match" })[1].name)
    assert.equal("no ACLs", tostring(see(0, { principal = "User:nobody" })))
  end)

  it("are deleted by a filter that tells which", function()
    local gone = assert(k:delete_acls { principal = "User:alice" })
    assert.same({ "group", "topic" }, { gone[1].resource, gone[2].resource })
    assert.is_nil(gone[1].err)
    see(1)
    assert.equal(0, #assert(k:delete_acls(reads)))
  end)

  it("that fail do not hide the others", function()
    local list = assert(k:create_acls { reads,
      { resource = "cluster", name = "other", principal = "User:alice", operation = "read" } })
    assert.is_nil(list[1].err)
    assert.same({ "create_acls", "INVALID_REQUEST" }, { list[2].err.op, list[2].err.name })
  end)
end)

describe("docs/admin.md", function()
  local programs = page.programs(page.read "docs/admin.md")
  local function run(i) return table.concat(page.run(programs[i], cluster.brokers), "\n") end

  it("has a program each for topics, settings, groups and ACLs, which do what is said there", function()
    assert.equal(4, #programs)
    local topics = run(1)
    assert.matches("^peaks\tcreated\nhuts\tINVALID_REPLICATION_FACTOR\nclimbs\n  partition  leader", topics)
    assert.matches("retention.ms +604800000", topics)
    assert.matches("^604800000\tDYNAMIC_TOPIC_CONFIG\n", run(2))
    local groups = run(3)
    assert.matches("guides +Empty +true\nguides: Empty, at broker 1", groups)
    assert.matches("climbs +0 +4 +0\n +climbs +1 +8 +3\n", groups)
    assert.matches("0\t4\t0\tnil\n1\t8\t0\tnil\n2\tnil\t0\tnil$", groups)
    assert.matches("deleted\tresource group", run(4))
  end)
end)

describe("examples/admin.lua", function()
  it("leads a topic from its creation to its end", function()
    assert.matches("all of it is gone again", child.works("BROKERS=" .. cluster.brokers .. " lua5.4 examples/admin.lua"))
  end)
end)

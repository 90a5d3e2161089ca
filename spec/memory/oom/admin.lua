-- Administrative requests: each accepted one has one record. The mock has no controller, so most end by their own time. What it
-- does not serve would abort librdkafka: groups are named twice, which the library refuses by itself, and the offsets to be
-- deleted are a broker's that is not there.

local support = require "spec.memory.oom.support"

local TIME = 10 -- milliseconds
local rows = { { topic = "many", partition = 0, offset = 5, metadata = "m" }, { topic = "many", partition = 1, offset = 0 } }
local new = { name = "new", partitions = 2, config = { ["retention.ms"] = "1000" }, replicas = { { 1 }, { 1 } } }
local acl = { resource = "topic", name = "many", pattern = "literal", principal = "User:a", host = "*", operation = "read",
  permission = "allow" }
local changes = { ["retention.ms"] = "1000", ["segment.ms"] = "2000" }
local users = { { user = "u", mechanism = "SCRAM-SHA-256", password = "p", iterations = 4096 },
  { user = "v", mechanism = "SCRAM-SHA-512" } }

local calls = {
  create_topics = function(c, ticket) return c:create_topics({ new, new }, true, TIME, ticket) end,
  delete_topics = function(c, ticket) return c:delete_topics({ "a", "b" }, TIME, ticket) end,
  create_partitions = function(c, ticket)
    return c:create_partitions({ { topic = "many", total = 4, replicas = { { 1 }, { 1 } } } }, true, TIME, ticket)
  end,
  delete_records = function(c, ticket) return c:delete_records(rows, TIME, ticket) end,
  describe_configs = function(c, ticket) return c:describe_configs("topic", "many", TIME, ticket) end,
  alter_configs = function(c, ticket) return c:alter_configs("broker", "1", changes, true, TIME, ticket) end,
  incremental_alter_configs = function(c, ticket)
    return c:incremental_alter_configs("topic", "many", { ["a"] = "1", ["b"] = false }, true, TIME, ticket)
  end,
  list_groups = function(c, ticket) return c:list_groups(5000, ticket) end,
  describe_groups = function(c, ticket) return c:describe_groups({ "g", "g" }, ticket) end,
  delete_groups = function(c, ticket) return c:delete_groups({ "g", "g" }, ticket) end,
  group_offsets = function(c, ticket) return c:group_offsets("g", rows, ticket) end,
  alter_group_offsets = function(c, ticket) return c:alter_group_offsets("h", rows, ticket) end,
  create_acls = function(c, ticket) return c:create_acls({ acl, acl }, TIME, ticket) end,
  describe_acls = function(c, ticket) return c:describe_acls({ acl }, TIME, ticket) end,
  delete_acls = function(c, ticket) return c:delete_acls({ acl, acl }, TIME, ticket) end,
  describe_users = function(c, ticket) return c:describe_users({ "u", "v" }, TIME, ticket) end,
  alter_users = function(c, ticket) return c:alter_users(users, TIME, ticket) end,
  describe_cluster = function(c, ticket) return c:describe_cluster(TIME, ticket) end,
  list_offsets = function(c, ticket)
    return c:list_offsets({ { topic = "many", partition = 0, offset = -1 } }, 5000, ticket)
  end,
  elect_leaders = function(c, ticket) return c:elect_leaders(rows, false, TIME, ticket) end,
}

local function case(name, start)
  return {
    name = name,
    open = function() return support.open "consumer" end,
    run = function(o)
      if o.c[name] then support.ask(o, start) end -- not every librdkafka has it
      support.answers(o)
    end,
    check = support.check,
    close = support.close,
  }
end

local names, cases = {}, {}
for name in pairs(calls) do names[#names + 1] = name end
table.sort(names)
for i, name in ipairs(names) do cases[i] = case(name, calls[name]) end

cases[#cases + 1] = {
  name = "delete_group_offsets, unanswered",
  open = function() return support.open("consumer", { ["bootstrap.servers"] = "127.0.0.1:1" }) end,
  run = function(o) o.c:delete_group_offsets("g", rows, 1) end,
  check = support.drain,
  close = support.close,
}

return cases

-- Groups: list, describe, delete. Methods of kafka.connect.

local args = require "kafka.args"
local cluster = require "kafka.cluster"
local errors = require "kafka.error"
local show = require "kafka.show"
local call = require "kafka.admin.call"

---@class kafka.Client
local Groups = {}

local groups_list = show.list({ "group", "state", show.maybe "type", "simple" }, { key = "group", none = "no groups",
  foot = function(list) return #list.errors > 0 and "not all brokers answered: " .. tostring(list.errors[1]) or nil end })
local results_list = show.list({ "group" }, { key = "group" })
local members_list = show.list({ "member", "client_id", show.maybe "instance_id", "host", "partitions" }, { none = "no members" })
local descriptions_list = show.list({ "group", "state", show.maybe "assignor", "coordinator",
  show.made("members", function(group) return #group.members end) }, { key = "group", rows = false })

---All groups of the cluster, those that only keep offsets included.
---@param timeout number|nil seconds (default 10)
---@return {group: string, state: string, type: string|nil, simple: boolean}[]|nil simple: it has never had members; type: from
---  librdkafka 2.6 on; the list's field `errors` has those of brokers that did not answer
---@return kafka.Error|nil where no broker answered
---rd_kafka_ListConsumerGroups
function Groups:groups(timeout)
  local op = "groups"
  call.client(self, op)
  local answer, err = call.send(self, "list_groups", { op = op }, call.deadline(op, timeout), function(c, ms, ticket)
    return c:list_groups(ms, ticket)
  end)
  if not answer then return nil, err end
  call.judge(op, answer.errors)
  if #answer.rows == 0 and #answer.errors > 0 then return nil, answer.errors[1].err end
  for _, row in ipairs(answer.rows) do row.simple = row.simple or false end
  table.sort(answer.rows, function(a, b) return a.group < b.group end)
  for i, row in ipairs(answer.errors) do answer.errors[i] = row.err end
  answer.rows.errors = answer.errors
  return groups_list(answer.rows)
end

---@class kafka.GroupDescription
---@field group string
---@field state string "Stable", "Empty", "PreparingRebalance", "CompletingRebalance"
---@field type string|nil "Classic" or "Consumer", from librdkafka 2.10 on
---@field simple boolean it has never had members
---@field assignor string|nil
---@field coordinator kafka.Broker|nil
---@field members table[] {member, client_id, instance_id, host, partitions}
local Description = { __name = "kafka.GroupDescription" }
Description.__index = Description

function Description:__tostring()
  args.object("tostring", self, Description)
  if self.err then return ("%s: %s"):format(self.group, self.err) end
  return ("%s: %s%s, at %s\n%s"):format(self.group, self.state, self.assignor and " by " .. self.assignor or "",
    self.coordinator or "an unknown coordinator", self.members)
end

local Partition = { __name = "kafka.Partition row", __tostring = function(p)
  return ("%s[%d]"):format(p.topic, p.partition)
end }

-- A group that is not there is described as dead.
local function describe(client, op, names, deadline)
  local answer, err = call.send(client, "describe_groups", { op = op }, deadline, function(c, _, ticket)
    return c:describe_groups(names, ticket)
  end)
  if not answer then return nil, err end
  call.judge(op, answer.rows)
  for _, row in ipairs(answer.rows) do
    if not row.err and row.state == "Dead" then row.err = errors.new { name = "GROUP_ID_NOT_FOUND", op = op,
      message = "the cluster has no group " .. row.group } end
    row.simple = row.simple or false
    if row.coordinator then cluster.broker(row.coordinator) end
    for _, member in ipairs(row.members) do
      for _, p in ipairs(member.partitions) do
        p.offset = nil
        setmetatable(p, Partition)
      end
    end
    members_list(row.members)
  end
  return answer.rows
end

---One group: its state, its coordinator, its members with their partitions.
---@param name string
---@param timeout number|nil seconds (default 10)
---@return kafka.GroupDescription|nil
---@return kafka.Error|nil GROUP_ID_NOT_FOUND where there is none
---rd_kafka_DescribeConsumerGroups, on a connection of its own
function Groups:describe_group(name, timeout)
  local op = "describe_group"
  call.client(self, op)
  args.check(op, "group", name, args.group)
  local list, err = describe(self, op, { name }, call.deadline(op, timeout))
  if not list then return nil, err end
  if list[1].err then return nil, list[1].err end
  return setmetatable(list[1], Description)
end

---Several groups.
---@param names string[]
---@param timeout number|nil seconds (default 10)
---@return kafka.GroupDescription[]|nil each with `err` where it could not be described
---@return kafka.Error|nil where the request as a whole failed
---rd_kafka_DescribeConsumerGroups, on a connection of its own
function Groups:describe_groups(names, timeout)
  local op = "describe_groups"
  call.client(self, op)
  names = call.names(op, "groups", names, args.group)
  local list, err = describe(self, op, names, call.deadline(op, timeout))
  if not list then return nil, err end
  descriptions_list(list)
  for _, row in ipairs(list) do setmetatable(row, Description) end
  return list
end

local function delete(client, op, names, deadline)
  local answer, err = call.send(client, "delete_groups", { op = op }, deadline, function(c, _, ticket)
    return c:delete_groups(names, ticket)
  end)
  if not answer then return nil, err end
  for _, row in ipairs(answer.rows) do row.partitions = nil end
  return call.judge(op, answer.rows)
end

---Deletes a group with all its offsets.
---@param name string
---@param timeout number|nil seconds (default 10)
---@return true|nil
---@return kafka.Error|nil NON_EMPTY_GROUP where it has members, GROUP_ID_NOT_FOUND
---rd_kafka_DeleteGroups
function Groups:delete_group(name, timeout)
  local op = "delete_group"
  call.client(self, op)
  args.check(op, "group", name, args.group)
  local list, err = delete(self, op, { name }, call.deadline(op, timeout))
  if not list then return nil, err end
  if list[1].err then return nil, list[1].err end
  return true
end

---Deletes several groups.
---@param names string[]
---@param timeout number|nil seconds (default 10)
---@return {group: string, err: kafka.Error|nil}[]|nil
---@return kafka.Error|nil where the request as a whole failed
---rd_kafka_DeleteGroups
function Groups:delete_groups(names, timeout)
  local op = "delete_groups"
  call.client(self, op)
  names = call.names(op, "groups", names, args.group)
  local list, err = delete(self, op, names, call.deadline(op, timeout))
  if not list then return nil, err end
  return results_list(list)
end

return Groups

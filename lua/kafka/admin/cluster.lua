-- The cluster as a whole: describe it, offsets of many partitions in one request, leader elections. Methods of kafka.connect;
-- they need librdkafka 2.3, elections 2.6.

local args = require "kafka.args"
local cluster = require "kafka.cluster"
local rows = require "kafka.rows"
local show = require "kafka.show"
local call = require "kafka.admin.call"

---@class kafka.Client
local Cluster = {}

local offsets_list = show.list { "topic", "partition", "offset", show.maybe "timestamp" }
local elections_list = show.list { "topic", "partition" }

---@class kafka.ClusterDescription
---@field cluster_id string
---@field controller integer|nil
---@field brokers kafka.Broker[] with `rack` where they have one
---@field operations string[] what this client may do to the cluster
local Description = { __name = "kafka.ClusterDescription" }

function Description:__tostring()
  args.object("tostring", self, Description)
  local lines = { "cluster " .. self.cluster_id }
  for _, b in ipairs(self.brokers) do
    local rack, controls = b.rack and ", rack " .. b.rack or "", b.id == self.controller and " (controller)" or ""
    lines[#lines + 1] = tostring(b) .. rack .. controls
  end
  if #self.operations > 0 then lines[#lines + 1] = "allowed: " .. table.concat(self.operations, ", ") end
  return table.concat(lines, "\n")
end

---The cluster: brokers with their racks, and what this client may do to it.
---@param timeout number|nil seconds (default 10)
---@return kafka.ClusterDescription|nil
---@return kafka.Error|nil
---rd_kafka_DescribeCluster
function Cluster:describe_cluster(timeout)
  local op = "describe_cluster"
  call.client(self, op)
  local deadline = call.deadline(op, timeout)
  local answer, err = call.send(self, "describe_cluster", { op = op }, deadline, function(c, ms, ticket)
    return c:describe_cluster(ms, ticket)
  end)
  if not answer then return nil, err end
  for _, b in ipairs(answer.brokers) do cluster.broker(b) end
  table.sort(answer.brokers, function(a, b) return a.id < b.id end)
  answer.operations = answer.operations or {}
  for i, word in ipairs(answer.operations) do answer.operations[i] = word:lower() end
  return setmetatable(answer, Description)
end

local SPEC = { earliest = -2, latest = -1, max_timestamp = -3 }
local place = args.worded('"earliest", "latest", "max_timestamp", or milliseconds since the epoch (1e11 or more)',
  args.either(args.word("earliest", "latest", "max_timestamp"), args.integer(100000000000, math.maxinteger)))

---Offsets of many partitions at once.
---@param list table[] rows {topic, partition, at}: at is "earliest", "latest", "max_timestamp" (the offset of the largest
---  timestamp), or a time: the first offset as late as that; or one such row
---@param timeout number|nil seconds (default 10)
---@return {topic: string, partition: integer, offset: integer|nil, timestamp: integer|nil, err: kafka.Error|nil}[]|nil
---@return kafka.Error|nil where the request as a whole failed
---rd_kafka_ListOffsets
function Cluster:list_offsets(list, timeout)
  local op = "list_offsets"
  call.client(self, op)
  list = rows.checked(op, list, { at = place }, { "at" })
  for _, row in ipairs(list) do row.offset = SPEC[row.at] or row.at end
  local answer, err = call.send(self, "list_offsets", { op = op }, call.deadline(op, timeout), function(c, ms, ticket)
    return c:list_offsets(list, ms, ticket)
  end)
  if not answer then return nil, err end
  return offsets_list(call.judge(op, answer.rows))
end

local elect_options = { unclean = args.boolean, timeout = args.seconds }

---Has the controller elect the preferred leaders.
---@param list table[]|nil rows {topic, partition}, or one such row; nil: every partition of the cluster
---@param options table|nil unclean boolean: take a replica that is not in sync where no other lives, which loses messages;
---  timeout seconds (default 10)
---@return {topic: string, partition: integer, err: kafka.Error|nil}[]|nil ELECTION_NOT_NEEDED where the leader is the
---  preferred one
---@return kafka.Error|nil where the request as a whole failed
---rd_kafka_ElectLeaders
function Cluster:elect_leaders(list, options)
  local op = "elect_leaders"
  call.client(self, op)
  if list ~= nil then list = rows.copy(op, list) end
  local o = args.fields(op, options, elect_options)
  local deadline = call.deadline(op, o.timeout)
  local answer, err = call.send(self, "elect_leaders", { op = op }, deadline, function(c, ms, ticket)
    return c:elect_leaders(list, o.unclean, ms, ticket)
  end)
  if not answer then return nil, err end
  return elections_list(call.judge(op, answer.rows))
end

return Cluster

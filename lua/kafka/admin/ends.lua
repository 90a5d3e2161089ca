-- Both ends of partitions, one failure never hiding the others: a partition without leader is not asked, since librdkafka would
-- wait for one.

local core = require "kafka.core"
local errors = require "kafka.error"

local ends = {}

local function missing(op, topic, number)
  local p = topic:partition(number)
  local name = not p and "_UNKNOWN_PARTITION" or not p.leader and "LEADER_NOT_AVAILABLE"
  return name and errors.new { name = name, op = op, topic = topic.name, partition = number }
end

---Of all partitions of a topic.
---@return table<integer, {earliest: integer|nil, latest: integer|nil, err: kafka.Error|nil}>
function ends.all(client, op, topic, deadline)
  local rows, found = {}, {}
  for _, p in ipairs(topic.partitions) do
    local err = missing(op, topic, p.partition)
    if err then found[p.partition] = { err = err } else rows[#rows + 1] = { topic = topic.name, partition = p.partition } end
  end
  for _, row in ipairs(client:ends_of(op, rows, deadline)) do found[row.partition] = row end
  return found
end

---@param client table
---@param op string
---@param topic kafka.Topic
---@param number integer
---@param deadline number
---@return integer|nil earliest
---@return integer|kafka.Error latest
function ends.of(client, op, topic, number, deadline)
  local err = missing(op, topic, number)
  if err then return nil, err end
  local earliest, latest = client:watermarks(topic.name, number, math.max(0, deadline - core.now()))
  if not earliest then latest.op = op end
  return earliest, latest
end

return ends

-- Both ends of partitions, one failure never hiding the others: a partition without leader is not asked, since librdkafka would
-- wait for one.

local core = require "kafka.core"
local errors = require "kafka.error"

local ends = {}

---@param client table
---@param op string
---@param topic kafka.Topic
---@param number integer
---@param deadline number
---@return integer|nil earliest
---@return integer|kafka.Error latest
function ends.of(client, op, topic, number, deadline)
  local p = topic:partition(number)
  local name = not p and "_UNKNOWN_PARTITION" or not p.leader and "LEADER_NOT_AVAILABLE"
  if name then return nil, errors.new { name = name, op = op, topic = topic.name, partition = number } end
  local earliest, latest = client:watermarks(topic.name, number, math.max(0, deadline - core.now()))
  if not earliest then latest.op = op end
  return earliest, latest
end

return ends

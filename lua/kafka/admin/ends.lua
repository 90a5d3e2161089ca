-- Both ends of partitions, one failure never hiding the others: a partition without leader is not asked, since librdkafka would
-- wait for one.

local errors = require "kafka.error"

local ends = {}

local function missing(op, topic, number)
  local p = topic:partition(number)
  local name = not p and "_UNKNOWN_PARTITION" or not p.leader and "LEADER_NOT_AVAILABLE"
  return name and errors.new { name = name, op = op, topic = topic.name, partition = number }
end

---@param client table
---@param op string
---@param rows {topic: string, partition: integer}[]
---@param topic_of fun(name: string): kafka.Topic|nil, kafka.Error|nil
---@param deadline number
---@return {earliest: integer|nil, latest: integer|nil, err: kafka.Error|nil}[] in the order of the rows
function ends.of(client, op, rows, topic_of, deadline)
  local found, asked, places = {}, {}, {}
  for i, row in ipairs(rows) do
    local topic, err = topic_of(row.topic)
    err = err or missing(op, topic, row.partition)
    found[i] = { err = err }
    if not err then
      asked[#asked + 1] = { topic = row.topic, partition = row.partition }
      places[#asked] = i
    end
  end
  for i, at in ipairs(client:ends_of(op, asked, deadline)) do found[places[i]] = at end
  return found
end

return ends

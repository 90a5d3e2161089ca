-- What a group has committed, one commit after the other, as Kafka's own topic for it keeps them. Kafka's answers are no such
-- history: a coordinator that was paused may tell for a moment, once it goes on, what was true before.
-- Pure but for `read`.

local javahash = require "kafka.javahash"
local whole = require "chaos.whole"

local history = {}

-- Keys of version 0 and 1: group, topic, partition. Others are about members.
---@param key string
---@param value string|nil nil where the offset was deleted
---@return { group: string, topic: string, partition: integer, offset: integer|nil }|nil
function history.commit(key, value)
  local version, at = string.unpack(">i2", key)
  if version > 1 then return nil end
  local group, topic, partition = string.unpack(">s2s2i4", key, at)
  return { group = group, topic = topic, partition = partition, offset = value and string.unpack(">i8", value, 3) }
end

---@param k kafka.Client
---@param group string
---@param topic string
---@return { partition: integer, offset: integer }[] in order
function history.read(k, group, topic)
  local count = #assert(k:topic(javahash.TOPIC, 30)).partitions
  local list = {}
  whole.each(k, javahash.TOPIC, javahash.partition(group, count), function(m)
    local commit = history.commit(m.key, m.value)
    if commit and commit.group == group and commit.topic == topic and commit.offset then list[#list + 1] = commit end
  end)
  return list
end

return history

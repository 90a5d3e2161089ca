-- What a group has committed, one commit after the other, as Kafka's own topic for it keeps them. Kafka's answers are no such
-- history: a coordinator that was paused may tell for a moment, once it goes on, what was true before.
-- Pure but for `read`.

local javahash = require "kafka.javahash"
local machine = require "kafka.localcluster.machine"
local uv = require "luv"
local whole = require "chaos.whole"

local history = {}

-- A length in seven bits a byte, the lowest first, as later versions write it; returns where it ends.
local function varint(text, at)
  local n, shift = 0, 0
  repeat
    local byte = text:byte(at)
    n, shift, at = n | (byte & 0x7f) << shift, shift + 7, at + 1
  until byte < 0x80
  return n, at
end

-- Keys of version 0 and 1: group, topic, partition. Others are about members.
---@param key string
---@param value string|nil nil where the offset was deleted
---@return { group: string, topic: string, partition: integer, offset: integer|nil, stamp: number|nil }|nil stamp: seconds
---  since the epoch, of the broker's clock
function history.commit(key, value)
  local version, at = string.unpack(">i2", key)
  if version > 1 then return nil end
  local group, topic, partition = string.unpack(">s2s2i4", key, at)
  local commit = { group = group, topic = topic, partition = partition }
  if not value then return commit end
  version, commit.offset, at = string.unpack(">i2i8", value)
  if version >= 3 then at = at + 4 end -- the leader's epoch
  local length -- of the metadata
  if version >= 4 then
    length, at = varint(value, at)
    length = length - 1
  else
    length, at = string.unpack(">i2", value, at)
  end
  commit.stamp = string.unpack(">i8", value, at + math.max(0, length)) / 1000
  return commit
end

---@param k kafka.Client
---@param group string
---@param topic string
---@return { time: number, partition: integer, offset: integer }[] in order
function history.read(k, group, topic)
  local seconds, micros = uv.gettimeofday()
  local epoch = seconds + micros / 1e6 - machine.now() -- when this machine's other clock stood at 0
  local count = #assert(k:topic(javahash.TOPIC, 30)).partitions
  local list = {}
  whole.each(k, javahash.TOPIC, javahash.partition(group, count), function(m)
    local commit = history.commit(m.key, m.value)
    if commit and commit.group == group and commit.topic == topic and commit.offset then
      commit.time = commit.stamp - epoch
      list[#list + 1] = commit
    end
  end)
  return list
end

return history

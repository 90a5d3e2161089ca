-- Kafka's murmur2 (org.apache.kafka.common.utils.Utils), and the partition that its own producer gives a key.

local murmur2 = {}

local M = 0x5bd1e995

local function multiply(a) return a * M & 0xffffffff end

---@param key string
---@return integer as Java shows it, of 32 bits with a sign
function murmur2.hash(key)
  local h = 0x9747b28c ~ #key
  local whole = #key // 4 * 4
  for i = 1, whole, 4 do
    local k = multiply((string.unpack("<I4", key, i)))
    h = multiply(h) ~ multiply(k ~ k >> 24)
  end
  local rest = #key - whole
  if rest >= 3 then h = h ~ key:byte(whole + 3) << 16 end
  if rest >= 2 then h = h ~ key:byte(whole + 2) << 8 end
  if rest >= 1 then h = multiply(h ~ key:byte(whole + 1)) end
  h = multiply(h ~ h >> 13)
  h = h ~ h >> 15
  return h >= 0x80000000 and h - 0x100000000 or h
end

---@param partitions integer how many the topic has
function murmur2.partition(key, partitions) return (murmur2.hash(key) & 0x7fffffff) % partitions end

return murmur2

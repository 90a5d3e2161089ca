-- Which partition of __consumer_offsets keeps a group's offsets: by the hash of Java's strings, as every Kafka since 0.8.2
-- reckons it. The leader of that partition is the group's coordinator. Pure.

local javahash = {}

javahash.TOPIC = "__consumer_offsets"

local function add(hash, unit) return (hash * 31 + unit) & 0xffffffff end

---Java's String.hashCode: over UTF-16, where a character beyond U+FFFF is two units.
---@param text string UTF-8
---@return integer from 0 to 2^32-1: Java's 32 bits without their sign
function javahash.of(text)
  local hash = 0
  for _, code in utf8.codes(text) do
    if code > 0xffff then
      code = code - 0x10000
      hash = add(hash, 0xd800 + (code >> 10))
      code = 0xdc00 + (code & 0x3ff)
    end
    hash = add(hash, code)
  end
  return hash
end

---@param group string
---@param partitions integer how many the topic has
---@return integer
function javahash.partition(group, partitions)
  local hash = javahash.of(group)
  if hash > 0x7fffffff then hash = 0x100000000 - hash end -- below 0 in Java: Kafka takes the absolute value
  if hash == 0x80000000 then hash = 0 end -- which this one has not
  return hash % partitions
end

return javahash

-- The end of a transaction in a partition of the mock, which writes none by itself: an offset that holds no message. It comes
-- there by a request of our own, to a cluster of one broker.

local process = require "spec.support.process"

local PRODUCE, VERSION = 0, 7
local ALL = -1 -- acknowledgements
local CONTROL = 0x30 -- attributes of a batch: of a transaction, and no messages
local COMMIT = 1

-- A small number as a record holds it.
local function varint(n) return string.char(n << 1) end

local function record()
  local key, value = string.pack(">i2i2", 0, COMMIT), string.pack(">i2i4", 0, 0)
  local body = "\0" .. varint(0) .. varint(0) .. varint(#key) .. key .. varint(#value) .. value .. varint(0)
  return varint(#body) .. body
end

-- A batch of one record; its checksum is not looked at.
local function batch()
  local ms = os.time() * 1000
  local rest = string.pack(">i4 i1 I4 i2 i4 i8 i8 i8 i2 i4 i4", -1, 2, 0, CONTROL, 0, ms, ms, 1000, 0, -1, 1) .. record()
  return string.pack(">i8 s4", 0, rest)
end

---@param brokers string of a mock with one broker
return function(brokers, topic, partition)
  local request = string.pack(">i2 i2 i4 s2", PRODUCE, VERSION, 1, "marker") .. string.pack(">i2 i2 i4", -1, ALL, 5000)
    .. string.pack(">i4 s2 i4 i4 s4", 1, topic, 1, partition, batch())
  local answer = process.ask(tonumber(brokers:match ":(%d+)$"), string.pack(">s4", request))
  assert(string.unpack(">i2", answer, 4 + 4 + 4 + 2 + #topic + 4 + 4 + 1) == 0, "the mock has refused the marker")
end

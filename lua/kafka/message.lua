-- What a message and a batch can do: print themselves, find a header. Knows no client.

local core = require "kafka.core"
local args = require "kafka.args"
local json = require "kafka.json"
local show = require "kafka.show"

---@class kafka.Message
---@field topic string
---@field partition integer
---@field offset integer
---@field key string|nil
---@field value string|nil nil is a tombstone
---@field headers {[1]: string, [2]: string|nil}[]|nil in order, duplicates kept
---@field timestamp integer|nil milliseconds since the epoch
---@field timestamp_type "log_append"|nil where the broker, not the producer, set the timestamp
---@field leader_epoch integer|nil
local Message = {}

---The value of the last header of that name; nil where there is none, or its value is nil.
---@param name string
---@return string|nil
function Message:header(name)
  args.object("header", self, core.message)
  args.check("header", "name", name, args.string)
  local headers = self.headers or {}
  for i = #headers, 1, -1 do
    if headers[i][1] == name then return headers[i][2] end
  end
  return nil
end

---The message as one line of JSON: {"topic", "partition", "offset", "timestamp", "key", "value", "headers"}, in this order.
---Keys, values and headers are strings where they are UTF-8, else {"base64": "..."}; nil is null; headers are [[name, value],
---...] or null. A value that is JSON itself stays a string.
---@return string
function Message:json()
  args.object("json", self, core.message)
  local headers
  for i, header in ipairs(self.headers or {}) do
    headers = headers or {}
    headers[i] = ("[%s,%s]"):format(json.bytes(header[1]), json.bytes(header[2]))
  end
  return ('{"topic":%s,"partition":%d,"offset":%d,"timestamp":%s,"key":%s,"value":%s,"headers":%s}'):format(
    json.bytes(self.topic), self.partition, self.offset, self.timestamp or "null", json.bytes(self.key), json.bytes(self.value),
    headers and "[" .. table.concat(headers, ",") .. "]" or "null")
end

local meta = core.message
meta.__index.header = Message.header
meta.__index.json = Message.json
function meta:__tostring()
  args.object("tostring", self, meta)
  local key = self.key and show.bytes(self.key) .. " = " or ""
  local headers = {}
  for i, h in ipairs(self.headers or {}) do headers[i] = show.bytes(h[1]) .. ": " .. show.bytes(h[2]) end
  headers = #headers > 0 and (" (%s)"):format(table.concat(headers, ", ")) or ""
  return ("%s[%d]@%d %s%s%s"):format(self.topic, self.partition, self.offset, key, show.bytes(self.value), headers)
end

---@class kafka.Batch
---@field n integer how many messages
---@field bytes integer the lengths of their keys and values together
---@field next integer|{topic: string, partition: integer, offset: integer}[] the next offset to read; of `partitions`: a
---  row for each partition that moved
---@field eof boolean whether the end of what is there was reached
---@field topic string
---@field partition integer|nil nil for several partitions
---@field cause kafka.Error|nil of an empty batch: the error event that the client saw meanwhile, such as a broker that is gone
---@field place {topic: string, partition: integer}|nil the same, also where `columns` asked for those two
local Batch = {}
Batch.__index = Batch
Batch.__name = "kafka.Batch"

function Batch:__tostring()
  args.object("tostring", self, Batch)
  local where = ""
  if type(self.topic) == "string" then
    where = " of " .. self.topic .. (math.type(self.partition) == "integer" and ("[%d]"):format(self.partition) or "")
  end
  local rest = self.eof and ", at the end" or self.cause and "; last: " .. self.cause.message or ""
  return ("%d message%s%s, %d bytes%s"):format(self.n, self.n == 1 and "" or "s", where, self.bytes, rest)
end

local fields = { topic = true, partition = true, offset = true, key = true, value = true, headers = true, timestamp = true,
  leader_epoch = true }

---The columns that a batch may come as: a checked copy of the caller's list.
---@param list any
---@return string[]|nil
local function columns(op, list)
  if list == nil then return nil end
  local names = args.list(op, "columns", list, "a list of field names")
  if #names < 1 or #names > 8 then args.fail(op, "columns", "a list of 1 to 8 field names", list) end
  for _, name in ipairs(names) do
    if not fields[name] then args.unknown(op, "column", name, fields) end
  end
  return names
end

return { Batch = Batch, columns = columns }

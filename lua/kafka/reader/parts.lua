-- The partitions that a reader reads, and how far it is in each: what is handled, what of that is kept, by which messages the
-- data is known. Bookkeeping only: nothing here asks anybody.

local core = require "kafka.core"
local show = require "kafka.show"

local SILENCE = 0.5 -- seconds without a message: so long there is no leader when one dies

local Parts = {}
Parts.__index = Parts

---@class kafka.ReaderPart
---@field topic string
---@field partition integer
---@field reading table {topic, all, eof}: what it is fetched with
---@field next integer|nil the next offset after what is handled; nil: not known before the partition has a leader
---@field kept integer|nil the offset that was last committed or saved
---@field kept_at number|nil when that was done by this reader
---@field metadata string|nil what was kept beside it
---@field last table|nil the last message that was fetched: {offset, key, value, timestamp}
---@field anchors table[] the same, earlier: when the last two pictures of the cluster were taken, and before the last silence.
---  By them the data is known again
---@field heard number when it was fetched
---@field isr integer[]|nil the replicas in sync, as last told
---@field suspect string|nil why the data may be other than was read
---@field lost table|nil {from, why}: its position does not exist
---@field stopped kafka.Error|nil the same, until the caller decides

local position_rows = show.list({ "topic", "partition", "offset" }, { none = "no partition is read" })

local parts = {}

function parts.new() return setmetatable({ list = {}, readings = {}, topics = {} }, Parts) end

---@return kafka.ReaderPart|nil
function Parts:find(topic, partition)
  local of_topic = self.topics[topic]
  return of_topic and of_topic[partition]
end

---What was read of a partition says nothing any more.
function parts.forget(part)
  part.last, part.anchors = nil, {}
end

---Adds partitions that are fetched together.
---@param all kafka.Partitions
---@param rows {partition: integer}[]
function Parts:add(topic, all, rows)
  local reading = { topic = topic, all = all, eof = false }
  self.readings[#self.readings + 1] = reading
  self.topics[topic] = self.topics[topic] or {}
  for _, row in ipairs(rows) do
    local part = { topic = topic, partition = row.partition, reading = reading, next = all:position(row.partition),
      anchors = {}, heard = 0 }
    self.topics[topic][row.partition] = part
    self.list[#self.list + 1] = part
  end
end

---Closes what is read of a topic.
---@return table<integer, kafka.ReaderPart>|nil its partitions
function Parts:drop(topic)
  for i = #self.readings, 1, -1 do
    if self.readings[i].topic == topic then table.remove(self.readings, i).all:close() end
  end
  for i = #self.list, 1, -1 do
    if self.list[i].topic == topic then table.remove(self.list, i) end
  end
  local was = self.topics[topic]
  self.topics[topic] = nil
  return was
end

---All before these offsets is handled.
function Parts:handled(rows)
  for _, row in ipairs(rows) do
    local part = self:find(row.topic, row.partition)
    if part then part.next = row.offset end
  end
end

---What is handled and not kept yet.
---@param renew number|nil seconds after which what was kept is to be kept again, with the metadata that stands beside it
---@param anew boolean|nil also what was kept with other metadata
---@return {topic: string, partition: integer, offset: integer, metadata: string|nil}[]
function Parts:unkept(metadata, renew, anew)
  local rows, old = {}, core.now() - (renew or math.huge)
  for _, part in ipairs(self.list) do
    local row = { topic = part.topic, partition = part.partition, offset = part.next, metadata = metadata }
    if part.next and (part.next ~= part.kept or anew and part.metadata ~= metadata) then
      rows[#rows + 1] = row
    elseif part.next and renew and (not part.kept_at or part.kept_at < old) then
      row.metadata = part.metadata
      rows[#rows + 1] = row
    end
  end
  return rows
end

---These rows are kept.
function Parts:keep(rows)
  for _, row in ipairs(rows) do
    local part = self:find(row.topic, row.partition)
    if part then part.kept, part.metadata, part.kept_at = row.offset, row.metadata, core.now() end
  end
end

---How many partitions of a topic there are.
function Parts:count(topic)
  local n = 0
  for _ in pairs(self.topics[topic] or {}) do n = n + 1 end
  return n
end

---Remembers the last message of each partition in a batch, to know the data by.
---@param now number
function Parts:remember(batch, now)
  local last = {}
  for _, m in ipairs(batch) do last[m.partition] = m end
  for partition, m in pairs(last) do
    local part = self.topics[m.topic][partition]
    if now - part.heard > SILENCE then part.anchors.silence = part.last end
    part.heard = now
    -- A copy: the caller may change what it gets.
    part.last = { offset = m.offset, key = m.key, value = m.value, timestamp = m.timestamp }
  end
end

---Another picture of the cluster was taken. It may show what happened just before, and a broker may be late to know of it: so
---two are kept.
function Parts:age()
  for _, part in ipairs(self.list) do
    local anchors = part.anchors
    if not part.suspect then anchors.older, anchors.newer = anchors.newer, part.last end
  end
end

---@return {topic: string, partition: integer, offset: integer|nil}[] in order
function Parts:positions()
  local rows = {}
  for i, part in ipairs(self.list) do rows[i] = { topic = part.topic, partition = part.partition, offset = part.next } end
  table.sort(rows, function(a, b)
    if a.topic ~= b.topic then return a.topic < b.topic end
    return a.partition < b.partition
  end)
  return position_rows(rows)
end

return parts

-- Every partition of a topic at once, each at its leader, fetched together by bytes.

local core = require "kafka.core"
local args = require "kafka.args"
local ask = require "kafka.ask"
local errors = require "kafka.error"
local feed = require "kafka.feed"
local groups = require "kafka.group"
local log = require "kafka.log"
local partition = require "kafka.partition"
local show = require "kafka.show"
local start = require "kafka.start"

local partitions = {}

---@class kafka.Partitions
---@field topic string
local Partitions = {}
Partitions.__index = Partitions
Partitions.__name = "kafka.Partitions"

local open_options = { offsets = args.table }
for name, kind in pairs(partition.open_options) do open_options[name] = kind end

local place = { topic = args.any, partition = args.partition, offset = start.place, metadata = args.any }

-- Rows {partition, offset} as a table of them.
local function places_of(op, rows)
  rows = args.list(op, "offsets", rows, "rows {partition, offset}")
  if #rows == 0 then args.misuse(op, "offsets must have at least one row {partition, offset}") end
  local places = {}
  for i, row in ipairs(rows) do
    local name = ("offsets[%d]"):format(i)
    if type(row) ~= "table" then args.fail(op, name, "a row {partition, offset}", row) end
    row = args.fields(op, row, place, name)
    local number = math.tointeger(args.check(op, name .. ".partition", row.partition, args.partition))
    if places[number] then args.misuse(op, ("offsets names partition %d twice"):format(number)) end
    places[number] = args.check(op, name .. ".offset", row.offset, start.place)
  end
  return places
end

-- The same place for each partition; where it is what was committed, that of each, else the other.
local function all_places(client, topic, o)
  local places, rows = {}, {}
  for i, p in ipairs(topic.partitions) do
    places[p.partition], rows[i] = o.offset, { topic = topic.name, partition = p.partition }
  end
  if o.offset ~= "committed" then return places end
  local kept, err = groups.committed(client, o.group, rows, math.max(0, o.deadline - core.now()))
  if not kept then
    err.op = o.op
    return nil, err
  end
  for _, row in ipairs(kept) do places[row.partition] = row.offset or o.otherwise or "earliest" end
  return places
end

-- The ends of those partitions whose place depends on them, asked for together: for many, one by one would take long.
local function known_ends(client, topic, places, o)
  local rows, ends = {}, {}
  for _, p in ipairs(topic.partitions) do
    local where = places[p.partition]
    if where and p.leader and start.needs_ends(where) then rows[#rows + 1] = { topic = topic.name, partition = p.partition } end
  end
  if #rows < 2 then return nil end
  local found = ask.glance(client.handles[1], o.op, rows, math.max(0, o.deadline - core.now()))
  for i, row in ipairs(rows) do ends[row.partition] = found[i] or nil end
  return ends
end

---Opens all partitions of a topic for reading.
---@param client kafka.Client
---@param topic string
---@param options table|nil as for `partition`; or offsets: rows {partition, offset}, as `positions` and `offsets_at` give them:
---  only these partitions are opened, each there
---@return kafka.Partitions|nil
---@return kafka.Error|nil
function partitions.open(client, topic, options)
  args.topic("partitions", topic)
  local o = partition.read_options("partitions", options, open_options)
  local places = o.offsets and places_of("partitions", o.offsets)
  local found, err = client:topic_for("partitions", topic, o.timeout)
  if not found then return nil, err end
  if not places then
    places, err = all_places(client, found, o)
    if not places then return nil, err end
  end
  o.ends = known_ends(client, found, places, o)
  local numbers, offsets = {}, {}
  for _, row in ipairs(found.partitions) do
    local where = places[row.partition]
    places[row.partition] = nil
    if where then
      local n = #numbers + 1
      o.offset, numbers[n] = where, row.partition
      offsets[n], err = partition.start_of(client, topic, row, o)
      if not offsets[n] then return nil, err end
    end
  end
  if client.closed then return nil, start.closed(o.op, topic) end -- by a handler
  local unknown = next(places)
  if unknown then
    return nil, errors.new { name = "_UNKNOWN_PARTITION", op = "partitions", topic = topic, partition = unknown,
      message = ("the topic has %d partitions, counted from 0"):format(#found.partitions) }
  end
  local h
  h, err = client:free_handle("partitions", topic, numbers)
  if not h then return nil, err end
  local f = feed.open(client, h, topic)
  for i, number in ipairs(numbers) do
    local ok
    ok, err = f:add(number, offsets[i])
    if not ok then
      f:close()
      return nil, err
    end
  end
  client.feeds[f] = true
  return setmetatable({ client = client, feed = f, topic = topic, numbers = numbers, group = o.group }, Partitions)
end

local DEFAULT_TIMEOUT = 10 -- seconds

local position_rows = show.list { "topic", "partition", "offset" }

local function check(self, op)
  args.object(op, self, Partitions)
  if self.feed.closed then args.misuse(op, "attempt to use a closed kafka.Partitions") end
  self.client:check(op)
  return self.feed
end

local function known(self, op, number)
  args.check(op, "partition", number, args.partition)
  if not self.feed.parts[number] then
    args.fail(op, "partition", ("one of the %d partitions of %s"):format(#self.numbers, self.topic), number)
  end
  return math.tointeger(number)
end

---Fetches by bytes from all of them: messages carry their partition, in order within each.
---@param options table|nil max_bytes, max_messages, timeout, columns: as for one partition
---@return kafka.Batch|nil `next` is a list of rows, one for each partition that moved
---@return kafka.Error|nil of one partition, named in it; the others go on with the next fetch
function Partitions:fetch(options)
  return check(self, "fetch"):fetch(options, nil)
end

---Where each partition stands.
---@return {topic: string, partition: integer, offset: integer|nil}[] the next offset to be handed over
function Partitions:positions()
  local f = check(self, "positions")
  local rows = {}
  for i, number in ipairs(self.numbers) do
    local at = f:position(number)
    rows[i] = { topic = self.topic, partition = number, offset = at >= 0 and at or nil }
  end
  return position_rows(rows)
end

---@param number integer
---@return integer|nil the next offset to be handed over
function Partitions:position(number)
  local f = check(self, "position")
  local at = f:position(known(self, "position", number))
  return at >= 0 and at or nil
end

---Goes on elsewhere in one partition.
---@param number integer
---@param where "earliest"|"latest"|integer
---@param timeout number|nil seconds to look the position up (default 10)
---@return true|nil
---@return kafka.Error|nil
function Partitions:seek(number, where, timeout)
  local f = check(self, "seek")
  number = known(self, "seek", number)
  args.check("seek", "offset", where, partition.open_options.otherwise)
  timeout = args.optional("seek", "timeout", timeout, args.seconds) or DEFAULT_TIMEOUT
  local offset, err = start.resolve(self.client, self.topic, number, where, {
    op = "seek", timeout = timeout, deadline = core.now() + timeout })
  if not offset then return nil, err end
  return f:seek(number, offset)
end

---Goes on at an offset that `start.resolve` gave, which may be librdkafka's number of the first one.
---@return true|nil
---@return kafka.Error|nil
function Partitions:go_to(number, offset) return check(self, "seek"):seek(number, offset) end

---@param number integer
---@return true
function Partitions:pause(number)
  return check(self, "pause"):pause(known(self, "pause", number))
end

---@param number integer
---@return true|nil
---@return kafka.Error|nil
function Partitions:resume(number)
  return check(self, "resume"):resume(known(self, "resume", number))
end

---Commits every position that is known.
---@param group string|nil default: the group it was opened with
---@param metadata string|nil
---@param timeout number|nil seconds (default 10)
---@return true|nil
---@return kafka.Error|nil
function Partitions:commit(group, metadata, timeout)
  check(self, "commit")
  if group == nil then group = self.group end
  args.check("commit", "group", group, args.group)
  args.optional("commit", "metadata", metadata, args.metadata)
  args.optional("commit", "timeout", timeout, args.seconds)
  local rows = {}
  for _, row in ipairs(self:positions()) do
    if row.offset then
      row.metadata = metadata
      rows[#rows + 1] = row
    end
  end
  if #rows == 0 then
    return nil, errors.new { name = "_NO_OFFSET", op = "commit", topic = self.topic, message = "no position is known yet" }
  end
  return groups.commit(self.client, group, rows, { timeout = timeout })
end

---@return true
function Partitions:close()
  args.object("close", self, Partitions)
  return self.feed:close()
end

function Partitions:__close()
  args.object("close", self, Partitions)
  local ok, err = pcall(self.feed.close, self.feed)
  if not ok then log.line("kafka.Partitions", 4, tostring(err)) end
end

function Partitions:__tostring()
  args.object("tostring", self, Partitions)
  local state = self.feed.closed and ", closed" or ""
  return ("kafka.Partitions (%s, %d partitions%s)"):format(self.topic, #self.numbers, state)
end

args.public(Partitions)
return partitions

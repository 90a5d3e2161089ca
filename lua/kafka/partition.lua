-- One partition, read at its leader by bytes: where to start, fetch, where we are, seek, pause, commit.

local core = require "kafka.core"
local args = require "kafka.args"
local errors = require "kafka.error"
local feed = require "kafka.feed"
local groups = require "kafka.group"
local log = require "kafka.log"
local start = require "kafka.start"

local partition = {}

---@class kafka.Partition
---@field topic string
---@field partition integer
local Partition = {}
Partition.__index = Partition
Partition.__name = "kafka.Partition"

local DEFAULT_TIMEOUT = 10 -- seconds

local open_options = {
  offset = start.kind,
  otherwise = start.place,
  group = args.group,
  timeout = args.seconds,
}
partition.open_options = open_options

---The options of `partition` and `partitions`, checked.
---@param schema table|nil the fields that are known (default: those of `partition`)
function partition.read_options(op, options, schema)
  local o = args.fields(op, options, schema or open_options)
  o.offset = o.offset or (o.group and "committed" or "earliest")
  o.timeout = o.timeout or DEFAULT_TIMEOUT
  o.op, o.deadline = op, core.now() + o.timeout -- of all look-ups together
  if o.offset == "committed" and not o.group then args.misuse(op, 'offset "committed" needs a group') end
  return o
end

---Where to start one row of a topic's partitions; tells of a partition that has no leader now.
function partition.start_of(client, topic, row, o)
  o.leaderless = row.leader == nil
  o.committed = function(rows, seconds) return groups.committed(client, o.group, rows, seconds) end
  if o.leaderless then
    client:tell(errors.new { name = "LEADER_NOT_AVAILABLE", op = o.op, topic = topic, partition = row.partition,
      message = "the partition has no leader now; it is read when one comes" })
  end
  return start.resolve(client, topic, row.partition, o.offset, o)
end

---Opens a partition for reading.
---@param client kafka.Client
---@param topic string
---@param number integer counts from 0
---@param options table|nil offset "earliest" (default), "latest", "committed" (default where a group is given), an offset, or
---  -n for the last n; group string, for "committed" and commit; otherwise where nothing was committed (default
---  "earliest"); timeout seconds for all look-ups together (default 10)
---@return kafka.Partition|nil
---@return kafka.Error|nil
---rd_kafka_incremental_assign
function partition.open(client, topic, number, options)
  args.topic("partition", topic)
  number = math.tointeger(args.check("partition", "partition", number, args.partition))
  local o = partition.read_options("partition", options)
  local found, err = client:topic_for("partition", topic, o.timeout)
  if not found then return nil, err end
  local row = found:partition(number)
  if not row then
    return nil, errors.new { name = "_UNKNOWN_PARTITION", op = "partition", topic = topic, partition = number,
      message = ("the topic has %d partitions, counted from 0"):format(#found.partitions) }
  end
  local offset, h
  offset, err = partition.start_of(client, topic, row, o)
  if not offset then return nil, err end
  h, err = client:free_handle("partition", topic, { number })
  if not h then return nil, err end
  local f = feed.open(client, h, topic)
  local ok
  ok, err = f:add(number, offset)
  if not ok then
    f:close()
    return nil, err
  end
  client.feeds[f] = true
  return setmetatable({ client = client, feed = f, topic = topic, partition = number, group = o.group }, Partition)
end

local function check(self, op)
  args.object(op, self, Partition)
  if self.feed.closed then args.misuse(op, "attempt to use a closed kafka.Partition") end
  self.client:check(op)
  return self.feed
end

---Fetches by bytes: waits for the first message, then takes what is there.
---@param options table|nil max_bytes: keys and values of the batch together, passed only by a first message that is larger
---  (default 1 MiB); max_messages; timeout seconds to wait for the first (default 10); columns: list of field names, to get
---  lists instead of message tables
---@return kafka.Batch|nil empty where nothing came within the timeout
---@return kafka.Error|nil OFFSET_OUT_OF_RANGE with `offset`, `earliest`, `latest`: seek to go on
---rd_kafka_consume_batch_queue
function Partition:fetch(options)
  return check(self, "fetch"):fetch(options, self.partition)
end

---The next offset that fetch will hand over; nil while the partition has had no leader yet to tell.
---@return integer|nil
function Partition:position()
  local at = check(self, "position"):position(self.partition)
  return at >= 0 and at or nil
end

---Goes on elsewhere with the next fetch.
---@param where "earliest"|"latest"|integer an offset, or -n for the last n
---@param timeout number|nil seconds to look the position up (default 10)
---@return true|nil
---@return kafka.Error|nil
function Partition:seek(where, timeout)
  local f = check(self, "seek")
  args.check("seek", "offset", where, open_options.otherwise)
  timeout = args.optional("seek", "timeout", timeout, args.seconds) or DEFAULT_TIMEOUT
  local offset, err = start.resolve(self.client, self.topic, self.partition, where, {
    op = "seek", timeout = timeout, deadline = core.now() + timeout })
  if not offset then return nil, err end
  return f:seek(self.partition, offset)
end

---Fetches no more from the broker until `resume`.
---@return true
function Partition:pause()
  return check(self, "pause"):pause(self.partition)
end

---Goes on after `pause`, at the same position.
---@return true|nil
---@return kafka.Error|nil
function Partition:resume()
  return check(self, "resume"):resume(self.partition)
end

---Commits our position for a group: the next offset to read.
---@param group string|nil default: the group it was opened with
---@param metadata string|nil kept beside the offset
---@param timeout number|nil seconds (default 10)
---@return true|nil
---@return kafka.Error|nil
function Partition:commit(group, metadata, timeout)
  local f = check(self, "commit")
  if group == nil then group = self.group end
  args.check("commit", "group", group, args.group)
  args.optional("commit", "metadata", metadata, args.metadata)
  args.optional("commit", "timeout", timeout, args.seconds)
  local at = f:position(self.partition)
  if at < 0 then
    return nil, errors.new { name = "_NO_OFFSET", op = "commit", topic = self.topic, partition = self.partition,
      message = "the position is not known before the first message: the partition has had no leader yet" }
  end
  local row = { topic = self.topic, partition = self.partition, offset = at, metadata = metadata }
  return groups.commit(self.client, group, { row }, { timeout = timeout })
end

---@return true
function Partition:close()
  args.object("close", self, Partition)
  return self.feed:close()
end

function Partition:__close()
  args.object("close", self, Partition)
  local ok, err = pcall(self.feed.close, self.feed)
  if not ok then log.line("kafka.Partition", 4, tostring(err)) end
end

function Partition:__tostring()
  args.object("tostring", self, Partition)
  local state = self.feed.closed and "closed"
  if not state and self.feed.handle.core:forked() then state = "of the parent process" end
  if not state then
    local at = self.feed:position(self.partition)
    state = at >= 0 and "next offset " .. at or "not started"
  end
  return ("kafka.Partition (%s[%d], %s)"):format(self.topic, self.partition, state)
end

args.public(Partition)
return partition

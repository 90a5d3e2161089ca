-- The offsets of any group: set them, delete them, reset them by a plan. Methods of kafka.connect.

local core = require "kafka.core"
local args = require "kafka.args"
local errors = require "kafka.error"
local rows = require "kafka.rows"
local show = require "kafka.show"
local call = require "kafka.admin.call"
local ends = require "kafka.admin.ends"

---@class kafka.Client
local Offsets = {}

local results_list = show.list { "topic", "partition", show.maybe "offset" }
local plan_list = show.list { "topic", "partition", "from", "to" }

-- The rows of a request about one group; an error of the whole group is the call's.
local function of_group(client, name, op, deadline, start)
  local answer, err = call.send(client, name, { op = op }, deadline, start)
  if not answer then return nil, err end
  local group = answer.rows[1]
  if group.err then return nil, call.error(group.err, { op = op }) end
  return call.judge(op, group.partitions)
end

local function alter(client, op, name, list, deadline)
  return of_group(client, "alter_group_offsets", op, deadline, function(c, _, ticket)
    return c:alter_group_offsets(name, list, ticket)
  end)
end

---Sets offsets of a group that has no members; the group need not exist. Unlike `commit`, it tells of each partition.
---@param name string
---@param list table[] rows {topic, partition, offset, metadata}: offset is the next to be read; or one such row
---@param timeout number|nil seconds (default 10)
---@return {topic: string, partition: integer, offset: integer, err: kafka.Error|nil}[]|nil
---@return kafka.Error|nil where the request as a whole failed
---rd_kafka_AlterConsumerGroupOffsets
function Offsets:alter_offsets(name, list, timeout)
  local op = "alter_offsets"
  call.client(self, op)
  args.check(op, "group", name, args.group)
  list = rows.copy(op, list, true)
  local results, err = alter(self, op, name, list, call.deadline(op, timeout))
  if not results then return nil, err end
  return results_list(results)
end

---Deletes what a group has committed for partitions. Nobody may be reading their topics as a member of it.
---@param name string
---@param list table[] rows {topic, partition}, or one such row
---@param timeout number|nil seconds (default 10)
---@return {topic: string, partition: integer, err: kafka.Error|nil}[]|nil
---@return kafka.Error|nil where the request as a whole failed: GROUP_ID_NOT_FOUND
---rd_kafka_DeleteConsumerGroupOffsets
function Offsets:delete_offsets(name, list, timeout)
  local op = "delete_offsets"
  call.client(self, op)
  args.check(op, "group", name, args.group)
  list = rows.copy(op, list)
  local results, err = of_group(self, "delete_group_offsets", op, call.deadline(op, timeout), function(c, _, ticket)
    return c:delete_group_offsets(name, list, ticket)
  end)
  if not results then return nil, err end
  return results_list(results)
end

-- Reset --------------------------------------------------------------------------------------------------------------

local reset_options = {
  topic = args.topic_name,
  topics = args.table,
  partitions = args.table,
  to = args.worded('"earliest", "latest" or an offset', args.either(args.word("earliest", "latest"), args.offset)),
  time = args.worded("integer milliseconds since the epoch (1e11 or more)", args.integer(100000000000, math.maxinteger)),
  shift = args.integer(-math.maxinteger, math.maxinteger),
  dry_run = args.boolean,
  timeout = args.seconds,
}

local function checked(op, options)
  local o = args.fields(op, options, reset_options)
  local targets = (o.to ~= nil and 1 or 0) + (o.time and 1 or 0) + (o.shift and 1 or 0)
  if targets ~= 1 then args.misuse(op, "give one of to, time and shift") end
  local places = (o.topic and 1 or 0) + (o.topics and 1 or 0) + (o.partitions and 1 or 0)
  if places > 1 then args.misuse(op, "give one of topic, topics and partitions, or none for all that the group has committed") end
  if o.topics then o.topics = call.names(op, "topics", o.topics, args.topic_name) end
  if o.topic then o.topics = { o.topic } end
  if o.partitions then o.partitions = rows.copy(op, o.partitions) end
  return o
end

-- Topics by name, each asked for once: {topic} or {err}.
local function lookup(client, op, deadline)
  local known = {}
  return function(name)
    if not known[name] then
      local topic, err = client:topic_for(op, name, math.max(0, deadline - core.now()))
      known[name] = { topic = topic, err = err }
    end
    return known[name].topic, known[name].err
  end
end

-- The partitions of a plan: those given, all of the topics, or nil for what the group has committed.
local function chosen(o, topic_of)
  if not (o.partitions or o.topics) then return nil end
  local list = {}
  for i, row in ipairs(o.partitions or {}) do list[i] = { topic = row.topic, partition = row.partition } end
  for _, name in ipairs(o.topics or {}) do
    local topic, err = topic_of(name)
    if not topic then list[#list + 1] = { topic = name, err = err } end
    for _, p in ipairs(topic and topic.partitions or {}) do list[#list + 1] = { topic = name, partition = p.partition } end
  end
  return list
end

-- What the mock cluster answers wrongly instead of refusing it.
local function mock_refusal(client, op, o, deadline)
  local what
  if not (o.topics or o.partitions) then what = "tells a group's offsets only of given topics or partitions" end
  if o.time then what = "has no offsets by time" end
  if what and call.is_mock(client, op, deadline) then
    return errors.new { name = "_UNSUPPORTED_FEATURE", op = op, message = "the mock cluster " .. what }
  end
end

-- Sets `from` of every row to what is committed; without a list the rows are those.
local function committed(client, op, name, list, deadline)
  local asked
  if list then
    asked = {}
    for _, row in ipairs(list) do
      if not row.err then asked[#asked + 1] = { topic = row.topic, partition = row.partition } end
    end
    if #asked == 0 then return list end
  end
  local found, err = of_group(client, "group_offsets", op, deadline, function(c, _, ticket)
    return c:group_offsets(name, asked, ticket)
  end)
  if not found then return nil, err end
  local from = {}
  for _, row in ipairs(found) do from[row.topic .. "\0" .. row.partition] = row end
  if not list then
    list = {}
    for i, row in ipairs(found) do list[i] = { topic = row.topic, partition = row.partition } end
  end
  for _, row in ipairs(list) do
    local was = not row.err and from[row.topic .. "\0" .. row.partition]
    if was then row.from, row.err = was.offset, was.err end
  end
  return list
end

-- The first offset at or after a time, or nil where there is none.
local function at_time(client, op, row, time, deadline)
  local h = client.handles[1]
  local about = { op = op, topic = row.topic, partition = row.partition }
  local refused = h:refuses("offsets_at", about)
  if refused then return nil, refused end
  local answer, err = h:request(about, math.max(0, deadline - core.now()), function(ticket, ms)
    return h.core:offsets_for_times({ { topic = row.topic, partition = row.partition, offset = time } }, ms, ticket)
  end)
  if not answer then return nil, err end
  local found = answer.rows[1]
  if found.err then return nil, errors.from(found.err, about) end
  return found.offset
end

-- Sets `to` of a row, within what the partition holds, or its `err`.
local function aim(client, op, row, o, within, deadline)
  local earliest, latest = within.earliest, within.latest
  local at
  if o.shift then
    if not row.from then
      row.err = errors.new { name = "_NO_OFFSET", op = op, topic = row.topic, partition = row.partition,
        message = "nothing is committed that could be shifted" }
      return
    end
    -- Beyond the ends first, so that no sum overflows.
    at = row.from + math.max(-row.from, math.min(o.shift, latest))
  elseif o.time then
    at, row.err = at_time(client, op, row, o.time, deadline)
    if row.err then return end
    at = at or latest
  else
    at = o.to == "earliest" and earliest or o.to == "latest" and latest or math.tointeger(o.to)
  end
  row.to = math.max(earliest, math.min(at, latest))
end

-- The same for every row of a plan.
local function aim_all(client, op, list, o, topic_of, deadline)
  local rest = {}
  for _, row in ipairs(list) do
    if not row.err then rest[#rest + 1] = row end
  end
  local found = ends.of(client, op, rest, topic_of, deadline)
  for i, row in ipairs(rest) do
    row.err = found[i].err
    if not row.err then aim(client, op, row, o, found[i], deadline) end
  end
end

---Moves the offsets of a group that has no members. The plan is worked out first: for each partition what is committed and
---where it goes, never outside what the partition holds.
---@param name string
---@param options table where: `topic`, `topics`, `partitions` (rows {topic, partition}), or none of them for all that the group
---  has committed. To: `to` = "earliest", "latest" or an offset; or `time`, milliseconds since the epoch: the first offset as
---  late as that, else the latest; or `shift`, so many messages on, back where negative. dry_run boolean: change nothing;
---  timeout seconds for all of it (default 10)
---@return {topic: string, partition: integer, from: integer|nil, to: integer|nil, err: kafka.Error|nil}[]|nil the plan; without
---  dry_run `err` also says which partitions did not move
---@return kafka.Error|nil
---rd_kafka_ListConsumerGroupOffsets, rd_kafka_AlterConsumerGroupOffsets
function Offsets:reset_offsets(name, options)
  local op = "reset_offsets"
  call.client(self, op)
  args.check(op, "group", name, args.group)
  local o = checked(op, options)
  local deadline = call.deadline(op, o.timeout)
  local topic_of = lookup(self, op, deadline)
  local refused = mock_refusal(self, op, o, deadline)
  if refused then return nil, refused end
  local plan, err = committed(self, op, name, chosen(o, topic_of), deadline)
  if not plan then return nil, err end
  if #plan == 0 then
    return nil, errors.new { name = "_NO_OFFSET", op = op, message = "group " .. core.show(name) .. " has committed nothing" }
  end
  aim_all(self, op, plan, o, topic_of, deadline)
  local moves, by = {}, {}
  for _, row in ipairs(plan) do
    if row.to then
      moves[#moves + 1] = { topic = row.topic, partition = row.partition, offset = row.to }
      by[row.topic .. "\0" .. row.partition] = row
    end
  end
  if o.dry_run or #moves == 0 then return plan_list(plan) end
  local results
  results, err = alter(self, op, name, moves, deadline)
  if not results then return nil, err end
  for _, row in ipairs(results) do
    local planned = by[row.topic .. "\0" .. row.partition]
    planned.err = row.err
  end
  return plan_list(plan)
end

return Offsets

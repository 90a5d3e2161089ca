-- Topics: create, delete, add partitions, describe, delete records. Methods of kafka.connect.

local core = require "kafka.core"
local args = require "kafka.args"
local errors = require "kafka.error"
local rows = require "kafka.rows"
local show = require "kafka.show"
local call = require "kafka.admin.call"
local configs = require "kafka.admin.configs"
local ends = require "kafka.admin.ends"

---@class kafka.Client
local Topics = {}

local PAUSE = 0.05 -- seconds between two looks at a topic that changes

local results_list = show.list({ "topic" }, { key = "topic" })
local records_list = show.list { "topic", "partition", "offset" }
local partitions_list = show.list { "partition", "leader", "replicas", "isr", "earliest", "latest" }

local topic_fields = {
  name = args.topic_name,
  partitions = args.integer(1, 100000),
  replication_factor = args.integer(1, 10000),
  replicas = args.table,
  config = args.table,
  timeout = args.seconds,
  dry_run = args.boolean,
}
local request_options = { timeout = args.seconds, dry_run = args.boolean }

-- Waits until `ready(topic or nil)`, as a broker's metadata shows the topic, or the deadline.
local function shown(client, op, name, deadline, ready)
  while true do
    local picture, err = client:ask(op, name, math.max(0, deadline - core.now()))
    local topic = picture and picture:topic(name)
    if picture and ready(topic and not topic.err and topic or nil) then return true end
    if core.now() + PAUSE >= deadline then
      return nil, err or errors.new { name = "_TIMED_OUT", op = op, topic = name,
        message = "done, but the brokers' metadata does not show it yet" }
    end
    client.handles[1]:await(function() return false end, core.now() + PAUSE)
  end
end

-- For each partition the brokers that keep it, the leader first.
local function replica_lists(op, replicas, partitions)
  local lists = args.list(op, "replicas", replicas, "a list of lists of broker ids")
  if #lists == 0 or partitions and #lists ~= partitions then
    args.misuse(op, ("replicas must be a list for each partition, got %d"):format(#lists))
  end
  for i, ids in ipairs(lists) do
    local label = ("replicas[%d]"):format(i)
    lists[i] = args.list(op, label, ids, "a list of broker ids")
    if #lists[i] == 0 then args.fail(op, label, "a list of at least one broker id", ids) end
    for _, id in ipairs(lists[i]) do args.check(op, label, id, args.partition) end
  end
  return lists
end

-- A topic to be created, as the core takes it.
local function new_topic(op, topic, label)
  if label and type(topic) == "string" then topic = { name = topic } end
  if type(topic) ~= "table" then args.fail(op, label or "options", 'a table, as in { name = "first", partitions = 2 }', topic) end
  local o = args.fields(op, topic, topic_fields, label)
  args.check(op, label and label .. ".name" or "name", o.name, args.topic_name)
  if o.replicas then
    if o.replication_factor then args.misuse(op, "give replicas or replication_factor, not both") end
    o.replicas = replica_lists(op, o.replicas, o.partitions)
    o.partitions = #o.replicas
  end
  return { name = o.name, partitions = o.partitions or 1, replication_factor = o.replication_factor, replicas = o.replicas,
    config = o.config and configs.values(op, o.config) }, o
end

local function create(client, op, list, dry, deadline)
  local about = { op = op, topic = #list == 1 and list[1].name or nil }
  local answer, err = call.send(client, "create_topics", about, deadline, function(c, ms, ticket)
    return c:create_topics(list, dry, ms, ticket)
  end)
  if not answer then return nil, err end
  call.judge(op, answer.rows)
  if dry then return answer.rows end
  for _, row in ipairs(answer.rows) do
    if not row.err then
      client.created[row.topic] = core.now()
      local _, late = shown(client, op, row.topic, deadline, function(topic) return topic end)
      row.err = late
    end
  end
  return answer.rows
end

---Creates a topic; returns once a broker's metadata shows it.
---@param options table name string, partitions integer (default 1), replication_factor integer (default: the broker's), or
---  replicas: a list of broker ids for each partition; config table of topic settings, dry_run boolean: the broker only
---  checks, timeout seconds (default 10)
---@return true|nil
---@return kafka.Error|nil TOPIC_ALREADY_EXISTS and the like
---rd_kafka_CreateTopics
function Topics:create_topic(options)
  local op = "create_topic"
  call.client(self, op)
  local topic, o = new_topic(op, options)
  local list, err = create(self, op, { topic }, o.dry_run, call.deadline(op, o.timeout))
  if not list then return nil, err end
  if list[1].err then return nil, list[1].err end
  return true
end

---Creates several topics.
---@param topics (string|table)[] names, or tables as for create_topic
---@param options table|nil timeout seconds (default 10), dry_run boolean
---@return {topic: string, err: kafka.Error|nil}[]|nil
---@return kafka.Error|nil where the request as a whole failed
---rd_kafka_CreateTopics
function Topics:create_topics(topics, options)
  local op = "create_topics"
  call.client(self, op)
  local list = args.list(op, "topics", topics, "a list of topics")
  if #list == 0 then args.fail(op, "topics", "a list of at least one", topics) end
  local o = args.fields(op, options, request_options)
  local names = {}
  for i, given in ipairs(list) do
    local mine
    list[i], mine = new_topic(op, given, ("topics[%d]"):format(i))
    if mine.timeout or mine.dry_run ~= nil then args.misuse(op, "timeout and dry_run are for all topics: give them apart") end
    names[i] = list[i].name
  end
  call.once(op, "topics", names)
  local results, err = create(self, op, list, o.dry_run, call.deadline(op, o.timeout))
  if not results then return nil, err end
  return results_list(results)
end

local function delete(client, op, names, deadline)
  local about = { op = op, topic = #names == 1 and names[1] or nil }
  local answer, err = call.send(client, "delete_topics", about, deadline, function(c, ms, ticket)
    return c:delete_topics(names, ms, ticket)
  end)
  if not answer then return nil, err end
  call.judge(op, answer.rows)
  for _, row in ipairs(answer.rows) do
    if not row.err then
      client.created[row.topic] = nil
      local _, late = shown(client, op, row.topic, deadline, function(topic) return not topic end)
      row.err = late
    end
  end
  return answer.rows
end

---Deletes a topic; returns once a broker's metadata shows it no more, which others may do for a moment.
---@param name string
---@param timeout number|nil seconds (default 10)
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_DeleteTopics
function Topics:delete_topic(name, timeout)
  local op = "delete_topic"
  call.client(self, op)
  args.topic(op, name)
  local list, err = delete(self, op, { name }, call.deadline(op, timeout))
  if not list then return nil, err end
  if list[1].err then return nil, list[1].err end
  return true
end

---Deletes several topics.
---@param names string[]
---@param timeout number|nil seconds (default 10)
---@return {topic: string, err: kafka.Error|nil}[]|nil
---@return kafka.Error|nil where the request as a whole failed
---rd_kafka_DeleteTopics
function Topics:delete_topics(names, timeout)
  local op = "delete_topics"
  call.client(self, op)
  names = call.names(op, "topics", names, args.topic_name)
  local results, err = delete(self, op, names, call.deadline(op, timeout))
  if not results then return nil, err end
  return results_list(results)
end

local grow_options = { timeout = args.seconds, dry_run = args.boolean, replicas = args.table }

---Gives a topic more partitions; returns once a broker's metadata shows them, the others follow. Keys go to other partitions from
---then on.
---@param name string
---@param total integer how many it is to have, not how many more
---@param options table|nil replicas: a list of broker ids for each new partition, dry_run boolean, timeout seconds (default 10)
---@return true|nil
---@return kafka.Error|nil INVALID_PARTITIONS where it has as many already
---rd_kafka_CreatePartitions
function Topics:add_partitions(name, total, options)
  local op = "add_partitions"
  call.client(self, op)
  args.topic(op, name)
  args.check(op, "total", total, topic_fields.partitions)
  local o = args.fields(op, options, grow_options)
  local replicas = o.replicas and replica_lists(op, o.replicas)
  local deadline = call.deadline(op, o.timeout)
  local answer, err = call.send(self, "create_partitions", { op = op, topic = name }, deadline, function(c, ms, ticket)
    return c:create_partitions({ { topic = name, total = total, replicas = replicas } }, o.dry_run, ms, ticket)
  end)
  if not answer then return nil, err end
  local row = call.judge(op, answer.rows)[1]
  if row.err then return nil, row.err end
  if o.dry_run then return true end
  self.created[name] = core.now()
  return shown(self, op, name, deadline, function(topic) return topic and #topic.partitions >= total end)
end

---@class kafka.TopicDescription
---@field name string
---@field partitions table[] {partition, leader, replicas, isr, earliest, latest, err}
---@field configs table[]|nil the settings that differ from Kafka's defaults, as from `configs`
---@field configs_err kafka.Error|nil why there are none
local Description = { __name = "kafka.TopicDescription" }
Description.__index = Description

function Description:__tostring()
  args.object("tostring", self, Description)
  local lines = { self.name, tostring(self.partitions) }
  if self.configs_err then
    lines[3] = "settings: " .. tostring(self.configs_err)
  else
    lines[3] = #self.configs > 0 and tostring(self.configs) or "every setting at its default"
  end
  return table.concat(lines, "\n")
end

---A topic's partitions with leaders, replicas and both ends, and the settings that differ from the defaults. What one
---partition or the settings could not tell is an error there.
---@param name string
---@param timeout number|nil seconds for all of it (default 10)
---@return kafka.TopicDescription|nil
---@return kafka.Error|nil
---rd_kafka_metadata, rd_kafka_query_watermark_offsets, rd_kafka_DescribeConfigs
function Topics:describe_topic(name, timeout)
  local op = "describe_topic"
  call.client(self, op)
  args.topic(op, name)
  local deadline = call.deadline(op, timeout)
  local topic, err = self:topic_for(op, name, math.max(0, deadline - core.now()))
  if not topic then return nil, err end
  local list = {}
  for i, p in ipairs(topic.partitions) do list[i] = { topic = name, partition = p.partition } end
  local found = ends.of(self, op, list, function() return topic end, deadline)
  for i, p in ipairs(topic.partitions) do
    local at = found[i]
    list[i] = { partition = p.partition, leader = p.leader, replicas = p.replicas, isr = p.isr, earliest = at.earliest,
      latest = at.latest, err = at.err }
  end
  local entries, configs_err = configs.read(self, op, "topic", name, deadline)
  return setmetatable({ name = name, partitions = partitions_list(list), configs = entries and configs.changed(entries),
    configs_err = configs_err }, Description)
end

local kept = args.worded('"latest", or the first offset to be kept', args.either(args.word("latest"),
  args.integer(0, math.maxinteger)))

---Deletes the records of partitions up to an offset, which becomes their first.
---@param list table[] rows {topic, partition, offset}: offset is the first to be kept, or "latest" to keep none; or one such row
---@param timeout number|nil seconds (default 10)
---@return {topic: string, partition: integer, offset: integer|nil, err: kafka.Error|nil}[]|nil offset: the first there is now
---@return kafka.Error|nil where the request as a whole failed
---rd_kafka_DeleteRecords
function Topics:delete_records(list, timeout)
  local op = "delete_records"
  call.client(self, op)
  list = rows.checked(op, list, { offset = kept }, { "offset" })
  for _, row in ipairs(list) do
    if row.offset == "latest" then row.offset = -1 end
  end
  local answer, err = call.send(self, "delete_records", { op = op }, call.deadline(op, timeout), function(c, ms, ticket)
    return c:delete_records(list, ms, ticket)
  end)
  if not answer then return nil, err end
  return records_list(call.judge(op, answer.rows))
end

return Topics

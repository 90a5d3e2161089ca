-- What a caller says was handled, as rows {topic, partition, offset} that mean "the next to read": a message, a batch, rows.
-- Knows no client.

local core = require "kafka.core"
local args = require "kafka.args"
local errors = require "kafka.error"
local show = require "kafka.show"
local Batch = require("kafka.message").Batch

local rows = {}

local row_fields = { offset = args.offset, metadata = args.metadata }

---Checked copies of rows of partitions, none of them twice; a row by itself is a list of one.
---@param fields table<string, table>|nil what a row may hold beside topic and partition, with validators
---@param needed string[]|nil those that it must hold
---@return table[]
function rows.checked(op, what, fields, needed)
  if type(what) == "table" and rawget(what, "topic") ~= nil then what = { what } end
  local list, seen = args.list(op, "rows", what, "a list of rows {topic, partition, offset}"), {}
  if #list == 0 then args.fail(op, "rows", "a list of at least one row", what) end
  local schema = { topic = args.topic_name, partition = args.partition }
  for name, kind in pairs(fields or {}) do schema[name] = kind end
  for i, given in ipairs(list) do
    local label = ("rows[%d]"):format(i)
    if type(given) ~= "table" then args.fail(op, label, "a table {topic, partition, offset}", given) end
    local row = args.fields(op, given, schema, label)
    for _, name in ipairs { "topic", "partition", table.unpack(needed or {}) } do
      args.check(op, label .. "." .. name, row[name], schema[name])
    end
    local place = ("%s[%d]"):format(row.topic, row.partition)
    if seen[place] then args.fail(op, label, ("of another partition than rows[%d]"):format(seen[place]), place) end
    seen[place], list[i] = i, row
  end
  return list
end

---The same for rows that may hold an offset and metadata.
---@param needs_offset boolean|nil
function rows.copy(op, what, needs_offset)
  return rows.checked(op, what, row_fields, needs_offset and { "offset" } or nil)
end

-- Where reading goes on behind a message.
local function behind(op, m)
  local offset = rawget(m, "offset")
  args.check(op, "the message's offset", offset, args.message_offset)
  return { topic = rawget(m, "topic"), partition = rawget(m, "partition"), offset = math.tointeger(offset) + 1 }
end

---A message or a batch says by itself what comes next; rows say it already.
---@param op string
---@param what kafka.Message|kafka.Batch|table
---@return table[] rows of the caller's own, empty for a batch that moved nothing
function rows.next(op, what)
  if type(what) ~= "table" then args.fail(op, "what", "rows, a message or a batch", what) end
  local meta = debug.getmetatable(what)
  if rawequal(meta, core.message) then return rows.copy(op, behind(op, what), true) end
  if rawequal(meta, Batch) then
    local after, place = rawget(what, "next"), rawget(what, "place")
    if after == nil then return {} end -- before the first message of a partition that had no leader
    if type(after) == "table" then return next(after) and rows.copy(op, after, true) or {} end
    if type(place) ~= "table" then args.fail(op, "the batch's place", "as fetch gave it", place) end
    return rows.copy(op, { topic = rawget(place, "topic"), partition = rawget(place, "partition"), offset = after }, true)
  end
  for _, row in next, what do
    if rawequal(debug.getmetatable(row), core.message) then
      args.misuse(op, "rows must be tables {topic, partition, offset}, got a message; give one by itself, or a batch whole")
    end
  end
  return rows.copy(op, what, true)
end

---Rows that handlers and errors hold, now a list that prints itself.
rows.shown = show.list({ "topic", "partition", "offset", show.maybe "metadata" }, { none = "no partition" })

---What an error is about that concerns all the rows: their partition or their topic, where they have but one.
---@return {op: string, topic: string|nil, partition: integer|nil}
function rows.about(op, list)
  local topic = list[1].topic
  for _, row in ipairs(list) do
    if row.topic ~= topic then return { op = op } end
  end
  return { op = op, topic = topic, partition = #list == 1 and list[1].partition or nil }
end

---The first row that failed, as an error.
---@return kafka.Error|nil
function rows.error(op, list, h)
  for _, row in ipairs(list) do
    if row.err then
      return errors.from(row.err, { op = op, topic = row.topic, partition = row.partition, cause = h:reason(),
        user = h.facts.user })
    end
  end
end

return rows

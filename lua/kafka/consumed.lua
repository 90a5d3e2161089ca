-- What a consumer has handed out within a producer's transaction: the offsets that are to be committed with it, and where the
-- consumer goes on when it was aborted, or when nobody knows. Knows a consumer's parts and backlog, no producer.

local args = require "kafka.args"
local errors = require "kafka.error"
local log = require "kafka.log"

local consumed = {}

local LOOK_UP = 1000 -- milliseconds of one question to the group

---Raises where it is no consumer that can take part.
function consumed.check(op, consumer)
  if type(consumer) ~= "table" or rawget(consumer, "parts") == nil then
    args.fail(op, "consumer", "a kafka.Consumer", consumer)
  end
  if consumer.closed then args.misuse(op, "attempt to use a closed kafka.Consumer") end
  if consumer.commits.interval then
    args.misuse(op, "the consumer commits by itself: open it with enable_auto_commit = false")
  end
  -- Others find its offsets while a transaction is open, and read twice.
  if consumer.reads_uncommitted then
    args.misuse(op, "the consumer reads uncommitted messages and offsets: open it with isolation_level = read_committed")
  end
end

-- The next offset to be handed out; nil where it is not known yet.
local function position(c, part)
  return c.backlog:first(part.topic, part.partition) or c.parts:position(part)
end

---Where the consumer stands, to be compared or gone back to.
function consumed.mark(c)
  local mark = { count = c.backlog.count, losses = c.parts.losses, at = {}, moved = {} }
  for _, part in ipairs(c.parts.list) do
    mark.at[part] = position(c, part)
    mark.moved[part] = mark.at[part] ~= nil and mark.at[part] ~= part.base
  end
  return mark
end

---All that was handed out and not committed yet, as rows.
function consumed.rows(c)
  local rows = {}
  for _, part in ipairs(c.parts.list) do
    local at = position(c, part)
    if at and at ~= part.base then rows[#rows + 1] = { topic = part.topic, partition = part.partition, offset = at } end
  end
  return rows
end

local function lost(topic, partition)
  return errors.new { name = "_ASSIGNMENT_LOST", op = "send_offsets", topic = topic, partition = partition, abortable = true,
    message = "the partition was taken away meanwhile: another member may handle its messages" }
end

---Whether these rows may be committed: each of a partition that is still the consumer's, and not beyond what it has handed out
---(as rows of a partition that went away and came back are).
---@param mark table|nil since when nothing of what was handed out may have been lost
---@return kafka.Error|nil
function consumed.problem(c, rows, mark)
  for _, row in ipairs(rows) do
    local part = c.parts:find(row.topic, row.partition)
    local at = part and position(c, part)
    if not at or row.offset > at then return lost(row.topic, row.partition) end
  end
  if not mark or mark.losses == c.parts.losses then return nil end
  if mark.count ~= c.backlog.count then return lost() end
  for part, moved in pairs(mark.moved) do
    if moved and c.parts:find(part.topic, part.partition) ~= part then return lost(part.topic, part.partition) end
  end
end

---The transaction is committed: from here on nothing goes back behind these.
function consumed.settle(c, rows)
  for _, row in ipairs(rows) do
    local part = c.parts:find(row.topic, row.partition)
    if part then part.base = row.offset end
  end
end

local function go(c, part, to)
  if position(c, part) == to then return end
  c.backlog:drop(part.topic, part.partition)
  local ok, err = c.parts:seek(part, to)
  if not ok then
    local told, raised = pcall(c.handle.tell, c.handle, err)
    if not told then log.line(c.handle.title, 3, "a handler raised: " .. tostring(raised)) end
  end
end

-- Those of which it is known where they go on.
local function parts_of(c)
  local parts = {}
  for _, part in ipairs(c.closed and {} or c.parts.list) do
    if not part.asking then parts[#parts + 1] = part end
  end
  return parts
end

---The transaction is aborted: what was handed out since the last committed one is read again.
function consumed.rewind(c)
  for _, part in ipairs(parts_of(c)) do go(c, part, part.base) end
end

---The same, but only what was handed out since the mark.
function consumed.restore(c, mark)
  if mark.count == c.backlog.count then return end
  for _, part in ipairs(parts_of(c)) do
    local base = part.base
    go(c, part, mark.at[part] or base)
    part.base = base
  end
end

-- Asks the group where to go on, until it is known. Its coordinator gives no answer before the transaction is decided. Not left
-- to librdkafka, which forgets to ask again where the coordinator has moved.
local function look_up(c, otherwise)
  local rows = {}
  for part in pairs(otherwise) do
    if part.asking then rows[#rows + 1] = { topic = part.topic, partition = part.partition } end
  end
  if #rows == 0 or c.closed then return end
  local h = c.handle
  local ticket = h:ticket()
  h.waiting[ticket] = function(answer)
    for _, row in ipairs(answer.rows or {}) do
      local part = not row.err and c.parts:find(row.topic, row.partition)
      if part and part.asking and otherwise[part] then go(c, part, row.offset or otherwise[part]) end
    end
    return look_up(c, otherwise)
  end
  local ok = h.core:committed(rows, LOOK_UP, ticket)
  if ok then return end
  h.waiting[ticket] = nil
  h:done_with(ticket)
  for part, base in pairs(otherwise) do go(c, part, base) end
end

---Nobody knows whether the transaction was committed. The consumer gives nothing of these partitions until its group does.
function consumed.ask(c, rows)
  local otherwise = {}
  for _, row in ipairs(c.closed and {} or rows) do
    local part = c.parts:find(row.topic, row.partition)
    if part then otherwise[part] = part.base end
  end
  for _, part in ipairs(parts_of(c)) do
    if otherwise[part] then
      c.backlog:drop(part.topic, part.partition)
      c.parts:hold(part)
    else
      go(c, part, part.base)
    end
  end
  look_up(c, otherwise)
end

return consumed

-- The partitions that a consumer reads, of any topics, through one inbox: where each stands, what is paused, what is taken up
-- and given back. Knows one handle; nothing of groups, commits and handlers.
--
-- Seek, pause and a new start are one step: the partition is unassigned, what is held of it dropped, and it is assigned anew
-- at our own position. librdkafka's position and pause count what it has prefetched.

local errors = require "kafka.error"

---@class kafka.Part
---@field topic string
---@field partition integer
---@field start integer where reading begins, or librdkafka's number of a named position
---@field taken boolean taken up: read, but for a pause or a stop
---@field assigned boolean it is being fetched
---@field paused boolean
---@field stopped boolean|nil its offset does not exist
---@field doubt table|nil or may not: {offset, raw, again, till}, see reset.lua
---@field rested number|nil not looked at before that moment, once it was
---@field base integer where an aborted transaction goes back to
---@field due boolean|nil what was said of it holds when the assignment thaws
---@field asking boolean|nil not read until it is known where to go on
---@field stored integer|nil the next offset to commit
---@field sent integer|nil the offset of the last commit that was sent
---@field acknowledged integer|nil the offset of the last commit that was answered
---@field told integer|nil the end that on_eof heard of

local Assignment = {}
Assignment.__index = Assignment

local STORED = -1000 -- librdkafka's number for "where the group has committed"

local function open(h)
  return setmetatable({
    handle = h,
    inbox = h.core:inbox(),
    list = {}, -- kafka.Part, in order of topic and partition
    by_topic = {}, -- topic -> partition -> kafka.Part
    losses = 0, -- partitions that went away
    eager = false, -- assigned by a group whose protocol is eager
    frozen = false, -- the group waits for an answer: librdkafka would take any change for it
  }, Assignment)
end

---@return kafka.Part|nil
function Assignment:find(topic, partition)
  local of = self.by_topic[topic]
  return of and of[partition]
end

---Rows of some parts, for the core.
local function rows_of(parts)
  local rows = {}
  for i, part in ipairs(parts) do
    rows[i] = { topic = part.topic, partition = part.partition, offset = part.start }
  end
  return rows
end

local function in_order(a, b)
  if a.topic ~= b.topic then return a.topic < b.topic end
  return a.partition < b.partition
end

---Makes a partition known. It is read from the next take_up on.
---@param start integer|nil nil: where the group has committed
---@return kafka.Part
function Assignment:add(topic, partition, start)
  start = start or STORED
  local part = { topic = topic, partition = partition, start = start, base = start, taken = false, assigned = false,
    paused = false }
  self.by_topic[topic] = self.by_topic[topic] or {}
  self.by_topic[topic][partition] = part
  self.list[#self.list + 1] = part
  table.sort(self.list, in_order)
  return part
end

---Forgets a partition that is not assigned any more.
function Assignment:forget(part)
  self.inbox:drop(part.topic, part.partition)
  part.assigned = false
  self.losses = self.losses + 1
  local of = self.by_topic[part.topic]
  if of and of[part.partition] == part then of[part.partition] = nil end
  for i, p in ipairs(self.list) do
    if p == part then
      table.remove(self.list, i)
      break
    end
  end
end

---Forgets all, where the library has forgotten them too.
function Assignment:forget_all()
  for i = #self.list, 1, -1 do self:forget(self.list[i]) end
end

local function open_queue(self, part)
  self.inbox:drop(part.topic, part.partition) -- what a call that ran out of memory may have left
  self.inbox:open(part.topic, part.partition, part.start >= 0 and part.start or nil)
end

-- In a group with an eager protocol librdkafka takes only whole assignments. The partitions that stay are assigned anew where
-- they stand: what the inbox holds of them remains, and what comes twice lies before its position.
local function assign_all(self)
  local rows = {}
  for _, part in ipairs(self.list) do
    if part.assigned then
      local at = self.inbox:position(part.topic, part.partition)
      rows[#rows + 1] = { topic = part.topic, partition = part.partition, offset = at or part.start }
    end
  end
  return self.handle.core:assign(rows)
end

---Starts to read every known partition that is neither read yet nor paused.
---@return true|nil
---@return kafka.Error|nil
function Assignment:take_up()
  local new = {}
  for _, part in ipairs(self.list) do
    if not part.assigned and not part.paused and not part.stopped and not part.asking then new[#new + 1] = part end
    part.taken = true
  end
  for _, part in ipairs(new) do
    open_queue(self, part)
    part.assigned, part.due = true, nil
  end
  local ok, raw
  if self.eager then
    ok, raw = assign_all(self)
  else
    ok, raw = self.handle.core:add(rows_of(new))
  end
  if ok then return true end
  for _, part in ipairs(new) do
    part.assigned = false
    self.inbox:drop(part.topic, part.partition)
  end
  return nil, errors.from(raw, { op = "assign" })
end

---Reads these no longer, and forgets them.
---@return true|nil
---@return kafka.Error|nil
function Assignment:give_back(parts)
  local rows = {}
  for _, part in ipairs(parts) do
    if part.assigned then rows[#rows + 1] = { topic = part.topic, partition = part.partition } end
  end
  local ok, raw = self.handle.core:remove(rows)
  for _, part in ipairs(parts) do self:forget(part) end
  if not ok then return nil, errors.from(raw, { op = "unassign" }) end
  return true
end

---Reads nothing any more, and forgets all.
function Assignment:clear()
  local ok, raw = self.handle.core:unassign()
  self:forget_all()
  if not ok then return nil, errors.from(raw, { op = "unassign" }) end
  return true
end

local function stop(self, part)
  if not part.assigned then return end
  part.assigned = false
  if self.eager then
    assign_all(self)
  else
    self.handle.core:remove { { topic = part.topic, partition = part.partition } }
  end
  self.inbox:drop(part.topic, part.partition)
end

local function start(self, part)
  open_queue(self, part)
  part.assigned = true
  local ok, raw
  if self.eager then
    ok, raw = assign_all(self)
  else
    ok, raw = self.handle.core:add(rows_of { part })
  end
  if ok then return true end
  part.assigned = false
  self.inbox:drop(part.topic, part.partition)
  return nil, errors.from(raw, { op = "assign", topic = part.topic, partition = part.partition })
end

-- Lets a partition that is being read go on elsewhere.
local function move(self, part)
  if not self.eager then
    stop(self, part)
    return start(self, part)
  end
  self.inbox:rewind(part.topic, part.partition, part.start >= 0 and part.start or nil)
  local ok, raw = assign_all(self)
  -- Again, now that all that was fetched before is out of date.
  self.inbox:rewind(part.topic, part.partition, part.start >= 0 and part.start or nil)
  if ok then return true end
  return nil, errors.from(raw, { op = "assign", topic = part.topic, partition = part.partition })
end

-- Makes true what is said of a partition.
local function apply(self, part)
  if self.frozen then
    part.due = true
    return true
  end
  part.due = nil
  local wanted = part.taken and not part.paused and not part.stopped and not part.asking
  if wanted then return (part.assigned and move or start)(self, part) end
  stop(self, part)
  return true
end

---The next offset that the inbox will give, or nil where it is not known yet.
function Assignment:position(part)
  local at = part.assigned and not part.due and self.inbox:position(part.topic, part.partition)
  if not at and part.start >= 0 then at = part.start end
  return at or nil
end

---Whether the end of the partition was reached; how often it was since the partition was taken up.
---@return boolean
---@return integer
function Assignment:at_end(part)
  if not part.assigned or part.due then return false, 0 end
  local _, eof, ends = self.inbox:position(part.topic, part.partition)
  return eof, ends
end

---Goes on at `offset`.
---@param offset integer or librdkafka's number of a named position
function Assignment:seek(part, offset)
  part.start, part.base = offset, offset
  part.stopped, part.told, part.asking = nil, nil, nil
  return apply(self, part)
end

---Goes on where it stands, anew.
---@return true|nil
---@return kafka.Error|nil
function Assignment:renew(part)
  part.start = self:position(part) or part.start
  part.stopped = nil
  return apply(self, part)
end

---@param at integer|nil where it goes on later; nil: where it stands
function Assignment:pause(part, at)
  if part.paused then return end
  part.start = at or self:position(part) or part.start
  part.paused = true
  apply(self, part)
end

function Assignment:resume(part)
  if not part.paused then return true end
  part.paused = false
  return apply(self, part)
end

---Stops one until it is known where to go on, and it is sought.
function Assignment:hold(part)
  part.start, part.base, part.asking = STORED, STORED, true
  apply(self, part)
end

---Stops one whose offset does not exist, until it is sought.
function Assignment:halt(part)
  part.stopped = true
  apply(self, part)
end

---From now on nothing changes but by take_up, give_back and clear; the rest waits for thaw.
function Assignment:freeze() self.frozen = true end

---@return true|nil
---@return kafka.Error|nil the first of what could not be done
function Assignment:thaw()
  self.frozen = false
  local problem
  for _, part in ipairs(self.list) do
    if part.due then
      local ok, err = apply(self, part)
      problem = problem or not ok and err or nil
    end
  end
  if problem then return nil, problem end
  return true
end

---Next messages of all of them; never waits.
---@return table|nil batch {messages or columns, n, bytes, next}
---@return table|nil raw error, with topic and partition
function Assignment:take(max_bytes, max_messages, columns)
  return self.inbox:take(max_bytes, max_messages, columns)
end

return { open = open }

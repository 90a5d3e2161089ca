-- What a consumer or a reader has fetched and not handed to its caller, and how far the caller has come. Pure: knows no client.
--
-- It is known by the messages themselves, which the caller has: one that was changed so that it says no more where it was counts
-- as not handled, so it may come again.
--
-- A message counts as handled when the caller asks for the next one, a batch likewise: so neither a crash nor a break nor an
-- error skips what was in hand. When all that was fetched is handled, its positions count too: they also pass what holds no
-- message, such as the markers of a transaction.

local Backlog = {}
Backlog.__index = Backlog

local NOTHING = {}

local function open()
  return setmetatable({
    messages = {}, -- [1 .. done] are handled, [done + 1 .. at] in the caller's hand, [at + 1 .. n] left
    done = 0,
    at = 0,
    n = 0,
    whole = false, -- all of it is in the caller's hand
    count = 0, -- how many times something was handed out
    moved = {}, -- rows {topic, partition, offset}: where each partition stands when all is handled
  }, Backlog)
end

---Takes over what was fetched; only where nothing is left and all is settled. Needs no memory.
---@param messages kafka.Message[]|nil nil: the caller has all of it, as one batch
---@param moved table[] rows
function Backlog:put(messages, moved)
  self.messages, self.done, self.at, self.n = messages or NOTHING, 0, 0, messages and #messages or 0
  self.whole, self.moved = not messages, moved
  if not messages then self.count = self.count + 1 end
end

---The next message, or nil.
function Backlog:next()
  local at = self.at + 1
  if at > self.n then return nil end
  self.at, self.count = at, self.count + 1
  return self.messages[at]
end

-- Rows: where each partition stands behind messages [first .. last].
local function behind(messages, first, last)
  local rows, seen = {}, {}
  for i = last, first, -1 do
    local m = messages[i]
    local topic, partition, offset = m.topic, m.partition, m.offset
    if topic ~= nil and partition ~= nil and math.type(offset) == "integer" then
      local of = seen[topic]
      if not of then
        of = {}
        seen[topic] = of
      end
      if not of[partition] then
        of[partition] = true
        rows[#rows + 1] = { topic = topic, partition = partition, offset = offset + 1 }
      end
    end
  end
  return rows
end

local function size(m) return #(m.key or "") + #(m.value or "") end

---What is left, as a list: one message at least, and none past max_bytes after the first.
---@param list table|nil takes the messages (default: a new one)
---@return kafka.Message[]
---@return table[] rows: where the partitions stand when these are handled
---@return integer bytes
function Backlog:rest(max, max_bytes, list)
  local messages, first, last, bytes = self.messages, self.at + 1, self.at, 0
  while last < self.n and last - first + 1 < max do
    local more = size(messages[last + 1])
    if last >= first and bytes + more > max_bytes then break end
    last, bytes = last + 1, bytes + more
  end
  list = table.move(messages, first, last, 1, list or {})
  local rows = last == self.n and self.moved or behind(messages, first, last)
  self.at, self.count = last, self.count + 1 -- where memory ran out before, nothing is handed out
  return list, rows, bytes
end

function Backlog:is_empty() return self.at >= self.n end

---The caller asks for more: what it holds is handled.
function Backlog:ask()
  self.done, self.whole = self.at, false
end

---Whether the caller is done with all that was fetched.
function Backlog:is_handled() return self.done >= self.n and not self.whole end

---Rows of the partitions of which something is handled: the next offset. Asking again does no harm.
function Backlog:handled()
  if self:is_handled() then return self.moved end
  return behind(self.messages, 1, self.done)
end

local function other(row, topic, partition) return partition and row.partition ~= partition or row.topic ~= topic end

-- Keeps the messages of which keep(message, index) is true.
local function filter(self, keep)
  local kept, done, at = {}, 0, 0
  for i = 1, self.n do
    local m = self.messages[i]
    if keep(m, i) then
      kept[#kept + 1] = m
      if i <= self.done then done = #kept end
      if i <= self.at then at = #kept end
    end
  end
  self.messages, self.done, self.at, self.n = kept, done, at, #kept
end

---Forgets a partition, or all of a topic: what is left of it, what of it is in hand, and how far it had come.
---@param partition integer|nil
function Backlog:drop(topic, partition)
  filter(self, function(m) return other(m, topic, partition) end)
  local moved = {}
  for _, row in ipairs(self.moved) do
    if other(row, topic, partition) then moved[#moved + 1] = row end
  end
  self.moved = moved
end

---Forgets what is left of a partition and was not handed out.
function Backlog:leave(topic, partition)
  if not self:first(topic, partition) then return end
  local at = self.at
  filter(self, function(m, i) return i <= at or other(m, topic, partition) end)
  local moved, last = {}, nil
  for i = 1, self.at do
    if not other(self.messages[i], topic, partition) then last = self.messages[i] end
  end
  for _, row in ipairs(self.moved) do
    if other(row, topic, partition) then
      moved[#moved + 1] = row
    elseif last then
      moved[#moved + 1] = { topic = topic, partition = partition, offset = last.offset + 1 }
    end
  end
  self.moved = moved
end

---The offset of the first message of a partition that was not handed out, or nil.
function Backlog:first(topic, partition)
  for i = self.at + 1, self.n do
    local m = self.messages[i]
    if not other(m, topic, partition) then return m.offset end
  end
end

return { open = open }

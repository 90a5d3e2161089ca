-- What a consumer has fetched and not handed to its caller yet, and how far the caller has come. Pure: knows no client.
--
-- A message counts as handled when the caller asks for the next one, a batch likewise: so neither a crash nor a break nor an
-- error skips what was in hand. When all that was fetched is handled, its positions count too: they also pass what holds no
-- message, such as the markers of a transaction.

local Backlog = {}
Backlog.__index = Backlog

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

---Takes over what was fetched; only where nothing is left and all is settled.
---@param messages kafka.Message[]|nil nil: the caller has all of it, as one batch
---@param moved table[] rows
function Backlog:put(messages, moved)
  self.messages, self.done, self.at, self.n = messages or {}, 0, 0, messages and #messages or 0
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

---All that is left at once, as a list.
function Backlog:rest()
  local list = table.move(self.messages, self.at + 1, self.n, 1, {})
  self.at, self.count = self.n, self.count + 1
  return list
end

function Backlog:is_empty() return self.at >= self.n end

---The caller asks for more: what it holds is handled.
function Backlog:ask()
  self.done, self.whole = self.at, false
end

---Calls f(topic, partition, offset) for each partition of which something is handled: the next offset. Repeating it does no
---harm.
function Backlog:handled(f)
  if self.done >= self.n and not self.whole then
    for _, row in ipairs(self.moved) do f(row.topic, row.partition, row.offset) end
    return
  end
  local messages, seen = self.messages, {}
  for i = self.done, 1, -1 do
    local m = messages[i]
    local key = m.topic .. "\0" .. m.partition
    if not seen[key] then
      seen[key] = true
      f(m.topic, m.partition, m.offset + 1)
    end
  end
end

---Calls f(topic, partition, offset) for each partition of which something was handed out, what is in hand included.
function Backlog:handed(f)
  local done, whole = self.done, self.whole
  self.done, self.whole = self.at, false
  self:handled(f)
  self.done, self.whole = done, whole
end

local function other(row, topic, partition) return row.partition ~= partition or row.topic ~= topic end

---Forgets a partition: what is left of it, what of it is in hand, and how far it had come.
function Backlog:drop(topic, partition)
  local kept, done, at = {}, 0, 0
  for i = 1, self.n do
    local m = self.messages[i]
    if other(m, topic, partition) then
      kept[#kept + 1] = m
      if i <= self.done then done = #kept end
      if i <= self.at then at = #kept end
    end
  end
  local moved = {}
  for _, row in ipairs(self.moved) do
    if other(row, topic, partition) then moved[#moved + 1] = row end
  end
  self.messages, self.done, self.at, self.n, self.moved = kept, done, at, #kept, moved
end

---The offset of the first message of a partition that was not handed out, or nil.
function Backlog:first(topic, partition)
  for i = self.at + 1, self.n do
    local m = self.messages[i]
    if not other(m, topic, partition) then return m.offset end
  end
end

return { open = open }

-- How a reader hands messages out: one at a time, by batches, in loops; and that what was handed out counts as handled once more
-- is asked for. What is due beside that, and what an error means, is its policy: the functions `tend`, `understand` and
-- `is_waiting` of the object.

local core = require "kafka.core"
local args = require "kafka.args"
local Batch = require("kafka.message").Batch

local now = core.now

local handing = {}

local SLICE = 0.1 -- seconds: the longest wait between two looks at what is due

---What was handed out is handled: the caller asks for more.
function handing.settle(self)
  local hand = self.hand
  if not hand then return end
  self.hand = nil
  if hand ~= self.held then -- a message, or a part of what is held
    local part = not hand.n and self.parts:find(hand.topic, hand.partition)
    if part then part.next = hand.offset + 1 end
    if hand.n then self.parts:handled(hand.next) end
    if self.at < self.held.n then return end
  end
  self.parts:handled(self.held.next) -- the ends of transactions behind its messages too
  self.held = nil
end

---Drops what was fetched of a partition, or of all partitions of a topic, and not handed out.
---@param partition integer|nil
function handing.drop(self, topic, partition)
  local rest = self.held
  if not rest or rest.topic ~= topic then return end
  local left = { n = 0, bytes = 0, next = {}, topic = topic }
  local function stays(row) return partition and row.partition ~= partition end
  for i = self.at + 1, rest.n do
    if stays(rest[i]) then
      left.n = left.n + 1
      left[left.n] = rest[i]
    end
  end
  for _, row in ipairs(rest.next) do
    if stays(row) then table.insert(left.next, row) end
  end
  self.held, self.at = setmetatable(left, Batch), 0
  if left.n > 0 then return end
  self.parts:handled(left.next)
  self.held = nil
end

-- The next batch that is there, from each reading in turn.
local function fetch(self, o)
  local readings = self.parts.readings
  local n = #readings
  for i = 1, n do
    local at = (self.turn + i) % n
    local reading = readings[at + 1]
    local batch, err = reading.all:fetch(o)
    if self.closed then return nil end -- by a handler, or another coroutine
    if batch then
      reading.eof = batch.eof
      if batch.n > 0 then
        self.turn = at
        self.parts:remember(batch, now())
        return batch
      end
      self.parts:handled(batch.next) -- only the ends of transactions
    else
      err = self.understand(self, reading, err)
      if err then return nil, err end
    end
  end
end

local function stopped(self)
  local trouble = self.trouble
  self.trouble = nil
  if trouble then return trouble end
  for _, part in ipairs(self.parts.list) do
    if part.stopped then return part.stopped end
  end
end

-- What is due, at most each 0.1 s: it may drop messages that are held.
local function tend(self)
  self.tended = now()
  self.tend(self)
end

local function refill(self, o, deadline)
  while not self.closed do
    tend(self)
    if self.closed then break end
    local batch, err = nil, stopped(self)
    if not err then batch, err = fetch(self, o) end
    if batch or err then return batch, err end
    local left = deadline - now()
    if left <= 0 or self.stopping or self.closed then break end
    self.k:wait(math.min(left, SLICE))
  end
end

local function one(self, seconds)
  handing.settle(self)
  if self.held and now() - self.tended >= SLICE then tend(self) end
  if not self.held then
    local batch, err = refill(self, self.fetch_options, now() + seconds)
    if not batch or self.closed then return nil, err end
    self.held, self.at = batch, 0
  end
  if self.closed then return nil end
  self.at = self.at + 1
  self.hand = self.held[self.at]
  return self.hand
end

-- What poll has left of a batch, as one, within the caller's limits; `at` is then its last message in the one that is held.
local function rest_of(self, o)
  local held, most, most_bytes = self.held, o.max or math.huge, o.max_bytes or math.huge
  local rest, behind = { n = 0, bytes = 0, next = {}, topic = held.topic, eof = held.eof }, {}
  for i = self.at + 1, held.n do
    local m = held[i]
    local bytes = #(m.key or "") + #(m.value or "")
    if rest.n > 0 and (rest.n == most or rest.bytes + bytes > most_bytes) then break end
    rest.n, rest.bytes = rest.n + 1, rest.bytes + bytes
    rest[rest.n], behind[m.partition] = m, m.offset + 1
  end
  self.at = self.at + rest.n
  if self.at == held.n then
    rest.next = held.next
    return setmetatable(rest, Batch), true
  end
  for partition, offset in pairs(behind) do
    rest.next[#rest.next + 1] = { topic = held.topic, partition = partition, offset = offset }
  end
  return setmetatable(rest, Batch), false
end

local function many(self, seconds, o)
  handing.settle(self)
  if self.held then
    local rest, whole = rest_of(self, o)
    self.hand = rest
    if whole then self.held, self.at = rest, rest.n end
    return rest
  end
  local batch, err = refill(self, { timeout = 0, max_messages = o.max, max_bytes = o.max_bytes }, now() + seconds)
  if not batch or self.closed then return nil, err end
  self.held, self.hand, self.at = batch, batch, batch.n
  return batch
end

local function leave(self, ok, ...)
  self.asker = nil
  if not ok then error((...), 0) end
  return ...
end

-- One caller at a time, and no handler: the message in hand would count as handled. A coroutine that was closed while it waited
-- asks no more.
local function alone(self, op, f, ...)
  if self.asker and coroutine.status(self.asker) ~= "dead" then
    args.misuse(op, "another call of this reader is under way: handlers and other coroutines may not ask")
  end
  self.asker = coroutine.running()
  return leave(self, pcall(f, self, ...))
end

---@param seconds number
---@return kafka.Message|nil
---@return kafka.Error|nil
function handing.message(self, op, seconds)
  self.stopping = false
  local held, at = self.held, self.at
  if held and at < held.n and not self.asker and now() - self.tended < SLICE then -- the shortest way: nothing else is due
    handing.settle(self)
    self.at, self.hand = at + 1, held[at + 1]
    return self.hand
  end
  return alone(self, op, one, seconds)
end

---@param seconds number
---@param o table {max, max_bytes}
---@return kafka.Batch|nil
---@return kafka.Error|nil
function handing.batch(self, op, seconds, o)
  self.stopping = false
  return alone(self, op, many, seconds, o)
end

-- Loops --------------------------------------------------------------------------------------------------------------

-- Whether all that is known of was read: nothing is in doubt, and each partition was at its end.
local function at_end(self)
  for _, part in ipairs(self.parts.list) do
    if part.lost or part.suspect then return false end
  end
  for _, reading in ipairs(self.parts.readings) do
    if not reading.eof then return false end
  end
  return not self.is_waiting(self)
end

---A loop over what get(seconds) gives.
---@param o table {idle, to_end}
function handing.loop(self, op, o, get)
  self.stopping = false
  for _, reading in ipairs(self.parts.readings) do reading.eof = false end
  local last = now()
  return function()
    while not (self.stopping or self.closed) do
      local left = o.idle and last + o.idle - now() or math.huge
      local value, err = get(o.to_end and math.min(left, SLICE) or left)
      if err then error(err, 0) end
      if value then
        last = now()
        return value
      end
      if left <= 0 or o.to_end and not self.closed and at_end(self) then break end
    end
    if not self.closed then alone(self, op, handing.settle) end
    return nil
  end
end

return handing

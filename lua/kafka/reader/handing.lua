-- How a reader hands messages out: one at a time, by batches, in loops; and that what was handed out counts as handled once more
-- is asked for. What is due beside that, and what an error means, is its policy: the functions `tend`, `understand` and
-- `is_waiting` of the object.

local core = require "kafka.core"
local args = require "kafka.args"
local Batch = require("kafka.message").Batch

local now = core.now

local handing = {}

local SLICE = 0.1 -- seconds: the longest wait between two looks at what is due

---Lets the partitions know what is handled of that which was fetched.
function handing.sync(self)
  if not self.source then return end
  self.parts:handled(self.backlog:handled())
  if not self.backlog:is_handled() then return end
  self.source = nil
  self.backlog:put({}, {})
end

---What was handed out is handled: the caller asks for more.
function handing.settle(self)
  self.backlog:ask()
  handing.sync(self)
end

---Forgets what was fetched of a partition, or of all partitions of a topic; what of it was handled counts.
---@param partition integer|nil
function handing.drop(self, topic, partition)
  handing.sync(self)
  self.backlog:drop(topic, partition)
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
        return batch, reading
      end
      self.parts:handled(batch.next) -- only the ends of transactions
    else
      err = self.understand(self, reading, err)
      if self.closed then return nil end
      if err then return nil, err end
    end
  end
end

-- An error that was noted while nobody asked.
local function trouble(self)
  local err = self.trouble
  self.trouble = nil
  return err
end

local function stopped(self)
  for _, part in ipairs(self.parts.list) do
    if part.stopped then return part.stopped end
  end
end

-- What is due, at most each 0.1 s: it may drop what was fetched.
local function tend(self)
  self.tended = now()
  handing.sync(self)
  self.tend(self)
end

-- Keeps what was fetched. First of all, since where memory runs out or Ctrl-C comes it must not be lost.
local function keep(self, batch, reading)
  self.source = reading
  self.backlog:put(batch, batch.next)
  self.parts:remember(batch, now())
end

-- Whether there is something to hand out: what was fetched earlier, after what is due; or a batch is fetched, kept and returned.
local function refill(self, o, deadline)
  if not self.backlog:is_empty() then
    if now() - self.tended >= SLICE then tend(self) end
    local err = trouble(self)
    if err or self.closed then return false, err end
    if not self.backlog:is_empty() then return true end
  end
  while not self.closed do
    tend(self)
    if self.closed then break end
    local batch, second = nil, trouble(self) or stopped(self)
    if not second then batch, second = fetch(self, o) end
    if batch then
      keep(self, batch, second)
      return batch
    end
    if second then return false, second end
    local left = deadline - now()
    if left <= 0 or self.stopping or self.closed then break end
    self.k:wait(math.min(left, SLICE))
  end
  return false
end

local function one(self, seconds)
  self.backlog:ask()
  local there, err = refill(self, self.fetch_options, now() + seconds)
  if not there or self.closed then return nil, err end
  return self.backlog:next()
end

local function many(self, seconds, o)
  self.backlog:ask()
  local there, err = refill(self, { timeout = 0, max_messages = o.max, max_bytes = o.max_bytes }, now() + seconds)
  if not there or self.closed then return nil, err end
  if there ~= true then
    self.backlog:put(nil, there.next) -- the caller's, whole
    return there
  end
  local batch = setmetatable({ n = 0, bytes = 0, next = nil, topic = self.source.topic, eof = false }, Batch)
  local list, rows, bytes = self.backlog:rest(o.max or math.huge, o.max_bytes or math.huge, batch)
  batch.n, batch.bytes, batch.next = #list, bytes, rows
  batch.eof = self.backlog:is_empty() and self.source.eof
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
  local backlog = self.backlog
  if not self.asker and not backlog:is_empty() and now() - self.tended < SLICE then -- the shortest way: nothing else is due
    backlog:ask()
    return backlog:next()
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

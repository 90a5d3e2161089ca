-- Some partitions of one client read through one inbox: start, fetch by bytes, position, seek, pause. What `partition` and
-- `partitions` have in common. Knows requests to the cluster only through the client that made it.
--
-- Seek, pause and recovery from an offset out of range are all one step: the partition is unassigned, what is held of it
-- dropped, and it is assigned anew at our own position. librdkafka's position and pause count what it has prefetched.

local core = require "kafka.core"
local args = require "kafka.args"
local denial = require "kafka.denial"
local errors = require "kafka.error"
local message = require "kafka.message"
local show = require "kafka.show"
local ends = require("kafka.start").ends

local now = core.now

local next_rows = show.list { "topic", "partition", "offset" }

local Feed = {}
Feed.__index = Feed

local MAX_BYTES = 1 << 20 -- of a fetch, where nothing is said
local MANY = 1000000 -- messages of a fetch at most
local DEFAULT_TIMEOUT = 10 -- seconds
local ENDS_TIME = 0.5 -- seconds that the look-up of the ends may take beyond a fetch's own

local fetch_options = {
  max_bytes = args.integer(0, math.maxinteger),
  max_messages = args.integer(1, MANY),
  timeout = args.seconds,
  columns = args.table, -- checked in full by message.columns
}

---@param client table the kafka.connect object: `serve` and `watermarks`
---@param h table one of its handles
local function open(client, h, topic)
  return setmetatable({
    client = client,
    handle = h,
    topic = topic,
    inbox = h.core:inbox(),
    parts = {}, -- partition -> {start, paused, stopped}
    untold = {}, -- partition -> the error it has stopped with, until that is returned
    heard = now(), -- when something last came
    suspect = false, -- the topic was denied when last asked; see denial.lua
    denied = false, -- some partition was
    closed = false,
  }, Feed)
end

local function row(self, partition, offset)
  return { { topic = self.topic, partition = partition, offset = offset } }
end

-- Takes the partition up at `offset`: an integer, or librdkafka's number of a named position.
local function assign(self, partition, offset)
  self.inbox:drop(self.topic, partition) -- what a call that ran out of memory may have left
  self.inbox:open(self.topic, partition, offset >= 0 and offset or nil)
  local ok, raw = self.handle.core:add(row(self, partition, offset))
  if ok then return true end
  self.inbox:drop(self.topic, partition)
  return nil, errors.from(raw, { op = "assign", topic = self.topic, partition = partition })
end

local function unassign(self, partition)
  self.handle.core:remove(row(self, partition))
  self.inbox:drop(self.topic, partition)
end

-- Assigns a partition that is known and not assigned.
local function take_up(self, partition, offset)
  local ok, err = assign(self, partition, offset)
  self.parts[partition].assigned = ok or false
  if not ok then return nil, err end
  return true
end

---Adds a partition that is read from `start` on.
function Feed:add(partition, start)
  -- Known first, so that close gives back what an error half way leaves.
  self.parts[partition] = { start = start, assigned = true, place = { topic = self.topic, partition = partition } }
  self.handle.taken[self.topic .. "\0" .. partition] = true
  return take_up(self, partition, start)
end

---The next offset to be handed out, or the number of the named position it starts from.
function Feed:position(partition)
  local part = self.parts[partition]
  if not part.assigned then return part.start end
  return self.inbox:position(self.topic, partition) or part.start
end

-- Reads no more of a partition until it is taken up: at the position where it stands.
local function give_up(self, partition)
  local part = self.parts[partition]
  part.start = self:position(partition)
  if part.assigned then unassign(self, partition) end
  part.assigned = false
end

-- Another coroutine may have closed this feed while the caller waited.
local function closed_meanwhile(self, op)
  return errors.new { name = "_DESTROY", op = op, topic = self.topic, message = "it was closed meanwhile" }
end

---Goes on at `offset` with the next fetch.
function Feed:seek(partition, offset)
  if self.closed then return nil, closed_meanwhile(self, "seek") end
  local part = self.parts[partition]
  if part.assigned then unassign(self, partition) end
  part.start, part.stopped, part.assigned = offset, nil, false
  self.untold[partition] = nil
  if part.paused then return true end
  return take_up(self, partition, offset)
end

function Feed:pause(partition)
  local part = self.parts[partition]
  if part.paused then return true end
  give_up(self, partition)
  part.paused = true
  return true
end

function Feed:resume(partition)
  local part = self.parts[partition]
  if not part.paused then return true end
  part.paused = false
  if part.stopped then return true end
  return take_up(self, partition, part.start)
end

-- Errors of a partition ----------------------------------------------------------------------------------------------

-- Stops the partition at an offset that does not exist. At once: a seek by another coroutine must not be undone later.
local function out_of_range(self, raw, partition)
  local part = self.parts[partition]
  local asked = raw.offset or self:position(partition)
  part.stopped = errors.from(raw, { op = "fetch", topic = self.topic, partition = partition, offset = asked,
    name = "OFFSET_OUT_OF_RANGE", code = 1, message = ("offset %d does not exist; seek to one that does"):format(asked) })
  self.untold[partition] = part.stopped
  unassign(self, partition)
  part.start, part.assigned = asked, false
  return part.stopped
end

-- Says between which ends the partition's offsets lie, where they can be had. True where the offset is one of them: a broker that
-- was paused, and is not the leader any more, knows for a moment less than was read from the new one. True too for the first
-- there is, which librdkafka could not look up while the leader was just coming to be.
local function name_ends(self, err, seconds)
  if err.earliest then return end
  local earliest, latest = self.client:watermarks(self.topic, err.partition, math.max(seconds, ENDS_TIME))
  if err.offset < 0 then
    err.offset = earliest or err.offset
    return true
  end
  if not earliest then return end
  if earliest <= err.offset and err.offset <= latest then return true end
  err.earliest, err.latest = earliest, latest
  err.message = ("offset %d does not exist: %s; seek to one that does"):format(err.offset, ends(earliest, latest))
end

-- An error that the inbox gave: the object to return, or nil where it is out of date.
local function understand(self, raw)
  local part = self.parts[raw.partition]
  if not part then return nil end
  if raw.name == "_AUTO_OFFSET_RESET" then
    local at = self.inbox:position(self.topic, raw.partition)
    if not raw.offset or not at or raw.offset == at then return out_of_range(self, raw, raw.partition) end
    -- Not of our position: librdkafka was ahead of it, behind what holds no message (markers of transactions, what compaction
    -- took), and fetches no more; or this is of before a seek, which does no harm twice. The broker is to answer for our own.
    local _, err = self:seek(raw.partition, at)
    return err
  end
  local err = errors.from(raw, { op = "fetch", topic = self.topic, partition = raw.partition, cause = self.handle:cause(),
    user = self.handle.facts.user })
  if denial.note(self, err) then give_up(self, raw.partition) end -- librdkafka will not repeat it
  return err
end

-- Fetch --------------------------------------------------------------------------------------------------------------

---Whether every partition that is read stands at its end.
local function at_end(self)
  local any = false
  for partition, part in pairs(self.parts) do
    if not part.paused and not part.stopped then
      any = true
      local _, eof = self.inbox:position(self.topic, partition)
      if not eof then return false end
    end
  end
  return any
end

-- Waits for messages or an error, at most to the deadline.
local function wait(self, o, deadline)
  local batch, err
  self.handle:await(function()
    if self.closed then return true end
    local raw
    batch, raw = self.inbox:take(o.max_bytes or MAX_BYTES, o.max_messages or MANY, o.columns)
    if raw then err = understand(self, raw) end
    local some = batch and batch.n > 0
    if raw or some or at_end(self) then
      denial.heard(self)
    else
      denial.ask(self)
      err = err or self.no
    end
    return err or some
  end, deadline)
  return batch, err
end

-- The error of a partition that has stopped. A single one has nothing else to give. Of several each is told once, since the
-- others go on; by the next fetch where the one that met it was left by an error of a handler, or by Ctrl-C.
local function stopped(self, only)
  if only then return self.parts[only].stopped end
  local _, err = next(self.untold)
  return err
end

-- What there is to return: what a partition has stopped with, else what comes.
local function look(self, o, deadline, only)
  local err = stopped(self, only)
  if err then return nil, err end
  return wait(self, o, deadline)
end

-- Whether a partition that has stopped goes on: its offset exists; or while that was asked a handler, or another coroutine, has
-- sought elsewhere.
local function goes_on(self, err, seconds)
  local part = self.parts[err.partition]
  local exists = name_ends(self, err, seconds)
  if self.closed or part.stopped ~= err then return true end
  return exists and self:seek(err.partition, err.offset)
end

---One fetch: waits until there is a message, then takes what is there up to `max_bytes`.
---@param options table|nil
---@param only integer|nil the partition, where there is just one
---@return kafka.Batch|nil
---@return kafka.Error|nil
function Feed:fetch(options, only)
  local o = args.fields("fetch", options, fetch_options)
  o.columns = message.columns("fetch", o.columns)
  self.client:serve()
  local batch, err
  for _, partition in ipairs(denial.given_up(self)) do take_up(self, partition, self.parts[partition].start) end
  self.no = nil
  local deadline = now() + (o.timeout or DEFAULT_TIMEOUT)
  repeat
    batch, err = look(self, o, deadline, only)
  until not (err and err.name == "OFFSET_OUT_OF_RANGE" and goes_on(self, err, deadline - now())) or self.closed
  if err and not self.closed then
    if self.untold[err.partition] == err then self.untold[err.partition] = nil end
    return nil, err
  end
  if self.closed or self.handle.closed then return nil, closed_meanwhile(self, "fetch") end
  if not batch then batch = { n = 0, bytes = 0, next = {} } end
  err = denial.last(self, batch.n == 0)
  if err then return nil, err end
  batch.place = only and self.parts[only].place
  -- Columns that were asked for stand before what is the same for the whole batch.
  batch.topic, batch.partition = batch.topic or self.topic, batch.partition or only
  batch.eof = at_end(self)
  if batch.n == 0 then
    -- Why there may be nothing: without a broker the end that was seen says nothing any more.
    batch.eof = batch.eof and not self.handle:cause(o.timeout or DEFAULT_TIMEOUT)
    batch.cause = self.handle:reason(o.timeout or DEFAULT_TIMEOUT)
  end
  if only then
    local at = self:position(only)
    batch.next = at >= 0 and at or nil
  else
    batch.next = next_rows(batch.next)
  end
  return setmetatable(batch, message.Batch)
end

function Feed:close()
  if self.closed then return true end
  self.closed = true
  if self.handle.closed or self.handle.core:forked() then return true end
  for partition, part in pairs(self.parts) do
    if part.assigned then self.handle.core:remove(row(self, partition)) end
    self.handle.taken[self.topic .. "\0" .. partition] = nil
  end
  self.inbox:close()
  return true
end

-- A partition that was never closed: without this librdkafka would go on fetching for nobody.
function Feed:__gc()
  if debug.getmetatable(self) == Feed then pcall(self.close, self) end
end

return { open = open }

-- How a consumer hands out messages: one, a batch, or a loop of either. What happens between two of them - the group's
-- handlers, commits, ends of partitions - happens here, on the caller's own stack.

local core = require "kafka.core"
local args = require "kafka.args"
local denial = require "kafka.denial"
local errors = require "kafka.error"
local reset = require "kafka.reset"
local message = require "kafka.message"
local show = require "kafka.show"

local now = core.now

local polling = {}

local AHEAD = 500 -- messages taken over at once for poll and messages
local MAX_BYTES = 1 << 20 -- of a batch, where nothing is said
local MAX = 1000 -- messages of a batch, where nothing is said
local BATCH_TIME = 10 -- seconds that a batch waits where nothing is said
local END_LOOK = 0.1 -- seconds between two looks of a loop that ends at the end

-- One caller at a time -----------------------------------------------------------------------------------------------

---Refuses a call that would hand out messages while another one is at it: what that one holds would count as handled.
function polling.check_alone(c, op)
  local co = c.poller
  if co and coroutine.status(co) == "dead" then
    c.poller = nil -- it was closed while it waited
  elseif co and co ~= coroutine.running() then
    args.misuse(op, "another coroutine waits for messages of this consumer")
  elseif co or c.membership.busy then
    args.misuse(op, "cannot be called from a handler of the same consumer")
  end
end

local function leave(c, ok, ...)
  c.poller = nil
  if not ok then error((...), 0) end
  return ...
end

-- Runs f(...), in which handlers may run and other coroutines come in.
local function alone(c, f, ...)
  c.poller = coroutine.running()
  return leave(c, pcall(f, ...))
end

-- Between polls ------------------------------------------------------------------------------------------------------

---Notes as stored what counts as handled.
function polling.settle(c)
  if not c.auto_store then return end
  for _, row in ipairs(c.backlog:handled()) do c.commits:store(row.topic, row.partition, row.offset) end
end

-- What has come, the group's wishes, commits that are due.
local function serve(c)
  c.handle:dispatch()
  if c.membership.queue[1] then
    polling.settle(c)
    c.membership:serve()
  end
  if not c.closed and c.commits:is_due() then
    polling.settle(c)
    c.commits:serve()
  end
  if not c.closed and c.doubts[1] then reset.serve(c) end
end

local eof_row = show.row { "topic", "partition", "offset" }

-- All that was fetched is handed out: tells the ends that were reached.
local function tell_ends(c)
  for _, row in ipairs(c.backlog.moved) do
    local part = c.parts:find(row.topic, row.partition)
    if part and part.told ~= row.offset and c.parts:at_end(part) then
      part.told = row.offset
      if c.on_eof then c.on_eof(eof_row { topic = row.topic, partition = row.partition, offset = row.offset }, c) end
      if c.closed then return end -- by the handler
    end
  end
end

-- All that was fetched is handled.
local function finish(c)
  if not c.backlog.moved[1] then return end
  tell_ends(c)
  if c.closed then return end
  polling.settle(c)
  c.backlog:put({}, {})
end

-- An error of a partition: the object, or nil where it is out of date or was dealt with.
local function understand(c, raw)
  local part = c.parts:find(raw.topic or "", raw.partition or -1)
  if not part then return nil end
  if raw.name == "_AUTO_OFFSET_RESET" then return reset.apply(c, part, raw) end
  local err = errors.from(raw, { op = "poll", topic = raw.topic, partition = raw.partition, cause = c.handle:cause(),
    user = c.handle.facts.user })
  denial.remember(c, part, err)
  return err
end

-- Fetches what librdkafka has, where nothing is left of what was fetched before.
---@param whole boolean the caller gets all of it at once
---@return table|nil what the core gave
---@return kafka.Error|nil
local function refill(c, max, max_bytes, columns, whole)
  finish(c)
  if c.closed then return nil end
  local batch, raw = c.parts:take(max_bytes, max, columns)
  if not batch then return nil, understand(c, raw) end
  if batch.n > 0 then
    denial.forget(c, batch.next)
    c.backlog:put(not whole and batch or nil, batch.next)
    return batch
  end
  c.backlog:put({}, batch.next)
  finish(c)
  return nil
end

-- One look for a message: nil where there is none now.
local function step(c)
  local m = c.backlog:next()
  if m then return m end
  local batch, err = refill(c, AHEAD, MAX_BYTES, nil, false)
  if not batch then return nil, err end
  return c.backlog:next()
end

-- An error event that nobody but the caller can mend: a group or a topic that is forbidden, say.
local function trouble(c)
  local err = c.handle.fatal or c.trouble
  c.trouble = nil
  return err
end

-- Serves until look(c) gives a value or an error, or the deadline passes.
local function wait(c, deadline, look)
  local value, err
  c.handle:await(function()
    c.handle.core:pulse()
    serve(c)
    if c.stopping or c.closed then return true end
    value, err = look(c)
    if not value and not err then err = trouble(c) or not c.closed and denial.watch(c) or nil end
    return value or err or c.closed
  end, deadline)
  return value, err
end

-- A look at what has come, where there may be something; then as `wait`.
local function ask(c, deadline, look)
  if c.handle.core:pulse() then serve(c) end
  if c.closed then return nil end
  local value, err = look(c)
  if not (value or err or c.closed) then value, err = wait(c, deadline, look) end
  if err then return nil, err end
  return value
end

-- One message or a batch ---------------------------------------------------------------------------------------------

---@param seconds number
---@return kafka.Message|nil
---@return kafka.Error|nil
function polling.poll(c, seconds)
  local backlog = c.backlog
  backlog:ask()
  c.stopping = false
  if not backlog:is_empty() and not c.handle.core:pulse() then return backlog:next() end
  return alone(c, ask, c, now() + seconds, step)
end

local batch_options = {
  max = args.integer(1, 1000000),
  max_bytes = args.integer(0, math.maxinteger),
  timeout = args.seconds,
  columns = args.table, -- checked in full by its own function
}
-- Checked copies of the options.
local function batch_fields(op, options, schema)
  local o = args.fields(op, options, schema)
  o.columns = message.columns(op, o.columns)
  return o
end

-- Messages that poll has left, as a batch of the wished form.
local function from_rest(c, max, max_bytes, names)
  local list, after, bytes = c.backlog:rest(max, max_bytes)
  local batch = names and {} or list
  for _, name in ipairs(names or {}) do
    batch[name] = {}
    for i, m in ipairs(list) do batch[name][i] = m[name] end
  end
  batch.n, batch.bytes, batch.next = #list, bytes, after
  return batch
end

local function is_at_end(c)
  local any = false
  for _, part in ipairs(c.parts.list) do
    if part.doubt then return false end
    if not part.paused and not part.stopped then
      any = true
      if not c.parts:at_end(part) then return false end
    end
  end
  return any and c.backlog:is_empty()
end

-- A batch by checked options.
local function batch(c, o, seconds)
  local max, max_bytes = o.max or MAX, o.max_bytes or MAX_BYTES
  local function look()
    if not c.backlog:is_empty() then return from_rest(c, max, max_bytes, o.columns) end
    return refill(c, max, max_bytes, o.columns, true)
  end
  c.backlog:ask()
  local found, err = alone(c, ask, c, now() + seconds, look)
  if err then return nil, err end
  found = found or { n = 0, bytes = 0, next = {}, cause = c.handle:cause() }
  found.eof = not c.closed and is_at_end(c)
  return setmetatable(found, message.Batch)
end

---@param options table|nil
---@return kafka.Batch|nil
---@return kafka.Error|nil
function polling.batch(c, options)
  local o = batch_fields("batch", options, batch_options)
  c.stopping = false
  return batch(c, o, o.timeout or BATCH_TIME)
end

-- Loops --------------------------------------------------------------------------------------------------------------

local loop_options = { idle = args.seconds, to_end = args.boolean }
local batches_options = { idle = args.seconds, to_end = args.boolean }
for name, kind in pairs(batch_options) do batches_options[name] = kind end

-- Whether every partition has been at its end since `ends` began; notes how often each has been.
local function all_reached(c, ends)
  if not c.membership:has_assignment() then return false end
  for _, part in ipairs(c.parts.list) do
    local at_end, times = c.parts:at_end(part)
    if not ends[part] or times < ends[part] then ends[part] = at_end and times - 1 or times end
    if part.doubt or not part.paused and not part.stopped and times <= ends[part] then return false end
  end
  return true
end

-- What a loop does with an error: goes on where it may pass, else raises it.
local function judge(c, err)
  if err.fatal or not (err.action == "wait" or err.action == "retry") then error(err, 0) end
  c.handle:tell(err)
end

-- A loop over what get(seconds) gives, until stopped, idle or at the end.
local function loop(c, op, o, get)
  c.stopping = false
  local last = now()
  local ends = setmetatable({}, { __mode = "k" }) -- part -> how often its end had been reached
  if o.to_end then all_reached(c, ends) end
  return function()
    while true do
      if c.stopping or c.closed then return nil end
      polling.check_alone(c, op)
      local left = o.idle and last + o.idle - now() or math.huge
      local value, err = get(o.to_end and math.min(left, END_LOOK) or left)
      if err then
        judge(c, err)
      elseif value then
        if o.idle then last = now() end
        return value
      elseif c.closed or o.to_end and all_reached(c, ends) or left <= 0 then
        return nil
      end
    end
  end
end

function polling.messages(c, options)
  local o = args.fields("messages", options, loop_options)
  local slow = loop(c, "messages", o, function(seconds) return polling.poll(c, seconds) end)
  if o.idle then return slow end
  local backlog, client, pulse = c.backlog, c.handle.core, c.handle.core.pulse
  return function()
    -- The shortest way, where a message is there and nothing else is to do.
    local at = backlog.at
    if at < backlog.n and not c.stopping and not c.poller and not pulse(client) then
      backlog.done, backlog.at, backlog.count = at, at + 1, backlog.count + 1
      return backlog.messages[at + 1]
    end
    return slow()
  end
end

function polling.batches(c, options)
  local o = batch_fields("batches", options, batches_options)
  return loop(c, "batches", o, function(seconds)
    local found, err = batch(c, o, math.min(seconds, o.timeout or math.huge))
    -- With a timeout of its own the loop also hands out empty ones: the caller wants to do something meanwhile.
    if found and found.n == 0 and not (o.timeout and seconds >= o.timeout) then return nil end
    return found, err
  end)
end

return polling

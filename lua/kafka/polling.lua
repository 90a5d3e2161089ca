-- How a consumer hands out messages: one, a batch, or a loop of either. What happens between two of them - the group's
-- handlers, commits, ends of partitions - happens here, on the caller's own stack.

local core = require "kafka.core"
local args = require "kafka.args"
local denial = require "kafka.denial"
local errors = require "kafka.error"
local reset = require "kafka.reset"
local message = require "kafka.message"

local now = core.now

local polling = {}

local AHEAD = 500 -- messages taken over at once for poll and messages
local MAX_BYTES = 1 << 20 -- of a batch, where nothing is said
local MAX = 1000 -- messages of a batch, where nothing is said
local BATCH_TIME = 10 -- seconds that a batch waits where nothing is said

-- Between polls ------------------------------------------------------------------------------------------------------

---Notes as stored what counts as handled.
function polling.settle(c)
  if not c.auto_store then return end
  c.backlog:handled(function(topic, partition, offset) c.commits:store(topic, partition, offset) end)
end

-- What has come, the group's wishes, commits that are due.
local function serve(c)
  c.handle:dispatch()
  if c.membership.queue[1] then
    polling.settle(c)
    c.membership:serve()
  end
  if c.commits:is_due() then
    polling.settle(c)
    c.commits:serve()
  end
end
polling.serve = serve

-- All that was fetched is handed out: tells the ends that were reached.
local function tell_ends(c)
  for _, row in ipairs(c.backlog.moved) do
    local part = c.parts:find(row.topic, row.partition)
    local eof = part and c.parts:at_end(part)
    if eof and not part.told then
      part.told, part.reached = true, true
      if c.on_eof then c.on_eof({ topic = row.topic, partition = row.partition, offset = row.offset }, c) end
    elseif part and not eof then
      part.told = false
    end
  end
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

-- Fetches what librdkafka has; the backlog is empty and settled.
---@param whole boolean the caller gets all of it at once
---@return table|nil what the core gave
---@return kafka.Error|nil
local function refill(c, max, max_bytes, columns, whole)
  local batch, raw = c.parts:take(max_bytes, max, columns)
  if not batch then return nil, understand(c, raw) end
  if batch.n == 0 and not batch.next[1] then return nil end
  if batch.n > 0 then
    denial.forget(c, batch.next)
    c.backlog:put(not whole and batch or nil, batch.next)
    return batch
  end
  c.backlog:put({}, batch.next)
  tell_ends(c)
  return nil
end

-- One look for a message: nil where there is none now.
local function step(c)
  local m = c.backlog:next()
  if m then return m end
  if c.backlog.moved[1] then
    tell_ends(c)
    polling.settle(c)
    c.backlog:put({}, {})
  end
  local batch, err = refill(c, AHEAD, MAX_BYTES, nil, false)
  if not batch then return nil, err end
  return c.backlog:next()
end

-- Serves until `look()` gives a value or an error, or the deadline passes.
local function wait(c, deadline, look)
  local value, err
  c.handle:await(function()
    c.handle.core:pulse()
    serve(c)
    if c.stopping or c.closed then return true end
    value, err = look(c)
    if not value and not err then err = denial.watch(c) end
    return value or err or c.handle.fatal
  end, deadline)
  if not value and not err then err = c.handle.fatal end
  return value, err
end

-- What the caller holds is handled; a look at what has come, where there may be something.
local function ask(c)
  c.backlog:ask()
  if c.handle.core:pulse() then serve(c) end
end

-- One message or a batch ---------------------------------------------------------------------------------------------

---@param deadline number
---@return kafka.Message|nil
---@return kafka.Error|nil
function polling.poll(c, deadline)
  ask(c)
  local m, err = step(c)
  if m or err then return m, err end
  return wait(c, deadline, step)
end

local batch_options = {
  max = args.integer(1, 1000000),
  max_bytes = args.integer(0, math.maxinteger),
  timeout = args.seconds,
  columns = args.table,
}

-- Messages that poll has left, as a batch of the wished form.
local function from_rest(c, columns)
  local list, bytes = c.backlog:rest(), 0
  for _, m in ipairs(list) do bytes = bytes + #(m.key or "") + #(m.value or "") end
  local batch = list
  if columns then
    batch = {}
    for _, name in ipairs(columns) do
      batch[name] = {}
      for i, m in ipairs(list) do batch[name][i] = m[name] end
    end
  end
  batch.n, batch.bytes, batch.next = #list, bytes, c.backlog.moved
  return batch
end

local function is_at_end(c)
  local any = false
  for _, part in ipairs(c.parts.list) do
    if not part.paused and not part.stopped then
      any = true
      if not c.parts:at_end(part) then return false end
    end
  end
  return any
end

---@param options table|nil
---@return kafka.Batch|nil
---@return kafka.Error|nil
function polling.batch(c, options)
  local o = args.fields("batch", options, batch_options)
  o.columns = message.columns("batch", o.columns)
  ask(c)
  local function look()
    if not c.backlog:is_empty() then return from_rest(c, o.columns) end
    if c.backlog.moved[1] then
      tell_ends(c)
      polling.settle(c)
      c.backlog:put({}, {})
    end
    local batch, err = refill(c, o.max or MAX, o.max_bytes or MAX_BYTES, o.columns, true)
    return batch, err
  end
  local batch, err = look()
  if not batch and not err then batch, err = wait(c, now() + (o.timeout or BATCH_TIME), look) end
  if err then return nil, err end
  if not batch then batch = { n = 0, bytes = 0, next = {}, cause = c.handle:cause() } end
  batch.eof = is_at_end(c)
  return setmetatable(batch, message.Batch)
end

-- Loops --------------------------------------------------------------------------------------------------------------

local loop_options = { idle = args.seconds, to_end = args.boolean }
local batches_options = { idle = args.seconds, to_end = args.boolean }
for name, kind in pairs(batch_options) do batches_options[name] = kind end

-- Whether every partition has been at its end since the loop began.
local function all_reached(c)
  if not c.membership:has_assignment() then return false end
  for _, part in ipairs(c.parts.list) do
    if not part.paused and not part.stopped and not part.reached and not c.parts:at_end(part) then return false end
  end
  return true
end

local function begin(c, o)
  c.stopping = false
  if not o.to_end then return end
  for _, part in ipairs(c.parts.list) do part.reached = false end
end

-- What a loop does with an error: goes on where it may pass, else raises it.
local function judge(c, err)
  if err.fatal or not (err.action == "wait" or err.action == "retry") then error(err, 0) end
  c.handle:tell(err)
end

-- A loop over what get(seconds) gives, until stopped, idle or at the end.
local function loop(c, o, get)
  begin(c, o)
  local last = now()
  return function()
    while true do
      if c.stopping or c.closed then return nil end
      local left = o.idle and last + o.idle - now() or math.huge
      local value, err = get(o.to_end and math.min(left, 0.1) or left)
      if err then
        judge(c, err)
      elseif value then
        if o.idle then last = now() end
        return value
      elseif o.to_end and all_reached(c) or left <= 0 then
        return nil
      end
    end
  end
end

function polling.messages(c, options)
  local o = args.fields("messages", options, loop_options)
  return loop(c, o, function(seconds)
    ask(c)
    local m, err = step(c)
    if m or err then return m, err end
    return wait(c, now() + seconds, step)
  end)
end

function polling.batches(c, options)
  local o = args.fields("batches", options, batches_options)
  o.columns = message.columns("batches", o.columns)
  local each = { max = o.max, max_bytes = o.max_bytes, columns = o.columns }
  return loop(c, o, function(seconds)
    each.timeout = math.min(seconds, o.timeout or math.huge)
    local batch, err = polling.batch(c, each)
    -- With a timeout of its own the loop also hands out empty ones: the caller wants to do something meanwhile.
    if batch and batch.n == 0 and not (o.timeout and seconds >= o.timeout) then return nil end
    return batch, err
  end)
end

return polling

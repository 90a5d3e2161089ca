-- Handing messages to a producer's queue: one, or many in one crossing; and what to do where it is full: serve reports and try
-- again until the time is over. Knows nothing of what becomes of them later.

local core = require "kafka.core"
local args = require "kafka.args"
local await = require "kafka.await"
local errors = require "kafka.error"
local log = require "kafka.log"
local show = require "kafka.show"

local now = core.now

local enqueue = {}

local DEFAULT_TIMEOUT = 10 -- seconds
local none = {}
local refused_rows = show.list { "index" }

-- The core's refusal as an error. After a fatal one librdkafka has other names for it.
local function refused(h, raw, topic, partition)
  local about = { op = "produce", topic = topic, partition = partition }
  local fatal = not h.closed and (raw.name == "_FATAL" or raw.name == "_STATE") and h:fatal_error(about)
  if fatal then return fatal end
  if raw.name == "_STATE" then about.message = "in a transactional producer: only between begin and commit" end
  return errors.from(raw, about)
end

-- Calls `try` until the queue has room, serving reports meanwhile. A handler only takes them in, which makes room too: what has
-- come while it runs is served behind it.
local function when_room(h, timeout, try)
  local ok, raw
  local deadline = now() + (timeout or DEFAULT_TIMEOUT)
  local function has_tried()
    ok, raw = try()
    return ok or raw.name ~= "_QUEUE_FULL"
  end
  if h:within() then
    while not h.closed and not has_tried() and now() < deadline do
      if not h:take_in() then await.pause(h, math.max(0, deadline - now())) end
    end
  else
    h:await(has_tried, deadline)
  end
  if h.closed and not ok then raw = { name = "_DESTROY", message = "the client was closed meanwhile" } end
  return ok, raw
end

-- Serves what has come, then hands over. Nothing has come most of the time: it is the core that looks, in the same call. A
-- handler only hands over.
local function hand_over(h, topic, value, o, ticket)
  if h.depth > 0 and h:within() then
    o = o or none
    return h.core:produce(topic, value, ticket, o.key, o.partition, o.timestamp, o.headers, true)
  end
  if h.left then h:dispatch() end
  while true do
    local ok, raw
    if o then
      ok, raw = h.core:produce(topic, value, ticket, o.key, o.partition, o.timestamp, o.headers)
    else
      ok, raw = h.core:produce(topic, value, ticket)
    end
    if ok ~= false then return ok, raw end
    h:dispatch()
  end
end

-- What old brokers would drop of messages, without a word: by the name of the option, and of the list of them.
local lost_by_old = { { "headers", "headers", "headers" }, { "timestamp", "timestamp", "timestamps" } }

local function refused_by_brokers(h, op, topic, o)
  for _, row in ipairs(lost_by_old) do
    local err = (o[row[2]] ~= nil or o[row[3]] ~= nil) and h:refuses(row[1], { op = op, topic = topic })
    if err then return err end
  end
end

---Serves what has come, and hands over one message.
---@param delivery table the producer's
---@param o table|nil checked options: key, partition, timestamp, headers, timeout
---@param ticket integer
---@return true|nil
---@return kafka.Error|nil not accepted; raises where a handler raised meanwhile: not accepted either
function enqueue.one(delivery, topic, value, o, ticket)
  local h = delivery.handle
  local err = o and h.broker_version and refused_by_brokers(h, "produce", topic, o)
  if err then return nil, err end
  local ok, raw = hand_over(h, topic, value, o, ticket)
  if ok then return true end
  if raw.name == "_QUEUE_FULL" and not (o and o.timeout == 0) then
    ok, raw = when_room(h, o and o.timeout, function() return hand_over(h, topic, value, o, ticket) end)
    if ok then return true end
  end
  return nil, refused(h, raw, topic, o and o.partition)
end

local many_options = {
  keys = args.table,
  partitions = args.table,
  timestamps = args.table,
  headers = args.table,
  n = args.integer(0, 10000000),
  on_delivery = args.func,
  on_batch = args.func,
  collect = args.boolean,
  timeout = args.seconds,
}

-- Whether what was raised is no handler's affair: Ctrl-C, or no room to call one.
local function stops(h, raised) return raised ~= nil and (raised == h.exhausted or await.is_interrupt(raised)) end

local function note(run, h, raised)
  local first = run.raised
  if first == nil or stops(h, raised) then run.raised, raised = raised, first end
  if raised ~= nil then log.line(h.title, 3, "a handler raised: " .. tostring(raised)) end
end

-- Hands over from the run's place on, until a message is refused for another reason than a full queue. Notes refusals, and what
-- a handler raised meanwhile; then it tries once more without one.
local function go_on(run, h, topic, values, o, ticket)
  local raw, broken
  local function try()
    run.at, raw, broken = h.core:produce_many(topic, values, o.keys, o.partitions, o.timestamps, o.headers, ticket, run.at, run.n,
      run.reporting)
    return raw == nil, raw
  end
  local done, raised = pcall(when_room, h, math.max(0, run.deadline - now()), try)
  if not done then
    note(run, h, raised)
    if stops(h, run.raised) then return end
    raw, broken = nil, nil
    local tried, why = pcall(try)
    if not tried then broken = why end
    if raw and raw.name == "_QUEUE_FULL" and now() < run.deadline then return end
  end
  -- A handler, or a finalizer, has changed the lists since they were checked; or there was no memory.
  if broken then
    raw = { name = broken == "not enough memory" and "_FAIL" or "_INVALID_ARG", message = tostring(broken) }
  end
  if h.closed then raw = { name = "_DESTROY", message = "the client was closed meanwhile" } end
  if not raw then return end
  local err = h.closed and errors.from(raw, { op = "produce", topic = topic }) or refused(h, raw, topic)
  run.first = run.first or err
  -- A full queue, a fatal error or a closed client refuses all that follow.
  local last = (raw.name == "_QUEUE_FULL" or err.fatal or h.closed) and run.n or run.at
  for i = run.at, last do run.refused[#run.refused + 1] = { index = i, err = err } end
  run.at = last + 1
end

-- The ticket of many messages, and how the core tells of them.
local function tickets(delivery, topic, o, n)
  if not o.on_batch then
    if o.collect then args.misuse("produce_many", "collect needs on_batch, which is given what was collected") end
    return delivery:take(o.on_delivery, nil, n)
  end
  if o.on_delivery then args.misuse("produce_many", "give on_delivery, for each message, or on_batch, for all of them") end
  return delivery:take_batch(o.on_batch, topic, n, o.collect), o.collect and "collect" or "count"
end

local function give_back(delivery, ticket, missing, reporting)
  if not reporting then return delivery:count_off(ticket, missing) end
  local ok, raised = pcall(delivery.shrink, delivery, ticket, missing)
  if not ok then delivery.handle:fail_later(raised) end
end

---Hands over many messages; see Producer:produce_many.
function enqueue.many(delivery, topic, values, options)
  local h = delivery.handle
  local o = args.fields("produce_many", options, many_options)
  args.check("produce_many", "values", values, args.table)
  local n = math.tointeger(o.n or rawlen(values))
  h.core:check_many(topic, values, o.keys, o.partitions, o.timestamps, o.headers, n)
  if not h:within() then h:dispatch() end
  if n == 0 then return 0 end
  local err = h.broker_version and refused_by_brokers(h, "produce_many", topic, o)
  if err then
    err.accepted, err.refused = 0, refused_rows {}
    for i = 1, n do err.refused[i] = { index = i, err = err } end
    return nil, err
  end
  local ticket, reporting = tickets(delivery, topic, o, n)
  local run = { at = 1, n = n, refused = {}, deadline = now() + (o.timeout or DEFAULT_TIMEOUT), reporting = reporting }
  repeat
    go_on(run, h, topic, values, o, ticket)
  until run.at > n or stops(h, run.raised)
  local missing = #run.refused + (n - run.at + 1)
  if missing > 0 then give_back(delivery, ticket, missing, reporting) end
  if stops(h, run.raised) then error(run.raised, 0) end
  if run.raised ~= nil then h:fail_later(run.raised) end -- the next call raises it
  if not run.first then return n end
  return nil, errors.from(run.first, { op = "produce_many", accepted = n - #run.refused, refused = refused_rows(run.refused),
    message = run.first.fatal and run.first.message
      or ("%d of %d messages were refused: %s"):format(#run.refused, n, run.first.message) })
end

-- Producer's own names for them: it calls both by tail calls, which leave nothing of it on the stack.
core.public(enqueue.one, "produce")
core.public(enqueue.many, "produce_many")
return enqueue

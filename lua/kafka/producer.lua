-- The producer: sending one message or many, and what became of each. Every accepted message gets exactly one report: handed
-- to its own `on_delivery`, to the producer's, or counted; failed ones that no function takes are told in the log.

local core = require "kafka.core"
local args = require "kafka.args"
local await = require "kafka.await"
local config = require "kafka.config"
local errors = require "kafka.error"
local handle = require "kafka.handle"
local log = require "kafka.log"
local Report = require "kafka.report"

local now = core.now

---@class kafka.Producer
local Producer = {}
Producer.__index = Producer
Producer.__name = "kafka.Producer"

local DEFAULT_TIMEOUT = 10 -- seconds
local PURGE_TIME = 1 -- seconds that close waits for the reports of what it gave up
local EVERY = 1 -- the ticket of messages whose reports all go to the producer's on_delivery

local own_options = {
  on_delivery = args.func,
  on_error = args.func,
  on_log = args.func,
  on_stats = args.func,
  loop = args.either(args.table, args.func),
}

local message_options = {
  key = args.string,
  partition = args.partition,
  timestamp = args.any, -- checked by the core
  headers = args.table,
  tag = args.any,
  on_delivery = args.func,
  timeout = args.seconds,
}

-- Reports ------------------------------------------------------------------------------------------------------------

local function tell_lost(self, report, err)
  log.line(self.handle.name, 3, ("%s was lost: %s"):format(report.topic, err.message))
end

-- Exactly one call for each report that the core hands over.
local function on_report(self, ticket, report)
  local f, tag = self.callbacks[ticket], self.tags[ticket]
  if ticket > EVERY then
    local left = (self.shared[ticket] or 1) - 1
    if left > 0 then
      self.shared[ticket] = left
    else
      self.shared[ticket], self.callbacks[ticket], self.tags[ticket] = nil, nil, nil
      self.handle:done_with(ticket)
    end
  end
  local raw, err = report.err, nil
  if raw then
    report.err = nil
    err = errors.from(raw, { op = "produce", topic = report.topic, partition = report.partition })
    if raw.name == "_MSG_TIMED_OUT" then err.cause = self.handle:cause() end
  end
  report.tag = tag
  setmetatable(report, Report)
  self.served = self.served + 1
  f = f or self.on_delivery
  if f then return f(report, err) end
  if err then tell_lost(self, report, err) end
end

local function take_ticket(self, f, tag)
  if not f and tag == nil then return self.on_delivery and EVERY or 0 end
  local ticket = self.handle:ticket()
  self.callbacks[ticket] = f
  self.tags[ticket] = tag
  return ticket
end

local function give_back(self, ticket)
  if ticket <= EVERY then return end
  self.callbacks[ticket], self.tags[ticket], self.shared[ticket] = nil, nil, nil
  self.handle:done_with(ticket)
end

-- Opening ------------------------------------------------------------------------------------------------------------

---Opens a producer. Takes librdkafka's settings (`linger_ms` or `["linger.ms"]`), `brokers`, and the options below.
---Connects in the background: no broker need be there yet.
---@param options table
---  on_delivery fun(report: kafka.Report, err: kafka.Error|nil) takes every report that no message takes for itself
---  on_error fun(err: kafka.Error) the client's own troubles (a broker that cannot be reached); default: the log
---  on_log fun(line: {level: integer, facility: string, text: string}) librdkafka's log
---  on_stats fun(json: string) statistics, every statistics.interval.ms
---  loop the luv module, or fun(fd: integer, seconds: number) that waits and may yield
---@return kafka.Producer|nil
---@return kafka.Error|nil what librdkafka refused, such as a certificate file that cannot be read
---rd_kafka_new
local function open(options)
  local mine, settings = config.split("kafka.producer", options, own_options, "producer")
  local h, err = handle.open("producer", "kafka.producer", settings, mine)
  if not h then return nil, err end
  local self = setmetatable({
    handle = h,
    on_delivery = mine.on_delivery,
    callbacks = {}, -- ticket -> function
    tags = {},
    shared = {}, -- ticket of produce_many -> reports still to come
    served = 0, -- reports handed over
    failed_seen = 0, -- failures that an earlier flush has told of
    sent_failed = 0, -- failures that send has told of, or is about to: never flush's or close's
    linger = tonumber(settings["linger.ms"] or settings["queue.buffering.max.ms"] or 5) > 0,
    flushing = false,
  }, Producer)
  h.last_ticket = EVERY
  h.on_report = function(ticket, report) return on_report(self, ticket, report) end
  return self
end

local function check(self, op)
  if getmetatable(self) ~= Producer then args.fail(op, "the object", "a kafka.Producer", self) end
  if self.handle.closed then args.misuse(op, "attempt to use a closed kafka.Producer") end
  return self.handle
end

-- Producing ----------------------------------------------------------------------------------------------------------

-- The core's refusal as an error; a fatal one tells what was fatal.
local function refused(self, raw, topic, partition)
  local about = { op = "produce", topic = topic, partition = partition }
  if raw.name == "_FATAL" then raw = self.handle.core:fatal() or raw end
  return errors.from(raw, about)
end

-- Calls `try` until the queue has room, serving reports meanwhile.
local function when_room(self, timeout, try)
  local ok, raw
  self.handle:await(function()
    ok, raw = try()
    return ok or raw.name ~= "_QUEUE_FULL"
  end, now() + (timeout or DEFAULT_TIMEOUT))
  return ok, raw
end

local function produce(self, topic, value, o, ticket)
  local client = self.handle.core
  local ok, raw = client:produce(topic, value, o.key, o.partition, o.timestamp, o.headers, ticket)
  if ok then return true end
  if raw.name == "_QUEUE_FULL" and o.timeout ~= 0 then
    ok, raw = when_room(self, o.timeout, function()
      return client:produce(topic, value, o.key, o.partition, o.timestamp, o.headers, ticket)
    end)
    if ok then return true end
  end
  return nil, refused(self, raw, topic, o.partition)
end

local none = {}

---Hands one message to the producer's queue. The report comes later, while any call on this producer runs.
---@param topic string
---@param value string|nil nil is a tombstone
---@param options table|nil key string, partition integer (default: by the key, else any), timestamp integer milliseconds
---  since the epoch, headers list of {name, value|nil}, tag any (comes back with the report), on_delivery fun(report, err),
---  timeout seconds to wait where the queue is full (default 10)
---@return true|nil
---@return kafka.Error|nil not accepted, and never to be reported: action "wait" where the queue stayed full
---rd_kafka_produce, rd_kafka_producev
function Producer:produce(topic, value, options)
  local h = check(self, "produce")
  h:dispatch()
  if options == nil then return produce(self, topic, value, none, self.on_delivery and EVERY or 0) end
  local o = args.fields("produce", options, message_options)
  local ticket = take_ticket(self, o.on_delivery, o.tag)
  local done, ok, err = pcall(produce, self, topic, value, o, ticket)
  if done and ok then return true end
  give_back(self, ticket)
  if not done then error(ok, 0) end
  return nil, err
end

local many_options = {
  keys = args.table,
  partitions = args.table,
  timestamps = args.table,
  headers = args.table,
  n = args.integer(0, math.maxinteger),
  on_delivery = args.func,
  timeout = args.seconds,
}

-- Produces values[at..n] until one is refused for another reason than a full queue.
local function produce_some(self, topic, values, o, ticket, at, n)
  local client = self.handle.core
  local next_at, raw = at, nil
  self.reached = at
  when_room(self, o.timeout, function()
    next_at, raw = client:produce_many(topic, values, o.keys, o.partitions, o.timestamps, o.headers, ticket, next_at, n)
    self.reached = next_at
    return raw == nil, raw
  end)
  return next_at, raw
end

---Hands many messages over in one crossing, in order. The columns are lists beside `values`; a hole is nil.
---@param topic string
---@param values (string|nil)[]
---@param options table|nil keys, partitions, timestamps, headers: lists; n integer where `values` has holes (default
---  #values); on_delivery fun(report, err) for each of them; timeout seconds for the whole call where the queue is full
---@return integer|nil how many were accepted: all
---@return kafka.Error|nil with `accepted` (how many were) and `refused` (rows {index, err} of those that were not, those
---  after a queue that stayed full included)
---rd_kafka_produce, rd_kafka_producev
function Producer:produce_many(topic, values, options)
  local h = check(self, "produce_many")
  local o = args.fields("produce_many", options, many_options)
  args.check("produce_many", "values", values, args.table)
  local n = o.n or #values
  h.core:check_many(topic, values, o.keys, o.partitions, o.timestamps, o.headers, n)
  h:dispatch()
  local deadline = now() + (o.timeout or DEFAULT_TIMEOUT)
  local ticket = n > 0 and take_ticket(self, o.on_delivery) or 0
  if ticket > EVERY then self.shared[ticket] = n end
  local at, list, first, raised = 1, {}, nil, nil
  while at <= n do
    o.timeout = math.max(0, deadline - now())
    local done, next_at, raw = pcall(produce_some, self, topic, values, o, ticket, at, n)
    if not done then
      -- A handler raised, or Ctrl-C, while this waited for room. What was accepted is known to C alone: count it, go on.
      raised = next_at
      at = self.reached
      if await.is_interrupt(raised) then break end
    else
      at = next_at
      if raw then
        local err = refused(self, raw, topic)
        first = first or err
        -- A full queue or a fatal error refuses all that follow.
        local last = (raw.name == "_QUEUE_FULL" or err.fatal) and n or at
        for i = at, last do list[#list + 1] = { index = i, err = err } end
        at = last + 1
      end
    end
  end
  local missing = #list + (n - at + 1)
  if ticket > EVERY and missing > 0 and self.shared[ticket] then
    self.shared[ticket] = self.shared[ticket] - missing
    if self.shared[ticket] <= 0 then give_back(self, ticket) end
  end
  if await.is_interrupt(raised) then error(raised, 0) end
  if raised ~= nil and h.failure == nil then h.failure = raised end -- the next call raises it
  if not first then return n end
  return nil, errors.from(first, { op = "produce_many", accepted = n - #list, refused = list,
    message = ("%d of %d messages were refused: %s"):format(#list, n, first.message) })
end

-- A flush in the background: while it runs, linger.ms counts as nothing.
local function hurry(self, seconds)
  if self.flushing then return end
  local h = self.handle
  local ticket = h:ticket()
  h.waiting[ticket] = function() self.flushing = false end
  if h.core:flush(math.max(0, seconds) * 1000, ticket) then
    self.flushing = true
  else
    h.waiting[ticket] = nil
    h:done_with(ticket)
  end
end

---Sends one message and waits for its report.
---@param topic string
---@param value string|nil
---@param options table|nil as for `produce`; timeout: seconds to wait for the report (default 10)
---@return kafka.Report|nil
---@return kafka.Error|nil with `in_flight` where only the wait ended: the message may still arrive, and its late report goes
---  to the producer's on_delivery, else to the log
function Producer:send(topic, value, options)
  local h = check(self, "send")
  h:dispatch()
  local o = args.fields("send", options, message_options)
  local timeout = o.timeout or DEFAULT_TIMEOUT
  local deadline = now() + timeout
  local report, failure
  local theirs = o.on_delivery
  local ticket = take_ticket(self, function(r, e)
    report, failure = r, e
    if e then self.sent_failed = self.sent_failed + 1 end
    if theirs then return theirs(r, e) end
  end, o.tag)
  local done, ok, err = pcall(produce, self, topic, value, o, ticket)
  if not done or not ok then
    give_back(self, ticket)
    if not done then error(ok, 0) end
    err.op = "send"
    return nil, err
  end
  local waited, raised = pcall(h.await, h, function()
    if not report and self.linger then hurry(self, deadline - now()) end
    return report
  end, deadline)
  if not report then
    -- send has told of this message, so flush and close do not tell again.
    local late = theirs or self.on_delivery or function(r, e)
      log.line(h.name, 4, ("a report came after send had given up: %s%s"):format(tostring(r), e and ": " .. e.message or ""))
    end
    self.callbacks[ticket] = function(r, e)
      if e then self.sent_failed = self.sent_failed + 1 end
      return late(r, e)
    end
  end
  if not waited then error(raised, 0) end
  if not report then
    return nil, h:late({ op = "send", topic = topic, in_flight = true }, timeout, "no report, and it may still arrive,")
  end
  if failure then
    failure.op = "send"
    return nil, failure
  end
  return report
end

-- What is under way --------------------------------------------------------------------------------------------------

---How many accepted messages have no report yet.
---@return integer
function Producer:pending()
  local accepted, delivered, failed = check(self, "pending").core:counts()
  return accepted - delivered - failed
end

---Messages since the producer was opened: accepted = delivered + failed + pending, always.
---@return {accepted: integer, delivered: integer, failed: integer, pending: integer}
function Producer:counts()
  local accepted, delivered, failed = check(self, "counts").core:counts()
  return { accepted = accepted, delivered = delivered, failed = failed, pending = accepted - delivered - failed }
end

---Serves reports: waits until there is one, then takes all that have come.
---@param timeout number|nil seconds; nil: for ever
---@return integer how many reports were handed over or counted
function Producer:poll(timeout)
  local h = check(self, "poll")
  args.optional("poll", "timeout", timeout, args.seconds)
  local function reported()
    local _, delivered, failed = h.core:counts()
    return delivered + failed
  end
  local before = reported()
  if self:pending() == 0 then
    h:dispatch()
    return 0
  end
  h:await(function() return reported() > before end, now() + (timeout or math.huge))
  return h.closed and 0 or reported() - before
end

local function flush_error(self, timeout, left, failed)
  local message
  if left > 0 and failed > 0 then
    message = ("%d messages without a report after %g s, and %d failed"):format(left, timeout, failed)
  elseif left > 0 then
    message = ("%d message%s without a report after %g s"):format(left, left == 1 and "" or "s", timeout)
  else
    message = ("%d message%s failed since the last flush"):format(failed, failed == 1 and "" or "s")
  end
  return errors.new { name = left > 0 and "_TIMED_OUT" or "_FAIL", op = "flush", action = "retry", message = message, left = left,
    failed = failed, cause = self.handle:cause() }
end

---Waits until every accepted message has its report.
---@param timeout number|nil seconds (default 10)
---@return true|nil
---@return kafka.Error|nil with `left` (messages without a report) and `failed` (reports of failure since the last flush)
---rd_kafka_flush
function Producer:flush(timeout)
  local h = check(self, "flush")
  timeout = args.optional("flush", "timeout", timeout, args.seconds) or DEFAULT_TIMEOUT
  h:dispatch()
  if self:pending() > 0 then
    local deadline = now() + timeout
    h:await(function()
      if self:pending() == 0 then return true end
      hurry(self, deadline - now()) -- again where the one under way has just ended
    end, deadline)
  end
  if h.closed then return true end -- by a handler, whose close has told what was lost
  local accepted, delivered, failed = h.core:counts()
  local left, new = accepted - delivered - failed, failed - self.sent_failed - self.failed_seen
  self.failed_seen = self.failed_seen + new
  if left == 0 and new == 0 then return true end
  return nil, flush_error(self, timeout, left, new)
end

---Gives up every message that is queued or on its way. Each is reported as failed, by this or a later call.
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_purge
function Producer:purge()
  local h = check(self, "purge")
  local ok, raw = h.core:purge()
  if not ok then return nil, errors.from(raw, { op = "purge" }) end
  h:dispatch()
  return true
end

-- The end ------------------------------------------------------------------------------------------------------------

---Flushes, gives up what is left, ends the client. Closing twice is harmless.
---@param timeout number|nil seconds for the flush (default 10)
---Ctrl-C leaves it open, with all it holds; a handler's error is raised when it is closed.
---@return true|nil
---@return kafka.Error|nil with `lost`: how many messages were given up, or failed without being reported by a flush before
function Producer:close(timeout)
  if getmetatable(self) ~= Producer then args.fail("close", "the object", "a kafka.Producer", self) end
  timeout = args.optional("close", "timeout", timeout, args.seconds) or DEFAULT_TIMEOUT
  local h = self.handle
  if h.closed or h.core:forked() then
    h.closed = true
    return true
  end
  if h.core:busy() then args.misuse("close", "a finalizer that runs within a call on this producer cannot close it") end
  local deadline, told = now() + timeout, self.failed_seen
  local flushed, raised = pcall(function()
    if not self:flush(timeout) and not h.closed and self:pending() > 0 then
      h.core:purge()
      h:await(function() return self:pending() == 0 end, now() + PURGE_TIME)
    end
  end)
  if h.closed then return true end -- a handler closed it meanwhile
  if await.is_interrupt(raised) then error(raised, 0) end -- still open: nothing was given up
  local counts = self:counts()
  local lost = counts.failed - self.sent_failed - told + counts.pending
  h:close(math.max(deadline, now() + PURGE_TIME))
  local err = lost > 0 and errors.new { op = "close", action = "retry", lost = lost, unreported = counts.pending,
    cause = h:cause(), message = ("%d message%s not delivered"):format(lost, lost == 1 and " was" or "s were") }
  if not flushed then -- a handler's error: closed all the same
    if err then log.line(h.name, 3, tostring(err)) end
    error(raised, 0)
  end
  if err then return nil, err end
  return true
end

function Producer:__close(problem)
  -- Ctrl-C is not made to wait for a flush.
  local done, ok, err = pcall(self.close, self, await.is_interrupt(problem) and 0 or nil)
  if done and ok then return end
  if not done then
    err = ok
    if not self.handle.closed then -- Ctrl-C: what is left is given up, and told
      local closed, lost = self:close(0)
      if not closed then log.line(self.handle.name, 3, tostring(lost)) end
    end
  end
  if problem == nil then error(err, 0) end
  log.line(self.handle.name, 3, tostring(err))
end

function Producer:__tostring()
  if self.handle.closed then return ("kafka.Producer (%s, closed)"):format(self.handle.name) end
  if self.handle.core:forked() then return ("kafka.Producer (%s, of the parent process)"):format(self.handle.name) end
  local c = self:counts()
  return ("kafka.Producer (%s, %d delivered, %d failed, %d pending)"):format(self.handle.name, c.delivered, c.failed,
    c.pending)
end

return { open = open }

-- The producer: sending one message or many, and what became of each. Every accepted message gets exactly one report: handed
-- to its own `on_delivery`, to the producer's, or counted; failed ones that no function takes are told in the log.

local core = require "kafka.core"
local args = require "kafka.args"
local attempts = require "kafka.attempts"
local await = require "kafka.await"
local config = require "kafka.config"
local Delivery = require "kafka.delivery"
local enqueue = require "kafka.enqueue"
local errors = require "kafka.error"
local flushing = require "kafka.flushing"
local generation = require "kafka.generation"
local handle = require "kafka.handle"
local log = require "kafka.log"
local sending = require "kafka.sending"
local show = require "kafka.show"
local transaction = require "kafka.transaction"

---@class kafka.Producer
local Producer = {}
Producer.__index = Producer
Producer.__name = "kafka.Producer"

-- Every producer and its handle: what is no producer is not in it. To look here is cheaper than to ask for a metatable.
local handles = setmetatable({}, { __mode = "k" })

local own_options = {
  broker_version = generation.kind,
  on_delivery = args.func,
  on_error = args.func,
  on_log = args.func,
  on_stats = args.func,
  on_throttle = args.func,
  oauth_token = args.func,
  loop = args.loop,
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

-- Opening ------------------------------------------------------------------------------------------------------------

---Opens a producer. Takes librdkafka's settings (`linger_ms` or `["linger.ms"]`), `brokers`, and the options below.
---Connects in the background: no broker need be there yet.
---@param options table
---  on_delivery fun(report: kafka.Report, err: kafka.Error|nil) takes every report that no message takes for itself
---  on_error fun(err: kafka.Error) the client's own troubles (a broker that cannot be reached)
---  on_log fun(line: kafka.LogLine) librdkafka's log
---  on_stats fun(statistics: table) every statistics.interval.ms (default here: 1000), see docs/handlers.md
---  on_throttle fun(note: kafka.Throttle) a broker makes this client wait, or no longer
---  oauth_token fun(config: string): table|nil, string|nil a token for sasl.mechanism OAUTHBEARER: {token: string, expires:
---    number seconds since the epoch, principal: string|nil, extensions: table<string, string>|nil}, or nil and the reason
---  broker_version string|nil "0.8.2.1" of brokers before 0.10 (docs/old-brokers.md)
---  loop the luv module, or fun(fd: integer, seconds: number) that waits and may yield
---@return kafka.Producer|nil
---@return kafka.Error|nil what librdkafka refused, such as a certificate file that cannot be read
---rd_kafka_new
local function open(options)
  local mine, settings = config.split("kafka.producer", options, own_options, "producer")
  local h, err = handle.open("producer", "kafka.producer", settings, mine)
  if not h then return nil, err end
  local self = setmetatable({
    h.core, -- where the core's shortest way finds it
    handle = h,
    delivery = Delivery.new(h, mine.on_delivery),
    failed_seen = 0, -- failures that an earlier flush has told of
    sent_failed = 0, -- failures that send has told of, or is about to: never flush's or close's
    linger = tonumber(settings["linger.ms"] or settings["queue.buffering.max.ms"] or 5) > 0,
    flushing = false,
    transactional_id = settings["transactional.id"],
    txn = nil, -- the open transaction, see transaction.lua
    step = nil, -- of it, under way
    calling = false, -- transaction(f) is calling f
  }, Producer)
  if settings["transactional.id"] then
    local taken = ("another producer has taken over transactional.id %s; this one may write no more"):format(
      core.show(settings["transactional.id"]))
    h.fatal_words = { _FENCED = taken, PRODUCER_FENCED = taken, INVALID_PRODUCER_EPOCH = taken }
  end
  self.common = self.delivery:take() -- the ticket of messages that have neither function nor tag of their own
  h.core:common(self.common)
  handles[self] = h
  return self
end

local function check(self, op)
  if not handles[self] then args.fail(op, "the object", "a kafka.Producer", self) end
  if self.handle.closed then args.misuse(op, "attempt to use a closed kafka.Producer") end
  return self.handle
end

-- Producing ----------------------------------------------------------------------------------------------------------

local counts_row = show.row { "accepted", "delivered", "failed", "pending" }

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
  check(self, "produce")
  local delivery = self.delivery
  if options == nil then return enqueue.one(delivery, topic, value, nil, self.common) end
  local o = args.fields("produce", options, message_options)
  local ticket = delivery:take(o.on_delivery, o.tag)
  local done, ok, err = pcall(enqueue.one, delivery, topic, value, o, ticket)
  if done and ok then return true end
  delivery:count_off(ticket, 1)
  if not done then error(ok, 0) end
  return nil, err
end

-- Most messages need no more than one crossing, and none of the above: the core hands over a value without options, to the topic
-- of the message before, where nothing waits to be served and the queue has room.
core.public(Producer.produce, "produce")
Producer.produce = core.quick(Producer.produce)

---Hands many messages over in one crossing, in order. The columns are lists beside `values`; a hole is nil.
---@param topic string
---@param values (string|nil)[]
---@param options table|nil keys, partitions, timestamps, headers: lists; n integer where `values` has holes (default
---  #values); on_delivery fun(report, err) for each of them, or on_batch fun(outcome: kafka.Outcome) once for all that were
---  accepted, when the last of them is reported; collect true: with their reports; timeout seconds for the whole call where the
---  queue is full
---@return integer|nil how many were accepted: all
---@return kafka.Error|nil with `accepted` (how many were) and `refused` (rows {index, err} of those that were not, those
---  after a queue that stayed full included)
---rd_kafka_produce, rd_kafka_producev
function Producer:produce_many(topic, values, options)
  check(self, "produce_many")
  return enqueue.many(self.delivery, topic, values, options)
end

---Sends one message and waits for its report. Where librdkafka takes the topic or the partition for unknown it looks at the topic
---first, for at most 2 s.
---@param topic string
---@param value string|nil
---@param options table|nil as for `produce`; timeout: seconds to wait for the report (default 10)
---@return kafka.Report|nil
---@return kafka.Error|nil with `in_flight` where only the wait ended: the message may still arrive, and its late report goes
---  to the producer's on_delivery, else to the log
function Producer:send(topic, value, options)
  check(self, "send")
  return sending.send(self, topic, value, args.fields("send", options, message_options))
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
  return counts_row { accepted = accepted, delivered = delivered, failed = failed, pending = accepted - delivered - failed }
end

---Serves reports: waits until there is one, then takes all that have come.
---@param timeout number|nil seconds; nil: for ever
---@return integer how many reports were handed over or counted
function Producer:poll(timeout)
  check(self, "poll")
  return flushing.poll(self, args.optional("poll", "timeout", timeout, args.seconds))
end

---Waits until every accepted message has its report.
---@param timeout number|nil seconds (default 10)
---@return true|nil
---@return kafka.Error|nil with `left` (messages without a report) and `failed` (reports of failure since the last flush)
---rd_kafka_flush
function Producer:flush(timeout)
  check(self, "flush")
  return flushing.flush(self, args.optional("flush", "timeout", timeout, args.seconds))
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

-- Transactions -------------------------------------------------------------------------------------------------------

---Begins a transaction. The first time it also ends what an earlier producer of the same transactional.id has left, and
---fences that one.
---@param timeout number|nil seconds (default 10)
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_init_transactions, rd_kafka_begin_transaction
function Producer:begin(timeout)
  check(self, "begin")
  return transaction.begin(self, timeout)
end

---Commits what was produced since begin, and the offsets that were sent: all or nothing.
---@param timeout number|nil seconds (default 10)
---@return true|nil
---@return kafka.Error|nil retriable: commit again; abortable: abort; fatal: open a new producer
---rd_kafka_commit_transaction
function Producer:commit(timeout)
  check(self, "commit")
  return transaction.commit(self, timeout)
end

---Gives up what was produced since begin. Readers of committed messages never see it.
---@param timeout number|nil seconds (default 10)
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_abort_transaction
function Producer:abort(timeout)
  check(self, "abort")
  return transaction.abort(self, timeout)
end

---Makes a consumer's offsets part of the transaction: they are committed with it, or not at all.
---@param consumer kafka.Consumer opened with enable_auto_commit = false
---@param what kafka.Message|kafka.Batch|table|nil what was handled, or rows {topic, partition, offset} with the next offset to
---  read (default: all that the consumer has handed out)
---@param timeout number|nil seconds (default 10)
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_send_offsets_to_transaction
function Producer:send_offsets(consumer, what, timeout)
  check(self, "send_offsets")
  return transaction.send_offsets(self, consumer, what, timeout)
end

---One transaction: begins, calls f(producer), commits. Where f raises or returns false, or nil and a reason, or a step fails, it
---is aborted: f's own error is raised again, and after an error that may pass all of it is tried again. A consumer that took
---part goes back to where the last transaction left it.
---@param f fun(producer: kafka.Producer): ... may be called several times
---@param options table|nil consumer kafka.Consumer: its offsets are sent before the commit; timeout seconds for all attempts
---  (default 60); attempts integer at most
---@return true|nil then what f returned
---@return kafka.Error|nil why it was aborted; fatal: open a new producer
function Producer:transaction(f, options)
  check(self, "transaction")
  return attempts.run(self, f, options)
end

-- The end ------------------------------------------------------------------------------------------------------------

---Aborts an open transaction, flushes, gives up what is left, ends the client. Closing twice is harmless.
---@param timeout number|nil seconds for the flush (default 10)
---Ctrl-C leaves it open, with all it holds; a handler's error is raised when it is closed.
---@return true|nil
---@return kafka.Error|nil with `lost`: how many messages were given up, or failed without being reported by a flush before
function Producer:close(timeout)
  args.object("close", self, Producer)
  return flushing.close(self, args.optional("close", "timeout", timeout, args.seconds))
end

function Producer:__close(problem)
  args.object("close", self, Producer)
  -- Ctrl-C is not made to wait for a flush.
  local done, ok, err = pcall(self.close, self, await.is_interrupt(problem) and 0 or nil)
  if done and ok then return end
  if not done then
    err = ok
    if not self.handle.closed then -- Ctrl-C: what is left is given up, and told
      local closed, lost = self:close(0)
      if not closed then log.line(self.handle.title, 3, tostring(lost)) end
    end
  end
  if problem == nil then error(err, 0) end
  log.line(self.handle.title, 3, tostring(err))
end

function Producer:__tostring()
  args.object("tostring", self, Producer)
  if self.handle.closed then return ("kafka.Producer (%s, closed)"):format(self.handle.name) end
  if self.handle.core:forked() then return ("kafka.Producer (%s, of the parent process)"):format(self.handle.name) end
  local c = self:counts()
  return ("kafka.Producer (%s, %d delivered, %d failed, %d pending)"):format(self.handle.name, c.delivered, c.failed,
    c.pending)
end

args.public(Producer)
core.public(open, "kafka.producer")
return { open = open }

-- What becomes of a producer's messages: the tickets they carry, and the one call that each report that the core hands over
-- makes. Knows nothing of how messages are produced.

local errors = require "kafka.error"
local log = require "kafka.log"
local show = require "kafka.show"
require "kafka.report"

---@class kafka.Outcome what became of the messages that one produce_many has accepted
---@field topic string
---@field n integer how many they are
---@field delivered integer
---@field failed integer
---@field failures {index: integer, err: kafka.Error}[] which of the values, in order
---@field reports kafka.Report[]|nil where they are collected: by index, failed ones too, a hole for what was refused

local Delivery = {}
Delivery.__index = Delivery

local failure_rows = show.list { "index" }
local outcome_row = show.row { "topic", "n", "delivered", "failed" }

local EVERY = 1 -- the ticket of messages whose reports all go to the producer's on_delivery

-- The error of a failed report, which carries what was to be sent besides.
local function failure_of(self, report)
  local raw = report.err
  return errors.from(raw, { op = "produce", topic = report.topic, partition = report.partition,
    user = self.handle.facts.user, cause = raw.name == "_MSG_TIMED_OUT" and self.handle:reason() or nil })
end

-- So many of a batch have no report to come any more.
local function finish(self, ticket, batch, count)
  batch.left = batch.left - count
  if batch.left > 0 then return end
  self.handle:done_with(ticket)
  self.batches[ticket] = nil
  local outcome = batch.outcome
  if outcome.n == 0 then return end
  table.sort(outcome.failures, function(a, b) return a.index < b.index end)
  failure_rows(outcome.failures)
  return batch.f(outcome)
end

-- Some successes of a batch, or one report of it.
local function take_batch(self, ticket, batch, report)
  local outcome, err = batch.outcome, report.err and failure_of(self, report)
  local index = report.index
  report.err, report.index = nil, nil
  self.handle:took()
  if err then
    outcome.failed = outcome.failed + 1
    outcome.failures[outcome.failed] = { index = index, err = err }
  else
    outcome.delivered = outcome.delivered + (report.count or 1)
  end
  if outcome.reports then outcome.reports[index] = report end
  return finish(self, ticket, batch, report.count or 1)
end

---One report of the core's: makes exactly one call. See Handle:took.
function Delivery:take_report(ticket, report)
  local batch = self.batches[ticket]
  if batch then return take_batch(self, ticket, batch, report) end
  local err = report.err and failure_of(self, report)
  local f = self.on_delivery
  if ticket > EVERY then
    f, report.tag = self.callbacks[ticket] or f, self.tags[ticket]
    self:count_off(ticket, 1)
  end
  report.err = nil
  self.handle:took()
  if f then return f(report, err) end
  if err and not self.in_transaction then
    log.line(self.handle.title, 3, ("%s was lost: %s"):format(report.topic, err.message))
  end
end

---@param h table the producer's handle; its reports come here from now on
---@param on_delivery function|nil takes every report that no message takes for itself
function Delivery.new(h, on_delivery)
  local self = setmetatable({
    handle = h,
    on_delivery = on_delivery,
    callbacks = {}, -- ticket -> function
    tags = {},
    in_transaction = false, -- whose outcome tells what failed
    batches = {}, -- ticket of messages that are told of together -> {f, left, outcome}
    left = {}, -- ticket of several messages -> reports still to come
  }, Delivery)
  h.last_ticket = EVERY
  h.reports = self
  if on_delivery then h.each_key, h.each = -1 - EVERY, on_delivery end
  return self
end

---A ticket for `count` messages whose reports go to `f`. Without function and tag none is needed: 0 has its successes only
---counted.
---@param f function|nil
---@param tag any
---@param count integer|nil default 1
---@return integer
function Delivery:take(f, tag, count)
  if not f and tag == nil then return self.on_delivery and EVERY or 0 end
  local ticket = self.handle:ticket()
  self.callbacks[ticket] = f
  self.tags[ticket] = tag
  self.left[ticket] = count
  return ticket
end

---So many of the ticket's messages have no report to come any more: reported, or never accepted.
function Delivery:count_off(ticket, count)
  if ticket <= EVERY then return end
  local left = (self.left[ticket] or 1) - count
  if left > 0 then
    self.left[ticket] = left
    return
  end
  self.handle:done_with(ticket)
  self.callbacks[ticket], self.tags[ticket], self.left[ticket] = nil, nil, nil
end

---A ticket for `count` messages of which `f` is told once, when all have their reports.
---@param collect boolean|nil with the reports
function Delivery:take_batch(f, topic, count, collect)
  local ticket = self.handle:ticket()
  self.batches[ticket] = { f = f, left = count, outcome = outcome_row { topic = topic, n = count, delivered = 0, failed = 0,
    failures = {}, reports = collect and {} or nil } }
  return ticket
end

---So many of a batch were not accepted. Calls f where the others have their reports already.
function Delivery:shrink(ticket, count)
  local batch = self.batches[ticket]
  batch.outcome.n = batch.outcome.n - count
  return finish(self, ticket, batch, count)
end

---From now on the ticket's report goes to `f`.
function Delivery:redirect(ticket, f)
  self.callbacks[ticket] = f
end

return Delivery

-- What a consumer has stored and committed: at intervals, when asked, before partitions are taken away. Stored is what may be
-- committed; committing sends it to the group's coordinator. Knows a handle and the parts of an assignment.

local core = require "kafka.core"
local errors = require "kafka.error"
local rows_of = require "kafka.rows"

local now = core.now

local Commits = {}
Commits.__index = Commits

local THROWN_OUT = "the group has given this member's partitions to others: it was too slow, or not heard of; polling joins again"

---@param h table the handle
---@param assignment table
---@param interval number|nil seconds; nil: only when asked
---@param report fun(rows: table[], err: kafka.Error|nil) hears of commits that nobody waits for
local function open(h, assignment, interval, report)
  return setmetatable({
    handle = h,
    assignment = assignment,
    interval = interval,
    report = report,
    member = false, -- of the group, so that UNKNOWN_MEMBER_ID means one that was thrown out
    due = interval and now() + interval or math.huge,
  }, Commits)
end

---Notes that a partition may be committed up to `offset`. False where it is not ours (any more).
function Commits:store(topic, partition, offset, metadata)
  local part = self.assignment:find(topic, partition)
  if not part then return false end
  if part.stored == offset and (metadata == nil or metadata == part.metadata) then return true end
  part.stored, part.metadata = offset, metadata
  if metadata then part.sent, part.acknowledged = nil, nil end
  return true
end

---The group's coordinator has this offset already.
function Commits.known(_, part, offset)
  part.sent, part.acknowledged = offset, offset
end

-- What is stored and does not stand in `field` of its part.
local function rows_without(parts, field)
  local rows = {}
  for _, part in ipairs(parts) do
    if part.stored and part.stored ~= part[field] then
      rows[#rows + 1] = { topic = part.topic, partition = part.partition, offset = part.stored, metadata = part.metadata }
    end
  end
  return rows
end

---What is stored and was not acknowledged yet, as rows: an answer that is still awaited may be a refusal.
---@param parts table[]|nil of these only
function Commits:pending(parts) return rows_without(parts or self.assignment.list, "acknowledged") end

-- Until the answer says otherwise rows count as sent, so that the next interval does not send them again.
local function mark(self, rows)
  local parts = {}
  for i, row in ipairs(rows) do
    local part = self.assignment:find(row.topic, row.partition) or false
    if part then part.sent = row.offset end
    parts[i] = part
  end
  return parts
end

local function settle(rows, parts, err)
  for i, row in ipairs(rows) do
    local part = parts[i]
    if part and err and part.sent == row.offset then part.sent = nil end
    if part and not err then part.acknowledged, part.base = row.offset, row.offset end
  end
end

---Commits rows and does not wait. `f(rows, err)` hears the outcome.
---@return true|nil
---@return kafka.Error|nil where it could not even be sent
function Commits:send(rows, f)
  local h = self.handle
  local ticket = h:ticket()
  local about = rows_of.about("commit", rows_of.shown(rows))
  local parts = mark(self, rows)
  h.waiting[ticket] = function(answer)
    about.cause, about.user = h:reason(), h.facts.user
    if self.member and answer.err and answer.err.name == "UNKNOWN_MEMBER_ID" then
      about.message, about.action = THROWN_OUT, "wait"
    end
    local err = answer.err and errors.from(answer.err, about) or rows_of.error("commit", answer.rows, h)
    settle(rows, parts, err)
    return f(rows, err)
  end
  local called, ok, raw = pcall(h.core.commit, h.core, rows, ticket)
  if called and ok then return true end
  h.waiting[ticket] = nil
  h:done_with(ticket)
  settle(rows, parts, true)
  if not called then error(ok, 0) end
  return nil, errors.from(raw, about)
end

---Commits rows and waits for the answer.
---@return true|nil
---@return kafka.Error|nil
function Commits:wait(rows, timeout)
  if #rows == 0 then return true end
  local h = self.handle
  local done, err
  local ok, failed = self:send(rows, function(_, e) done, err = true, e end)
  if not ok then return nil, failed end
  h:await(function() return done end, now() + timeout)
  if not done then
    err = h:late(rows_of.about("commit", rows), timeout)
    err.in_flight = true
    err.message = err.message .. "; it may still take effect"
  end
  if err then return nil, err end
  return true
end

---Whether the interval is over.
function Commits:is_due() return now() >= self.due end

---Sends what is stored, and begins the next interval.
function Commits:serve()
  self.due = now() + self.interval
  local rows = rows_without(self.assignment.list, "sent")
  if #rows == 0 then return end
  local ok, err = self:send(rows, self.report)
  if not ok then self.report(rows, err) end
end

return { open = open }

-- A consumer's life in its group: what the group assigns and takes away, in which order handlers, commits and the answer to
-- the group follow each other, and how it leaves. All of it runs between polls, on the caller's own stack.

local await = require "kafka.await"
local core = require "kafka.core"
local errors = require "kafka.error"
local log = require "kafka.log"
local show = require "kafka.show"

local now = core.now

local Membership = {}
Membership.__index = Membership

local shown_list = show.list({ "topic", "partition", show.maybe "offset" }, { none = "no partition" })

local LOOK_UP = 5 -- seconds for the committed offsets of new partitions
local COMMIT = 5 -- seconds for the commit before partitions are given back
local RETRY = 1 -- seconds in which the last commit is tried again
local PAUSE = 0.1 -- seconds between two tries
local AGAIN = 0.5 -- seconds after which a group that is not left is answered again

---@param consumer kafka.Consumer handed to handlers
---@param policy table {handle, parts, commits, backlog, on_assign, on_revoke, on_lost, start, auto_commit, report, position}
local function open(consumer, policy)
  local self = setmetatable({
    consumer = consumer,
    policy = policy,
    handle = policy.handle,
    parts = policy.parts,
    queue = {}, -- what the group said and was not answered yet
    subscribed = false, -- now
    patient = false, -- this librdkafka must not be asked to leave before the group has assigned partitions
    joined = false, -- has subscribed, now or before
    served = false, -- the group has assigned, now or before
    assigned = false, -- the group has given what it gives, perhaps nothing
    unanswered = nil, -- function that answers what is being handled
    expelled = false, -- it polled too seldom: whatever is taken away next is lost, also what had been asked for before
    busy = false, -- a handler of ours runs
    leaves = false, -- the group is being left
    resigned = false, -- the request by which it was answered then, and when
    resigned_at = false,
    owed = false, -- that answer once more
  }, Membership)
  self.handle.on.rebalance = function(record)
    self.queue[#self.queue + 1] = record
    self.parts:freeze()
  end
  return self
end

-- Handlers -----------------------------------------------------------------------------------------------------------

-- Runs a handler of the caller's; keeps the first error, which is raised when the group has its answer.
local function run(self, f, rows)
  if not f then return end
  local ok, err = pcall(f, rows, self.consumer)
  if ok then return end
  if self.failure == nil then
    self.failure = err
  else
    log.line(self.handle.title, 3, "a handler raised: " .. tostring(err))
  end
end

-- What the group gives -----------------------------------------------------------------------------------------------

-- Where each new partition starts: what the group has committed, else the policy. Where that cannot be asked now,
-- librdkafka looks it up when it starts to fetch.
local function look_up(self, parts)
  if #parts == 0 then return end
  local rows = {}
  for i, part in ipairs(parts) do rows[i] = { topic = part.topic, partition = part.partition } end
  local h = self.handle
  local found = h:request({ op = "committed" }, LOOK_UP, function(ticket, ms) return h.core:committed(rows, ms, ticket) end)
  for i, row in ipairs(found and found.rows or {}) do
    local part = parts[i]
    if not row.err then part.start = row.offset or self.policy.start(row.topic, row.partition) end
    part.base = part.start
    if row.offset and not row.err then self.policy.commits:known(part, row.offset) end
  end
end

-- Gives all partitions back, which answers whatever the group has said. While it is left librdkafka may drop any answer, so this
-- one is a request, on a thread, which nothing waits for. Who asks for it twice owes it once more: see `insist`.
local function resign(self)
  local h = self.handle
  if h.closed then return true end
  self.owed, self.resigned_at = true, self.resigned_at or now() -- also where what follows runs out of memory
  self.parts:forget_all()
  if h.core:left() then return true end
  if self.resigned then return true end
  local err
  self.resigned, err = h:start({ op = "unassign" }, math.huge, function(ticket) return h.core:resign(ticket) end)
  self.owed, self.resigned_at = not self.resigned, now()
  return self.resigned and true, err
end

-- The group is still not left: answers it again, where it has said something since, or the answer was not taken.
local function insist(self)
  local asked = self.resigned
  local refused = asked and asked.answer and asked.answer.err
  if refused then
    self.resigned, self.owed = nil, true
    self.handle:tell(errors.from(refused, { op = "unassign" }))
  end
  if not self.owed or now() < self.resigned_at + AGAIN or self.resigned and not asked.answer then return end
  self.resigned = nil
  resign(self)
end

-- What the group is to be answered. While it is being left there is one answer to all that it says.
local function prepare(self, give)
  self.unanswered = function()
    self.unanswered = nil
    if self.leaves then return resign(self) end
    return give()
  end
end

local function assign(self, record)
  local parts, new, shown = self.parts, {}, {}
  self.expelled = false
  prepare(self, function()
    self.assigned, self.served = true, true
    return parts:take_up()
  end)
  if self.leaves then return end
  parts.eager = not record.cooperative
  if parts.eager then parts:forget_all() end
  for i, row in ipairs(record.rows) do new[i] = parts:add(row.topic, row.partition) end
  look_up(self, new)
  for i, part in ipairs(new) do
    shown[i] = { topic = part.topic, partition = part.partition, offset = part.acknowledged }
  end
  run(self, self.policy.on_assign, shown_list(shown))
end

-- What the group takes away ------------------------------------------------------------------------------------------

local function parts_of(self, record)
  if not record.cooperative then return { table.unpack(self.parts.list) } end
  local parts = {}
  for _, row in ipairs(record.rows) do parts[#parts + 1] = self.parts:find(row.topic, row.partition) end
  return parts
end

local function revoke(self, record)
  local policy, parts, shown = self.policy, parts_of(self, record), {}
  for i, part in ipairs(parts) do
    shown[i] = { topic = part.topic, partition = part.partition, offset = policy.position(part) }
  end
  local lost = record.lost or self.expelled
  self.assigned, self.expelled = false, false
  prepare(self, function()
    for _, part in ipairs(parts) do policy.backlog:drop(part.topic, part.partition) end
    if record.cooperative then return self.parts:give_back(parts) end
    return self.parts:clear()
  end)
  shown_list(shown)
  if self.leaves and #parts == 0 then return end -- given back by an answer before
  if lost then
    run(self, policy.on_lost or policy.on_revoke, shown)
    return
  end
  run(self, policy.on_revoke, shown)
  if not self.unanswered or not policy.auto_commit then return end -- a handler has closed the consumer, or nothing to do
  local rows = policy.commits:pending(parts)
  local ok, err = policy.commits:wait(rows, COMMIT)
  if #rows > 0 then policy.report(rows, not ok and err or nil) end
end

-- Serving ------------------------------------------------------------------------------------------------------------

local function failed(self, record)
  self.assigned = false
  prepare(self, function() return self.parts:clear() end)
  self.handle:tell(errors.from(record.err, { op = "rebalance" }))
end

local function answer(self)
  if not self.unanswered then return end -- a handler has closed the consumer
  local ok, err = self.unanswered()
  if not ok then self.handle:tell(err) end
end

local function one(self, record)
  local handle = record.err and failed or record.kind == "assign" and assign or revoke
  local ok, raised = pcall(handle, self, record)
  answer(self) -- whatever was raised, Ctrl-C included: the group waits
  if not ok then error(raised, 0) end
end

---Handles what the group has said since the last time, and answers it. Raises the first error of a handler, afterwards.
function Membership:serve()
  if self.busy then return end -- a handler's own call
  self.busy = true
  local ok, raised = true, nil
  while ok and self.queue[1] and not self.handle.closed do
    ok, raised = pcall(one, self, table.remove(self.queue, 1))
  end
  self.busy = false
  if not self.queue[1] and not self.handle.closed then
    local thawed, err = self.parts:thaw()
    if not thawed then self.handle:tell(err) end
  end
  if not ok then error(raised, 0) end
  local failure = self.failure
  self.failure = nil
  if failure ~= nil then error(failure, 0) end
end

---Whether what is assigned is what is to be read: by the group, which takes nothing away just now, or by the caller itself.
function Membership:has_assignment()
  if not self.subscribed then return #self.parts.list > 0 end
  return self.assigned and not self.queue[1]
end

-- Leaving ------------------------------------------------------------------------------------------------------------

-- Runs a step of the end; what it raises is kept for the caller, and the end goes on.
local function guarded(self, step)
  local ok, raised = pcall(step)
  if not ok and self.raised == nil then self.raised = raised end
end

-- Leaves the group: the last revoke is handled as any other.
local function leave(self, deadline)
  local h = self.handle
  local farewell, raw = h.core:leave()
  if not farewell then
    h:tell(errors.from(raw, { op = "close" }))
    return
  end
  self.farewell, self.leaves = farewell, true
  repeat
    guarded(self, function()
      h:await(function()
        self:serve()
        if h.core:left() then return true end
        insist(self)
      end, deadline)
    end)
    -- Where handlers of other things go on raising, none of that was reached.
    guarded(self, function() self:serve() end)
    guarded(self, function() insist(self) end)
  until h.closed or h.core:left() or now() >= deadline or await.is_interrupt(self.raised)
end

-- The last commit. A coordinator that is just forming the group anew wants it a little later.
local function commit_all(self, deadline)
  local h, commits = self.handle, self.policy.commits
  local patience = math.min(deadline, now() + RETRY)
  while true do
    local rows = commits:pending()
    local ok, err = commits:wait(rows, math.max(0, deadline - now()))
    if ok then return nil end
    local passes = err.category == "group" and err.action == "wait" and err.name ~= "UNKNOWN_MEMBER_ID"
    if not passes or now() >= patience then return err, rows end
    h:await(function() return false end, now() + PAUSE)
  end
end

---Commits what is stored and leaves.
---@param deadline number
---@param settle function notes what was handled
---@return table[]|nil rows that were not committed
---@return kafka.Error|nil why
---@return any what a handler raised
function Membership:finish(deadline, settle)
  local h, rows, err = self.handle, nil, nil
  guarded(self, function() answer(self) end) -- closed by the handler of what is unanswered
  self.busy = false
  guarded(self, function()
    h:dispatch()
    self:serve()
  end)
  settle()
  if self.policy.auto_commit then
    guarded(self, function() err, rows = commit_all(self, deadline) end)
    self.policy.auto_commit = not err -- no second try, for the last revoke
  end
  -- One that has no assignment yet has nothing to say; librdkafka ends it.
  if self.joined and not await.is_interrupt(self.raised) and (self.served or not self.patient) then
    guarded(self, function() leave(self, deadline) end)
  end
  return rows, err, self.raised
end

return { open = open }

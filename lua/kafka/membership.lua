-- A consumer's life in its group: what the group assigns and takes away, in which order handlers, commits and the answer to
-- the group follow each other, and how it leaves. All of it runs between polls, on the caller's own stack.

local core = require "kafka.core"
local errors = require "kafka.error"
local log = require "kafka.log"
local show = require "kafka.show"

local now = core.now

local Membership = {}
Membership.__index = Membership

local shown_list = show.list { "topic", "partition", "offset" }

local LOOK_UP = 5 -- seconds for the committed offsets of new partitions
local COMMIT = 5 -- seconds for the commit before partitions are given back

---@param consumer kafka.Consumer handed to handlers
---@param policy table {handle, parts, commits, backlog, on_assign, on_revoke, on_lost, start, auto_commit, settle}
local function open(consumer, policy)
  local self = setmetatable({
    consumer = consumer,
    policy = policy,
    handle = policy.handle,
    parts = policy.parts,
    queue = {}, -- what the group said and was not answered yet
    subscribed = false,
    assignments = 0, -- how many the group has given
    unanswered = nil, -- function that answers what is being handled
  }, Membership)
  self.handle.on.rebalance = function(record) self.queue[#self.queue + 1] = record end
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
local function look_up(self, rows)
  if #rows == 0 then return rows end
  local h = self.handle
  local found = h:request({ op = "committed" }, LOOK_UP, function(ticket, ms) return h.core:committed(rows, ms, ticket) end)
  if not found then return rows end
  for i, row in ipairs(found.rows) do
    rows[i].committed = not row.err and row.offset or nil
    if row.err then
      rows[i].unknown = true
    end
  end
  return rows, true
end

local function assign(self, record)
  local parts = self.parts
  parts.eager = not record.cooperative
  if parts.eager then parts:forget_all() end
  local rows, known = look_up(self, record.rows)
  local shown = {}
  for i, row in ipairs(rows) do
    local start
    if known and not row.unknown then start = row.committed or self.policy.start(row.topic, row.partition) end
    local part = parts:add(row.topic, row.partition, start)
    part.sent = row.committed
    shown[i] = { topic = row.topic, partition = row.partition, offset = row.committed }
  end
  self.unanswered = function()
    self.unanswered = nil
    self.assignments = self.assignments + 1
    return parts:take_up()
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

local function forget(self, parts)
  for _, part in ipairs(parts) do self.policy.backlog:drop(part.topic, part.partition) end
end

local function revoke(self, record)
  local parts = parts_of(self, record)
  local shown = {}
  for i, part in ipairs(parts) do
    shown[i] = { topic = part.topic, partition = part.partition, offset = self.policy.position(part) }
  end
  self.unanswered = function()
    self.unanswered = nil
    forget(self, parts)
    if record.cooperative then return self.parts:give_back(parts) end
    return self.parts:clear()
  end
  shown_list(shown)
  if record.lost then
    run(self, self.policy.on_lost or self.policy.on_revoke, shown)
    return
  end
  run(self, self.policy.on_revoke, shown)
  if self.unanswered and self.policy.auto_commit then
    local rows = self.policy.commits:pending(parts)
    local ok, err = self.policy.commits:wait(rows, COMMIT)
    if #rows > 0 then self.policy.report(rows, not ok and err or nil) end
  end
end

-- Serving ------------------------------------------------------------------------------------------------------------

local function one(self, record)
  if record.err then
    self.handle:tell(errors.from(record.err, { op = "rebalance" }))
    self.unanswered = function()
      self.unanswered = nil
      return self.parts:clear()
    end
  elseif record.kind == "assign" then
    assign(self, record)
  else
    revoke(self, record)
  end
  if not self.unanswered then return end -- a handler has closed the consumer
  local ok, err = self.unanswered()
  if not ok then self.handle:tell(err) end
end

---Handles what the group has said since the last time, and answers it. Raises the first error of a handler, afterwards.
function Membership:serve()
  if self.busy then return end -- a handler's own call
  self.busy = true
  while self.queue[1] and not self.handle.closed do
    local record = table.remove(self.queue, 1)
    local ok, err = pcall(one, self, record)
    if self.unanswered then pcall(self.unanswered) end
    if not ok then
      self.busy = false
      error(err, 0)
    end
  end
  self.busy = false
  local failure = self.failure
  if failure ~= nil then
    self.failure = nil
    error(failure, 0)
  end
end

---Whether the group has assigned partitions (perhaps none) that were not taken away since; or the caller itself.
function Membership:has_assignment()
  if not self.subscribed then return #self.parts.list > 0 end
  return self.assignments > 0 and not self.queue[1]
end

-- Leaving ------------------------------------------------------------------------------------------------------------

-- librdkafka below 2.3 aborts the process where a cooperative member leaves while it joins.
local function wait_for_assignment(self, deadline)
  if core.librdkafka_number >= 0x020300ff or not self.policy.cooperative or self.assignments > 0 then return end
  self.handle:await(function()
    self:serve()
    return self.assignments > 0
  end, deadline)
end

-- Leaves the group: the last revoke is handled as any other.
local function leave(self, deadline)
  local h = self.handle
  wait_for_assignment(self, deadline)
  local farewell, raw = h.core:leave()
  if not farewell then
    h:tell(errors.from(raw, { op = "close" }))
    return
  end
  self.farewell = farewell
  h:await(function()
    self:serve()
    return h.core:left()
  end, deadline)
end

-- Runs a step of the end; what it raises is kept for the caller, and the end goes on.
local function guarded(self, step)
  local ok, raised = pcall(step)
  if not ok and self.raised == nil then self.raised = raised end
end

---Commits what is stored and leaves.
---@param deadline number
---@param settle function notes what was handled
---@return table[]|nil rows that were not committed
---@return kafka.Error|nil why
---@return any what a handler raised
function Membership:finish(deadline, settle)
  local h, commits, rows, err = self.handle, self.policy.commits, {}, nil
  if self.unanswered then guarded(self, self.unanswered) end -- closed by the handler of what is unanswered
  self.busy = false
  guarded(self, function()
    h:dispatch()
    self:serve()
  end)
  settle()
  if self.policy.auto_commit then
    rows = commits:pending()
    guarded(self, function()
      local ok
      ok, err = commits:wait(rows, math.max(0, deadline - now()))
      if ok then err = nil end
    end)
    self.policy.auto_commit = not err -- no second try, for the last revoke
  end
  while self.subscribed and not h.closed do
    local before = self.raised
    guarded(self, function() leave(self, deadline) end)
    if self.raised == before or self.farewell then break end
  end
  return err and rows, err, self.raised
end

return { open = open }

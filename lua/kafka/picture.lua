-- One picture of a cluster as watchers compare them: brokers, topics, the coordinators of groups, by as few requests as it takes.
-- Begun and looked at, so that whoever waits for it may have a deadline of its own; `take` waits. Knows nothing of changes.
--
-- The requests: one for a single topic, one for all topics, one for several, which is that for the topics that the connection
-- knows. It knows a topic once it was asked for by name, as the first picture does with each; while it knows none, that request
-- is one for all topics.
--
-- Coordinators are reckoned from the leaders of __consumer_offsets, in the same answer. Where that cannot be (the mock cluster
-- has no such topic, and makes it when it is asked for; an ACL may forbid it), a connection for each group goes on asking.

local core = require "kafka.core"
local cluster = require "kafka.cluster"
local errors = require "kafka.error"
local group = require "kafka.group"
local javahash = require "kafka.javahash"
local support = require "kafka.admin.support"

local now = core.now

local picture = {}

local LEADER_AND_ISR = 4 -- a request that only brokers with ZooKeeper serve
local LOOK_AGAIN = 1000 -- milliseconds between two questions for a coordinator, where it must be asked for
local FIRST_LOOK = 2 -- seconds that a picture waits for the first answer to such a question

---@class kafka.Subject what pictures are of
---@field topics string[]|nil nil: all topics
---@field groups string[]|nil
---@field internal boolean|nil with all topics: Kafka's own too, whose names begin with "__"
---@field controller boolean|nil whether the controller that brokers name is one: with KRaft each names any broker
---@field mock boolean|nil whether it is the mock cluster
---@field named boolean|nil whether the connection was asked for each topic by name
---@field lookouts table<string, table> kept between pictures: group -> its connection; closed by `picture.release`

---@class kafka.Picture: kafka.Cluster
---@field coordinators table<string, integer> group -> the broker's id; none where there is none now
---@field unclear table<string, kafka.Error> topics of which nothing can be said: being made just now, or not to be described

local Taking = {}
Taking.__index = Taking

---What pictures are to be of, with what must be known of the cluster first: with `controller` a connection's first words.
---@param client table a kafka.connect
---@param op string
---@param subject {topics: string[]|nil, groups: string[]|nil, internal: boolean|nil, controller: boolean|nil}
---@param timeout number seconds
---@return kafka.Subject
function picture.of(client, op, subject, timeout)
  local copy = { topics = subject.topics, groups = subject.groups, internal = subject.internal, lookouts = {},
    mock = client.is_mock }
  if subject.controller and not client.is_mock then
    copy.controller = support.has(client, op, LEADER_AND_ISR, now() + timeout) or false
  end
  return copy
end

-- The names that must be in the answer.
local function names_of(subject)
  local names, reckons = {}, subject.topics and subject.groups and subject.groups[1] and not subject.mock
  for i, name in ipairs(subject.topics or {}) do
    names[i] = name
    reckons = reckons and name ~= javahash.TOPIC
  end
  if reckons then names[#names + 1] = javahash.TOPIC end
  return names
end

local function ask(self, what, seconds)
  local h = self.handle
  local about = { op = self.op, topic = type(what) == "string" and what or nil }
  local err
  self.pending, err = h:begin(about, seconds, function(ticket, ms) return h.core:metadata(what, ms, ticket) end)
  self.failure = err
end

---Sends the first request of a picture.
---@param client table a kafka.connect
---@param op string
---@param subject kafka.Subject
---@param timeout number seconds
function picture.begin(client, op, subject, timeout)
  local self = setmetatable({ client = client, handle = client.handles[1], op = op, subject = subject, began = now(),
    deadline = now() + timeout, names = names_of(subject), seen = nil, missing = nil }, Taking)
  local what = subject.topics == nil
  if #self.names == 1 or not subject.named then what = self.names[1] or what end
  ask(self, what, timeout)
  return self
end

-- The topics of one answer, by name.
local function note(self, answer)
  if not self.seen then
    self.seen, self.topics, self.missing = answer, {}, {}
    for _, t in ipairs(answer.topics) do self.topics[t.name] = t end
    for _, name in ipairs(self.names) do
      if not self.topics[name] then self.missing[#self.missing + 1] = name end
    end
  elseif answer.topics[1] then
    self.topics[answer.topics[1].name] = answer.topics[1]
  end
end

-- Coordinators that must be asked for ---------------------------------------------------------------------------------

local function lookout(self, name)
  local subject, client = self.subject, self.client
  local look = subject.lookouts[name]
  if look then
    look.handle:dispatch()
    return look
  end
  look = group.lookout(client, self.op, name, LOOK_AGAIN)
  if not look then return nil end
  look.since = now()
  subject.lookouts[name] = look
  client.group_handles[look] = look.handle -- closed with the client
  return look
end

-- Whether every coordinator that must be asked for is known, or was waited for long enough.
local function asked(self)
  local ready = true
  for _, name in ipairs(self.subject.groups) do
    local look = lookout(self, name)
    if look and not look.address and now() < math.min(look.since + FIRST_LOOK, self.deadline) then ready = false end
  end
  return ready
end

---Closes the connections that asked for coordinators.
---@param client table
---@param subject kafka.Subject
function picture.release(client, subject)
  for name, look in next, subject.lookouts do
    subject.lookouts[name] = nil
    client.group_handles[look] = nil
    look.handle:close(now()) -- ends in the background
  end
end

-- The whole ------------------------------------------------------------------------------------------------------------

local function coordinators_of(self)
  local subject, found = self.subject, {}
  local offsets = self.topics[javahash.TOPIC]
  for _, name in ipairs(subject.groups or {}) do
    if self.asks then
      local look = subject.lookouts[name]
      local broker = look and group.broker_at(look.address, self.seen.brokers)
      found[name] = broker and broker.id
    elseif offsets and not offsets.err and offsets.partitions[1] then
      found[name] = offsets.partitions[javahash.partition(name, #offsets.partitions) + 1].leader
    end
  end
  return found
end

-- The topics of the answers that are asked for: the connection may know others.
local function wanted(self)
  local names, list = self.subject.topics, {}
  for _, name in ipairs(names or {}) do list[#list + 1] = self.topics[name] end
  if names then return list end
  for name, t in next, self.topics do
    if self.subject.internal or name:sub(1, 2) ~= "__" then list[#list + 1] = t end
  end
  return list
end

-- Brokers tell in-sync replicas in different orders.
local function steady(topic)
  for _, p in ipairs(topic.partitions) do table.sort(p.isr) end
  return topic
end

local function whole(self)
  local seen, topics = self.seen, {}
  self.subject.named = true
  seen.unclear = {}
  for _, t in ipairs(wanted(self)) do
    if not t.err then
      topics[#topics + 1] = steady(t)
    elseif t.err.name ~= "UNKNOWN_TOPIC_OR_PART" then
      seen.unclear[t.name] = errors.from(t.err, { op = self.op, topic = t.name, user = self.handle.facts.user })
    end
  end
  table.sort(topics, function(a, b) return a.name < b.name end)
  seen.topics = setmetatable(topics, getmetatable(seen.topics))
  seen.coordinators = coordinators_of(self)
  if not self.subject.controller then seen.controller = nil end
  return seen
end

-- Whether coordinators are to be asked for, not reckoned.
local function must_ask(self)
  if not (self.subject.groups and self.subject.groups[1]) then return false end
  local offsets = self.topics[javahash.TOPIC]
  return self.subject.mock or offsets and offsets.err and offsets.err.name == "TOPIC_AUTHORIZATION_FAILED" or false
end

---What there is of it by now; to be called while the client's first handle is served.
---@return kafka.Picture|nil
---@return kafka.Error|nil neither: not yet
function Taking:look()
  if self.failure then return nil, self.failure end
  if self.pending then
    if not self.pending.answer and now() < self.pending.deadline and not self.handle.closed then return nil end
    local raw, err = self.handle:result(self.pending)
    self.pending = nil
    if not raw then
      self.failure = err
      return nil, err
    end
    note(self, cluster.picture(raw))
    if #self.seen.brokers == 0 then -- it has just started, and was told nothing yet
      self.failure = errors.new { name = "BROKER_NOT_AVAILABLE", op = self.op,
        message = "the broker that answered does not know the cluster yet" }
      return nil, self.failure
    end
  end
  local name = table.remove(self.missing)
  if name then
    ask(self, name, self.deadline - now())
    return nil, self.failure
  end
  self.asks = must_ask(self)
  if self.asks and not asked(self) then return nil end
  return whole(self)
end

---Takes a picture and waits for it.
---@param client table a kafka.connect
---@param op string
---@param subject kafka.Subject
---@param timeout number seconds
---@return kafka.Picture|nil
---@return kafka.Error|nil
function picture.take(client, op, subject, timeout)
  local taking = picture.begin(client, op, subject, timeout)
  local seen, err
  taking.handle:await(function()
    seen, err = taking:look()
    return seen or err
  end, math.huge) -- each request has its own deadline
  if seen or err then return seen, err end
  return taking:look() -- the client was closed
end

return picture

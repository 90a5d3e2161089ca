-- `k:watch`: what changes in a cluster, one change at a time, as it is seen. The face and the loop: when a picture is taken, and
-- what a picture that could not be taken means. What is in a picture is picture.lua's, what of two differs changes.lua's, what
-- of that is news news.lua's.

local core = require "kafka.core"
local args = require "kafka.args"
local changes = require "kafka.changes"
local cluster = require "kafka.cluster"
local errors = require "kafka.error"
local news = require "kafka.news"
local picture = require "kafka.picture"

local now = core.now

---@class kafka.Watcher
---@field picture kafka.Picture|nil the cluster as all changes that were found so far have made it
---@field pictures integer how many pictures were taken
---@operator call: kafka.Change|nil
local Watcher = {}
Watcher.__index = Watcher
Watcher.__name = "kafka.Watcher"

local EVERY = 1 -- seconds from one picture to the next
local TIMEOUT = 3 -- seconds that a picture may take
local FAST = 0.1 -- seconds to the next picture where something is in doubt
local AGAIN = 0.5 -- seconds at most to the next one where one could not be taken
local ALL_DOWN = 0.3 -- seconds without an answer after which librdkafka's word that all are down is believed

-- Errors of a single broker, maybe: the next one may know better.
local soft = { _TIMED_OUT = true, BROKER_NOT_AVAILABLE = true }

local watch_options = {
  topics = args.either(args.topic_name, args.table),
  groups = args.either(args.group, args.table),
  internal = args.boolean,
  every = args.seconds,
  timeout = args.seconds,
  wait = args.seconds,
  idle = args.seconds,
}

-- A checked list of names, each there once; a single name is a list of one.
local function names(arg, given, kind)
  if type(given) ~= "table" then return given and { given } end
  local list, seen = args.list("watch", arg, given, "a list of names"), {}
  for i, name in ipairs(list) do
    args.check("watch", ("%s[%d]"):format(arg, i), name, kind)
    if seen[name] then args.misuse("watch", ("%s must name each once, got %s twice"):format(arg, core.show(name))) end
    seen[name] = true
  end
  return list
end

local function tell(self, change) self.queue[#self.queue + 1] = change end

-- Whether nothing more will come: it was stopped or closed, or the client was.
local function is_over(self) return self.stopped or self.closed or self.client.closed end

-- Pictures -----------------------------------------------------------------------------------------------------------

local function unreachable(self, err)
  self.unreachable = true
  news.forget(self.state)
  if err.name == "_TRANSPORT" then
    err = errors.new { name = "_ALL_BROKERS_DOWN", op = "watch", cause = err.cause }
  end
  tell(self, changes.new { kind = "unreachable", err = err })
end

local function failed(self, err)
  self.failures = self.failures + 1
  self.due = now() + math.min(self.every, AGAIN)
  if self.unreachable or is_over(self) then return end
  if not soft[err.name] or self.failures > 1 and now() - self.answered_at >= AGAIN then unreachable(self, err) end
end

-- Topics of which nothing can be said although they are there: told once each.
local function tell_denied(self, unclear)
  local denied = {}
  for name, err in next, unclear do
    if err.action == "fix" then
      denied[name] = true
      if not self.denied[name] then self.client:tell(err) end
    end
  end
  self.denied = denied
end

local function taken(self, seen, began)
  if self.unreachable then
    tell(self, changes.new { kind = "reachable", seconds = now() - self.answered_at })
  end
  self.unreachable, self.failures, self.answered_at = false, 0, now()
  self.pictures = self.pictures + 1
  local list, fast = news.step(self.state, seen, now())
  self.picture = cluster.shown(self.state.picture)
  self.picture.cluster_id = seen.cluster_id
  for _, change in ipairs(list) do tell(self, change) end
  self.due = fast and now() + math.min(self.every, FAST) or math.max(now(), began + self.every)
  tell_denied(self, seen.unclear)
end

-- librdkafka tells that all brokers are down long before a request to them is given up.
local function are_all_down(self)
  return self.handle.all_down_at > self.answered_at and now() - self.taking.began >= ALL_DOWN
end

-- Takes a picture where one is due, takes in what has come.
local function step(self)
  if not self.taking then
    if now() < self.due then return end
    self.taking = picture.begin(self.client, "watch", self.subject, self.timeout)
  end
  local taking = self.taking
  local seen, err = taking:look()
  if seen or err then
    if self.taking == taking then self.taking = nil end
    if seen then taken(self, seen, taking.began) else failed(self, err) end
  elseif not self.unreachable and are_all_down(self) then
    unreachable(self, errors.new { name = "_ALL_BROKERS_DOWN", op = "watch", cause = self.handle:reason() })
  end
end

-- One look. True where `next` has something to return.
local function look(self)
  if not (self.queue[1] or is_over(self)) then step(self) end
  return self.queue[1] ~= nil or is_over(self)
end

-- The face -----------------------------------------------------------------------------------------------------------

---Watches a cluster. The first picture is taken before this returns, where the cluster answers: changes from then on are told.
---@param client kafka.Client
---@param options table|nil topics, groups: names, a list of them each or one name (nil: all topics; no groups); internal
---  boolean: with all topics, also Kafka's own, whose names begin with "__" (default false); every seconds from one picture to
---  the next (default 1); timeout seconds that a picture may take (default 3); wait seconds to try for the first one (default:
---  one attempt); idle seconds without a change that end an iteration (default: none)
---@return kafka.Watcher
---rd_kafka_metadata
local function open(client, options)
  local o = args.fields("watch", options, watch_options)
  local every = o.every or EVERY
  if every < 0.01 or every == math.huge then args.fail("watch", "every", "a number of seconds, 0.01 or more", every) end
  local self = setmetatable({
    client = client,
    handle = client.handles[1],
    subject = nil, -- what pictures are of
    every = every,
    timeout = o.timeout or TIMEOUT,
    idle = o.idle,
    state = news.new(),
    picture = nil,
    queue = {}, -- changes that were not handed out yet
    taking = nil, -- the picture under way
    due = 0, -- when the next is
    pictures = 0,
    failures = 0, -- in a row
    answered_at = now(), -- when the last picture was taken
    unreachable = false, -- whether that was told
    denied = {}, -- topics that were told of
    told_at = nil, -- when the iteration began, or got its last change
    stopped = false,
    closed = false,
  }, Watcher)
  local subject = { topics = names("topics", o.topics, args.topic_name), groups = names("groups", o.groups, args.group),
    internal = o.internal, controller = true }
  local wait = o.wait or math.huge
  local deadline = now() + wait
  self.subject = picture.of(client, "watch", subject, math.min(self.timeout, wait))
  self.handle:await(function()
    if not is_over(self) then step(self) end
    return is_over(self) or self.pictures > 0 or not o.wait and self.failures > 0
  end, deadline)
  return self
end

local function check(self, op)
  args.object(op, self, Watcher)
  if self.closed then args.misuse(op, "attempt to use a closed kafka.Watcher") end
end

local function get(self, deadline)
  if not self.queue[1] then self.handle:await(function() return look(self) end, deadline) end
  if is_over(self) then return nil end
  return table.remove(self.queue, 1)
end

---The next change. Pictures are taken while this waits; where it is not called, nothing is asked of the cluster.
---@param timeout number|nil seconds; nil: for ever
---@return kafka.Change|nil nil where none came in time, and after `stop` or the end of the client
function Watcher:next(timeout)
  check(self, "next")
  args.optional("next", "timeout", timeout, args.seconds)
  if not is_over(self) then self.client:serve() end
  return get(self, now() + (timeout or math.huge))
end

---`for change in watcher do`: for ever, until it is stopped or closed, its client is closed, or `idle` seconds without a change.
---@return kafka.Change|nil
function Watcher:__call()
  args.object("watch", self, Watcher)
  if is_over(self) then return nil end
  self.client:serve()
  self.told_at = self.told_at or now()
  local change = get(self, self.idle and self.told_at + self.idle or math.huge)
  self.told_at = change and now() or nil
  return change
end

---Ends the loop over it, and every wait in `next`, for good.
function Watcher:stop()
  check(self, "stop")
  self.stopped = true
  if self.handle.wake then self.handle.wake() end
end

---Ends it and gives back what it holds. Its client goes on.
---@return true
function Watcher:close()
  args.object("close", self, Watcher)
  if self.closed then return true end
  self.closed = true
  if self.handle.core:forked() then return true end
  if not self.client.closed then picture.release(self.client, self.subject) end
  if self.handle.wake then self.handle.wake() end
  return true
end

function Watcher:__close() self:close() end

-- One that was never closed: its connections go with it.
function Watcher:__gc()
  if debug.getmetatable(self) ~= Watcher or not self.subject then return end
  for _, kept in next, self.subject.lookouts do self.client.group_handles[kept] = nil end
end

local function list(words, items) return #items > 0 and ("%s %s"):format(words, table.concat(items, ", ")) or nil end

function Watcher:__tostring()
  args.object("tostring", self, Watcher)
  local topics, groups = self.subject.topics, self.subject.groups or {}
  local parts = { topics == nil and "all topics" or nil }
  parts[#parts + 1] = list("topics", topics or {})
  parts[#parts + 1] = list("groups", groups)
  parts[#parts + 1] = ("every %g s"):format(self.every)
  if is_over(self) then
    parts[#parts + 1] = self.closed and "closed" or "ended"
  elseif self.unreachable then
    parts[#parts + 1] = "unreachable"
  end
  return ("kafka.Watcher (%s)"):format(table.concat(parts, ", "))
end

args.public(Watcher)
return { open = open }

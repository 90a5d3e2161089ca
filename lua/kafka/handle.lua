-- One client of kafka.core as the Lua modules see it: requests with tickets, records and the handlers they go to, the wait,
-- the end. Every flow of the other modules runs through `request`, `await` and `dispatch` here. Knows no topic and no message.
--
-- Records that were drained and not yet dispatched live on the handle, not on a stack: a handler may raise, yield, flush or
-- close, and the next dispatch, by whomever, goes on with the rest.

local core = require "kafka.core"
local await = require "kafka.await"
local certificate = require "kafka.certificate"
local config = require "kafka.config"
local diagnose = require "kafka.diagnose"
local errors = require "kafka.error"
local events = require "kafka.events"
local generation = require "kafka.generation"
local json = require "kafka.json"
local log = require "kafka.log"

local math_type, running = math.type, coroutine.running

local Handle = {}
Handle.__index = Handle
Handle.__name = "kafka.handle"

local handle = {}

local NO_MEMORY = "not enough memory" -- Lua's own words
local AT_ONCE = 256 -- records drained in one go: so few that they stay in the processor's cache
local LONGEST = 0.5 -- seconds after which a dispatch takes in no more
local LAST = 5 -- seconds for what is left at the end
local FRESH = 5 -- seconds before a call in which an error event may still be its cause
local DOWN = 60 -- seconds in which it is, where no broker could be reached since: librdkafka repeats what lasts each 30 s
local GRACE = 0.2 -- seconds that librdkafka's own timeout gets to be the one that tells

local NO_FACTS = diagnose.facts({}, core.librdkafka_number, core.librdkafka)

-- librdkafka names the setting that failed, not its value.
local function with_value(raw, message, settings)
  local name = raw:match("^([%w.]+) failed")
  local value = name and settings[name]
  if not value or config.is_secret(name) then return message end
  return ("%s (%s = %s)"):format(message, name, core.show(value))
end

local openers = { producer = "kafka.producer", consumer = "kafka.connect", member = "kafka.consumer" }

-- What a person knows a client by: who opened it, to which brokers, and the names that were chosen for it.
local function title_of(kind, settings, options)
  local words = { options.opened_by or openers[kind] }
  local id, group = settings["client.id"], settings["group.id"]
  if id and id ~= config.CLIENT_ID then words[#words + 1] = id end
  local brokers = settings["bootstrap.servers"] or settings["metadata.broker.list"]
  words[#words + 1] = "to " .. (#brokers > 60 and brokers:match "[^,]*" .. ",..." or brokers)
  if group and not group:find(config.GROUP) then words[#words + 1] = "for group " .. group end
  return table.concat(words, " ")
end

---Opens a client of the core.
---@param kind "producer"|"consumer"|"member"
---@param op string for errors
---@param settings table<string, string> librdkafka's names
---@param options table {loop, on_error, on_log, on_stats, on_throttle, opened_by, oauth_token, stranger, broker_version}
function handle.open(kind, op, settings, options)
  local refused = generation.setting_refusal(options.broker_version, settings, op)
  if refused then return nil, refused end
  if options.on_stats then
    local readable, why = json.available()
    if not readable then return nil, errors.new { name = "_NOT_CONFIGURED", op = op, message = "on_stats: " .. why } end
  end
  local client, raw = core[kind](settings)
  local facts = diagnose.facts(settings, core.librdkafka_number, core.librdkafka)
  if not client then
    local file, meant = certificate.explain(raw.message, settings), diagnose.look(raw.message, facts)
    return nil, errors.from(raw, { op = op, action = "fix", category = "config", original = (file or meant) and raw.message,
      message = file or with_value(raw.message, meant and meant.message or raw.message, settings) })
  end
  local self = handle.over(client, options, title_of(kind, settings, options))
  self.facts = facts
  self.produces = kind == "producer"
  facts.certificate = function() return client:certificate() end
  return self
end

---A handle over a client that is there already.
---@param title string|nil what a person knows it by (default: librdkafka's name)
function handle.over(client, options, title)
  return setmetatable({
    core = client,
    name = client:name(), -- librdkafka's
    title = title or client:name(),
    loop = options.loop,
    list = {}, -- records: key, payload, key, payload; list[head+1 .. tail] are not dispatched yet
    head = 0,
    tail = 0,
    key = 0, -- the record under dispatch, and whether it has reached its handler
    payload = false,
    handed = true,
    waiting = {}, -- ticket -> function(payload)
    free = {}, -- tickets to be used again
    last_ticket = 0,
    on = {
      error = options.on_error,
      log = options.on_log,
      stats = options.on_stats, -- function(table)
      stats_text = options.on_stats_text, -- function(json)
      throttle = options.on_throttle,
    },
    oauth_token = options.oauth_token,
    broker_version = options.broker_version, -- of brokers that do not tell what they serve
    stranger = options.stranger, -- its group is made up: that nobody may read in it means nothing
    facts = NO_FACTS, -- what the words of its errors need to know
    reports = nil, -- a producer's: reports:take_report(ticket, report)
    each_key = nil, -- the key of reports of success that all go to one function
    each = nil, -- that function
    last_error = nil, -- the last error event, and when it came
    last_error_at = 0,
    unsolved = false, -- whether that error will not pass by itself, and nothing was answered since
    delivered_then = 0, -- reports of success when it came
    answered = false, -- whether a broker has answered a request
    claims = nil, -- function(err): whether a flow above takes this error event for its own callers
    fatal = nil, -- the fatal error that ended this client's use
    fatal_words = {}, -- name of a fatal error -> a better sentence
    seen = {}, -- name of an error event -> true
    down = false, -- whether it told so, and nothing was answered since
    all_down_at = 0, -- when librdkafka last told that no broker can be reached
    accepted = 0, -- messages of a producer that is closed, and what became of them
    succeeded = 0,
    failed = 0,
    abandon = false, -- librdkafka must not be waited for when it ends
    failure = nil, -- the first error raised by a handler, to be raised by the next dispatch
    left = false, -- whether records or a failure wait for the next dispatch
    more = false, -- whether the last dispatch left something with librdkafka
    depth = 0, -- dispatches that run handlers now, in any coroutine
    runners = setmetatable({}, { __mode = "k" }), -- coroutine -> how many of them it runs
    exhausted = nil, -- what a dispatch raised that had no room to call a handler
    closed = false,
  }, Handle)
end

-- Tickets ------------------------------------------------------------------------------------------------------------

---A number that comes back with the answer of a request.
function Handle:ticket()
  local free = self.free
  local n = #free
  if n > 0 then
    local t = free[n]
    free[n] = nil
    return t
  end
  self.last_ticket = self.last_ticket + 1
  return self.last_ticket
end

---Gives a ticket back: no answer to it can come any more.
function Handle:done_with(ticket)
  self.free[#self.free + 1] = ticket
end

-- Dispatch -----------------------------------------------------------------------------------------------------------

---The error of a call after a fatal error: always the same, but for what was called. Nil where there was none.
---@param about table {op, topic, partition}
---@return kafka.Error|nil
function Handle:fatal_error(about)
  local raw = self.fatal or self.core:fatal()
  if not raw then return nil end
  return errors.from({ code = raw.code, name = raw.name, fatal = true, category = raw.category, cause = raw.cause,
    message = self.fatal_words[raw.name] or raw.message }, about)
end

---Something worth telling that is no call's failure: to on_error, else to the log.
---@param err kafka.Error
function Handle:tell(err)
  if self.on.error then return self.on.error(err) end
  log.line(self.title, 4, tostring(err))
end

-- Whether records or a failure wait for the next dispatch: the core's shortest way to produce asks too.
local function leave(self, left)
  self.left = left
  self.core:hold(left)
end

-- What the call itself cannot raise now is raised by the next dispatch; the first such error, the others are logged.
function Handle:fail_later(err)
  if self.failure == nil then
    self.failure = err
    leave(self, true)
  else
    log.line(self.title, 3, "a handler raised: " .. tostring(err))
  end
end

local function one(self, key, payload)
  if math_type(key) ~= "integer" then return events.take(self, key, payload) end
  if key < 0 then
    if not payload.err then self:heard() end
    return self.reports:take_report(-1 - key, payload)
  end
  local f = self.waiting[key]
  self:done_with(key)
  self.waiting[key] = nil
  self:took()
  if f then return f(payload) end
end

---To be called just before the handler of the record that is dispatched: where memory runs out earlier, the next dispatch begins
---the record anew. So what comes before this must do no harm when it is done twice.
function Handle:took()
  self.handed = true
end

---Whether another record of this kind stands behind the one that is dispatched.
---@param kind string
function Handle:expects(kind)
  for i = self.head + 1, self.tail, 2 do
    if self.list[i] == kind then return true end
  end
  return false
end

local function all(self)
  local list, each_key, each = self.list, self.each_key, self.each
  self:took() -- a call from here: each further one finds its place in Lua's list of calls without memory
  while self.head < self.tail do
    local at = self.head
    local key, payload = list[at + 1], list[at + 2]
    if key == each_key and not payload.err then
      -- The most frequent record by far. Nothing up to the handler can run out of memory.
      list[at + 1], list[at + 2] = nil, nil
      self.head = at + 2
      self.answered, self.unsolved, self.down = true, false, false
      each(payload)
    else
      self.key, self.payload, self.handed = key, payload, false
      list[at + 1], list[at + 2] = nil, nil
      self.head = at + 2
      one(self, key, payload)
    end
  end
  self.payload, self.handed = false, true
end

-- Puts the record under dispatch back: a place that was used before takes no memory.
local function put_back(self)
  local at = self.head - 2
  if at < 0 then at, self.tail = self.tail, self.tail + 2 else self.head = at end
  self.list[at + 1], self.list[at + 2] = self.key, self.payload
  self.handed = true -- for a handler that this is called from
end

-- Counts the dispatches that run handlers. A coroutine's number stays when it is 0: its place takes no memory the next time.
local function count(self, co, n)
  self.runners[co] = (self.runners[co] or 0) + n
  self.depth = self.depth + n
end

-- Whether an error says that there was no room for a call.
local function no_room(err) return err == NO_MEMORY or type(err) == "string" and err:find("stack overflow", 1, true) ~= nil end

-- One protected call for as many records as raise nothing: most of the time for all.
local function run(self)
  local co = running()
  self.left = true
  count(self, co, 1)
  repeat
    self.handed = nil -- no record is under dispatch
    local ok, err = pcall(all, self)
    if not ok and not self.handed and no_room(err) then -- no handler has raised it
      if self.handed == false then put_back(self) end
      self.handed, self.exhausted = true, err
      count(self, co, -1)
      error(err, 0)
    end
    if not ok then self:fail_later(err) end
  until ok
  count(self, co, -1)
  self.head, self.tail = 0, 0
  leave(self, self.failure ~= nil)
end

---Whether a handler of this handle's calls. What need not wait serves nothing then: each record would run its handler within
---the one before.
function Handle:within() return self.depth > 0 and (self.runners[running()] or 0) > 0 end

---Takes in what has come and runs no handler: the dispatch that runs now comes to it.
---@return boolean whether something had come
function Handle:take_in()
  local before = self.tail
  self.tail = self.core:drain(self.list, before, AT_ONCE) or before
  return self.tail > before
end

---Takes what has come and runs its handlers, all of them; then raises the first error of a handler. Handlers that go on bringing
---more do not hold it for ever: `more` tells that something is left.
---@return integer how many records were dispatched
function Handle:dispatch()
  local n, till = 0, nil
  self.more = false
  while not self.closed do
    local tail, more = self.core:drain(self.list, self.tail, AT_ONCE)
    if not tail then return 0 end -- a finalizer that runs within a drain: the outer one goes on
    self.tail = tail
    if self.head < tail then
      n = n + (tail - self.head) // 2
      run(self)
    end
    if not more then break end
    till = till or core.now() + LONGEST
    if core.now() > till then
      self.more = true
      break
    end
  end
  if n > 0 and self.wake then self.wake() end
  local failure = self.failure
  if failure ~= nil then
    self.failure = nil
    leave(self, self.head < self.tail)
    error(failure, 0)
  end
  return n
end

---The last error event, where it is fresh enough to be the cause of what fails now.
---@param since number|nil seconds that the failing call has taken
---@return kafka.Error|nil
function Handle:cause(since)
  if core.now() - self.last_error_at <= (since or 0) + FRESH then return self.last_error end
end

---The same for a call that waited in vain. librdkafka tells only once of what does not change, so that counts until something
---was answered.
---@param since number|nil
---@return kafka.Error|nil
function Handle:reason(since)
  if (self.unsolved or self.down) and self:delivered() > self.delivered_then then self:heard() end
  if self.unsolved or self.down and core.now() - self.last_error_at <= DOWN then return self.last_error end
  return self:cause(since)
end

---Reports of success, most of which are only counted.
---@return integer
function Handle:delivered()
  if not self.produces or self.closed then return 0 end
  local _, n = self.core:counts()
  return n
end

---A broker has answered: what was wrong is no more.
function Handle:heard()
  self.answered, self.unsolved, self.down = true, false, false
end

---The error that refuses a feature which the brokers do not have; nil where they have it.
---@param feature string
---@param about table {op, topic, partition}
---@return kafka.Error|nil
function Handle:refuses(feature, about)
  return self.broker_version and generation.refusal(self.broker_version, feature, about)
end

-- Waiting ------------------------------------------------------------------------------------------------------------

---Serves this handle until `done()` is true or the deadline passes.
function Handle:await(done, deadline)
  return await.done(self, done, deadline)
end

---The error of a call that took too long.
function Handle:late(about, timeout, what)
  if self.closed then
    about.name, about.message = "_DESTROY", "the client was closed meanwhile"
    return errors.new(about)
  end
  about.name = "_TIMED_OUT"
  local seconds = (timeout < 100 and "%.3g" or "%.0f"):format(timeout) -- of 3 s that several steps share 2.99854 are left
  about.message = ("%stimed out after %s s"):format(what and what .. ": " or "", seconds)
  about.cause = self:reason(timeout)
  return errors.new(about)
end

---Sends a request, whose answer comes while this handle is served. Serves nothing before, so no handler raises.
---@param about table {op, topic, partition}: what an error is about
---@param timeout number seconds; below 0, where a deadline has passed: 0
---@param start fun(ticket:integer, ms:number):any, table|nil sends it
---@return table|nil pending `answer` is there once it has come; `deadline` is when it must have; then `result`
---@return kafka.Error|nil
function Handle:start(about, timeout, start)
  timeout = math.max(0, timeout)
  if self.closed then return nil, self:late(about, timeout) end
  local pending = { about = about, timeout = timeout, ticket = self:ticket(), answer = nil, deadline = nil }
  local ticket = pending.ticket
  self.waiting[ticket] = function(payload) pending.answer = payload end
  local called, ok, raw = pcall(start, ticket, timeout * 1000.0)
  if not called or not ok then
    self.waiting[ticket] = nil
    self:done_with(ticket)
    if not called then error(ok, 0) end
    return nil, errors.from(raw, about)
  end
  pending.deadline = core.now() + timeout + (timeout > 0 and GRACE or 0) -- what has no time left ends here, not 0.2 s later
  return pending
end

---Serves what has come, which may raise what a handler has raised, and sends a request: see `start`.
function Handle:begin(about, timeout, start)
  self:dispatch()
  return self:start(about, timeout, start)
end

---What became of a request: its answer, or an error where that is one or has not come.
---@param pending table as `begin` gave it
---@return table|nil payload
---@return kafka.Error|nil
function Handle:result(pending)
  local about, answer = pending.about, pending.answer
  if not answer then
    local late = self:late(about, pending.timeout)
    self.waiting[pending.ticket] = false -- the answer may still come; nobody wants it
    return nil, late
  end
  if answer.err then
    about.cause, about.user = about.cause or self:reason(pending.timeout), self.facts.user
    if answer.err.name == "_TIMED_OUT" then return nil, self:late(about, pending.timeout) end
    return nil, errors.from(answer.err, about)
  end
  self:heard()
  return answer
end

---Sends a request and waits for its answer: `begin` and `result` in one.
---@return table|nil payload
---@return kafka.Error|nil
function Handle:request(about, timeout, start)
  local pending, err = self:begin(about, timeout, start)
  if not pending then return nil, err end
  self:await(function() return pending.answer end, pending.deadline)
  return self:result(pending)
end

-- The end ------------------------------------------------------------------------------------------------------------

---Serves what has come, then gives everything back. The library ends in the background.
function Handle:shut()
  if self.closed then return end
  if self.core:forked() then
    self.closed = true
    return
  end
  local till = core.now() + LAST
  repeat
    local ok, err = pcall(self.dispatch, self)
    if not ok then log.line(self.title, 3, "a handler raised: " .. tostring(err)) end
  until not self.more or self.closed or core.now() > till
  if self.closed then return end -- by a handler
  if self.produces then self.accepted, self.succeeded, self.failed = self.core:counts() end
  self.core:close(self.abandon)
  self.closed = true
end

---Shuts, and waits until the library has ended, at most until the deadline.
---@return boolean whether it has; otherwise it goes on ending in the background
function Handle:close(deadline)
  self:shut()
  if self.released or self.core:forked() then return true end
  while not self.core:gone() do
    local left = deadline - core.now()
    if left <= 0 then break end
    await.pause(self, left)
  end
  if not self.core:gone() then return false end
  self.released = true
  if self.unwatch then self.unwatch() end
  self.core:release()
  return true
end

return handle

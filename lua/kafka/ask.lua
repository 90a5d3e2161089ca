-- Questions to the cluster through one handle: metadata, the ends of a partition, what a group has committed, the offsets at a
-- time. Each waits for its answer, and asks again by a policy while the cluster is in transition. Knows no face.

local core = require "kafka.core"
local errors = require "kafka.error"
local generation = require "kafka.generation"
local retry = require "kafka.retry"
local rows_of = require "kafka.rows"

local ask = {}

local now = core.now

local READS = 1 -- seconds after which a new coordinator reads what was committed: see knows_nothing_yet
local AT_ONCE = 16 -- questions under way together: each takes a thread while it lasts
local GLANCE = 3 -- seconds for such questions: who does not answer holds the others up
local REFRESH = 1 -- seconds for a look at the leaders between two attempts

-- A broker that is paused keeps its connections and does not answer: the time of the call is cut, so that another attempt may go
-- to another broker, and grows, so that a slow network gets its answer.
local sliced = retry.policy { each = 3, names = { _TIMED_OUT = true } }

-- For what librdkafka must not be asked twice at the same time: again only after an answer.
local whole = retry.policy()

-- For brokers that may answer only a moment later, and librdkafka that asks them no more by then.
local impatient = retry.policy { each = 0.5, names = { _TIMED_OUT = true } }

---The policies by their names.
ask.policies = { sliced = sliced, whole = whole, impatient = impatient }

local function never() return false end

---Waits, serving the handle.
---@param seconds number
function ask.rest(h, seconds) h:await(never, now() + seconds) end

-- A wait in slices ends as one: with the time that the caller gave, and the history where it tells more than that.
local function ended(h, about, timeout, err, what)
  if err.name ~= "_TIMED_OUT" or not err.history then return err end
  local late, told = h:late(core.copy(about), timeout, what), false
  for _, name in ipairs(err.history) do told = told or name ~= "_TIMED_OUT" end
  if told then late.message = ("%s (%s)"):format(late.message, retry.words(err.history, err.took)) end
  late.history, late.took = err.history, err.took
  return late
end

---Calls `f(seconds, attempt)` again while the cluster is in transition, at most until the timeout, serving the handle between.
---@param h table a handle
---@param about table {op, topic, partition}: what an error is about
---@param timeout number seconds
---@param f fun(seconds: number, attempt: integer): any, kafka.Error|nil
---@param policy kafka.RetryPolicy|nil
---@param what string|nil in words what did not come in time
---@return any
---@return any|kafka.Error
function ask.again(h, about, timeout, f, policy, what)
  local function sleep(seconds) ask.rest(h, seconds) end
  local value, second = retry.run(policy or sliced, now() + timeout, sleep, function(seconds, attempt)
    if h.closed and attempt > 1 then return nil, h:late(core.copy(about), timeout) end
    return f(seconds, attempt)
  end)
  if value == nil then return nil, errors.is(second) and ended(h, about, timeout, second, what) or second end
  if second == nil then return value end
  return value, second
end

---One request of the core's, asked again by the policy.
---@param start fun(ticket: integer, ms: number): any, table|nil sends it
---@return table|nil payload
---@return kafka.Error|nil
function ask.request(h, about, timeout, start, policy)
  return ask.again(h, about, timeout, function(seconds) return h:request(core.copy(about), seconds, start) end, policy)
end

---@param what string|boolean a topic's name, true for all topics, false for brokers only
---@param policy kafka.RetryPolicy|nil
---@return table|nil the core's metadata
---@return kafka.Error|nil
---rd_kafka_metadata
function ask.metadata(h, op, what, timeout, policy)
  local about = { op = op, topic = type(what) == "string" and what or nil }
  return ask.request(h, about, timeout, function(ticket, ms) return h.core:metadata(what, ms, ticket) end, policy)
end

-- Leaders are looked up in what librdkafka knows: where one did not answer it must look again.
local function refresh(h, topic, seconds)
  if seconds <= 0 then return nil end
  local function start(ticket, ms) return h.core:metadata(topic, ms, ticket) end
  return h:request({ op = "metadata" }, math.min(REFRESH, seconds), start)
end

-- To librdkafka a partition without a leader, and a topic that may not be described, look as if they did not exist.
local function found_missing(h, about, err, seconds)
  local answer = err.name == "_UNKNOWN_PARTITION" and refresh(h, about.topic, seconds)
  local topic = answer and answer.topics[1]
  if not topic then return err end
  local denied = topic.err and topic.err.name == "TOPIC_AUTHORIZATION_FAILED"
  if denied then return errors.from(topic.err, { op = about.op, topic = about.topic, user = h.facts.user }) end
  for _, p in ipairs(topic.partitions) do
    if p.partition == about.partition then
      return errors.new { name = "LEADER_NOT_AVAILABLE", op = about.op, topic = about.topic, partition = about.partition,
        message = p.leader and "the partition's leader is just coming to be" or "the partition has no leader now" }
    end
  end
  return err
end

---@param h table a handle
---@param timeout number seconds
---@return integer|nil earliest
---@return integer|kafka.Error latest, or the error
---rd_kafka_query_watermark_offsets
function ask.watermarks(h, op, topic, partition, timeout)
  local about = { op = op, topic = topic, partition = partition }
  local function start(ticket, ms) return h.core:watermarks(topic, partition, ms, ticket) end
  return ask.again(h, about, timeout, function(seconds, attempt)
    local till = now() + seconds
    if attempt > 1 then refresh(h, topic, seconds / 2) end
    local answer, err = h:request(core.copy(about), till - now(), start)
    if answer then return answer.earliest, answer.latest end
    return nil, found_missing(h, about, err, till - now())
  end)
end

-- Asks about rows[from .. till] together.
local function glance_at(h, op, rows, from, till, deadline, found)
  local asked, left = {}, math.min(GLANCE, math.max(0, deadline - now()))
  for i = from, till do
    local row = rows[i]
    asked[i] = h:begin({ op = op, topic = row.topic, partition = row.partition }, left, function(ticket, ms)
      return h.core:watermarks(row.topic, row.partition, ms, ticket)
    end) or false
  end
  h:await(function()
    for i = from, till do
      if asked[i] and not asked[i].answer then return false end
    end
    return true
  end, now() + left)
  for i = from, till do
    local answer = asked[i] and h:result(asked[i])
    found[i] = answer and { earliest = answer.earliest, latest = answer.latest } or false
  end
end

---The ends of many partitions, asked together, each once.
---@param rows {topic: string, partition: integer}[]
---@param timeout number seconds
---@return ({earliest: integer, latest: integer}|false)[] false for each that did not answer, or with an error
---rd_kafka_query_watermark_offsets
function ask.glance(h, op, rows, timeout)
  local found, deadline = {}, now() + timeout
  for from = 1, #rows, AT_ONCE do
    if h.closed then break end
    glance_at(h, op, rows, from, math.min(from + AT_ONCE - 1, #rows), deadline, found)
  end
  return found
end

---The same, and one after the other those that did not answer at once.
---@param one (fun(row: table, seconds: number): integer|nil, integer|kafka.Error)|nil asks about one (default: ask.watermarks)
---@return {earliest: integer|nil, latest: integer|nil, err: kafka.Error|nil}[] in the order of the rows
function ask.ends(h, op, rows, timeout, one)
  one = one or function(row, seconds) return ask.watermarks(h, op, row.topic, row.partition, seconds) end
  local deadline = now() + timeout
  local found = ask.glance(h, op, rows, timeout)
  for i, row in ipairs(rows) do
    if not found[i] then
      local earliest, latest
      if not h.closed and now() < deadline then earliest, latest = one(row, deadline - now()) end
      if not earliest and (not latest or latest.name == "_TIMED_OUT") then -- it tells the time of all together
        latest = h:late({ op = op, topic = row.topic, partition = row.partition }, timeout)
      end
      found[i] = earliest and { earliest = earliest, latest = latest } or { err = latest }
    end
  end
  return found
end

local function about_rows(h, op, rows, timeout, start)
  local about = { op = op, topic = #rows == 1 and rows[1].topic or nil }
  return ask.again(h, about, timeout, function(seconds)
    local answer, err = h:request(core.copy(about), seconds, start)
    err = err or rows_of.error(op, answer.rows, h)
    if err then return nil, err end
    return answer.rows
  end)
end

-- An old broker that has just become the coordinator may say that nothing was committed, before it begins to read what was: who
-- believed it would begin anew.
local function knows_nothing_yet(h, rows)
  if not generation.is_old(h.broker_version) then return false end
  for _, row in ipairs(rows) do
    if not row.offset then return true end
  end
  return false
end

---What the handle's group has committed for these rows; no offset: nothing.
---rd_kafka_committed
function ask.committed(h, op, rows, timeout)
  local deadline = now() + timeout
  local function answer(seconds)
    return about_rows(h, op, rows, seconds, function(ticket, ms) return h.core:committed(rows, ms, ticket) end)
  end
  local found, err = answer(timeout)
  if not found or not knows_nothing_yet(h, found) then return found, err end
  ask.rest(h, math.min(READS, deadline - now()))
  if h.closed or now() >= deadline then
    return nil, h:late({ op = op, topic = rows[1].topic }, timeout, "whether something was committed is not sure yet")
  end
  return answer(deadline - now())
end

---The first offsets at or after the timestamps (ms) that stand as the rows' offsets; no offset: nothing as late as that.
---rd_kafka_offsets_for_times
function ask.times(h, op, rows, timeout)
  local refused = h:refuses("offsets_at", { op = op, topic = rows[1].topic, partition = rows[1].partition })
  if refused then return nil, refused end
  return about_rows(h, op, rows, timeout, function(ticket, ms) return h.core:offsets_for_times(rows, ms, ticket) end)
end

return ask

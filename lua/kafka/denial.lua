-- Partitions that may not be read: an error of every fetch, where librdkafka tells it once or not at all. Notes it in what a feed
-- or a consumer lends, and asks the cluster; reads, stops and takes up nothing itself.

local core = require "kafka.core"
local errors = require "kafka.error"

local now = core.now

local denial = {}

local QUIET = 1 -- seconds in which nothing came before the topic is asked why
local LOOK_TIME = 5 -- seconds that this may take

local DENIED = "TOPIC_AUTHORIZATION_FAILED"

---An error of a partition.
---@param feed table
---@param err kafka.Error
---@return boolean whether it is a denial: the partition is not read until the next fetch
function denial.note(feed, err)
  if err.name ~= DENIED then return false end
  feed.parts[err.partition].denial = err
  feed.denied = true
  return true
end

---The partitions that were given up by a denial.
---@return integer[]
function denial.given_up(feed)
  local list = {}
  if not feed.denied then return list end
  for partition, part in pairs(feed.parts) do
    local waits = part.denial and not part.assigned
    if waits and not part.paused and not part.stopped then list[#list + 1] = partition end
  end
  return list
end

---After a fetch: the denial of a partition that has not been heard of since, where the fetch has brought nothing.
---@return kafka.Error|nil
function denial.last(feed, empty)
  if not feed.denied then return nil end
  local found
  for partition, part in pairs(feed.parts) do
    local _, eof = feed.inbox:position(feed.topic, partition)
    if not empty or eof then part.denial = nil end -- it may be read again
    if not part.paused then found = found or part.denial end
  end
  feed.denied = found ~= nil
  return found
end

-- The topic of a consumer's partition that is read and not at its end, another each time.
local function silent_topic(c, turn)
  local list = c.parts.list
  for i = 1, #list do
    local part = list[(turn + i) % #list + 1]
    if not part.paused and not c.parts:at_end(part) then return part.topic end
  end
end

---A consumer that is given nothing: asks as a feed does, and repeats a denial that was told, once a second.
---@param c kafka.Consumer
---@return kafka.Error|nil
function denial.watch(c)
  local w = c.watch or { handle = c.handle, heard = now(), turn = 0, told = 0, op = "poll" }
  c.watch = w
  local topic = silent_topic(c, w.turn)
  if not topic then
    denial.heard(w)
    return nil
  end
  if not w.looking then w.topic, w.turn = topic, w.turn + 1 end
  denial.ask(w)
  local no = w.no
  for _, part in ipairs(c.parts.list) do
    if part.denial and c.parts:at_end(part) then part.denial = nil end -- it may be read again
    if not part.paused then no = no or part.denial end
  end
  if not no or now() - w.told < QUIET then return nil end
  w.no, w.told = nil, now()
  return no
end

---An error of a consumer's partition.
function denial.remember(c, part, err)
  if err.name ~= DENIED then return end
  part.denial, c.denied = err, true
  if c.watch then c.watch.told = now() end
end

---Messages of these partitions have come.
---@param rows {topic: string, partition: integer}[]
function denial.forget(c, rows)
  if not c.denied then return end
  for _, row in ipairs(rows) do
    local part = c.parts:find(row.topic, row.partition)
    if part then part.denial = nil end
  end
end

---Something came.
function denial.heard(feed)
  feed.heard, feed.suspect = now(), false
end

---Nothing comes. Of a topic that may not even be described librdkafka tells nothing at all: asks the cluster, and leaves its
---no in `feed.no`.
function denial.ask(feed)
  if feed.looking or (now() - feed.heard < QUIET and not feed.suspect) then return end
  local h = feed.handle
  local ticket = h:ticket()
  h.waiting[ticket] = function(answer)
    feed.looking = false
    denial.heard(feed)
    local raw = answer.topics and answer.topics[1] and answer.topics[1].err
    if not answer.err then h:heard() end
    if not raw or raw.name ~= DENIED then return end
    feed.suspect = true
    feed.no = errors.from(raw, { op = feed.op or "fetch", topic = feed.topic, user = h.facts.user })
  end
  feed.looking = h.core:metadata(feed.topic, LOOK_TIME * 1000, ticket) ~= nil
  if not feed.looking then
    h.waiting[ticket] = nil
    h:done_with(ticket)
  end
end

return denial

-- A reader: all partitions of one topic or several, read at their leaders without joining a group, for months. This file is its
-- whole policy, on what kafka.connect offers everybody: copy it, and change what does not suit you.
--
--   where to start    start_rows: what was committed, else `start` and `otherwise`; added partitions from their first offset
--   when to commit    keep: each `interval`, one commit at a time; what is left at close
--   what has changed  tend: pictures of the cluster, and `act`, what is done about each kind of change
--   is it the same?   verify: where other data may have taken the place of what was read
--   a lost position   jump: expired, never there, cut off, or of another topic: by `on_reset`, else by the policy `reset`; always
--                     reported
--
-- How messages are handed out is reader/handing.lua's, the bookkeeping reader/parts.lua's, what a caller may pass
-- reader/options.lua's, and its methods are reader/face.lua's.

local kafka = require "kafka"
local args = require "kafka.args"
local backlog = require "kafka.backlog"
local Reader = require "kafka.reader.face"
local handing = require "kafka.reader.handing"
local options = require "kafka.reader.options"
local parts = require "kafka.reader.parts"

local now, errors = kafka.now, kafka.errors

local reader = {}

local LOOK_UP = 2 -- seconds for one question about a partition, while the others wait
local RENEW = 3600 -- seconds after which a commit is made again: brokers forget those that are older than a week, or a day
local AGAIN = 1 -- seconds before what failed is tried again
local REASON = 5 -- seconds that pictures get to show why a position does not exist
local SETTLE = 3 -- seconds in which a broker that led hears of the new leader; known reasons shorten no wait below that
local DEFAULT_TIMEOUT = 10 -- seconds

-- Where to start -----------------------------------------------------------------------------------------------------

-- An error of the caller's own functions.
local function foreign(name, why)
  if errors.is(why) then return why end
  why = why == nil and "it returned nothing" or tostring(why)
  return errors.new { name = "_APPLICATION", op = "kafka.reader", message = name .. ": " .. why }
end

-- What was kept of these partitions: partition -> row.
local function kept_of(self, topic, numbers, timeout)
  local rows, err = {}
  for i, number in ipairs(numbers) do rows[i] = { topic = topic, partition = number } end
  if self.o.group then
    rows, err = self.k:committed(self.o.group, rows, timeout)
  else
    rows, err = self.o.load(rows)
    if type(rows) ~= "table" then rows, err = nil, foreign("offsets.load", err) end
  end
  if not rows then return nil, err end
  local kept = {}
  for _, row in ipairs(rows) do
    local wrong = self.o.load and options.flaw(row)
    if wrong then return nil, foreign("offsets.load", "it must return " .. wrong) end
    if row.topic == topic and row.offset then
      kept[math.tointeger(row.partition)] = { offset = math.tointeger(row.offset), metadata = row.metadata }
    end
  end
  return kept
end

-- Where each partition is to begin. One of which nothing was kept while others of its topic were was added since, and nobody has
-- read it: so from its first offset, whatever `otherwise` says.
local function start_rows(self, topic, numbers, timeout)
  local place, kept, err = self.o.start, {}
  if place == "committed" then
    kept, err = kept_of(self, topic, numbers, timeout)
    if not kept then return nil, err end
    place = next(kept) and "earliest" or self.o.otherwise
  end
  local at = {}
  if type(place) == "table" then
    local found
    found, err = self.k:offsets_at(topic, place.time, timeout)
    if not found then return nil, err end
    for _, row in ipairs(found) do at[row.partition] = row.offset or "latest" end -- nothing as late as that
  end
  local rows = {}
  for i, number in ipairs(numbers) do
    rows[i] = { partition = number, offset = kept[number] and kept[number].offset or at[number] or place }
  end
  return rows, kept
end

local function open(self, topic, rows, timeout)
  local all, err = self.k:partitions(topic, { offsets = rows, timeout = timeout })
  if not all then return nil, err end
  self.parts:add(topic, all, rows)
  return true
end

-- What is known of a partition that was opened.
local function note(self, p, topic, kept)
  local part, row = self.parts:find(topic, p.partition), kept[p.partition] or {}
  part.isr, part.kept, part.metadata = p.isr, row.offset, row.metadata
end

-- Takes all topics up. They are watched first, so that what changes meanwhile is told.
local function begin(self, deadline)
  local function left() return math.max(0, deadline - now()) end
  local o = self.o
  local there, why = self.k:topic(o.topics[1], left()) -- whether there is a cluster to watch
  if not there then return nil, why end
  self.watch = self.k:watch { topics = o.topics, groups = o.group and { o.group }, every = o.every, wait = left() }
  for _, name in ipairs(o.topics) do
    local topic, err = self.k:topic(name, left())
    if not topic then return nil, err end
    local numbers = {}
    for i, p in ipairs(topic.partitions) do numbers[i] = p.partition end
    local rows, kept = start_rows(self, name, numbers, left())
    if not rows then return nil, kept end
    local ok
    ok, err = open(self, name, rows, left())
    if not ok then return nil, err end
    for _, p in ipairs(topic.partitions) do note(self, p, name, kept) end
  end
  return true
end

-- Commits ------------------------------------------------------------------------------------------------------------

local function refusal(err)
  if err.name == "UNKNOWN_MEMBER_ID" then
    err.message = "the group has live members, and only they may commit for it: stop them, or give this reader a group of its own"
  end
  return err
end

-- Keeps rows, and waits until that is done.
local function keep_now(self, rows, timeout)
  if #rows == 0 then return true end
  local ok, err
  if self.o.save then
    ok, err = self.o.save(rows)
    if not ok then err = foreign("offsets.save", err) end
  else
    ok, err = self.k:commit(self.o.group, rows, { timeout = timeout })
  end
  if not ok then return nil, refusal(err) end
  self.parts:keep(rows)
  return true
end

-- What is said of a topic that is just going, or coming again: the pictures tell which.
local missing = { UNKNOWN_TOPIC_OR_PART = true, _UNKNOWN_PARTITION = true, _UNKNOWN_TOPIC = true, UNKNOWN_TOPIC_ID = true }

-- A commit that nobody waited for: what will not pass by itself is the caller's next error, all else is tried again.
local function failed(self, err)
  if err.name == "_PREV_IN_PROGRESS" then return end -- behind a commit of the caller's
  if err.action == "wait" or err.action == "retry" or missing[err.name] then return self.k:tell(err) end
  self.trouble = refusal(err)
end

-- Keeps what is handled where that is due, without waiting. One commit at a time, so that none overtakes another.
local function keep(self)
  if not self.o.auto or self.sending or now() < self.due then return end
  self.due = now() + self.o.interval
  local rows = self.parts:unkept(self.o.metadata, self.renew)
  if #rows == 0 then return end
  local ok, err
  if self.o.save then
    ok, err = keep_now(self, rows)
  else
    ok, err = self.k:commit(self.o.group, rows, { on_commit = function(_, wrong)
      self.sending = false
      if wrong then return failed(self, wrong) end
      self.parts:keep(rows)
    end })
    self.sending = ok -- not before: the call raises what a handler raised
  end
  if not ok then failed(self, err) end
end

-- A lost position ----------------------------------------------------------------------------------------------------

local function sentence(row, why)
  local held = row.latest > row.earliest and ("the partition holds %d to %d"):format(row.earliest, row.latest - 1)
    or ("the partition is empty, its next offset is %d"):format(row.latest)
  local what
  if why then
    what = "is no position any more: " .. why
  elseif row.from < row.earliest then
    what = "is gone: retention took it, or its records were deleted"
  else
    what = "is not there: an unclean leader election cut the log, the topic was made anew, or it never was there"
  end
  return ("offset %d %s; %s"):format(row.from, what, held)
end

local answer = args.either(args.word("earliest", "latest", "error"), args.offset)

-- Where to go on, after whoever is to know has been told: nil where the policy is to stop.
local function decide(self, row)
  local ends = { earliest = row.earliest, latest = row.latest }
  row.to = ends[self.o.reset]
  if self.o.on_reset then
    local said = args.optional("on_reset", "its result", self.o.on_reset(row), answer)
    if said == nil then return row.to end
    return ends[said] or math.tointeger(said)
  end
  self.k:tell(errors.new { name = "OFFSET_OUT_OF_RANGE", op = "reader", topic = row.topic, partition = row.partition,
    action = "wait", message = row.reason .. (row.to and ("; reading goes on at %d"):format(row.to) or "; reading stops") })
  return row.to
end

-- A partition rests until it is decided where it goes on. `checked`: other data is known to be in the place of what was read.
local function lose(self, part, from, why, checked)
  part.lost = part.lost or { from = from, why = why, checked = checked, since = now() }
  part.suspect = nil
  part.reading.all:pause(part.partition)
  handing.drop(self, part.topic, part.partition)
end

-- Whether the data before our position is still what was read: messages that were read are read once more. That one is no
-- longer there (retention, compaction) says nothing. False comes with the offset that holds another, nil with an error.
local function is_same(self, part, known)
  for _, was in pairs(known) do
    if self.closed then return nil end
    local m, err = self.k:message(part.topic, part.partition, was.offset, LOOK_UP)
    if m and (m.key ~= was.key or m.value ~= was.value or m.timestamp ~= was.timestamp) then return false, was.offset end
    if not m and err.name ~= "OFFSET_OUT_OF_RANGE" then return nil, err end
  end
  return true
end

local ANOTHER = "%s, and offset %d holds another message than was read"

-- Whether a position only seemed lost: a broker that was the leader, and does not know yet that another is, tells of the end of
-- its own log. Nil where that is not clear yet.
local function was_false(self, part, earliest, latest)
  local lost = part.lost
  if lost.checked or lost.from < earliest then return false end
  local rest = not part.last and AGAIN or lost.why and SETTLE or REASON
  if now() < lost.since + rest then return nil end
  if lost.from > latest then return false end
  local known = { part.last }
  for _, was in pairs(part.anchors) do known[#known + 1] = was end
  local same, at = is_same(self, part, known)
  if same == nil then return nil end
  if not same then lost.why, lost.checked = ANOTHER:format(lost.why or "the log was cut or made anew", at), true end
  return same
end

local function go_on(self, part, to)
  local all = part.reading.all
  local ok, err = all:seek(part.partition, to, LOOK_UP)
  if ok then ok, err = all:resume(part.partition) end
  if not ok then return self.k:tell(err) end
  part.lost, part.next = nil, to
end

-- Goes on elsewhere. What fails is tried again, also where the handler raised: the partition rests meanwhile.
local function jump(self, part)
  local lost = part.lost
  if now() < (lost.again or 0) then return end
  lost.again = now() + AGAIN
  local earliest, latest = self.k:watermarks(part.topic, part.partition, LOOK_UP)
  if self.closed or part.lost ~= lost then return end
  if not earliest then return self.k:tell(latest) end
  local seeming = was_false(self, part, earliest, latest)
  if self.closed or part.lost ~= lost then return end
  if seeming then return go_on(self, part, lost.from) end
  if seeming == nil then return end
  local row = { topic = part.topic, partition = part.partition, from = lost.from, earliest = earliest, latest = latest }
  row.reason = sentence(row, lost.why)
  local to = decide(self, row)
  if self.closed or part.lost ~= lost then return end -- by the handler, which has closed the reader or sought
  parts.forget(part)
  if to then return go_on(self, part, to) end
  part.lost = nil
  part.stopped = errors.new { name = "OFFSET_OUT_OF_RANGE", op = "poll", topic = row.topic, partition = row.partition,
    offset = row.from, earliest = earliest, latest = latest, message = row.reason .. "; seek to where to go on" }
end

-- Looks at a partition that is in doubt.
local function verify(self, part)
  local earliest, latest = self.k:watermarks(part.topic, part.partition, LOOK_UP)
  if not earliest or not part.suspect or self.closed then return end -- asked again a moment later; or sought meanwhile
  if part.next > latest then return lose(self, part, part.next, part.suspect) end
  local same, at = is_same(self, part, part.anchors)
  if not part.suspect or self.closed then return end
  if same == false then return lose(self, part, part.next, ANOTHER:format(part.suspect, at), true) end
  if same then part.suspect = nil end
end

-- What has changed ---------------------------------------------------------------------------------------------------

-- Takes up partitions that came to be while we read, from their first offset. Where there was a topic of that name before, its
-- positions mean nothing here: each that we had moves, and is told of.
local function appear(self, topic, count)
  local rows, was = {}, self.gone[topic] or {}
  for number = 0, count - 1 do
    if not self.parts:find(topic, number) then rows[#rows + 1] = { partition = number, offset = "earliest" } end
  end
  if #rows == 0 then
    self.later[topic] = nil
    return
  end
  self.later[topic] = count -- until it is done: also where Ctrl-C comes between
  if now() >= self.till then return end
  local ok, err = open(self, topic, rows, LOOK_UP)
  if not ok then return self.k:tell(err) end
  self.later[topic] = nil
  for number, old in pairs(was) do
    local part = self.parts:find(topic, number)
    if part and (old.next or 0) > 0 then lose(self, part, old.next, "the topic was deleted and created again", true) end
  end
  self.gone[topic] = nil
end

local function vanish(self, topic)
  handing.drop(self, topic)
  self.gone[topic] = self.parts:drop(topic) or self.gone[topic]
  self.later[topic] = nil
end

-- What other replicas may mean: a topic made anew between two pictures shows, if at all, by them.
local OTHERS = "its replicas are others: the topic was made anew, or an unclean election cut the log"

-- Something happened that may have put other data in the place of what was read; or tells why a position is lost.
local function doubt(part, why)
  if not part or not part.next then return end
  local at, field = part, "suspect"
  if part.lost then at, field = part.lost, "why" end
  if at[field] == nil or at[field] == OTHERS then at[field] = why end
end

local function has(list, id)
  for _, one in ipairs(list) do
    if one == id then return true end
  end
  return false
end

local act = {}

function act.topic_created(self, c) appear(self, c.topic, #c.to.partitions) end

function act.topic_deleted(self, c) vanish(self, c.topic) end

function act.topic_recreated(self, c)
  vanish(self, c.topic)
  appear(self, c.topic, #c.to.partitions)
end

function act.partitions_added(self, c) appear(self, c.topic, c.from + #c.to) end

-- A leader that was in sync has all that was read.
function act.leader(self, c)
  local part = self.parts:find(c.topic, c.partition)
  if not part or not part.isr or not c.to or has(part.isr, c.to) then return end
  doubt(part, ("leader %s -> %d, which was not in sync: an unclean election"):format(c.from or "none", c.to))
end

function act.isr(self, c)
  local part = self.parts:find(c.topic, c.partition)
  if part then part.isr = c.to end
end

function act.replicas(self, c) doubt(self.parts:find(c.topic, c.partition), OTHERS) end

local function follow(self)
  local change = self.watch:next(0)
  while change do
    if act[change.kind] then act[change.kind](self, change) end
    if self.o.on_change then self.o.on_change(change) end
    if self.closed then return end
    change = self.watch:next(0)
  end
end

-- Looks at the partitions that are in doubt or lost. Where their leaders do not answer that ends early, and the next time begins
-- with the others: the caller waits.
local function care(self, looks)
  local list = table.move(self.parts.list, 1, #self.parts.list, 1, {})
  for i = 1, #list do
    local part = list[(self.first + i) % #list + 1]
    if looks and part.suspect then verify(self, part) end
    if part.lost then jump(self, part) end
    if self.closed then return end
    if now() >= self.till then
      self.first = (self.first + i) % #list
      return
    end
  end
end

-- Takes up partitions that the first picture shows and no change tells of, since the broker that was asked for the topic knew of
-- less: they begin as if that had not been.
local function complete(self, topic)
  local numbers, lacking, added = {}, {}, {}
  for i, p in ipairs(topic.partitions) do numbers[i] = p.partition end
  if #numbers == self.parts:count(topic.name) then return true end
  local rows, kept = start_rows(self, topic.name, numbers, LOOK_UP)
  if not rows then return nil, kept end
  for i, row in ipairs(rows) do
    if not self.parts:find(topic.name, row.partition) then
      lacking[#lacking + 1], added[#added + 1] = row, topic.partitions[i]
    end
  end
  if #lacking == 0 or self.closed then return true end
  local ok, err = open(self, topic.name, lacking, LOOK_UP)
  if not ok then return nil, err end
  for _, p in ipairs(added) do note(self, p, topic.name, kept) end
  return true
end

local function complete_all(self)
  for _, topic in ipairs(self.watch.picture.topics) do
    if not (self.later[topic.name] or self.gone[topic.name]) then
      local ok, err = complete(self, topic)
      if self.closed then return end
      if not ok then return self.k:tell(err) end -- again with the next picture
    end
  end
  self.complete = true
end

-- All that is due between two messages. What asks the cluster begins within LOOK_UP: the caller waits.
local function tend(self)
  self.till = now() + LOOK_UP
  follow(self)
  if self.closed then return end
  if self.watch.pictures ~= self.pictures then
    self.pictures = self.watch.pictures
    self.parts:age()
    if not self.complete then complete_all(self) end
    if self.closed then return end
  end
  local looks = now() >= self.look
  if looks then
    self.look = now() + AGAIN
    for topic, count in pairs(self.later) do
      if not self.closed then appear(self, topic, count) end
    end
  end
  if self.closed then return end
  care(self, looks)
  if self.closed then return end
  keep(self)
end

-- Errors -------------------------------------------------------------------------------------------------------------

-- The error of a fetch: what only the caller can mend is returned.
local function understand(self, reading, err)
  local part = err.partition and self.parts:find(reading.topic, err.partition)
  if part and err.name == "OFFSET_OUT_OF_RANGE" then return lose(self, part, err.offset or part.next, part.suspect) end
  if missing[err.name] then
    for _, one in ipairs(self.parts.list) do
      if one.topic == reading.topic then doubt(one, "the cluster did not know the topic for a moment") end
    end
  elseif err.action ~= "wait" and err.action ~= "retry" and err.name ~= "UNKNOWN" then -- that one old brokers say in transition
    return err
  end
  self.k:tell(err)
end

-- Opening ------------------------------------------------------------------------------------------------------------

---Opens a reader. Takes what kafka.connect takes (`brokers`, librdkafka's settings, on_error and so on), and:
---  topic string, or topics list of strings
---  group string: where offsets are committed; or offsets {load = fun(rows): rows|nil, reason, save = fun(rows): true|nil,
---  reason}, a store of the caller's own for rows {topic, partition, offset, metadata}
---  start "committed" (default with group or offsets), "earliest" (default without), "latest", an offset, -n for the last n,
---  {time = ms}, "-1h" or an ISO 8601 time; otherwise: the same, where nothing was committed of a topic (default "earliest")
---  commit "auto" (default) or "manual"; interval seconds between commits (default 5); metadata string kept beside the offsets
---  reset "earliest" (default), "latest" or "error": what to do about a position that does not exist; on_reset fun(row): place
---  is told of it, {topic, partition, from, to, reason, earliest, latest}, and may return "earliest", "latest", "error" or an
---  offset to decide otherwise
---  on_change fun(change: kafka.Change): what changes in the cluster, as k:watch tells it
---  every seconds between two pictures of the cluster (default 1); timeout seconds until all is opened (default 10)
---@param given table
---@return kafka.Reader|nil
---@return kafka.Error|nil
function reader.open(given)
  local o, connection = options.check(given)
  local deadline = now() + (connection.timeout or DEFAULT_TIMEOUT)
  local k, err = kafka.connect(connection)
  if not k then return nil, err end
  local self = setmetatable({
    k = k,
    o = o,
    parts = parts.new(),
    gone = {}, -- topic that was deleted -> its parts
    later = {}, -- topic -> its number of partitions: some could not be taken up yet
    backlog = backlog.open(), -- what was fetched, how much of it was handed out, how much of that is handled
    source = nil, -- the reading that it was fetched with
    renew = o.group and RENEW or nil,
    till = 0, -- by when each question to the cluster must have begun, or wait for the next look
    turn = 0, -- which reading comes next
    due = now() + o.interval, -- when to commit
    sending = false, -- whether a commit is on its way
    look = now() + AGAIN, -- when to look at what is in doubt
    first = 0, -- the partition before the one that is looked at first
    tended = now(), -- when that was last done which is due
    pictures = 0, -- of the cluster, so far
    complete = false, -- whether the first one was compared with what is read
    trouble = nil, -- an error that the next call gives
    closed = false,
    fetch_options = { timeout = 0 },
    -- The policy:
    tend = tend,
    keep_now = o.keeps and keep_now or nil,
    understand = understand,
    is_waiting = function(r) return next(r.later) ~= nil end, -- for partitions that are there and not taken up yet
  }, Reader)
  local called, ok, wrong = pcall(begin, self, deadline)
  if called and ok then return self end
  k:close(0)
  if not called then error(ok, 0) end -- the caller's own functions, or Ctrl-C
  wrong.op = "kafka.reader"
  return nil, wrong
end

return reader

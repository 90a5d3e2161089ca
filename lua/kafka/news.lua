-- Which differences between pictures are news. Pictures come from any broker, and brokers learn of a change at different times,
-- so two that follow each other may go back in time. Pure: nothing here asks anybody, and the time is given.
--
-- The rules. Each broker goes forward in time, so what a broker says now and has not said before is news at once. What it has
-- said before, while another said something newer, is an old view: nothing, unless nobody says otherwise for 10 s. What a broker
-- says that has not answered before, or was behind in the same matter, may be old or new: news when nobody says otherwise for
-- 1 s, or another broker comes to say it. That something is gone (a topic, partitions, a broker) takes two brokers, or 1 s in
-- which nobody says otherwise: a broker that has just started may know of nothing yet. While such a thing is in doubt, pictures
-- are to follow each other fast.

local changes = require "kafka.changes"

local news = {}

local SURE = 1 -- seconds without another word
local OLD = 10 -- seconds without another word, of what was said before
local FAST = 20 -- pictures that follow each other fast at most, in brokers that go on contradicting each other

---@class kafka.News
---@field picture table|nil what was told so far leads to it
---@field heard table<integer, table> broker -> {differences: of its last answer from that picture, marks: of their lines}
---@field doubts table<string, table> line -> what is known of a difference that is not news yet
---@field fast integer pictures asked for in a row

---@return kafka.News
function news.new()
  return { picture = nil, heard = {}, doubts = {}, fast = 0 }
end

---Nobody answered for a while: what each broker said before counts no more.
---@param state kafka.News
function news.forget(state)
  state.heard, state.doubts, state.fast = {}, {}, 0
end

-- What a change is about: two of the same contradict each other.
local function subject_of(c)
  if c.kind:find "^topic_" or c.kind == "partitions_added" then return c.topic end
  local broker = c.to or c.from
  if c.kind:find "^broker_" then return "broker " .. broker.id end
  return ("%s %s %s"):format(c.kind, c.topic or c.group or "", c.partition or "")
end

local function is_about(c, subjects) return subjects[subject_of(c)] or subjects[c.topic] or false end

-- Whether a change says that something is gone, which a broker that knows nothing would say too. An id is known, or not.
local function is_loss(c)
  if c.kind == "topic_recreated" then return #c.to.partitions < #c.from.partitions end
  return c.kind == "topic_deleted" or c.kind == "broker_left"
end

-- The picture, with what is unclear in it as it was.
local function completed(picture, before)
  if not picture.unclear or next(picture.unclear) == nil then return picture end
  local topics = table.move(picture.topics, 1, #picture.topics, 1, {})
  for _, t in ipairs(before.topics) do
    if picture.unclear[t.name] then topics[#topics + 1] = t end
  end
  return { brokers = picture.brokers, topics = topics, controller = picture.controller, coordinators = picture.coordinators }
end

-- All other brokers have not said what is told now: where their last answers differ, they are behind.
local function mark_others(state, by, told, before)
  local subjects, back = {}, nil
  for _, c in ipairs(told) do subjects[subject_of(c)] = true end
  for id, heard in next, state.heard do
    if id ~= by then
      if #heard.differences == 0 then
        back = back or changes.between(state.picture, before)
        heard.differences = back
      else
        heard.differences = changes.between(state.picture, changes.apply(before, heard.differences))
      end
      local marks = {}
      for _, c in ipairs(heard.differences) do
        local line = tostring(c)
        marks[line] = is_about(c, subjects) and "old" or heard.marks[line]
      end
      heard.marks = marks
    end
  end
end

local function tell(state, by, told)
  if #told == 0 then return end
  local before = state.picture
  state.picture = changes.apply(before, told)
  mark_others(state, by, told, before)
  for _, c in ipairs(told) do
    if c.kind == "broker_left" then state.heard[c.from.id] = nil end
  end
end

-- In which matters a broker was behind, or may have been, when it answered last.
local function behind(heard)
  local subjects = {}
  for _, c in ipairs(heard.differences) do
    if heard.marks[tostring(c)] then subjects[subject_of(c)] = true end
  end
  return subjects
end

-- What others doubted and this answer does not say is contradicted: a first word is an old one from now on.
local function contradict(state, said)
  for line in next, state.doubts do
    if not said[line] then
      for _, heard in next, state.heard do
        if heard.marks[line] then heard.marks[line] = "old" end
      end
    end
  end
end

-- One more word for a difference; whether it is news now.
local function consider(doubt, c, by, mark, now)
  if not mark and not doubt.brokers[by] then
    doubt.brokers[by], doubt.words = true, doubt.words + 1
  end
  if mark ~= "old" then doubt.patience = SURE end
  return doubt.words >= (is_loss(c) and 2 or 1) or now - doubt.since >= doubt.patience
end

---One more picture.
---@param state kafka.News goes on from it
---@param picture table its `answered_by` is the broker that gave it, below 0 where that is not known; `unclear` names topics
---  of which it can say nothing
---@param now number seconds
---@return kafka.Change[] news; none for the first picture
---@return boolean whether the next picture should follow fast
function news.step(state, picture, now)
  local by = picture.answered_by or -1
  if not state.picture then
    state.picture = changes.copy(picture)
    state.heard[by] = { differences = {}, marks = {} }
    return {}, false
  end
  local heard = by >= 0 and state.heard[by] or nil
  local late = heard and behind(heard)
  local marks, said, doubts, told, open, fast = {}, {}, {}, {}, {}, false
  for _, c in ipairs(changes.between(state.picture, completed(picture, state.picture))) do
    local line = tostring(c)
    local mark = "first"
    if heard and not is_about(c, late) then mark = nil elseif heard then mark = heard.marks[line] or mark end
    local doubt = state.doubts[line] or { since = now, brokers = {}, words = 0, patience = OLD }
    said[line] = true
    if consider(doubt, c, by, mark, now) then
      told[#told + 1] = c
    else
      open[#open + 1], marks[line], doubts[line] = c, mark, doubt
      fast = fast or mark ~= "old"
    end
  end
  contradict(state, said)
  state.doubts = doubts
  state.heard[by] = { differences = open, marks = marks }
  tell(state, by, told)
  state.fast = fast and state.fast + 1 or 0
  return told, fast and state.fast <= FAST
end

return news

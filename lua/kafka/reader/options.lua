-- What callers pass to a reader: checked, and parted into its own options and those of the connection it opens. What is wrong
-- raises at the caller's line. Knows nothing of what the reader does with it.

local core = require "kafka.core"
local args = require "kafka.args"
local config = require "kafka.config"
local generation = require "kafka.generation"
local moment = require "kafka.moment"
local start = require "kafka.start"

local options = {}

local OP = "kafka.reader"

-- When a message was written: milliseconds as {time = ms}, so that they are no offset, or words.
local time_place = args.worded('{ time = milliseconds since the epoch }, "-1h" or an ISO 8601 time', {
  fits = function(v)
    if type(v) == "string" then return moment.of(v) ~= nil end
    return type(v) == "table" and args.timestamp.fits(rawget(v, "time")) and next(v, next(v)) == nil
  end,
})

-- Time between two pictures of the cluster.
local pause = args.worded("a number of seconds, 0.01 or more", {
  fits = function(v) return args.seconds.fits(v) and v >= 0.01 and v < math.huge end,
})

local stores = { load = args.func, save = args.func }

local own = {
  topic = args.topic_name,
  topics = args.worded("a list of topics", args.table),
  start = args.either(start.kind, time_place),
  otherwise = args.either(start.place, time_place),
  reset = args.word("earliest", "latest", "error"),
  commit = args.word("auto", "manual"),
  interval = args.seconds,
  metadata = args.metadata,
  offsets = args.table,
  every = pause,
  on_change = args.func,
  on_reset = args.func,
}

-- What the connection takes beside librdkafka's settings.
local passed = {
  broker_version = generation.kind,
  on_error = args.func,
  on_log = args.func,
  on_stats = args.func,
  on_throttle = args.func,
  oauth_token = args.func,
  loop = args.loop,
  timeout = args.seconds,
}

local known = {}
for _, set in ipairs { own, passed } do
  for name, kind in pairs(set) do known[name] = kind end
end

local function topics_of(o)
  if o.topic and o.topics then args.misuse(OP, "topic and topics must not be given both") end
  if o.topic then return { o.topic } end
  local list = args.list(OP, "topics", o.topics, "a list of topics (or topic, the name of one)")
  local seen = {}
  for i, name in ipairs(list) do
    args.check(OP, ("topics[%d]"):format(i), name, args.topic_name)
    if seen[name] then args.misuse(OP, ("topics names %s twice"):format(core.show(name))) end
    seen[name] = true
  end
  if #list == 0 then args.misuse(OP, "topics must have at least one") end
  return list
end

-- A time in words becomes milliseconds now: it means the moment of the call.
local function place_of(place)
  if type(place) == "table" then return { time = math.tointeger(rawget(place, "time")) } end
  local ms = type(place) == "string" and moment.of(place)
  return ms and { time = ms } or math.tointeger(place) or place
end

---@param given any what kafka.reader was called with
---@return table own {topics, group, start, otherwise, reset, auto, interval, metadata, load, save, every, on_change, on_reset}
---@return table connection for kafka.connect
function options.check(given)
  local o, settings = config.split(OP, given, known, "partitions")
  local store = o.offsets and args.fields(OP, o.offsets, stores, "offsets") or {}
  local group = settings["group.id"]
  if o.offsets and not store.load then args.misuse(OP, "offsets.load must be given: a function that returns rows") end
  if group and o.offsets then args.misuse(OP, "group and offsets must not be given both: offsets are kept in one place") end
  local keeps = group or store.save
  local first = o.start or ((group or store.load) and "committed" or "earliest")
  if first == "committed" and not (group or store.load) then args.misuse(OP, 'start "committed" needs a group, or offsets') end
  for _, name in ipairs { "commit", "interval", "metadata" } do
    if o[name] ~= nil and not keeps then args.misuse(OP, name .. " needs a group, or offsets.save") end
  end
  local connection = {}
  for name, value in next, core.copy(given) do
    if not own[name] then connection[name] = value end
  end
  return {
    topics = topics_of(o),
    group = group,
    start = place_of(first),
    otherwise = place_of(o.otherwise or "earliest"),
    reset = o.reset or "earliest",
    keeps = keeps and true or false,
    auto = keeps and o.commit ~= "manual" or false,
    interval = o.interval or 5,
    metadata = o.metadata,
    load = store.load,
    save = store.save,
    every = o.every or 1,
    on_change = o.on_change,
    on_reset = o.on_reset,
  }, connection
end

---What a row of the caller's store must be and is not.
---@return string|nil
function options.flaw(row)
  if type(row) ~= "table" then return "a row {topic, partition, offset}, got " .. core.show(row) end
  if type(row.topic) ~= "string" then return "rows with a topic, got " .. core.show(row.topic) end
  if not args.partition.fits(row.partition) then return "rows with a partition, got " .. core.show(row.partition) end
  if row.offset == nil or args.offset.fits(row.offset) then return nil end
  return ("rows whose offset is one, or nil where nothing was saved, got %s for partition %d")
    :format(core.show(row.offset), row.partition)
end

return options

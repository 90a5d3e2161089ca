-- From the one table that a constructor takes to librdkafka's settings: names, aliases, types, ranges, our defaults and
-- their reasons. The loaded librdkafka itself tells which settings there are. Knows no client.

local core = require "kafka.core"
local args = require "kafka.args"
local generation = require "kafka.generation"
local formed = require "kafka.formed"
local oauth = require "kafka.oauth"

local config = {}

config.CLIENT_ID = "lua-kafka" -- where none is given
config.GROUP = "^lua%-kafka%-%x+%-%d+$" -- what a group is called that nobody has named

local STATISTICS = "1000" -- milliseconds from one on_stats to the next, where nothing is said

-- Our names for what everybody sets.
local aliases = { brokers = "bootstrap.servers", group = "group.id" }

-- Set always: the rest of the library stands on these.
local fixed = {
  ["log.queue"] = "true", -- log lines come as events, never by a call from a thread
  ["client.software.name"] = "lua-kafka",
}

-- Defaults that differ from librdkafka's. A setting that the user gives always wins. docs/design.md tells the reasons to users.
local defaults = {
  -- Of a producer that stores no message twice. A request that timed out is sent again while the first may still arrive:
  -- librdkafka below 2.3 may then stop with a fatal error, and a message was seen twice with 2.8.
  exact = {
    ["socket.timeout.ms"] = "60000",
  },
  both = {
    ["client.id"] = config.CLIENT_ID,
    ["socket.timeout.ms"] = "10000", -- 60 s: a paused leader would be noticed only after a minute
    ["topic.metadata.refresh.interval.ms"] = "10000", -- 300 s: added partitions would stay unseen for five minutes
    ["reconnect.backoff.max.ms"] = "1000", -- 10 s: a restarted broker is found again at once
    ["socket.nagle.disable"] = "true", -- small requests leave at once
  },
  producer = {
    ["topic.metadata.propagation.max.ms"] = "5000", -- 30 s: a topic that does not exist is told of before send gives up
    ["partitioner"] = "murmur2_random", -- as Kafka's own producer: a key lands where Java puts it
  },
  -- Where brokers drop what comes twice, and no transaction does away with what has gone wrong.
  idempotent = {
    -- 5: of two requests on their way to a broker that is just becoming the leader the second may be taken and not the first, and
    -- librdkafka then sends again what is stored, or calls the error fatal.
    ["max.in.flight.requests.per.connection"] = "1",
  },
  consumer = {
    ["auto.offset.reset"] = "earliest", -- nothing is skipped
    ["fetch.wait.max.ms"] = "100", -- a new partition or a seek waits for the fetch under way
    ["fetch.error.backoff.ms"] = "100", -- 500: so long a partition rests after its leader has moved
    ["queued.min.messages"] = "1000000", -- librdkafka below 2.2 sleeps 1 s once this many are queued
  },
  -- Partitions read without a group: the policies are Lua's, so librdkafka has none of its own.
  partitions = {
    ["auto.offset.reset"] = "error", -- an offset that does not exist is reported, never replaced
    ["enable.auto.commit"] = "false",
    ["enable.auto.offset.store"] = "false",
    ["enable.partition.eof"] = "true", -- batch.eof, and the end behind transaction markers
    ["fetch.wait.max.ms"] = "100", -- a new partition or a seek waits for the fetch under way
    ["fetch.error.backoff.ms"] = "100", -- 500: so long a partition rests after its leader has moved
    ["queued.min.messages"] = "1000000", -- librdkafka below 2.2 sleeps 1 s once this many are queued
  },
}

-- Settings whose values are shown nowhere.
local function is_secret(name)
  return name:find("password", 1, true) or name:find("secret", 1, true) or name:find("token", 1, true)
    or name:find("passphrase", 1, true) or name:find("%.pem$") or name:find("oauthbearer.config", 1, true)
    or name:find("^ssl_") -- librdkafka's internal forms of key and certificate
end
config.is_secret = is_secret

-- Settings that the flows above stand on: another value is refused, with the reason.
local refused = {
  both = {
    ["log.queue"] = { only = "true", why = "log lines never come from a thread" },
    ["enabled_events"] = { why = "the events are those that this library serves" },
  },
  producer = {
    ["delivery.report.only.error"] = { only = "false", why = "every message has a report" },
  },
  partitions = {
    ["auto.offset.reset"] = { only = "error", why = "an offset that does not exist is reported; seek decides" },
    ["enable.auto.commit"] = { only = "false", why = "commit says what was handled" },
    ["enable.auto.offset.store"] = { only = "false", why = "commit says what was handled" },
  },
}

local function check_refused(op, role, name, typed, text)
  local row = refused.both[name] or (refused[role] or {})[name]
  if not row or row.only == text then return end
  args.misuse(op, ("setting %s cannot be given%s: %s"):format(typed, row.only and " as anything but " .. row.only or "", row.why))
end

-- Kept while somebody holds it: constructors are rare, and each cycle of the collector would go through it.
local known = setmetatable({}, { __mode = "v" })

local function parse(line)
  local cells = {}
  for cell in (line .. "|"):gmatch("(.-)|") do cells[#cells + 1] = cell:match("^%s*(.-)%s*$") end
  local name, role, range, default = cells[1], cells[2], cells[3], cells[4]
  if #cells < 6 or name == "Property" or name:find("^%-") then return nil end
  local kind = line:match("%*Type: ([^*]+)%*") or ""
  local alias = line:match "Alias for `([^`]+)`"
  return { name = name, role = role, range = range, default = default, kind = kind, alias = alias }
end

---The settings of the loaded librdkafka by name: {name, role, range, default, kind, alias}.
function config.settings()
  if known.settings then return known.settings end
  local rows = {}
  for line in core.properties():gmatch("[^\n]+") do
    local row = parse(line)
    -- Some stand twice, for the client and for topics: the wider row is kept.
    if row and not (rows[row.name] and #rows[row.name].range >= #row.range) then rows[row.name] = row end
  end
  known.settings = rows -- complete, where this got so far without an error
  return rows
end

local function shown(name, value)
  return is_secret(name) and "a value not shown" or core.show(value)
end

-- `typed` is the name as the caller wrote it.
local function refuse(op, row, typed, wanted, value)
  args.misuse(op, ("setting %s must be %s, got %s"):format(typed, wanted, shown(row.name, value)))
end

local function check_number(op, row, typed, value, text, wanted)
  local n = (text:match("^%-?%d+$") or text:match("^%-?%d*%.%d+$")) and tonumber(text)
  if not n and type(value) == "number" then n = value end -- 1e3
  if n and wanted:find "an integer$" then n = math.tointeger(n) end
  if not n or n ~= n then refuse(op, row, typed, wanted, value) end
  local low, high = row.range:match("^(%-?%d+)%s*%.%.%s*(%-?%d+)$")
  if low and (n < tonumber(low) or n > tonumber(high)) then
    refuse(op, row, typed, ("from %s to %s"):format(low, high), value)
  end
  return math.type(n) == "integer" and ("%d"):format(n) or ("%.6f"):format(n)
end

local truth = { ["true"] = true, ["false"] = true, t = true, f = true, ["1"] = true, ["0"] = true }

local function check_word(op, row, typed, value, text)
  local words, found = {}, false
  for word in row.range:gmatch("[^,%s]+") do
    words[#words + 1] = word
    found = found or word:lower() == text:lower()
  end
  local number = row.name == "acks" or row.name == "request.required.acks"
  if #words == 0 or found or number then return text end
  return refuse(op, row, typed, "one of " .. table.concat(words, ", "), value)
end

-- What stands for librdkafka's callbacks here.
local instead = { dr_cb = "on_delivery takes reports", dr_msg_cb = "on_delivery takes reports",
  error_cb = "on_error takes errors", log_cb = "on_log takes log lines", stats_cb = "on_stats takes statistics" }

local function settable(row) return not row.kind:find("dedicated API", 1, true) end

-- What librdkafka itself says against a value. Its words may repeat it.
local function check_taken(op, row, typed, value, text)
  local why = core.refusal(row.name, text)
  if not why then return text end
  local reason = is_secret(row.name) and "" or " (librdkafka: " .. why:gsub("%c", "?") .. ")"
  return refuse(op, row, typed, "a value that librdkafka takes" .. reason, value)
end

-- A value as librdkafka's string, checked as far as librdkafka says what fits: it reads "100abc" as 100.
local function render(op, row, typed, value)
  local kind = type(value)
  if not settable(row) then
    args.misuse(op, ("setting %s cannot be given, got %s: %s"):format(typed, shown(row.name, value),
      instead[row.name] or "librdkafka takes it from C only"))
  end
  if kind ~= "string" and kind ~= "boolean" and not args.finite.fits(value) and not (row.range ~= "" and kind == "number") then
    refuse(op, row, typed, "a string, a finite number or a boolean", value)
  end
  if kind == "boolean" and row.kind == "string" then refuse(op, row, typed, "a string", value) end
  local text = tostring(value)
  if kind == "number" and math.tointeger(value) then text = tostring(math.tointeger(value)) end
  if text:find("\0", 1, true) then refuse(op, row, typed, "a string without NUL", value) end
  if row.kind == "integer" and not row.range:find("[a-z]") then
    local all = row.name:find "acks"
    if all and text == "all" then return text end
    return check_number(op, row, typed, value, text, all and '"all" or an integer' or "an integer")
  end
  if row.kind == "float" then return check_number(op, row, typed, value, text, "a number") end
  if row.kind == "boolean" then
    if not truth[text:lower()] then refuse(op, row, typed, "true or false", value) end
    return text
  end
  if row.kind == "enum value" then return check_word(op, row, typed, value, text) end
  return text
end

local broker_list = args.worded('a list such as "host:9092,other:9092"', args.printable)

-- host:port, [v6]:port, protocol://host:port.
local function check_broker(op, arg, broker, value, protocol)
  local given, address = broker:match "^([%w_]*)://(.*)$"
  if given and given:lower() ~= protocol then
    args.misuse(op, ("%s must have no other protocol than security.protocol, %s, got %s"):format(arg, protocol, core.show(value)))
  end
  address = address or broker
  local host, port = address:match "^(%[[%x:.%%%w]+%]):(.*)$"
  if not host then host, port = address:match "^([%w._-]+):(.*)$" end
  if not host and (address:find "^[%w._-]+$" or address:find "^%[[%x:.%%%w]+%]$") then
    args.misuse(op, ("%s must give each broker a port, as in \"host:9092\", got %s"):format(arg, core.show(value)))
  end
  if not host then args.fail(op, arg, broker_list.wanted, value) end
  local n = port:match("^%d+$") and tonumber(port)
  if not n or n < 1 or n > 65535 then
    args.misuse(op, ("%s must have ports from 1 to 65535, got %s in %s"):format(arg, core.show(port), core.show(value)))
  end
end

-- Separated by commas.
local function check_brokers(op, arg, value, protocol)
  args.check(op, arg, value, broker_list)
  for broker in (value .. ","):gmatch("(.-),") do check_broker(op, arg, broker:match "^%s*(.-)%s*$", value, protocol) end
end

local function set_of(own)
  local set = {}
  for name, row in pairs(config.settings()) do set[name] = settable(row) or nil end
  for name in pairs(aliases) do set[name] = true end
  for name in pairs(own) do set[name] = true end
  return set
end

local function full_name(name)
  local settings = config.settings()
  if aliases[name] then return aliases[name] end
  if settings[name] then return name end
  local dotted = name:gsub("_", ".")
  return settings[dotted] and dotted or nil
end

-- What later versions of librdkafka have: since when.
local newer = {
  ["group.protocol"] = "2.4",
  ["group.remote.assignor"] = "2.4",
  ["retry.backoff.max.ms"] = "2.3",
  ["fetch.queue.backoff.ms"] = "2.2",
  ["client.dns.lookup"] = "2.2",
  ["enable.metrics.push"] = "2.5",
}

local function refuse_unknown(op, name, own)
  local version = type(name) == "string" and newer[(name:gsub("_", "."))]
  if not version then args.unknown(op, "setting", name, set_of(own)) end
  args.misuse(op, ("setting %s needs librdkafka %s or newer, this is %s"):format(name, version, core.librdkafka))
end

local BROKERS = "metadata.broker.list" -- of which bootstrap.servers is an alias

-- Two names of one setting; raises with both, always in the same order.
local function check_once(op, one, other, options)
  if other < one then one, other = other, one end
  local row = config.settings()[full_name(one)]
  args.misuse(op, ("%s and %s must not be given both, they are the same setting: got %s and %s"):format(one, other,
    shown(row.name, rawget(options, one)), shown(row.name, rawget(options, other))))
end

-- An option of ours that carries a secret: a token in the place of the function that returns one.
local function refuse_own(op, name, wanted)
  args.misuse(op, ("%s must be %s, got a value not shown"):format(name, wanted))
end

local on = { ["true"] = true, t = true, ["1"] = true } -- librdkafka's words

-- The sets of defaults that these settings get, the first that has a setting before the others.
local function sets_of(role, settings)
  local sets = { defaults.both, defaults[role] }
  if role ~= "producer" then return sets end
  local idempotent = on[(settings["enable.idempotence"] or ""):lower()]
  if idempotent or settings["transactional.id"] then table.insert(sets, 1, defaults.exact) end
  if idempotent and not settings["transactional.id"] and not settings["max.in.flight"] then
    table.insert(sets, 1, defaults.idempotent)
  end
  return sets
end

---Splits a constructor's table into our own options and librdkafka's settings.
---@param op string the constructor, for errors
---@param options table the user's
---@param own table<string, table> our options and their validators
---@param role "producer"|"consumer"|"partitions"
---@return table options, table<string, string> settings
function config.split(op, options, own, role)
  if type(options) ~= "table" then args.fail(op, "the argument", "a table of settings", options) end
  local mine, settings, from = {}, {}, {}
  local all = config.settings()
  for name, value in next, core.copy(options) do
    if own[name] then
      if is_secret(name) and not own[name].fits(value) then refuse_own(op, name, own[name].wanted) end
      mine[name] = args.check(op, name, value, own[name])
    else
      local full = type(name) == "string" and full_name(name)
      if not full then refuse_unknown(op, name, own) end
      local row = all[full]
      local one = row.alias or full
      if from[one] then check_once(op, from[one], name, options) end
      from[one] = name
      if formed[full] then args.check(op, name, value, formed[full]) end
      if one == BROKERS then args.check(op, name, value, broker_list) end
      settings[full] = check_taken(op, row, name, value, render(op, row, name, value))
      check_refused(op, role, full, name, settings[full])
    end
  end
  local brokers = settings["bootstrap.servers"] or settings[BROKERS]
  check_brokers(op, from[BROKERS] or "brokers", brokers, (settings["security.protocol"] or "plaintext"):lower())
  for _, set in ipairs(sets_of(role, settings)) do
    for name, value in pairs(set) do
      if settings[name] == nil and all[name] then settings[name] = value end
    end
  end
  if mine.on_stats and not settings["statistics.interval.ms"] then settings["statistics.interval.ms"] = STATISTICS end
  mine.broker_version = generation.settle(op, mine.broker_version, settings, role)
  oauth.check(op, mine.oauth_token, settings)
  for name, value in pairs(fixed) do settings[name] = value end
  settings["client.software.version"] = require("kafka.version")
  return mine, settings
end

return config

-- What brokers of an old version cannot do: which Kafka a feature needs, as data, and the error that refuses it. Of brokers from
-- 0.10 on librdkafka learns what they serve; older ones do not tell, so `broker_version` says which they are. librdkafka itself
-- drops or waits in vain for what they do not serve. Pure: nothing here asks anybody.

local args = require "kafka.args"
local errors = require "kafka.error"

local generation = {}

local SELF_TELLING = "0.10" -- from here on brokers tell which requests they serve
local OLDEST = "0.8"

-- Milliseconds. A leader of these that waits for a replica which has just died waits as long as the request says, and answers
-- nothing else on that connection: with librdkafka's 30 s a producer would stand still until socket.timeout.ms. Nor does a leader
-- that is replaced forget the request (KAFKA-2960): where it leads again while the request waits, it acknowledges what it has
-- dropped as soon as other messages have filled the log up to there, which 30 s leave time for. Less than 2 s would send more
-- messages twice.
local REQUEST_TIMEOUT = "2000"

-- What is refused, with the first Kafka that has it, and what to do instead where there is something.
local features = {
  commits = { "0.8.2", "offsets of groups that brokers keep need" },
  lz4 = { "0.8.2", "compression by lz4 needs" },
  groups = { "0.9", "joining a group needs", "assign partitions, or read them by kafka.connect" },
  security = { "0.9", "TLS and logins need" },
  timestamp = { "0.10", "timestamps of messages need" },
  offsets_at = { "0.10.1", "offsets for times need" },
  all_offsets = { "0.10.2", "the list of all that a group has committed needs", "name the partitions" },
  headers = { "0.11", "headers of messages need" },
  idempotence = { "0.11", "an idempotent producer needs" },
  transactions = { "0.11", "transactions need" },
  zstd = { "2.1", "compression by zstd needs" },
  static = { "2.3", "static members of a group need" },
}

local function is_on(value) return value:lower():find "^[t1]" ~= nil end
local function is_given(value) return value ~= "" end
local function is(word)
  return function(value) return value:lower() == word end
end
local function is_not(word)
  return function(value) return value:lower() ~= word end
end

-- Settings that ask for a feature, and when they do.
local by_setting = {
  { "transactional.id", is_given, "transactions" },
  { "enable.idempotence", is_on, "idempotence" },
  { "compression.codec", is "zstd", "zstd" },
  { "compression.type", is "zstd", "zstd" },
  { "compression.codec", is "lz4", "lz4" },
  { "compression.type", is "lz4", "lz4" },
  { "group.instance.id", is_given, "static" },
  { "security.protocol", is_not "plaintext", "security" },
}

local function numbers(version)
  local list = {}
  for n in version:gmatch "%d+" do list[#list + 1] = tonumber(n) end
  return list
end

---Whether a version is as new as another.
---@param version string
---@param since string
---@return boolean
function generation.reaches(version, since)
  local a, b = numbers(version), numbers(since)
  for i = 1, math.max(#a, #b) do
    local x, y = a[i] or 0, b[i] or 0
    if x ~= y then return x > y end
  end
  return true
end

local function is_version(v)
  return type(v) == "string" and #v < 20 and v:find "^%d+%.%d+[.%d]*$" ~= nil and not v:find("..", 1, true)
    and not v:find "%.$" and generation.reaches(v, OLDEST)
end

---A version of Kafka's brokers.
generation.kind = args.worded('a version of Kafka from 0.8 on, such as "0.8.2.1"', { fits = is_version })

-- What librdkafka's settings say themselves.
local function told_by(settings)
  if not settings["api.version.request"] or is_on(settings["api.version.request"]) then return nil end
  local fallback = settings["broker.version.fallback"] or SELF_TELLING
  return is_version(fallback) and fallback or nil
end

---Settles what kind of brokers a client has: what they need of librdkafka's settings is set. Without `broker_version` these
---settings may say it.
---@param op string
---@param version string|nil broker_version, checked
---@param settings table<string, string> librdkafka's; changed
---@param role "producer"|"consumer"|"partitions"
---@return string|nil version nil where the brokers tell themselves
function generation.settle(op, version, settings, role)
  if not version then
    version = told_by(settings)
  else
    for _, name in ipairs { "api.version.request", "broker.version.fallback" } do
      if settings[name] then args.misuse(op, ("give broker_version or %s, not both"):format(name)) end
    end
    if generation.is_old(version) then
      settings["api.version.request"], settings["broker.version.fallback"] = "false", version
    end
  end
  if role == "producer" and generation.is_old(version) then
    settings["request.timeout.ms"] = settings["request.timeout.ms"] or REQUEST_TIMEOUT
  end
  return version
end

---Whether brokers of this version do not tell what they serve; not where there is none.
---@param version string|nil
---@return boolean
function generation.is_old(version)
  return version ~= nil and not generation.reaches(version, SELF_TELLING)
end

---The error that refuses a feature; nil where the brokers have it, or tell themselves.
---@param version string|nil
---@param feature string
---@param about table {op, topic, partition}
---@return kafka.Error|nil
function generation.refusal(version, feature, about)
  local since, what, instead = table.unpack(features[feature])
  if not version or generation.reaches(version, since) then return nil end
  local message = ("%s brokers of Kafka %s or newer, and broker_version is %s"):format(what, since, version)
  return errors.new { name = "_UNSUPPORTED_FEATURE", op = about.op, topic = about.topic, partition = about.partition,
    message = instead and message .. ": " .. instead or message }
end

---The same for what settings ask for.
---@param version string|nil
---@param settings table<string, string> librdkafka's
---@param op string
---@return kafka.Error|nil
function generation.setting_refusal(version, settings, op)
  if not version then return nil end
  for _, row in ipairs(by_setting) do
    local value = settings[row[1]]
    local err = value and row[2](value) and generation.refusal(version, row[3], { op = op })
    if err then return err end
  end
end

return generation

-- The world's failures as objects: one category and one action for each, and a sentence a person can act on. The table below
-- is the only place that says what a code means for the caller. Knows no other module but the core's list of codes.

local core = require "kafka.core"
local show = require "kafka.show"
local args = require "kafka.args"

---@class kafka.Error
---@field code integer Kafka's or librdkafka's number
---@field name string its name, "NOT_LEADER_FOR_PARTITION" or "_TIMED_OUT" (librdkafka's own begin with "_")
---@field message string in words
---@field op string|nil the function that failed
---@field topic string|nil
---@field partition integer|nil
---@field offset integer|nil
---@field category string "network", "timeout", "cluster", "group", "transaction", "security", "data", "config", "client"
---@field action string "wait", "retry", "abort", "recreate" or "fix"
---@field retriable boolean the same call may succeed later
---@field abortable boolean the transaction must be aborted
---@field fatal boolean this client can do nothing more
---@field cause kafka.Error|nil the last error event that the client saw before
---@field original string|nil librdkafka's or the broker's own text, where the message is another
local Error = {}
Error.__index = Error
Error.__name = "kafka.Error"

local errors = {}

-- What to do, in words: the end of each sentence.
errors.actions = {
  wait = "it may pass: wait and try again",
  retry = "try again",
  abort = "abort the transaction and begin it again",
  recreate = "close this client and open a new one",
  fix = "it will not pass by itself",
}

-- category, action, names
local rows = {
  { "network", "retry", "_TRANSPORT _ALL_BROKERS_DOWN NETWORK_EXCEPTION BROKER_NOT_AVAILABLE _NODE_UPDATE"
    .. " REBOOTSTRAP_REQUIRED _DESTROY_BROKER" },
  { "network", "fix", "_RESOLVE _SSL" },
  { "timeout", "retry", "_TIMED_OUT _MSG_TIMED_OUT _TIMED_OUT_QUEUE REQUEST_TIMED_OUT" },
  { "cluster", "wait", "LEADER_NOT_AVAILABLE NOT_LEADER_FOR_PARTITION REPLICA_NOT_AVAILABLE NOT_ENOUGH_REPLICAS"
    .. " NOT_ENOUGH_REPLICAS_AFTER_APPEND _ISR_INSUFF KAFKA_STORAGE_ERROR OFFSET_NOT_AVAILABLE FENCED_LEADER_EPOCH"
    .. " UNKNOWN_LEADER_EPOCH NOT_CONTROLLER _WAIT_CACHE STALE_BROKER_EPOCH STALE_CTRL_EPOCH REASSIGNMENT_IN_PROGRESS"
    .. " THROTTLING_QUOTA_EXCEEDED PREFERRED_LEADER_NOT_AVAILABLE ELIGIBLE_LEADERS_NOT_AVAILABLE LOG_DIR_NOT_FOUND"
    .. " LISTENER_NOT_FOUND FETCH_SESSION_ID_NOT_FOUND INVALID_FETCH_SESSION_EPOCH UNKNOWN_TOPIC_ID" },
  { "cluster", "fix", "UNKNOWN_TOPIC_OR_PART _UNKNOWN_TOPIC _UNKNOWN_PARTITION TOPIC_ALREADY_EXISTS INVALID_PARTITIONS"
    .. " INVALID_REPLICATION_FACTOR INVALID_REPLICA_ASSIGNMENT INVALID_CONFIG POLICY_VIOLATION TOPIC_DELETION_DISABLED"
    .. " TOPIC_EXCEPTION _UNKNOWN_BROKER ELECTION_NOT_NEEDED NO_REASSIGNMENT_IN_PROGRESS RESOURCE_NOT_FOUND"
    .. " DUPLICATE_RESOURCE OPERATION_NOT_ATTEMPTED UNKNOWN" },
  { "group", "wait", "COORDINATOR_LOAD_IN_PROGRESS COORDINATOR_NOT_AVAILABLE NOT_COORDINATOR _WAIT_COORD"
    .. " REBALANCE_IN_PROGRESS ILLEGAL_GENERATION UNSTABLE_OFFSET_COMMIT _ASSIGNMENT_LOST _ASSIGN_PARTITIONS"
    .. " _REVOKE_PARTITIONS FENCED_MEMBER_EPOCH STALE_MEMBER_EPOCH UNRELEASED_INSTANCE_ID"
    .. " _MAX_POLL_EXCEEDED" },
  { "group", "fix", "UNKNOWN_MEMBER_ID INVALID_GROUP_ID INCONSISTENT_GROUP_PROTOCOL INVALID_SESSION_TIMEOUT"
    .. " NON_EMPTY_GROUP GROUP_ID_NOT_FOUND GROUP_MAX_SIZE_REACHED GROUP_SUBSCRIBED_TO_TOPIC _UNKNOWN_GROUP"
    .. " OFFSET_METADATA_TOO_LARGE INVALID_COMMIT_OFFSET_SIZE MEMBER_ID_REQUIRED _NO_OFFSET"
    .. " _EXISTING_SUBSCRIPTION UNSUPPORTED_ASSIGNOR" },
  { "group", "recreate", "FENCED_INSTANCE_ID" },
  { "transaction", "retry", "CONCURRENT_TRANSACTIONS" },
  { "transaction", "abort", "INVALID_TXN_STATE INVALID_PRODUCER_ID_MAPPING UNKNOWN_PRODUCER_ID _INCONSISTENT" },
  { "transaction", "recreate", "_FENCED PRODUCER_FENCED INVALID_PRODUCER_EPOCH OUT_OF_ORDER_SEQUENCE_NUMBER"
    .. " DUPLICATE_SEQUENCE_NUMBER TRANSACTION_COORDINATOR_FENCED _GAPLESS_GUARANTEE" },
  { "transaction", "fix", "INVALID_TRANSACTION_TIMEOUT" },
  { "security", "fix", "_AUTHENTICATION SASL_AUTHENTICATION_FAILED UNSUPPORTED_SASL_MECHANISM ILLEGAL_SASL_STATE"
    .. " TOPIC_AUTHORIZATION_FAILED GROUP_AUTHORIZATION_FAILED CLUSTER_AUTHORIZATION_FAILED SECURITY_DISABLED"
    .. " TRANSACTIONAL_ID_AUTHORIZATION_FAILED DELEGATION_TOKEN_AUTH_DISABLED DELEGATION_TOKEN_NOT_FOUND"
    .. " DELEGATION_TOKEN_OWNER_MISMATCH DELEGATION_TOKEN_REQUEST_NOT_ALLOWED DELEGATION_TOKEN_AUTHORIZATION_FAILED"
    .. " DELEGATION_TOKEN_EXPIRED INVALID_PRINCIPAL_TYPE UNACCEPTABLE_CREDENTIAL PRINCIPAL_DESERIALIZATION_FAILURE" },
  { "data", "fix", "OFFSET_OUT_OF_RANGE _AUTO_OFFSET_RESET MSG_SIZE_TOO_LARGE INVALID_MSG_SIZE RECORD_LIST_TOO_LARGE"
    .. " INVALID_TIMESTAMP INVALID_RECORD UNSUPPORTED_FOR_MESSAGE_FORMAT _LOG_TRUNCATION UNSUPPORTED_COMPRESSION_TYPE"
    .. " _KEY_SERIALIZATION _VALUE_SERIALIZATION _KEY_DESERIALIZATION _VALUE_DESERIALIZATION _PARTITION_EOF"
    .. " _INVALID_DIFFERENT_RECORD" },
  { "data", "retry", "INVALID_MSG _BAD_MSG _BAD_COMPRESSION" },
  { "config", "fix", "_INVALID_ARG _UNSUPPORTED_FEATURE UNSUPPORTED_VERSION INVALID_REQUIRED_ACKS INVALID_REQUEST"
    .. " _NOT_CONFIGURED _NOT_IMPLEMENTED _UNKNOWN_PROTOCOL _FS _INVALID_TYPE INCONSISTENT_VOTER_SET"
    .. " INVALID_UPDATE_VERSION FEATURE_UPDATE_FAILED TELEMETRY_TOO_LARGE" },
  { "client", "wait", "_QUEUE_FULL _IN_PROGRESS _PREV_IN_PROGRESS" },
  { "client", "retry", "_RETRY _INTR _OUTDATED _PARTIAL _UNDERFLOW _NOOP UNKNOWN_SUBSCRIPTION_ID" },
  { "client", "fix", "_FAIL _PURGE_QUEUE _PURGE_INFLIGHT _CONFLICT _STATE _READ_ONLY _NOENT _APPLICATION" },
  { "client", "recreate", "_FATAL _DESTROY _CRIT_SYS_RESOURCE" },
}

local meaning = {}
for _, row in ipairs(rows) do
  local meant = { category = row[1], action = row[2] }
  for name in row[3]:gmatch("%S+") do meaning[name] = meant end
end
local unnamed = { category = "client", action = "fix" } -- a code of a later librdkafka, or none of its

---Whether the table above has that name.
function errors.known(name) return meaning[name] ~= nil end

-- A sentence instead of librdkafka's, where its own tells too little.
local words = {
  _QUEUE_FULL = "the producer's queue is full (queue.buffering.max.messages or queue.buffering.max.kbytes)",
  _MSG_TIMED_OUT = "not acknowledged within message.timeout.ms",
  _PURGE_QUEUE = "given up before it was sent",
  _PURGE_INFLIGHT = "given up while on its way: the broker may or may not have it",
  UNKNOWN_TOPIC_OR_PART = "the cluster has no such topic or partition",
  _UNKNOWN_TOPIC = "the cluster has no such topic",
  _UNKNOWN_PARTITION = "the topic has no such partition",
  UNKNOWN_MEMBER_ID = "the group has live members: only they may commit for it",
  GROUP_ID_NOT_FOUND = "the cluster has no such group",
  TOPIC_ALREADY_EXISTS = "the cluster has a topic of that name",
  NON_EMPTY_GROUP = "the group has members: close them first",
  _MAX_POLL_EXCEEDED = "the time between two polls was longer than max.poll.interval.ms, so the group has given the partitions"
    .. " to others; the next poll joins it again",
  FENCED_INSTANCE_ID = "another member of the group has taken over this group.instance.id",
  _ALL_BROKERS_DOWN = "no broker can be reached",
  MSG_SIZE_TOO_LARGE = "the message is larger than the limit (message.max.bytes here and at the broker)",
}

-- The same, where its own is nothing but the name of the error.
local plain = {
  _TRANSPORT = "no connection to a broker, or it ended before the answer",
  _RESOLVE = "the host name could not be resolved",
  _WAIT_COORD = "the group's coordinator is not known yet",
  _NO_OFFSET = "no offset is stored",
  _ASSIGNMENT_LOST = "the group has given the partitions to others",
}

local function sentence(raw)
  return words[raw.name] or raw.message and raw.message:find "^Local: [^:]*$" and plain[raw.name] or raw.message
end

-- What an ACL must allow for a call that touches a topic: Describe unless told here.
local rights = { send = "Write", produce = "Write", fetch = "Read", poll = "Read", commit = "Read", create_topic = "Create" }

-- The broker's own text for these says less: "Authorization failed."
local denied = {
  TOPIC_AUTHORIZATION_FAILED = function(op) return (rights[op] or "Describe") .. " on the topic" end,
  GROUP_AUTHORIZATION_FAILED = function() return "Read on the group" end,
  CLUSTER_AUTHORIZATION_FAILED = function() return "that on the cluster" end,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED = function() return "Write on the transactional.id" end,
}

-- A wait that ends without an answer passes by itself only where its cause does.
local waited = { _TIMED_OUT = true, _MSG_TIMED_OUT = true, _TRANSPORT = true, _WAIT_COORD = true }

local codes
local function code_of(name)
  if not codes then
    codes = {}
    for _, row in ipairs(core.errors()) do codes[row.name] = row.code end
  end
  return codes[name]
end

---@param name string
---@return integer|nil the code of a name, nil where this librdkafka does not know it
function errors.code(name) return code_of(args.check("errors.code", "name", name, args.string)) end

local error_list = show.list({ "code", "name", "category", "action", "message" }, { rows = false })

---Every error this librdkafka knows, with its category, its action and its words.
---@return kafka.Error[]
function errors.list()
  local list = {}
  for _, row in ipairs(core.errors()) do
    if row.code ~= 0 then list[#list + 1] = errors.from(row, {}) end
  end
  return error_list(list)
end

-- The fields that the sentence is made of; any others are kept as they are.
local text = args.string
local shape = { name = text, message = text, op = text, topic = text, category = text,
  partition = args.integer(-1, 2 ^ 31 - 1 | 0), action = args.word("wait", "retry", "abort", "recreate", "fix"),
  cause = args.worded("an error", { fits = function(v) return type(v) == "table" and text.fits(rawget(v, "message")) end }) }

---An error object from its fields; `name` decides category and action where they are not given.
---@param fields table
---@return kafka.Error
function errors.new(fields)
  local e = core.copy(args.check("errors.new", "fields", fields, args.table))
  for name, kind in next, shape do
    local value = e[name]
    if value ~= nil and not kind.fits(value) then args.fail("errors.new", "fields." .. name, kind.wanted, value) end
  end
  e.name = e.name or "_FAIL"
  e.code = e.code or code_of(e.name) or -196
  local m = meaning[e.name] or unnamed
  if waited[e.name] and e.cause and e.cause.action == "fix" then m = e.cause end
  e.category = e.category or m.category
  e.action = e.fatal and "recreate" or e.abortable and "abort" or e.action or m.action
  if e.retriable == nil then e.retriable = e.action == "wait" or e.action == "retry" end
  e.fatal, e.abortable = e.fatal or false, e.abortable or false
  e.message = e.message or words[e.name] or plain[e.name] or e.name
  return setmetatable(e, Error)
end

---An error object from what the core returned, with what it is about.
---@param raw table
---@param about table {op, topic, partition, cause, user, ...}
function errors.from(raw, about)
  local e = {}
  args.check("errors.from", "raw", raw, args.table)
  args.check("errors.from", "about", about, args.table)
  for k, v in next, raw do e[k] = v end
  for k, v in next, about do e[k] = v end
  e.message = about.message or sentence(raw)
  if denied[raw.name] and not about.original then
    e.message = ("access denied: no ACL allows %s %s"):format(about.user or "this client's user", denied[raw.name](about.op))
    e.original, e.cause = raw.message, nil
  end
  e.user = nil
  return errors.new(e)
end

---@return boolean whether the value is an error object of this library
function errors.is(value) return getmetatable(value) == Error end

local function place(e)
  if not e.topic then return "" end
  return e.partition and (" %s[%d]"):format(e.topic, e.partition) or (" " .. e.topic)
end

function Error:__tostring()
  args.object("tostring", self, Error)
  local parts = { (self.op or "kafka") .. place(self) .. ": " .. self.message }
  if self.cause and self.cause.message ~= self.message then parts[#parts + 1] = "; last: " .. self.cause.message end
  parts[#parts + 1] = (" (%s; %s)"):format(self.name, errors.actions[self.action] or self.action)
  return table.concat(parts)
end

return errors

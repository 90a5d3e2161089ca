-- Administrative calls, methods of kafka.connect.

local core = require "kafka.core"
local args = require "kafka.args"
local errors = require "kafka.error"

local admin = {}

local DEFAULT_TIMEOUT = 10 -- seconds

local topic_options = {
  name = args.string,
  partitions = args.integer(1, 100000),
  replication_factor = args.integer(1, 32767),
  config = args.table,
  timeout = args.seconds,
}

local setting_value = args.worded("a string of at least one byte, without NUL, a number, true or false",
  args.either(args.name, args.boolean, args.finite))

-- Topic settings as strings: numbers and booleans are welcome.
local function as_strings(config)
  if not config then return nil end
  local strings = {}
  for name, value in next, core.copy(config) do
    args.check("create_topic", "config: the name of a setting", name, args.name)
    args.check("create_topic", "config." .. name, value, setting_value)
    if type(value) == "number" then value = math.tointeger(value) or value end
    strings[name] = tostring(value)
  end
  return strings
end

---@param client kafka.Client
---@param options table name string, partitions integer (default 1), replication_factor integer (default: the broker's),
---  config table of topic settings, timeout seconds (default 10)
---@return true|nil
---@return kafka.Error|nil TOPIC_ALREADY_EXISTS and the like
---rd_kafka_CreateTopics; returns once a broker's metadata shows the topic
function admin.create_topic(client, options)
  local h = client:check("create_topic")
  local o = args.fields("create_topic", options, topic_options)
  args.check("create_topic", "name", o.name, args.topic_name)
  local config = as_strings(o.config)
  local timeout = o.timeout or DEFAULT_TIMEOUT
  local deadline = core.now() + timeout
  local about = { op = "create_topic", topic = o.name }
  local answer, err = h:request(about, timeout, function(ticket, ms)
    return h.core:create_topic(o.name, o.partitions or 1, o.replication_factor or -1, config, ms, ticket)
  end)
  if not answer then return nil, err end
  local result = answer.results[1]
  if result and result.err then
    return nil, errors.from(result.err, { op = "create_topic", topic = o.name, message = result.err.message })
  end
  client.created[o.name] = core.now()
  local topic
  topic, err = client:topic(o.name, math.max(0, deadline - core.now()))
  if not topic then return nil, err end
  return true
end

return admin

-- survive.lua by kafka.reader: every partition of a topic, resumed where the group has committed, whatever the cluster does.
--   BROKERS=host:9092 TOPIC=first GROUP=g make run SCRIPT=examples/reader.lua     IDLE, BROKER_VERSION: as in survive.lua
local kafka = require "kafka"
local env, mock = os.getenv, nil
local idle = tonumber(env "IDLE") or math.huge
if (env "BROKERS" or "") == "" then mock, idle = assert(kafka.mock { brokers = 3, topics = { first = 2 } }), 1 end

local r <close> = assert(kafka.reader { brokers = mock and mock.brokers or env "BROKERS", broker_version = env "BROKER_VERSION",
  topic = env "TOPIC" or "first", group = env "GROUP" or "readers", metadata = "reader.lua", timeout = 30,
  on_change = print, on_error = print, on_reset = function(row) print(row.topic, row.from, row.to, row.reason) end })
if mock then assert(assert(kafka.producer { brokers = mock.brokers }):send("first", "hello", { partition = 0 })) end
for m in r:messages { idle = idle } do print(m) end
print(r:positions())

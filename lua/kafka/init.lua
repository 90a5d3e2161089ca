-- The public names; nothing else.

local core = require "kafka.core"

-- Chunks below this folder are the library: misuse is told at the first line outside it.
core.home((debug.getinfo(1, "S").source:gsub("init%.lua$", "")))

local kafka = {
  version = require "kafka.version",
  librdkafka = core.librdkafka,
  now = core.now,
  producer = require("kafka.producer").open,
  consumer = require("kafka.consumer").open,
  connect = require("kafka.client").open,
  mock = require("kafka.mock").open,
  log = require "kafka.log",
  errors = require "kafka.error",
  default = require("kafka.admin.configs").default, -- for alter_configs: back to the default
}

---Real Kafka brokers on this machine. Loaded when first used: it needs luv, the rest does not.
function kafka.localcluster(options)
  return require("kafka.localcluster").new(options)
end

return setmetatable(kafka, { __tostring = function()
  return ("lua-kafka %s, librdkafka %s"):format(kafka.version, kafka.librdkafka)
end })

-- The public names; nothing else.

local core = require "kafka.core"

-- Chunks below this folder are the library: misuse is told at the first line outside it.
core.home((debug.getinfo(1, "S").source:gsub("init%.lua$", "")))

local kafka = {
  version = require "kafka.version",
  librdkafka = core.librdkafka,
  now = core.now,
  log = require "kafka.log",
  errors = require "kafka.error",
  default = require "kafka.default",
}

-- What a program does not use is not loaded: Lua's collector would go through it in every cycle.

---Opens a producer; the options are told in producer.lua.
---@param options table
---@return kafka.Producer|nil
---@return kafka.Error|nil
function kafka.producer(options)
  return require("kafka.producer").open(options)
end

---Opens a consumer that joins a group; the options are told in consumer.lua.
---@param options table
---@return kafka.Consumer|nil
---@return kafka.Error|nil
function kafka.consumer(options)
  return require("kafka.consumer").open(options)
end

---Connects to a cluster, to ask, to administer and to read it without a group; the options are told in client.lua.
---@param options table
---@return kafka.Client|nil
---@return kafka.Error|nil
function kafka.connect(options)
  return require("kafka.client").open(options)
end

---Opens a reader: all partitions of topics, for months, whatever the cluster does; the options are told in reader.lua.
---@param options table
---@return kafka.Reader|nil
---@return kafka.Error|nil
function kafka.reader(options)
  return require("kafka.reader").open(options)
end

---A cluster inside this process, with faults to order; the options are told in mock.lua.
---@param options table|nil
---@return kafka.Mock
function kafka.mock(options)
  return require("kafka.mock").open(options)
end

---Real Kafka brokers on this machine: needs luv, the rest does not.
function kafka.localcluster(options)
  return require("kafka.localcluster").new(options)
end

return setmetatable(kafka, { __tostring = function()
  return ("lua-kafka %s, librdkafka %s"):format(kafka.version, kafka.librdkafka)
end })

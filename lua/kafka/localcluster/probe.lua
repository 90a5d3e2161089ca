-- The one place where a local cluster is a client of its brokers.
-- Must not know: processes, files, ports of this machine.

local machine = require "kafka.localcluster.machine"

local M = {}

local function nothing() end

-- A broker that is just coming up refuses, resets and stalls: that is looked at here, not worth a line to anybody.
-- And a controller that was just killed must not be waited for.
local QUIET = { on_log = nothing, on_error = nothing, log_level = 0, topic_metadata_refresh_interval_ms = 500 }

---@param deadline number
---@return number seconds that are left
function M.left(deadline)
  return math.max(0, deadline - machine.now())
end

---@param addresses string
---@param settings table for the client
---@param timeout number seconds
---@return kafka.Client?
---@return table? err
function M.connect(addresses, settings, timeout)
  local options = { brokers = addresses, timeout = timeout }
  for _, more in ipairs { QUIET, settings } do
    for name, value in pairs(more) do
      options[name] = value
    end
  end
  return require("kafka").connect(options)
end

-- What one broker tells, and nobody in its place: a client may pass a later request to a broker it has heard of.
local function told(broker, settings, topic, timeout)
  local deadline = machine.now() + timeout
  local client <close> = M.connect(("%s:%d"):format(broker.host, broker.port), settings, timeout)
  local picture = client and client:metadata(topic, M.left(deadline))
  return picture and picture.answered_by == broker.id and picture or nil
end

---The brokers that a broker tells of.
---@param broker kafka.localcluster.Node
---@param settings table for the client
---@param timeout number seconds
---@return table<integer, integer>? ports by id; nil when it does not answer
function M.brokers(broker, settings, timeout)
  local picture = told(broker, settings, nil, timeout)
  if not picture then
    return nil
  end
  local ports = {}
  for _, known in ipairs(picture.brokers) do
    ports[known.id] = known.port
  end
  return ports
end

---A topic as a broker tells of it.
---@param broker kafka.localcluster.Node
---@param settings table for the client
---@param topic string
---@param timeout number seconds
---@return boolean answered
---@return kafka.Topic? topic nil where it knows none of that name
function M.topic(broker, settings, topic, timeout)
  local picture = told(broker, settings, topic, timeout)
  local found = picture and picture:topic(topic)
  return picture ~= nil, found and not found.err and found or nil
end

---How many partitions of a topic have a leader, as a broker tells.
---@param broker kafka.localcluster.Node
---@param settings table for the client
---@param topic string
---@param timeout number seconds
---@return integer count
function M.leaders(broker, settings, topic, timeout)
  local _, found = M.topic(broker, settings, topic, timeout)
  local count = 0
  for _, partition in ipairs(found and found.partitions or {}) do
    count = count + (partition.leader and 1 or 0)
  end
  return count
end

return M

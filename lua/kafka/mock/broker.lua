-- One broker of a mock cluster: down and up. Knows no fault but these.

local args = require "kafka.args"
local errors = require "kafka.error"
local look = require "kafka.mock.look"

---@class kafka.MockBroker
---@field id integer
local Broker = {}
Broker.__index = Broker
Broker.__name = "kafka.MockBroker"

---@param mock kafka.Mock
---@param id integer
function Broker.new(mock, id)
  return setmetatable({ mock = mock, id = id, address = mock.addresses[id] }, Broker)
end

local function core_of(self, op)
  args.object(op, self, Broker)
  if self.mock.closed then args.misuse(op, "attempt to use a closed kafka.Mock") end
  return self.mock.core
end

local function down(self, op)
  local mock = core_of(self, op)
  local ok, raw = mock:down(self.id)
  if not ok then return look.result(op, ok, raw) end
  self.mock.down[self.id] = true
  return look.wait_until(self.mock, op, "the broker's end", function() return not look.answers(self.address) end)
end

---Closes the broker's port and connections.
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_mock_broker_set_down
function Broker:kill() return down(self, "kill") end

---The same: a mock broker has nothing to finish.
function Broker:stop() return down(self, "stop") end

---Opens it again, with what it had.
---@return true|nil
---@return kafka.Error|nil
---rd_kafka_mock_broker_set_up
function Broker:start()
  local mock = core_of(self, "start")
  local ok, raw = mock:up(self.id)
  if not ok then return look.result("start", ok, raw) end
  self.mock.down[self.id] = nil
  return look.wait_until(self.mock, "start", "the broker's return", function() return look.answers(self.address) end)
end

---A call that a mock cannot serve, with the reason.
function Broker.cannot(class, op, reason)
  return function(self)
    args.object(op, self, class)
    return nil, errors.new { name = "_NOT_IMPLEMENTED", op = op, message = reason, action = "fix" }
  end
end

Broker.pause = Broker.cannot(Broker, "pause", "a mock broker has no process to pause; use mock:rtt, or localcluster")
Broker.resume = Broker.cannot(Broker, "resume", "a mock broker has no process to resume; see pause")

function Broker:__tostring()
  args.object("tostring", self, Broker)
  return ("mock broker %d at %s (%s)"):format(self.id, self.address, self.mock.down[self.id] and "down" or "up")
end

return Broker

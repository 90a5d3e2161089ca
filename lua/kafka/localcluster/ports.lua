-- Ports of this machine for brokers to listen on.
-- A port is bound and held, without listening, for as long as its cluster lives: the system then gives it to nobody
-- else, neither to a second cluster nor as the near end of an outgoing connection while the broker is down. The broker
-- can still listen on it, because both sides bind with SO_REUSEADDR (libuv and Java do).
-- Must not know: brokers, Kafka.

local uv = require "luv"
local fault = require "kafka.localcluster.fault"
local proc = require "kafka.localcluster.proc"

local M = {}

---@param port integer? 0 or nil: one that is free
---@return integer? port
---@return userdata|table handle holds the port until it is closed or collected; an error when port is nil
function M.hold(port)
  if port and port > 0 and next(proc.listeners(port)) then
    return nil, fault.new(("port %d is in use: another server listens on it"):format(port))
  end
  local handle = assert(uv.new_tcp())
  local ok, why = handle:bind("127.0.0.1", port or 0)
  local name
  if ok then
    name, why = handle:getsockname() -- libuv keeps a refused bind to itself until now
  end
  if not name then
    return nil, fault.new(("cannot bind port %s: %s"):format(port or "0", why))
  end
  return name.port, handle
end

return M

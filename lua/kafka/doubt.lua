-- Whether a connection that ended early means what librdkafka guesses, a wrong security.protocol: a broker that goes down ends it
-- likewise. The guess is told at once, and is the caller's error only where no broker answers a question either. Knows a
-- consumer's handle.

local diagnose = require "kafka.diagnose"

local doubt = {}

local LOOK_TIME = 2 -- seconds that a broker gets to answer

local function is_guess(err) return err.original and diagnose.is_guess(err.original) end

---Asks the brokers where an error event is no more than a guess. What remains of it is the consumer's `trouble`.
---@param c kafka.Consumer
---@param err kafka.Error
---@return boolean whether it is one
---rd_kafka_metadata
function doubt.takes(c, err)
  if not is_guess(err) then return false end
  if c.asking then return true end
  local h = c.handle
  local ticket = h:ticket()
  h.waiting[ticket] = function(answer)
    c.asking = false
    if not answer.err then
      h:heard()
    elseif h.unsolved and is_guess(h.last_error) then -- nothing else was seen since
      c.trouble = h.last_error
    end
  end
  c.asking = h.core:metadata(false, LOOK_TIME * 1000, ticket) ~= nil
  if not c.asking then
    h.waiting[ticket] = nil
    h:done_with(ticket)
  end
  return true
end

return doubt

-- The errors of a local cluster: one place that knows how the world's failures are reported here.
-- Must not know: what failed, or why.

local M = {}

---An error object for `return nil, err`.
---@param message string what happened and what to do about it, without the "localcluster: " before it
---@param name string? one of librdkafka's error names; "_FAIL" unless told
---@param action string? "wait", "retry", "recreate" or "fix"; "fix" unless told
---@return table err
function M.new(message, name, action)
  local errors = require "kafka.error"
  return errors.new({ name = name or "_FAIL", message = message, op = "localcluster", action = action or "fix" })
end

---@param what string what was waited for
---@return table err
function M.timed_out(what)
  return M.new("time is over while waiting for " .. what, "_TIMED_OUT", "wait")
end

---@param name string
---@return table err
function M.no_topic(name)
  return M.new(("the cluster has no topic %s"):format(name), "UNKNOWN_TOPIC_OR_PART")
end

return M

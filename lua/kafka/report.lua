-- What became of one produced message. Knows no producer.

local core = require "kafka.core"
local args = require "kafka.args"

---@class kafka.Report
---@field topic string
---@field partition integer|nil nil where it never got one
---@field offset integer|nil where it was stored
---@field timestamp integer|nil milliseconds since the epoch, where the broker gave one
---@field tag any what `produce` was given as `tag`
---@field key string|nil on failure: what was to be sent
---@field value string|nil on failure
---@field headers table|nil on failure
local Report = core.report -- the core gives each report this metatable

function Report:__tostring()
  args.object("tostring", self, Report)
  local where = self.partition and ("%s[%d]"):format(self.topic, self.partition) or tostring(self.topic)
  if self.offset then return ("delivered to %s at offset %d"):format(where, self.offset) end
  return "not delivered to " .. where
end

-- kafka.default: what alter_configs gives a setting to go back to its default.

return setmetatable({}, { __name = "kafka.default", __tostring = function() return "kafka.default" end })

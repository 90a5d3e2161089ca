-- Real Kafka brokers on this machine, for trying things out: started, killed, paused and added by a line of Lua, and
-- gone when the Lua process is. The same face as kafka.mock, as far as both can.
-- Must not know: anything but what is asked for; the rest is in the files beside it.

local M = {}

---@class kafka.localcluster.Options
---@field version string? of Kafka; "4.3.1" unless told
---@field brokers integer? how many; 1 unless told
---@field topics table<string, integer>? number of partitions by the topic's name, replicated on all brokers (3 at most)
---@field settings table<string, string|number|boolean>? broker properties, above those that the cluster chooses
---@field ports integer[]? one for each broker; free ones unless told
---@field home string? folder of an unpacked Kafka of this version, instead of jars fetched by Maven
---@field security boolean? also listeners with TLS and logins, users, and an authorizer
---@field timeout number? seconds until all brokers answer, 60 unless told; fetching the jars, once, is not counted

---Starts brokers and returns when all of them answer.
---@param options kafka.localcluster.Options
---@return kafka.localcluster.Cluster? cluster
---@return table? err
function M.new(options)
  if not pcall(require, "luv") then
    local fault = require "kafka.localcluster.fault"
    return nil, fault.new("luv is missing, which starts the brokers: install it (on Debian: apt-get install lua-luv)")
  end
  local plan = require "kafka.localcluster.options".check(options, require("kafka.localcluster.generations"))
  return require("kafka.localcluster.start")(plan)
end

return M

-- Kafka's own command-line tools, and other programs, against a cluster of kafka.localcluster: run to their end, with what they
-- print.

local java = require "kafka.localcluster.java"
local process = require "spec.support.process"

local tools = {}

local runs = 0

local function quoted(words)
  local list = {}
  for i, word in ipairs(words) do list[i] = "'" .. word:gsub("'", "'\\''") .. "'" end
  return table.concat(list, " ")
end

---Runs a program with `input` on its standard input, at most 60 s.
---@param command string[]
---@param input string|nil
---@return string what it printed
---@return boolean whether it ended well
function tools.run(command, input)
  runs = runs + 1
  local file = "/dev/null"
  if input then
    file = ("%s/input-%d"):format(process.folder, runs)
    local f = assert(io.open(file, "wb"))
    f:write(input)
    f:close()
  end
  local pipe = assert(io.popen(("timeout -k 1 60 %s <%s 2>&1"):format(quoted(command), file)))
  local text = pipe:read "a"
  return text, pipe:close() == true
end

---Runs a tool of Kafka's by its class.
---@param cluster kafka.localcluster.Cluster
---@param main string class
---@param args string[] behind --bootstrap-server
---@param input string|nil
---@return string what it printed
---@return boolean whether it ended well
function tools.kafka(cluster, main, args, input)
  local all = table.move(args, 1, #args, 3, { "--bootstrap-server", cluster.brokers })
  return tools.run(java.command(cluster.java, cluster.sandbox.folder, main, all), input)
end

return tools

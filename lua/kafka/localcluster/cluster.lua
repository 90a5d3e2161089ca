-- A cluster as people hold it: its brokers, what can be done to it as a whole, and its end.
-- Must not know: how it was started, what a generation of Kafka needs, how processes are launched or watched.

local uv = require "luv"
local args = require "kafka.args"
local javas = require "kafka.localcluster.java"
local loop = require "kafka.localcluster.loop"
local options = require "kafka.localcluster.options"
local places = require "kafka.localcluster.places"
local ready = require "kafka.localcluster.ready"
local topics = require "kafka.localcluster.topics"

---@class kafka.localcluster.Cluster
---@field brokers string "127.0.0.1:9092,127.0.0.1:9093": what clients are given
---@field version string
---@field id string
---@field count integer brokers it was started with
---@field settings table<string, any>
---@field secure boolean
---@field listeners table<string, string>? of a secure one: what clients are given, by the listener's name
---@field certificates kafka.localcluster.Certificates? of a secure one
---@field row kafka.localcluster.Generation
---@field java kafka.localcluster.Java
---@field sandbox kafka.localcluster.Sandbox
---@field holds userdata[] on its ports
---@field members kafka.localcluster.Node[]
---@field support table<string, kafka.localcluster.Node>
---@field owner integer pid of the process that started it
---@field closed boolean
local Cluster = { __name = "kafka.localcluster" }
Cluster.__index = Cluster

local M = {}

---An empty cluster; start.lua fills it.
---@param plan kafka.localcluster.Plan
---@param java kafka.localcluster.Java
---@param sandbox kafka.localcluster.Sandbox
---@return kafka.localcluster.Cluster
function M.new(plan, java, sandbox)
  return setmetatable({
    brokers = "",
    version = plan.row.version,
    id = places.cluster_id(),
    count = plan.count,
    settings = plan.settings,
    secure = plan.secure,
    listeners = plan.secure and {} or nil,
    row = plan.row,
    java = java,
    sandbox = sandbox,
    holds = {},
    members = {},
    support = {},
    owner = uv.os_getpid(),
    closed = false,
  }, Cluster)
end

---Raises where nothing can be done any more, or the timeout is none.
---@param what string
---@param timeout any
function Cluster:check(what, timeout)
  args.object(what, self, Cluster)
  if self.closed then
    options.misuse("attempt to use a closed cluster", what)
  elseif self.owner ~= uv.os_getpid() then
    options.misuse("this is a fork of the process that the cluster belongs to", what)
  end
  options.check_timeout(timeout, what)
end

---@param started kafka.localcluster.Node[]
---@param deadline number
---@return true? ok
---@return table? err
function Cluster:wait_for(started, deadline)
  return ready.answering(self, started, deadline)
end

---@param id integer from 1 on
---@return kafka.localcluster.Node broker
function Cluster:broker(id)
  self:check("broker")
  return self.members[options.broker_id(id, #self.members)]
end

---Adds a broker, with the settings of the others, and returns when all brokers know it.
---@param timeout number? seconds; 60 unless told
---@return kafka.localcluster.Node? broker
---@return table? err
function Cluster:add_broker(timeout)
  self:check("add_broker", timeout)
  local deadline = options.deadline(timeout, 60)
  local broker, err = places.add_broker(self)
  if not broker then
    return nil, err
  end
  local ok
  ok, err = places.furnish(broker, deadline)
  if ok then
    ok, err = broker:launch()
  end
  if ok then
    ok, err = self:wait_for({ broker }, deadline)
  end
  return ok and broker, err
end

-- Documented in topics.lua.
for name, method in pairs(topics) do
  Cluster[name] = method
end

---Runs Kafka's own tool for ACLs, on a secure cluster.
---@param arguments string[] of that tool: {"--add", "--allow-principal", "User:alice", "--operation", "All", "--topic", "t"}
---@param timeout number? seconds; 30 unless told
---@return true? ok
---@return table? err
function Cluster:acl(arguments, timeout)
  self:check("acl", timeout)
  if not self.secure then
    options.misuse("this cluster has no authorizer: start it with security = true", "acl")
  end
  local all = { "--bootstrap-server", self.brokers }
  table.move(options.words("acl", arguments), 1, #arguments, 3, all)
  return javas.run(self.java, self.sandbox, "acl", self.row.security.acl, all, options.deadline(timeout, 30))
end

---Ends every process of the cluster and removes its folder. Closing it again does nothing.
---@param timeout number? seconds; 10 unless told
---@return true? ok
---@return table? err when something is left after that time; it is still being ended then
function Cluster:close(timeout)
  args.object("close", self, Cluster)
  options.check_timeout(timeout, "close")
  local deadline = options.deadline(timeout, 10)
  if self.owner ~= uv.os_getpid() then
    return true
  end
  self.closed = true
  local ok, err = self.sandbox:close(deadline)
  loop.release(places.give_up(self))
  return ok, err
end

function Cluster:__close(failing)
  args.object("close", self, Cluster)
  local ok, err = self:close()
  if not ok and not failing then
    error(err, 0)
  elseif not ok then
    io.stderr:write(tostring(err), "\n")
  end
end

-- Collection must not take long: it lets go, and the watchdog ends what is there.
function Cluster:__gc()
  if debug.getmetatable(self) == Cluster then
    self.sandbox:release()
  end
end

function Cluster:__tostring()
  args.object("tostring", self, Cluster)
  if self.closed then
    return ("localcluster %s (closed)"):format(self.version)
  end
  local shown = {}
  for i, broker in ipairs(self.members) do
    shown[i] = tostring(broker)
  end
  return ("localcluster %s: %s"):format(self.version, table.concat(shown, ", "))
end

return M

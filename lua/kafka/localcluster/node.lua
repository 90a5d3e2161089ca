-- One Kafka process of a cluster, a broker mostly, and what can be done to it.
-- Must not know: what a generation of Kafka needs, nor how readiness is found out.

local args = require "kafka.args"
local fault = require "kafka.localcluster.fault"
local java = require "kafka.localcluster.java"
local options = require "kafka.localcluster.options"
local proc = require "kafka.localcluster.proc"

---@class kafka.localcluster.Node
---@field id integer
---@field name string "broker 1"
---@field host string
---@field port integer
---@field listeners table<string, integer>? ports of its other listeners
---@field file string path of its properties
---@field folder string its data
---@field cluster kafka.localcluster.Cluster
---@field part kafka.localcluster.Part
---@field process kafka.localcluster.Process?
---@field listening boolean? whether this process was seen to listen
local Node = { __name = "kafka.localcluster.Broker" }
Node.__index = Node

local M = {}

---@param cluster kafka.localcluster.Cluster
---@param at { id: integer, name: string, port: integer, part: kafka.localcluster.Part }
---@return kafka.localcluster.Node
function M.new(cluster, at)
  local base = cluster.sandbox.folder .. "/" .. at.name:gsub(" ", "-")
  return setmetatable({
    id = at.id,
    name = at.name,
    host = "127.0.0.1",
    port = at.port,
    file = base .. ".properties",
    folder = base,
    cluster = cluster,
    part = at.part,
  }, Node)
end

---Starts the process and returns at once.
---@return true? ok
---@return table? err
function Node:launch()
  local sandbox = self.cluster.sandbox
  if self.process then
    sandbox:forget(self.process)
  end
  local of = self.cluster.java
  local dump = self.part == self.cluster.row.broker and of.dump or nil
  local command = java.command(of, sandbox.folder, self.part.main, { self.file }, dump)
  local err
  self.listening = false
  self.process, err = sandbox:launch(self.folder:match("[^/]+$"), command)
  return self.process and true, err
end

---Launches it anew where it ended with words that a later start may not end with.
---@return boolean launched
function Node:launch_again()
  if not self.part.again or self:state() ~= "stopped" then
    return false
  end
  local words = self.process:last_words(50)
  for _, known in ipairs(self.part.again) do
    if words:find(known, 1, true) then
      return self:launch() == true
    end
  end
  return false
end

---Whether its own process listens on its port. Another server there, which would answer in its place, is an error.
---@return boolean? listens
---@return table? err
function Node:listens()
  if not self.listening then
    local sockets = proc.listeners(self.port)
    if next(sockets) and not proc.holds(self.process.pid, sockets) then
      return nil, fault.new(("another server listens on port %d of %s"):format(self.port, self.name))
    end
    self.listening = next(sockets) ~= nil
  end
  return self.listening
end

---@return "running"|"paused"|"stopped" state
function Node:state()
  local state = self.process and self.process:state() or "ended"
  return state == "ended" and "stopped" or state
end

local function check(self, what, timeout)
  args.object(what, self, Node)
  self.cluster:check(what, timeout)
end

local function not_possible(self, what, state)
  return nil, fault.new(("cannot %s %s: it is %s"):format(what, self.name, state), "_STATE")
end

local function signalled(self, signal, state, timeout)
  self.process:signal(signal)
  if self.process:reach(state, options.deadline(timeout, 10)) then
    return true
  end
  return nil, fault.timed_out(("%s to be %s"):format(self.name, state))
end

---Kills the broker: SIGKILL, as in a crash. Returns when the process is gone; one that is gone already is fine.
---@param timeout number? seconds; 10 unless told
---@return true? ok
---@return table? err
function Node:kill(timeout)
  check(self, "kill", timeout)
  if self:state() == "stopped" then
    return true
  end
  return signalled(self, "sigkill", "ended", timeout)
end

---Stops the broker in good order: SIGTERM, whereupon it hands its leaderships over. Returns when the process is gone.
---@param timeout number? seconds; 10 unless told
---@return true? ok
---@return table? err when it is paused, or time is over: it may still be stopping
function Node:stop(timeout)
  check(self, "stop", timeout)
  local state = self:state()
  if state == "stopped" then
    return true
  elseif state == "paused" then
    return not_possible(self, "stop", "paused, so it would not notice: resume() it first, or kill() it")
  end
  return signalled(self, "sigterm", "ended", timeout)
end

---Holds the broker still: SIGSTOP. Its connections stay open and nothing answers, as in a machine that hangs.
---@param timeout number? seconds; 10 unless told
---@return true? ok
---@return table? err
function Node:pause(timeout)
  check(self, "pause", timeout)
  if self:state() == "stopped" then
    return not_possible(self, "pause", "not running")
  end
  return signalled(self, "sigstop", "paused", timeout)
end

---Lets a paused broker go on: SIGCONT. It may need a moment until the cluster trusts it again.
---@param timeout number? seconds; 10 unless told
---@return true? ok
---@return table? err
function Node:resume(timeout)
  check(self, "resume", timeout)
  if self:state() == "stopped" then
    return not_possible(self, "resume", "not running")
  end
  return signalled(self, "sigcont", "running", timeout)
end

---Starts the broker again on its port and its data, and returns when it answers; of a broker that is running already,
---returns when it answers.
---@param timeout number? seconds; 60 unless told; 0 launches it and returns nil and an error of name _TIMED_OUT
---@return true? ok
---@return table? err
function Node:start(timeout)
  check(self, "start", timeout)
  local state = self:state()
  if state == "paused" then
    return not_possible(self, "start", "paused: resume() it")
  end
  local deadline = options.deadline(timeout, 60)
  if state == "stopped" then
    local ok, err = self:launch()
    if not ok then
      return nil, err
    end
  end
  local ok, err = self.cluster:wait_for({ self }, deadline)
  while not ok and options.deadline(0, 0) < deadline and self:launch_again() do
    ok, err = self.cluster:wait_for({ self }, deadline)
  end
  if not ok and err.name ~= "_TIMED_OUT" then -- it will not come up: nothing half-started is left
    self.process:signal("sigkill")
    self.process:reach("ended", deadline)
  end
  return ok, err
end

function Node:__tostring()
  args.object("tostring", self, Node)
  return ("%s (%s:%d, %s)"):format(self.name, self.host, self.port, self:state())
end

return M

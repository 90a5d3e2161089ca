-- One program started by this process: its state, its signals, its end.
-- Must not know: Kafka, nor who takes care that it ends together with this process (that is sandbox.lua).

local uv = require "luv"
local fault = require "kafka.localcluster.fault"
local loop = require "kafka.localcluster.loop"
local machine = require "kafka.localcluster.machine"
local proc = require "kafka.localcluster.proc"

---@class kafka.localcluster.Process
---@field pid integer
---@field name string
---@field log string path of the file with its output
---@field handle userdata?
---@field log_start integer size of the file when it was started
---@field exit_code integer? known from its end on
---@field exit_signal integer?
local Process = { __name = "kafka.localcluster.Process" }
Process.__index = Process

local M = {}

-- Where the entry is gone before anybody read it; not success, at least.
local UNKNOWN = 255 << 8

-- A program gets /dev/null in place of each descriptor that it would inherit by accident: a socket or a lock that
-- lives on in a broker keeps its other end waiting.
local function descriptors(null, input, output)
  local stdio, last = { input or null, output, output }, 3
  for _, fd in ipairs(proc.inheritable()) do
    stdio[fd + 1] = null
    last = math.max(last, fd + 1)
  end
  return { table.unpack(stdio, 1, last) } -- as a list with holes, whose length Lua then knows
end

---Starts a program in a session of its own, so that a terminal's Ctrl-C does not reach it.
---@param start { name: string, path: string, args: string[], folder: string, log: string?, input: integer? }
---@return kafka.localcluster.Process? process
---@return table? err
function M.start(start)
  local null = assert(uv.fs_open("/dev/null", "r+", 0))
  local log = null
  if start.log then
    local why
    log, why = uv.fs_open(start.log, "a", 420) -- 0644
    if not log then
      uv.fs_close(null)
      return nil, fault.new(("cannot write %s: %s"):format(start.log, why))
    end
  end
  local self = setmetatable({ name = start.name, log = start.log }, Process)
  self.log_start = start.log and uv.fs_fstat(log).size or 0
  local handle, pid
  handle, pid = uv.spawn(start.path, {
    args = start.args,
    cwd = start.folder,
    stdio = descriptors(null, start.input, log),
    detached = true,
  }, function(code, signal)
    self.exit_code, self.exit_signal, self.handle = code, signal, nil
    uv.close(handle) -- safe here: the loop is being turned
  end)
  uv.fs_close(null)
  if start.log then
    uv.fs_close(log)
  end
  if not handle then
    return nil, fault.new(("cannot start %s: %s"):format(start.path, pid))
  end
  uv.unref(handle) -- a program that runs its loop must not be kept by us
  self.handle, self.pid = handle, pid
  return self
end

---@return "running"|"paused"|"ended" state
function Process:state()
  if not self.exit_code then
    local stat = proc.stat(self.pid)
    if not proc.ended(stat) then
      return stat.state == "T" and "paused" or "running"
    end
    local status = stat and stat.status or UNKNOWN
    self.exit_code, self.exit_signal = status >> 8, status & 127
  end
  if self.handle then
    loop.collect(self.handle, function()
      return self.handle == nil
    end)
  end
  return "ended"
end

---@return integer? code of its exit; nil while it runs
---@return integer? signal that ended it; 0 when none did
function Process:exit()
  self:state()
  return self.exit_code, self.exit_signal
end

---Sends a signal. The pid cannot have passed to a stranger: until libuv collects the process, and then tells us in
---the same breath, the system keeps its pid.
---@param signal string "sigkill", "sigterm", "sigstop" or "sigcont"
---@return boolean sent false when it has ended already
function Process:signal(signal)
  if self:state() == "ended" then
    return false
  end
  return uv.kill(self.pid, signal) == 0
end

---@param state string
---@param deadline number
---@return true? ok nil when time is over
function Process:reach(state, deadline)
  return machine.wait(deadline, function()
    return self:state() == state or nil
  end)
end

---@return string text all that it wrote since it was started
function Process:said()
  return ((self.log and machine.read(self.log) or ""):sub(self.log_start + 1))
end

---@param lines integer? how many; 6 unless told
---@return string text the last lines it wrote since it was started; "it wrote nothing" when there are none
function Process:last_words(lines)
  local text = self.log and machine.tail(self.log, self.log_start, lines or 6) or ""
  return text ~= "" and text or "it wrote nothing"
end

---@return userdata? handle luv's, for release
function Process:take_handle()
  local handle = self.handle
  self.handle = nil
  return handle
end

return M

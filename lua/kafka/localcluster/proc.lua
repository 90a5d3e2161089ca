-- What Linux tells about processes and sockets under /proc. Read directly because it is true whether or not
-- anybody turns luv's loop, which is where exit callbacks come from.
-- Must not know: how a process was started, or what it is for.

local uv = require "luv"
local machine = require "kafka.localcluster.machine"

local M = {}

-- The fields after "pid (name)": the state is the 3rd of the line, the number of threads the 20th, the exit status
-- the 52nd and last. The name may hold spaces and brackets, hence the greedy start.
local STAT = "^.*%) (%a)" .. (" %S+"):rep(16) .. " (%d+) .- (%d+)%s*$"

---@class kafka.localcluster.Stat
---@field state string a letter: "T" is stopped, "Z" has ended and waits to be collected by its parent
---@field threads integer
---@field status integer as waitpid gives it: exit code * 256, or the signal that ended it

---@param pid integer
---@return kafka.localcluster.Stat? stat nil when there is no such process
function M.stat(pid)
  local text = machine.read(("/proc/%d/stat"):format(pid))
  local state, threads, status = (text or ""):match(STAT)
  if not state then
    return nil
  end
  return { state = state, threads = math.tointeger(threads), status = math.tointeger(status) }
end

---Whether nothing of a process is left but its entry. The first thread of a process may be a zombie while others are
---still letting go of their ports, so the number of threads counts.
---@param stat kafka.localcluster.Stat?
---@return boolean
function M.ended(stat)
  return not stat or ((stat.state == "Z" or stat.state == "X") and stat.threads <= 1)
end

---@param port integer
---@return table<string, true> sockets that listen on this port, as /proc/PID/fd names them
function M.listeners(port)
  local wanted = (":%04X "):format(port)
  local sockets = {}
  for _, path in ipairs({ "/proc/net/tcp", "/proc/net/tcp6" }) do
    for line in (machine.read(path) or ""):gmatch("[^\n]+") do
      local at, inode = line:match("^%s*%d+: %x+(:%x+ )%x+:%x+ 0A %S+ %S+ %S+%s+%d+%s+%d+ (%d+)")
      if at == wanted then
        sockets[("socket:[%s]"):format(inode)] = true
      end
    end
  end
  return sockets
end

---@param pid integer
---@param sockets table<string, true>
---@return boolean whether the process holds one of them
function M.holds(pid, sockets)
  local folder = ("/proc/%d/fd"):format(pid)
  local scan = uv.fs_scandir(folder)
  while scan do
    local name = uv.fs_scandir_next(scan)
    if not name then
      break
    end
    if sockets[uv.fs_readlink(folder .. "/" .. name) or ""] then
      return true
    end
  end
  return false
end

---@return integer[] descriptors of this process that a program started by it would keep, from 3 on
function M.inheritable()
  local found = {}
  local scan = assert(uv.fs_scandir("/proc/self/fd"))
  for name in uv.fs_scandir_next, scan do
    local fd = math.tointeger(name)
    local flags = fd and fd > 2 and (machine.read("/proc/self/fdinfo/" .. name) or ""):match("flags:%s*(%d+)")
    if flags and tonumber(flags, 8) & 0x80000 == 0 then -- O_CLOEXEC, 02000000
      found[#found + 1] = fd
    end
  end
  return found
end

return M

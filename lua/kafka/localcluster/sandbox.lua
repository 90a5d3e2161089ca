-- A folder and the programs started in it, all of which are gone when this process is, however it ends.
--
-- Three things see to it:
--   * a watchdog, a shell whose standard input is a pipe from us. The pipe ends when we do, kill -9 included; then it
--     kills the programs and removes the folder. `close` uses the same way out, so it is walked every day.
--   * each program is launched by a shell that writes its own pid into the folder before it becomes the program. The
--     watchdog takes the file `owned` away before it looks at the pids, and the launcher looks for it after writing
--     its pid: whichever comes first, no program is missed.
--   * where setpriv is present, the kernel kills each program as its parent dies.
-- Before it kills, the watchdog looks whether the command line of that pid names this folder, whose name is unique:
-- a pid that has passed to a stranger is left alone.
-- Must not know: Kafka, Java.

local uv = require "luv"
local fault = require "kafka.localcluster.fault"
local loop = require "kafka.localcluster.loop"
local machine = require "kafka.localcluster.machine"
local process = require "kafka.localcluster.process"

-- The read ends early, which is as good as the end of the pipe, when the watchdog itself is told to stop.
-- A process in the middle of exec has no command line for an instant: hence two looks at nothing before it is believed.
local WATCHDOG = [[
PATH=${PATH:-/bin}:/usr/bin:/bin
folder=$1
trap : HUP INT TERM
while read -r line; do :; done
[ -n "$folder" ] && [ -e "$folder" ] || exit 0
rm -f "$folder/owned"
quiet=0
while [ "$quiet" -lt 2 ]; do
  quiet=$((quiet + 1))
  for file in "$folder"/*.pid; do
    pid=
    read -r pid 2>/dev/null <"$file"
    [ -n "$pid" ] && grep -qsF "$folder/" "/proc/$pid/cmdline" || continue
    kill -KILL "$pid" 2>/dev/null
    quiet=0
  done
  sleep 0.02
done
tries=0
while [ -e "$folder" ] && [ "$tries" -lt 100 ]; do
  rm -rf "$folder" 2>/dev/null || sleep 0.05
  tries=$((tries + 1))
done
]]

local LAUNCHER = [[
at=$1
shift
echo $$ >"$at.pid" && [ -e "${at%/*}/owned" ] || exit 125
if setpriv --pdeathsig KILL true 2>/dev/null; then
  exec setpriv --pdeathsig KILL "$@"
fi
exec "$@"
]]

---@class kafka.localcluster.Sandbox
---@field folder string
---@field owner integer our pid: a fork of this process must not end what belongs to its parent
---@field pipe integer? our end of the watchdog's pipe
---@field watchdog kafka.localcluster.Process
---@field programs kafka.localcluster.Process[]
local Sandbox = { __name = "kafka.localcluster.Sandbox" }
Sandbox.__index = Sandbox

local M = {}

local function our_pid()
  return math.tointeger(uv.os_getpid())
end

local function watch(folder, input)
  return process.start({
    name = "watchdog",
    path = "/bin/sh",
    args = { "-c", WATCHDOG, "lua-kafka-watchdog", folder },
    folder = "/",
    input = input,
  })
end

---@param parent string folder to make the sandbox's folder in
---@param name string how its name begins
---@return kafka.localcluster.Sandbox? sandbox
---@return table? err
function M.new(parent, name)
  local folder, why = uv.fs_mkdtemp(("%s/%s-XXXXXX"):format(parent, name))
  if not folder then
    return nil, fault.new(("cannot make a folder in %s: %s"):format(parent, why))
  end
  local self = setmetatable({ folder = folder, owner = our_pid(), programs = {} }, Sandbox)
  local pipe = assert(uv.pipe())
  self.pipe = pipe.write
  local watchdog, err = watch(folder, pipe.read)
  uv.fs_close(pipe.read)
  if not watchdog then
    uv.fs_rmdir(folder)
    return nil, err
  end
  self.watchdog = watchdog
  local ok, wrong = machine.write(folder .. "/owned", "")
  if not ok then
    self:release()
    return nil, fault.new(wrong)
  end
  return self
end

---Starts a program whose command line names the folder (with a slash behind it).
---@param name string also of the files NAME.log and NAME.pid
---@param command string[] the program's path and its arguments
---@return kafka.localcluster.Process? program
---@return table? err
function Sandbox:launch(name, command)
  local at = self.folder .. "/" .. name
  local args = { "-c", LAUNCHER, "lua-kafka-launcher", at }
  local program, err = process.start({
    name = name,
    path = "/bin/sh",
    args = table.move(command, 1, #command, #args + 1, args),
    folder = self.folder,
    log = at .. ".log",
  })
  if program then
    self.programs[#self.programs + 1] = program
  end
  return program, err
end

---Runs a program to its end.
---@param name string
---@param command string[]
---@param deadline number
---@return true? ok
---@return string|table text what it wrote; an error without ok
function Sandbox:run(name, command, deadline)
  local program, err = self:launch(name, command)
  if not program then
    return nil, err
  end
  if not program:reach("ended", deadline) then
    program:signal("sigkill")
    return nil, fault.timed_out(name)
  end
  self:forget(program)
  if program:exit() ~= 0 then
    return nil, fault.new(("%s failed: %s"):format(name, program:last_words()))
  end
  return true, program:said()
end

---@param program kafka.localcluster.Process one that has ended
function Sandbox:forget(program)
  for i, known in ipairs(self.programs) do
    if known == program then
      table.remove(self.programs, i)
      return
    end
  end
end

---Lets everything go without waiting for it: the watchdog does the rest.
function Sandbox:release()
  if not self.pipe then
    return
  end
  local pipe = self.pipe
  self.pipe = nil
  uv.fs_close(pipe)
end

---Ends the programs and removes the folder.
---@param deadline number
---@return true? ok
---@return table? err when something is left
function Sandbox:close(deadline)
  if self.owner ~= our_pid() then
    return true
  end
  self:release()
  local finished = self.watchdog:reach("ended", deadline)
  if finished and machine.exists(self.folder) then -- somebody killed the watchdog: another does its work
    local second = watch(self.folder)
    finished = second and second:reach("ended", deadline)
  end
  local handles = { self.watchdog:take_handle() }
  for _, program in ipairs(self.programs) do
    program:reach("ended", deadline)
    handles[#handles + 1] = program:take_handle()
  end
  loop.release(handles)
  if finished and not machine.exists(self.folder) then
    return true
  end
  return nil, fault.timed_out("the end of the programs in " .. self.folder)
end

function Sandbox:__close()
  self:close(machine.now() + 10)
end

return M

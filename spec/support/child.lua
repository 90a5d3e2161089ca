-- Programs in a process of their own: what a spec cannot do to itself, such as being interrupted or ending with a client open.

local core = require "kafka.core"
local process = require "spec.support.process"

local child = {}

local runs = 0

local function read(name)
  local f = assert(io.open(name, "rb"))
  local text = f:read("a")
  f:close()
  return text
end

-- Ends with this process, too.
local function bounded(seconds) return "setpriv --pdeathsig TERM timeout -k 1 " .. seconds end

---Runs a Lua program. It finds `kafka` and the specs' support as this process does.
---@param program string its text
---@param options table|nil timeout seconds (default 20): it is killed then; prefix: shell words before lua
---@return {code: integer, out: string, err: string} code 124 where it was too late
function child.run(program, options)
  options = options or {}
  runs = runs + 1
  local base = ("%s/program-%d"):format(process.folder, runs)
  local f = assert(io.open(base .. ".lua", "wb"))
  f:write(program)
  f:close()
  local command = ("export SPEC_PROCESS=%s; exec %s %s %s %s.lua >%s.out 2>%s.err </dev/null"):format(process.file,
    bounded(options.timeout or 20), options.prefix or "", os.getenv "LUA" or "lua5.4", base, base, base)
  local _, how, code = os.execute(command)
  return { code = how == "exit" and code or -code, out = read(base .. ".out"), err = read(base .. ".err") }
end

---Runs a shell command to its end, at most `timeout` seconds: it is killed then, and all that it started in its group.
---@param command string
---@param timeout number|nil seconds, default 300
---@return string what it printed, to either stream
---@return integer its exit code: 0, 124 where it was too late, 128 and the signal that ended it
function child.shell(command, timeout)
  local quoted = "'" .. command:gsub("'", "'\\''") .. "'"
  timeout = timeout or 300
  local began = core.now()
  local pipe = assert(io.popen(("exec %s sh -c %s 2>&1 </dev/null"):format(bounded(timeout), quoted)))
  local text = pipe:read "a"
  local _, how, code = pipe:close()
  if how == "signal" then code = 128 + code end
  if code == 137 and core.now() - began >= timeout then code = 124 end -- it took no notice of the first signal
  if code == 124 then text = text .. "\nkilled: it had not ended in time" end
  return text, code
end

---As child.shell, for a command that must succeed.
---@return string what it printed
function child.works(command, timeout)
  local text, code = child.shell(command, timeout)
  if code ~= 0 then error(("%s\n%s\nended with %d"):format(command, text, code), 2) end
  return text
end

return child

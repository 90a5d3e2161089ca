-- Programs in a process of their own: what a spec cannot do to itself, such as being interrupted or ending with a client open.

local process = require "spec.support.process"

local child = {}

local runs = 0

local function read(name)
  local f = assert(io.open(name, "rb"))
  local text = f:read("a")
  f:close()
  return text
end

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
  local command = ("SPEC_PROCESS=%s timeout -k 1 %d %s %s %s.lua >%s.out 2>%s.err </dev/null"):format(process.file,
    options.timeout or 20, options.prefix or "", os.getenv "LUA" or "lua5.4", base, base, base)
  local _, how, code = os.execute(command)
  return { code = how == "exit" and code or -code, out = read(base .. ".out"), err = read(base .. ".err") }
end

return child

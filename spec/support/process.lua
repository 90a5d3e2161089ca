-- POSIX for the specs: compiles process.c once a run and loads it. Programs that specs start load the same file.
--   fork() exit(code) kill(pid, signal) waitpid(pid) getpid() ask(port, request) nap() entries(folder) interrupt_in(seconds)
--   since_interrupt() refuse_memory(n) allocated() interrupt_threads()

local function load(file) return assert(package.loadlib(file, "luaopen_spec_process"))() end

local inherited = os.getenv "SPEC_PROCESS"
if inherited then return load(inherited) end

local registry = debug.getregistry()
if registry["spec.process"] then return registry["spec.process"] end -- busted forgets modules between files

local function run(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read("a"):gsub("\n$", "")
  assert(pipe:close(), text)
  return text
end

local here = debug.getinfo(1, "S").source:match("^@(.*/)")
local folder = run "mktemp -d"
local flags = run "pkg-config --cflags lua5.4 2>/dev/null || echo -I/usr/include/lua5.4"
run(("gcc -shared -fPIC -O1 %s -o %s/process.so %sprocess.c"):format(flags, folder, here))
local process = load(folder .. "/process.so")
process.file = folder .. "/process.so"
process.folder = folder
registry["spec.process"] = process
registry["spec.process.remove"] = setmetatable({}, { __gc = function() os.execute("rm -rf " .. folder) end })
return process

-- The writer, the reader and the witness, each a process of its own that ends with this one, and what they have noted: a line for
-- each event in a file of theirs, which outlives a kill -9.
-- Must not know: what they do, nor what is judged by it.

local machine = require "kafka.localcluster.machine"
local stage = require "chaos.stage"

local crew = {}

local SIGKILL = 9
local LINES = 12 -- of a log: an error of Lua's, and from where it came

local Readers = {}
Readers.__index = Readers

---Starts a program of this folder.
---@param sandbox kafka.localcluster.Sandbox
---@param name string of its files: NAME.events, NAME.log, and NAME.stop, which asks it to end
---@param program string "writer", "reader", "witness"
---@param given table<string, string> what it is to know
---@return kafka.localcluster.Process
function crew.start(sandbox, name, program, given)
  local path = assert(package.searchpath("chaos." .. program, package.path))
  local command = { os.getenv "LUA" or "lua5.4", path, sandbox.folder .. "/" .. name }
  for key, value in pairs(given) do command[#command + 1] = ("%s=%s"):format(key, value) end
  return assert(sandbox:launch(name, command))
end

-- How a process ended, and its last words.
local function fate(process)
  local code, signal = process:exit()
  local how = signal ~= 0 and ("signal %d"):format(signal) or ("exit code %d"):format(code)
  return ("%s, with %s; its log ends: %s"):format(process.name, how, process:last_words(LINES))
end

local function await_end(process, seconds)
  stage.await(seconds, "the end of " .. process.name, function() return process:state() == "ended" end)
end

---Within a task: asks a program to end in good order, and waits until it has.
---@param when "now"|"drained" once it has read all there is
---@param seconds number
function crew.stop(sandbox, process, when, seconds)
  assert(machine.replace(("%s/%s.stop"):format(sandbox.folder, process.name), when))
  await_end(process, seconds)
  local code, signal = process:exit()
  if code ~= 0 or signal ~= 0 then error("did not end in good order: " .. fate(process), 0) end
end

---@class kafka.chaos.Readers the reader's processes, one after the other
---@param sandbox kafka.localcluster.Sandbox
---@param given table<string, string>
function crew.readers(sandbox, given)
  return setmetatable({ sandbox = sandbox, given = given, count = 0, process = nil }, Readers)
end

---@return number when it was started
function Readers:start()
  self.count = self.count + 1
  -- By turns it commits by itself, and as the caller asks.
  self.given.commit = self.count % 2 == 1 and "auto" or "manual"
  self.process = crew.start(self.sandbox, "reader-" .. self.count, "reader", self.given)
  return machine.now()
end

local function must_run(process)
  if process:state() == "ended" then error("ended by itself: " .. fate(process), 0) end
end

---That it has ended by itself is an error.
function Readers:kill()
  must_run(self.process)
  self.process:signal "sigkill"
  await_end(self.process, 10)
  local _, signal = self.process:exit()
  if signal ~= SIGKILL then error("ended by itself as it was to be killed: " .. fate(self.process), 0) end
end

---Lets it end in good order; that it does not, or has ended before, is an error. Where the coordinator is away it waits for its
---last commit.
---@param when "now"|"drained"|nil nil: now
---@param seconds number|nil nil: 30
function Readers:close(when, seconds)
  must_run(self.process)
  crew.stop(self.sandbox, self.process, when or "now", seconds or 30)
end

---The events that a program has noted, in order: {kind, time, numbers and words...}.
---@return table[]
function crew.events(sandbox, name)
  local list = {}
  for line in (machine.read(("%s/%s.events"):format(sandbox.folder, name)) or ""):gmatch "([^\n]*)\n" do -- whole lines only
    local kind, time, rest = line:match "^(%S+) (%S+) ?(.*)$"
    local event = { kind = kind, time = tonumber(time), text = rest }
    for word in rest:gmatch "%S+" do event[#event + 1] = math.tointeger(word) or word end
    list[#list + 1] = event
  end
  return list
end

return crew

-- Several things that go on at the same time, each a coroutine that waits for a condition; turned by one loop. A fault takes its
-- time in one of them while the reader is killed in another.
-- Must not know: what they do.

local machine = require "kafka.localcluster.machine"

local Stage = {}
Stage.__index = Stage

local stage = {}

function stage.new() return setmetatable({ tasks = {} }, Stage) end

---Runs f in a coroutine of its own, from the next turn on.
---@param f function
---@return table task whose `over` becomes true
function Stage:start(f, ...)
  local task = { thread = coroutine.create(f), given = table.pack(...), over = false }
  self.tasks[#self.tasks + 1] = task
  return task
end

---Within a task: waits until look() gives something, and returns it; nil where the time is over before.
---@param seconds number
---@param look nil|fun(): any
---@return any
function stage.wait(seconds, look)
  local deadline = machine.now() + seconds
  repeat
    local found = look and look()
    if found then return found end
    coroutine.yield()
  until machine.now() >= deadline
end

---Within a task: the same, where the end of the time is an error.
---@param seconds number
---@param what string
---@param look fun(): any
---@return any
function stage.await(seconds, what, look)
  return stage.wait(seconds, look) or error(("%g s were not enough for %s"):format(seconds, what), 0)
end

local function turn(self)
  for _, task in ipairs { table.unpack(self.tasks) } do
    local ok, err = coroutine.resume(task.thread, table.unpack(task.given, 1, task.given.n))
    task.given = { n = 0 }
    if not ok then error(debug.traceback(task.thread, tostring(err)), 0) end
    task.over = coroutine.status(task.thread) == "dead"
  end
  for i = #self.tasks, 1, -1 do
    if self.tasks[i].over then table.remove(self.tasks, i) end
  end
end

---Turns until all tasks are over. An error of one of them ends it.
function Stage:run()
  machine.wait(math.huge, function()
    turn(self)
    return #self.tasks == 0 or nil
  end)
end

return stage

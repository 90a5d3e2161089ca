-- The only wait there is: serves a handle until something is true or too late. How the time in between is spent is the
-- backend's: blocked in poll(2), or yielded to cqueues, luv or a function of the caller's. Knows the handle's `dispatch` and
-- descriptor, nothing of Kafka.
--
-- Serve before waiting, always: the descriptor tells only of a queue that was empty before. Any waiter may serve what others
-- wait for; they are woken and look again.

local core = require "kafka.core"

local SLICE = 0.1 -- seconds: the longest wait without a look at the caller's side

local await = {}

local main_thread = debug.getregistry()[1] -- LUA_RIDX_MAINTHREAD

-- The stand-alone lua notes Ctrl-C as a hook, on the main thread only, that fires at its next instruction. In a coroutine it
-- would never be seen while this waits, so look for that very hook: lua.c's has all four events and a count of 1, and is not
-- one that debug.sethook sets.
local function interrupted()
  local hook, mask, count = debug.gethook(main_thread)
  return hook == "external hook" and count == 1 and mask == "crl"
end

-- Backends: wait until the handle's descriptor is readable or `seconds` are over, then empty its pipe. ----------------

local backends = {}

function backends.block(handle, seconds)
  handle.core:wait(seconds * 1000)
end

function backends.cqueues(handle, seconds)
  local cqueues = require "cqueues"
  local io = handle.cqueues_io
  if not io then
    local fd = handle.core:fd()
    io = {
      object = { pollfd = function() return fd end, events = function() return "r" end },
      woken = require("cqueues.condition").new(),
    }
    handle.cqueues_io = io
    handle.wake = function() io.woken:signal() end
    handle.unwatch = function() cqueues.cancel(fd) end
  end
  cqueues.poll(io.object, io.woken, seconds)
  handle.core:wait(0)
end

-- libuv takes one watcher a descriptor: it belongs to the handle, and resumes every coroutine in its list of waiters.
local function resume(co)
  if coroutine.status(co) ~= "suspended" then return true end
  local ok, err = coroutine.resume(co)
  return ok, not ok and debug.traceback(co, tostring(err)) or nil
end

local function luv_watcher(handle, uv)
  local io = { waiters = {}, timers = {} }
  function io.resume_all()
    local waiters, first = io.waiters, nil
    io.waiters = {}
    for co in pairs(waiters) do
      local ok, err = resume(co)
      if not ok then first = first or err end
    end
    if next(io.waiters) == nil and not io.poll:is_closing() then io.poll:stop() end
    if first then error(first, 0) end
  end
  -- Timers are kept and used again. luv crashes in lua_close where a handle was closed and its loop not turned since, so
  -- nothing is closed before the client is.
  function io.timer() return table.remove(io.timers) or uv.new_timer() end
  function io.give_back(timer)
    timer:stop()
    if io.poll:is_closing() then return timer:close() end
    io.timers[#io.timers + 1] = timer
  end
  io.poll = uv.new_poll(handle.core:fd())
  -- From a turn of its own: whoever serves must come to its end before others run.
  handle.wake = function()
    if next(io.waiters) == nil or io.waking then return end
    io.waking = io.timer()
    io.waking:start(0, 0, function()
      io.give_back(io.waking)
      io.waking = nil
      io.resume_all()
    end)
  end
  handle.unwatch = function()
    if io.poll:is_closing() then return end
    io.poll:stop()
    io.poll:close()
    for _, timer in ipairs(io.timers) do timer:close() end
    io.timers = {}
    if not uv.loop_mode() then uv.run "nowait" end
  end
  return io
end

function backends.luv(handle, seconds)
  local io = handle.luv_io or luv_watcher(handle, handle.loop)
  handle.luv_io = io
  local co = coroutine.running()
  local timer = io.timer()
  io.waiters[co] = true
  if not io.poll:is_closing() then io.poll:start("r", io.resume_all) end
  timer:start(math.ceil(seconds * 1000), 0, function()
    io.waiters[co] = nil
    local ok, err = resume(co)
    if not ok then error(err, 0) end
  end)
  coroutine.yield()
  io.waiters[co] = nil
  io.give_back(timer)
  if next(io.waiters) == nil and not io.poll:is_closing() then io.poll:stop() end
  handle.core:wait(0)
end

function backends.given(handle, seconds)
  handle.loop(handle.core:fd(), seconds)
  handle.core:wait(0)
end

local function backend_of(handle)
  if not coroutine.isyieldable() then return backends.block end
  if handle.loop then return type(handle.loop) == "function" and backends.given or backends.luv end
  local cqueues = package.loaded.cqueues
  if cqueues and cqueues.running() then return backends.cqueues end
  return backends.block
end

---Raises where Ctrl-C came, once: the hook that would raise it in the main thread again is taken away.
function await.check_interrupt()
  if not interrupted() then return end
  debug.sethook(main_thread)
  error("interrupted!", 0)
end

---@return boolean whether a raised value is Ctrl-C: in the main thread lua.c raises it, with a place before it
function await.is_interrupt(raised)
  return type(raised) == "string" and raised:find("interrupted!$") ~= nil
end

---One wait of at most `seconds`, without serving.
function await.pause(handle, seconds)
  await.check_interrupt()
  backend_of(handle)(handle, math.min(seconds, SLICE))
  await.check_interrupt()
end

---Serves `handle` until `done()` gives something true, which is returned, or the deadline passes: then false.
---@param handle table
---@param done fun():any
---@param deadline number by core.now()
function await.done(handle, done, deadline)
  while true do
    handle:dispatch()
    if handle.closed then return false end -- by a handler
    local result = done()
    if result then return result end
    local left = deadline - core.now()
    if left <= 0 then return false end
    await.pause(handle, handle.more and 0 or left)
  end
end

---The moment by which a call with this timeout must end.
---@param timeout number|nil seconds
---@param default number seconds where none is given
function await.deadline(timeout, default)
  return core.now() + (timeout or default)
end

return await

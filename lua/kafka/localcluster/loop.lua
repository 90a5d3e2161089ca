-- How a local cluster lives beside luv's loop without needing it.
--
-- The loop belongs to the person's program: turned here, it would run their callbacks in the middle of our call, and
-- from inside one of their callbacks it cannot be turned at all. So nothing here depends on it: the death of a process
-- is read from /proc. The loop is turned for one purpose, to collect dead processes and closed handles, and only
-- while nobody else has anything on it; a person who uses it turns it anyway.
--
-- A handle is never closed unless that turn follows at once: luv 1.44 crashes at the end of the program over a handle
-- that is still closing. Dropped handles are closed by Lua's collector, which is safe.
-- Must not know: what the handles are.

local uv = require "luv"

local M = {}

---@return boolean whether the loop is neither running nor in anybody's use
function M.idle()
  return not uv.loop_mode() and not uv.loop_alive()
end

---Lets the exit callback of a dead process run, where that is possible.
---@param handle userdata a luv process, unreferenced
---@param done fun(): boolean whether its exit callback has run
function M.collect(handle, done)
  if done() or not M.idle() then
    return
  end
  uv.ref(handle)
  for _ = 1, 10 do -- the signal may come a moment after the process is seen dead
    uv.run("nowait")
    if done() then
      break
    end
    uv.sleep(1)
  end
  uv.unref(handle)
end

---Closes handles, or leaves them to the collector; the caller drops them.
---@param handles userdata[]
function M.release(handles)
  if not M.idle() then
    return
  end
  for _, handle in ipairs(handles) do
    if not uv.is_closing(handle) then
      uv.close(handle)
    end
  end
  uv.run("nowait")
end

return M

-- What a local cluster asks of this machine: the clock, waiting, programs, files.
-- Must not know: Kafka, Java, processes.

local uv = require "luv"
local await = require "kafka.await"

local M = {}

---@return number seconds on a clock that never goes back
function M.now()
  return uv.hrtime() / 1e9
end

---Calls `look` again and again until it gives a value or an error, or the deadline passes.
---The naps block without turning luv's loop, so this may be called from inside one of its callbacks; they are
---short because Ctrl-C reaches a Lua program only between two of them.
---@param deadline number seconds on the clock of `now`
---@param look fun(): any, any
---@return any found nil alone when time is over
---@return any err
function M.wait(deadline, look)
  local nap = 0.002
  while true do
    local found, err = look()
    if found or err then
      return found, err
    end
    await.check_interrupt()
    local left = deadline - M.now()
    if left <= 0 then
      return nil
    end
    uv.sleep(math.ceil(math.min(nap, left) * 1000))
    nap = math.min(nap * 1.5, 0.05)
  end
end

---@param name string a program's name
---@return string? path where it is, in the order of PATH; nil when it is nowhere
function M.program(name)
  for folder in (os.getenv("PATH") or ""):gmatch("[^:]+") do
    local path = folder .. "/" .. name
    local stat = uv.fs_stat(path)
    if stat and stat.type == "file" and uv.fs_access(path, "X") then
      return path
    end
  end
  return nil
end

---@param path string
---@return boolean
function M.exists(path)
  return uv.fs_stat(path) ~= nil
end

---@param path string
---@return string? text
function M.read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read("a")
end

---@param path string
---@param text string
---@return true? ok
---@return string? why
function M.write(path, text)
  local file <close>, why = io.open(path, "wb")
  if not file then
    return nil, why
  end
  local ok, wrong = file:write(text)
  if not ok then
    return nil, wrong
  end
  return true
end

---Writes a file that others may be reading or writing at the same moment: they see all of it or nothing.
---@param path string
---@param text string
---@return true? ok
---@return string? why
function M.replace(path, text)
  local beside = ("%s.%d"):format(path, uv.os_getpid())
  local ok, why = M.write(beside, text)
  if ok then
    ok, why = os.rename(beside, path)
  end
  return ok, why
end

---Makes a folder and those above it; one that is there already is fine.
---@param path string
---@return true? ok
---@return string? why
function M.make_folder(path)
  if M.exists(path) then
    return true
  end
  local above = path:match("^(.+)/[^/]+/*$")
  if above then
    local ok, why = M.make_folder(above)
    if not ok then
      return nil, why
    end
  end
  local ok, why, name = uv.fs_mkdir(path, 493) -- 0755
  if not ok and name ~= "EEXIST" then
    return nil, why
  end
  return true
end

---@param path string
---@param from integer bytes of the file to leave out
---@param lines integer at most so many lines from the end
---@return string text the last lines that say something, stack frames left out, joined by " | "
function M.tail(path, from, lines)
  local text = (M.read(path) or ""):sub(from + 1):gsub("\27%[[%d;]*m", "") -- colours
  local kept = {}
  for line in text:gmatch("[^\n]+") do
    if line:find("%S") and not line:find("^%s+at ") and not line:find("^%s*%.%.%. %d+ more") then
      kept[#kept + 1] = line:match("^%s*(.-)%s*$")
    end
  end
  return table.concat(kept, " | ", math.max(1, #kept - lines + 1))
end

return M

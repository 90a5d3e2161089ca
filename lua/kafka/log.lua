-- Where what nobody asked for goes: librdkafka's log lines and error events that no handler takes, and the errors of
-- handlers. By default warnings and worse go to stderr, the same sentence once a minute. Knows no client.

local core = require "kafka.core"
local args = require "kafka.args"

local log = {}

local WARNING = 4 -- syslog levels: 0 emergency, 3 error, 4 warning, 7 debug
local AGAIN = 60 -- seconds before the same sentence is written again

local seen, count = {}, 0

---Where lines are written; `log.write = function(line) end` sends them elsewhere.
---@param line string
function log.write(line)
  io.stderr:write(line, "\n")
end

-- The same trouble differs only in numbers and in the thread that tells it.
local function key_of(text)
  return (text:gsub("%[thrd:[^%]]*%]:?%s*", ""):gsub("^[%w_.-]+/%w+:%s*", ""):gsub("%(after.*", ""):gsub("%d+", "0"))
end

---One line of a client's.
---@param who string the client's name
---@param level integer syslog level
---@param text string
function log.line(who, level, text)
  args.check("log.line", "who", who, args.string)
  args.check("log.line", "level", level, args.level)
  args.check("log.line", "text", text, args.string)
  if level > WARNING then return end
  local key, now = key_of(text), core.now()
  if seen[key] and now - seen[key] < AGAIN then return end
  if count > 1000 then seen, count = {}, 0 end
  count = count + (seen[key] and 0 or 1)
  seen[key] = now
  log.write(("kafka: %s: %s"):format(who, (text:gsub("^%[thrd:[^%]]*%]:%s*", ""))))
end

return log

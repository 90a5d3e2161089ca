-- Where goes what nobody asked for: librdkafka's log lines and error events that no handler takes, and the errors of handlers.
-- By default warnings and worse go to stderr, each sentence once: while it goes on coming it is only counted, and after a minute
-- without it the next one is written again, with the count. Knows no client.

local core = require "kafka.core"
local args = require "kafka.args"

local log = {}

local WARNING = 4 -- syslog levels: 0 emergency, 3 error, 4 warning, 7 debug
local QUIET = 60 -- seconds without a sentence, after which it is news again; librdkafka repeats what lasts within 30
local MANY = 1000 -- sentences that are remembered

local seen, count = {}, 0 -- sentence -> {at, silent}

---Where lines are written; `log.write = function(line) end` sends them elsewhere.
---@param line string
function log.write(line)
  io.stderr:write(line, "\n")
end

local function without_thread(text) return (text:gsub("^%[thrd:[^%]]*%]:%s*", "")) end

-- The same trouble, of whichever client and connection, differs only in numbers and in the thread that tells it. Addresses tell
-- brokers apart.
local function key_of(text)
  text = without_thread(text):gsub("%(after.*", "")
  text = text:gsub("%(broker %d+ at ", "("):gsub("%(coordinator at ", "(")
  text = text:gsub("^(%S-:%d+)/%w+:", "%1")
  return (text:gsub("%S+", function(word)
    if not word:find("[%w%]]:%d") then return (word:gsub("%d+", "0")) end
  end))
end

---One line of a client's.
---@param who string what a person knows it by
---@param level integer syslog level
---@param text string
function log.line(who, level, text)
  args.check("log.line", "who", who, args.string)
  args.check("log.line", "level", level, args.level)
  args.check("log.line", "text", text, args.string)
  if level > WARNING then return end
  local key, now = key_of(text), core.now()
  local before = seen[key]
  local silent = 0
  if before then
    local again = now - before.at >= QUIET
    before.at = now
    if not again then
      before.silent = before.silent + 1
      return
    end
    silent, before.silent = before.silent, 0
  else
    if count >= MANY then seen, count = {}, 0 end
    seen[key], count = { at = now, silent = 0 }, count + 1
  end
  local more = silent > 0 and (" (and %d more since it was written last)"):format(silent) or ""
  log.write(("%s: %s%s"):format(who, without_thread(text), more))
end

return log

-- What comes without being asked for: error events, librdkafka's log lines, statistics, brokers that make us wait. To the
-- handler of its kind; where there is none, warnings and worse go to the log. Knows the handle they came to, and its fields.

local core = require "kafka.core"
local diagnose = require "kafka.diagnose"
local errors = require "kafka.error"
local json = require "kafka.json"
local log = require "kafka.log"
local oauth = require "kafka.oauth"

local events = {}

local WARNING, ERROR, INFORMATION = 4, 3, 6 -- syslog's levels

-- The lines that tell of what comes as an error event too.
local TROUBLE = { FAIL = true, ERROR = true, SSLCERTVRFY = true }

---@class kafka.LogLine
---@field level integer syslog's: 3 error, 4 warning, 5 notice, 6 information, 7 debug
---@field facility string librdkafka's word for the kind, such as "FAIL"
---@field text string
---@field original string|nil librdkafka's own text, where this is another
---@field client string which client it is of, as in the default log
local Line = { __name = "kafka.LogLine" }

function Line:__tostring() return ("%s: %s: %s"):format(self.client, self.facility, self.text) end

---@class kafka.Throttle
---@field broker string host:port
---@field id integer the broker's
---@field ms integer how long it makes this client wait; 0: no longer
---@field client string which client it is
local Throttle = { __name = "kafka.Throttle" }

function Throttle:__tostring()
  local what = self.ms > 0 and ("makes this client wait %d ms (quota)"):format(self.ms) or "makes it wait no longer"
  return ("%s: broker %d at %s %s"):format(self.client, self.id, self.broker, what)
end

-- What each kind of record becomes, and what is done with it where there is no handler.

local kinds = {}

kinds.error = {
  make = function(h, raw)
    if raw.fatal then
      h.fatal = h.fatal or h:fatal_error { op = h.title }
      return h.fatal
    end
    local meant = diagnose.look(raw.message, h.facts, h.answered) or {}
    meant.op, meant.original = h.title, meant.message and raw.message
    local e = errors.from(raw, meant)
    h.seen[e.name] = true
    -- That no broker is left follows from what happened to each: keep the reason.
    if e.name ~= "_ALL_BROKERS_DOWN" or not h:reason() then
      h.last_error, h.last_error_at = e, core.now()
      h.unsolved, h.delivered_then = meant.action == "fix", h:delivered()
    end
    if e.name == "_ALL_BROKERS_DOWN" then h.all_down_at, h.down = core.now(), true end
    return e
  end,
  default = function(h, e) log.line(h.title, ERROR, e.message) end,
}

local function in_words(h, line)
  local thread, text = line.text:match("^(%[thrd:[^%]]*%]: )(.*)$")
  if not text then return end
  local code = tonumber(text:match "x509 error (%d+)$")
  local words = code and text:gsub("x509 error %d+$", diagnose.certificate(code):gsub("%%", "%%%%"))
  local meant = not code and diagnose.look(text, h.facts, h.answered)
  if meant then words = meant.message end
  if words then line.original, line.text = line.text, thread .. words end
end

kinds.log = {
  make = function(h, line)
    line.client = h.title
    if TROUBLE[line.facility] and line.level <= INFORMATION then in_words(h, line) end
    return setmetatable(line, Line)
  end,
  default = function(h, line) log.line(h.title, line.level, line.text) end,
}

kinds.throttle = {
  make = function(h, note)
    note.client = h.title
    return setmetatable(note, Throttle)
  end,
  default = function(h, note)
    if note.ms > 0 then log.line(h.title, WARNING, tostring(note):sub(#h.title + 3)) end
  end,
}

---One record of an event.
---@param h table the handle
---@param kind "error"|"log"|"stats"|"throttle"|"oauth"|"rebalance"
---@param payload any as the core gave it
function events.take(h, kind, payload)
  local f = h.on[kind]
  if not kinds[kind] then h:took() end
  if kind == "stats" then
    if h.on.stats_text then h.on.stats_text(payload) end
    if f and not h:expects "stats" then f(json.decode(payload)) end -- old ones would only pile up before a slow handler
    return
  end
  if kind == "oauth" then return oauth.answer(h, h.oauth_token, payload) end
  if kind == "error" and h.stranger and payload.name == "GROUP_AUTHORIZATION_FAILED" then return end
  if not kinds[kind] then return f(payload) end -- of a flow above, which has set the handler
  payload = kinds[kind].make(h, payload)
  h:took()
  if kind == "error" and h.claims and h.claims(payload) then return end
  if f then return f(payload) end
  kinds[kind].default(h, payload)
end

return events

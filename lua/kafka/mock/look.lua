-- How a mock cluster looks from outside: short-lived clients that see whether a fault has reached the metadata, or a port. Knows
-- no fault.

local core = require "kafka.core"
local errors = require "kafka.error"
local handle = require "kafka.handle"

local now = core.now

local look = {}

local SEEN_WITHIN = 10 -- seconds until a fault must have shown
local LOOK = 0.05 -- seconds between two looks
local PROBE = 0.3 -- seconds for one connection to one broker

---Settings of clients nobody listens to.
look.quiet = { ["log.queue"] = "true", ["log_level"] = "0" }

-- A short-lived look at the cluster through some of its brokers.
local function ask(brokers, what, seconds)
  local settings = { ["bootstrap.servers"] = brokers, ["group.id"] = "mock-probe" }
  for k, v in pairs(look.quiet) do settings[k] = v end
  local h, err = handle.open("consumer", "mock", settings, { on_error = function() end, on_log = function() end })
  if not h then return nil, err end
  local raw
  raw, err = h:request({ op = "mock" }, seconds, function(ticket, ms) return h.core:metadata(what, ms, ticket) end)
  h:close(now())
  return raw, err
end

---Looks until `seen()`; an error where it does not show in time.
function look.wait_until(self, op, sentence, seen)
  local deadline = now() + SEEN_WITHIN
  while not seen() do
    if now() >= deadline then
      return nil, errors.new { name = "_TIMED_OUT", op = op, message = sentence .. " did not show in the metadata" }
    end
    self.handle:await(function() return false end, now() + LOOK)
  end
  return true
end

-- The partition's row as clients see it now.
function look.partition(brokers, topic, partition)
  local raw = ask(brokers, topic, PROBE * 2)
  if not raw or not raw.topics[1] then return nil end
  for _, p in ipairs(raw.topics[1].partitions) do
    if p.partition == partition then return p end
  end
end

---Whether a broker answers on its own port.
function look.answers(address)
  return ask(address, false, PROBE) ~= nil
end

---What a call into the core returned, as the caller's own result.
function look.result(op, ok, raw, about)
  if ok then return true end
  about = about or {}
  about.op = op
  return nil, errors.from(raw, about)
end

return look

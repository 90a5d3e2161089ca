-- A position that does not exist: what a consumer does then. Where the group has committed nothing it starts by policy, in
-- silence; where the offset is gone, or not there yet, the jump is told with from, to and reason.

local ask = require "kafka.ask"
local errors = require "kafka.error"

local reset = {}

local LOOK_UP = 5 -- seconds for the ends of the partition

-- auto.offset.reset's words -> what they mean here
local meanings = { earliest = "earliest", smallest = "earliest", beginning = "earliest", latest = "latest", largest = "latest",
  ["end"] = "latest", error = "error" }

---@return "earliest"|"latest"|"error"
function reset.policy(setting) return meanings[setting] or "earliest" end

-- librdkafka's numbers
local named = { earliest = -2, latest = -1, error = -1000 }

---Where a partition starts of which nothing was committed: an offset, or librdkafka's number of the place.
---@param h table handle
function reset.start(h, policy, topic, partition)
  if policy ~= "latest" then return named[policy] end
  -- Looked up, so that it means now, and that one can go back to it.
  local earliest, latest = ask.watermarks(h, "poll", topic, partition, LOOK_UP)
  return earliest and latest or named[policy]
end

-- What on_reset is given.
local Row = { __name = "kafka.Row", __tostring = function(row)
  return ("%s[%s]: %s"):format(row.topic, row.partition, row.reason)
end }

local function sentence(row, earliest, latest)
  if not earliest then return ("offset %d does not exist; reading goes on at the %s"):format(row.from, row.policy) end
  local why = row.from < earliest and "is gone (retention or deletion)" or "is behind the end of the partition"
  local what = earliest < latest and ("holds %d to %d"):format(earliest, latest - 1) or "is empty"
  return ("offset %d %s: the partition %s; reading goes on at %d"):format(row.from, why, what, row.to)
end

---A partition whose position does not exist.
---@param c table the consumer: handle, parts, reset_policy, on_reset
---@param part kafka.Part
---@param raw table the core's error
---@return kafka.Error|nil where the policy is "error"
function reset.apply(c, part, raw)
  local h, policy = c.handle, c.reset_policy
  local asked = raw.offset
  local at = c.parts:position(part)
  if asked and at and asked ~= at then return nil end -- of a position that a seek has left
  asked = asked or at
  if policy == "error" then
    c.parts:halt(part)
    return errors.from(raw, { op = "poll", topic = part.topic, partition = part.partition, offset = asked, action = "fix",
      name = asked and "OFFSET_OUT_OF_RANGE" or "_NO_OFFSET", code = asked and 1 or -168,
      message = asked and ("offset %d does not exist; seek to one that does"):format(asked)
        or "the group has committed nothing here, and auto.offset.reset is error; seek to where to start" })
  end
  if not asked then
    c.parts:seek(part, named[policy])
    return nil
  end
  local earliest, latest = ask.watermarks(h, "poll", part.topic, part.partition, LOOK_UP)
  local row = { topic = part.topic, partition = part.partition, from = asked, policy = policy }
  if earliest then row.to = policy == "earliest" and earliest or latest end
  row.reason = sentence(row, earliest, latest)
  if c.closed or c.parts:find(part.topic, part.partition) ~= part or c.parts:position(part) ~= at then return nil end
  c.parts:seek(part, row.to or named[policy])
  if c.on_reset then
    c.on_reset(setmetatable(row, Row), c)
  else
    h:tell(errors.new { name = "OFFSET_OUT_OF_RANGE", op = "poll", topic = part.topic, partition = part.partition,
      action = "wait", message = row.reason })
  end
end

return reset

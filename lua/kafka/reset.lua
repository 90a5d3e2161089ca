-- A position that does not exist: what a consumer does then. Where the group has committed nothing it starts by policy, in
-- silence; where the offset is gone, or not there yet, the jump is told with from, to and reason.

local ask = require "kafka.ask"
local core = require "kafka.core"
local errors = require "kafka.error"

local now = core.now

local reset = {}

local LOOK_UP = 5 -- seconds for the ends of the partition
local AGAIN = 0.2 -- seconds between two looks at them
local SETTLE = 2 -- seconds until a position behind the end is believed to be there no more

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

-- What is done about a position that does not exist, whose ends are known or not.
local function jump(c, part, raw, asked, earliest, latest)
  local h, policy = c.handle, c.reset_policy
  if policy == "error" then
    c.trouble = errors.from(raw, { op = "poll", topic = part.topic, partition = part.partition, offset = asked, action = "fix",
      name = "OFFSET_OUT_OF_RANGE", code = 1, message = ("offset %d does not exist; seek to one that does"):format(asked) })
    return
  end
  local row = { topic = part.topic, partition = part.partition, from = asked, policy = policy }
  if earliest then row.to = policy == "earliest" and earliest or latest end
  row.reason = sentence(row, earliest, latest)
  c.parts:seek(part, row.to or named[policy])
  if c.on_reset then
    c.on_reset(setmetatable(row, Row), c)
  else
    h:tell(errors.new { name = "OFFSET_OUT_OF_RANGE", op = "poll", topic = part.topic, partition = part.partition,
      action = "wait", message = row.reason })
  end
end

local function doubted(c, part, doubt)
  return c.parts:find(part.topic, part.partition) == part and part.doubt == doubt and part.stopped and part.start == doubt.offset
end

-- A broker that was paused and leads no more knows, for a moment after it goes on, less than its followers have written since. So
-- a position that is there is none to leave; and one behind the end is left only where it stays there.
local function look(c, part, doubt)
  doubt.again = now() + AGAIN
  local earliest, latest = ask.watermarks(c.handle, "poll", part.topic, part.partition, LOOK_UP)
  if c.closed or not doubted(c, part, doubt) then return end
  local asked = doubt.offset
  if earliest and earliest <= asked and asked <= latest then
    part.doubt, part.rested = nil, now() + AGAIN
    c.parts:renew(part) -- no seek: what was handed out before still counts
  elseif (earliest and asked < earliest or now() >= doubt.till) and not (c.trouble and c.reset_policy == "error") then
    part.doubt = nil
    jump(c, part, doubt.raw, asked, earliest, latest)
  end
end

---Looks where positions are in doubt and a look is due.
---@param c table the consumer: handle, parts, reset_policy, on_reset
function reset.serve(c)
  for _, part in ipairs { table.unpack(c.doubts) } do
    local doubt = part.doubt
    if doubt and now() >= doubt.again and doubted(c, part, doubt) then look(c, part, doubt) end
    if c.closed then return end
  end
  for i = #c.doubts, 1, -1 do
    local part = c.doubts[i]
    if not part.doubt or not doubted(c, part, part.doubt) then
      part.doubt = nil
      table.remove(c.doubts, i)
    end
  end
end

---A partition whose position does not exist, as a broker says.
---@param c table
---@param part kafka.Part
---@param raw table the core's error
---@return kafka.Error|nil where nothing was committed and the policy is "error"
function reset.apply(c, part, raw)
  local at = c.parts:position(part)
  if raw.offset and at and raw.offset ~= at then
    -- Not of our position: librdkafka was ahead of it, behind what holds no message (markers of transactions, what compaction
    -- took), and fetches no more; or this is of before a seek, which does no harm twice. The broker is to answer for our own.
    local _, err = c.parts:renew(part)
    return err
  end
  local asked = raw.offset or at
  c.parts:halt(part)
  if asked then
    part.start = asked
    part.doubt = { offset = asked, raw = raw, again = math.max(now(), part.rested or 0), till = now() + SETTLE }
    c.doubts[#c.doubts + 1] = part
    return nil
  end
  if c.reset_policy ~= "error" then
    c.parts:seek(part, named[c.reset_policy])
    return nil
  end
  return errors.from(raw, { op = "poll", topic = part.topic, partition = part.partition, action = "fix", name = "_NO_OFFSET",
    code = -168, message = "the group has committed nothing here, and auto.offset.reset is error; seek to where to start" })
end

return reset

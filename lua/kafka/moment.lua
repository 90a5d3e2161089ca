-- Times as a person says them: "-1h", "2026-11-23T10:00Z", milliseconds since the epoch. Pure, but for the clock.

local moment = {}

local UNITS = { s = 1000, m = 60 * 1000, h = 3600 * 1000, d = 24 * 3600 * 1000 } -- milliseconds
local LONGEST = 2 ^ 53 -- milliseconds: longer ago than that is no other time

-- Days since the epoch of a date of the Gregorian calendar.
local function days(year, month, day)
  if month <= 2 then year, month = year - 1, month + 12 end
  return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469
end

local function iso(text)
  local year, month, day, rest = text:match "^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$"
  if not year then return nil end
  local hour, minute, after = rest:match "^[T ](%d%d):(%d%d)(.*)$"
  if not hour and rest ~= "" then return nil end
  local second, fraction, zone = (after or ""):match "^:(%d%d)(%.?%d*)(.*)$"
  zone = zone or after or ""
  local sign, hours, minutes = zone:match "^([+-])(%d%d):?(%d%d)$"
  if not sign and zone ~= "" and zone ~= "Z" then return nil end
  local date = days(math.tointeger(year), math.tointeger(month), math.tointeger(day))
  local h, m, s = tonumber(hour or 0), tonumber(minute or 0), tonumber(second or 0)
  if h > 23 or m > 59 or s > 59 or os.date("!%Y-%m-%d", date * 86400) ~= text:sub(1, 10) then return nil end
  if sign and (tonumber(hours) > 23 or tonumber(minutes) > 59) then return nil end
  local ahead = sign and (hours * 60 + minutes) * (sign == "-" and -1 or 1) or 0
  local ms = ((date * 24 + h) * 60 + m - ahead) * 60 + s
  return math.tointeger(ms * 1000 + (tonumber("0" .. (fraction or "")) * 1000 + 0.5) // 1)
end

---@param text string "-90s", "-30m", "-1h", "-2d": so long ago; or an ISO 8601 date or time, in UTC where it names no zone
---@return integer|nil milliseconds since the epoch; nil: it is no time
function moment.of(text)
  local number, unit = text:match "^%-(%d+%.?%d*)([smhd])$"
  if not number then return iso(text) end
  return os.time() * 1000 - math.tointeger(math.min(tonumber(number) * UNITS[unit], LONGEST) // 1)
end

return moment

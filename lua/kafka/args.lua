-- Misuse: checking what a caller passed, before anything is done with it. Each check raises one sentence that names the
-- argument and its value, at the caller's line. Option tables are read raw: no metamethod of the caller's runs, and what a
-- call works with is its own copy. Knows nothing of Kafka but what a topic may be called.

local core = require "kafka.core"

local args = {}

---Raises "op: arg must be WANTED, got VALUE" at the caller's line.
---@param op string the public function, as the caller wrote it
---@param arg string
---@param wanted string
---@param value any
function args.fail(op, arg, wanted, value)
  core.misuse(("%s: %s must be %s, got %s"):format(op, arg, wanted, core.show(value)))
end

---Raises "op: SENTENCE" at the caller's line.
function args.misuse(op, sentence)
  core.misuse(op .. ": " .. sentence)
end

-- How many single changes lead from one word to the other.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      local best = math.min(row[j] + 1, row[j - 1] + 1, diagonal + cost)
      diagonal, row[j] = row[j], best
    end
  end
  return row[#b]
end

---The name in the set that looks most like `name`.
---@param name any
---@param set table<string, any> the known names are its keys
---@return string|nil
function args.nearest(name, set)
  if type(name) ~= "string" or #name > 100 then return nil end
  local best, least = nil, math.max(3, #name // 2)
  local lower = name:lower()
  for known in pairs(set) do
    local d = distance(lower, known:lower())
    if d < least or (d == least and best and known < best) then
      best, least = known, d
    end
  end
  return best
end

---Raises that `name` is not known, with the nearest that is.
function args.unknown(op, what, name, set)
  local near = args.nearest(name, set)
  local shown = core.show(name)
  args.misuse(op, ("unknown %s %s%s"):format(what, shown, near and (', did you mean "' .. near .. '"?') or ""))
end

-- Validators: value -> true where it fits; `wanted` is their words. -------------------------------------------------

local function validator(wanted, fits)
  return { wanted = wanted, fits = fits }
end

args.string = validator("a string", function(v) return type(v) == "string" end)
args.boolean = validator("true or false", function(v) return type(v) == "boolean" end)
args.table = validator("a table", function(v) return type(v) == "table" end)
args.func = validator("a function", function(v) return type(v) == "function" end)
args.any = validator("a value", function() return true end)
args.seconds = validator("a number of seconds, 0 or more", function(v) return type(v) == "number" and v >= 0 end)
args.name = validator("a string of at least one byte, without NUL", function(v)
  return type(v) == "string" and v ~= "" and not v:find("\0", 1, true)
end)

---An integer from min to max; 3.0 is one, "3" is not.
function args.integer(min, max)
  local wanted = max == math.maxinteger and ("an integer of at least %d"):format(min)
    or ("an integer from %d to %d"):format(min, max)
  return validator(wanted, function(v)
    local n = type(v) == "number" and math.tointeger(v)
    return n and n >= min and n <= max
  end)
end

args.partition = args.integer(0, 2 ^ 31 - 1 | 0)

---One of the validators.
function args.either(...)
  local kinds, words = { ... }, {}
  for i, kind in ipairs(kinds) do words[i] = kind.wanted end
  return validator(table.concat(words, ", or "), function(v)
    for _, kind in ipairs(kinds) do
      if kind.fits(v) then return true end
    end
    return false
  end)
end

---The same validator in other words.
function args.worded(wanted, kind)
  return validator(wanted, kind.fits)
end

---One of these strings.
function args.word(...)
  local set, words = {}, {}
  for i, w in ipairs { ... } do
    set[w] = true
    words[i] = '"' .. w .. '"'
  end
  return validator(table.concat(words, ", "), function(v) return set[v] ~= nil end)
end

---Checks one argument.
function args.check(op, arg, value, kind)
  if not kind.fits(value) then args.fail(op, arg, kind.wanted, value) end
  return value
end

---Checks one argument that may be nil.
function args.optional(op, arg, value, kind)
  if value ~= nil and not kind.fits(value) then args.fail(op, arg, kind.wanted, value) end
  return value
end

---A topic's name.
function args.topic(op, value)
  if type(value) ~= "string" then args.fail(op, "topic", "a topic name", value) end
  core.check_topic(value)
  return value
end

---A checked copy of an option table; nil counts as empty.
---@param op string
---@param options table|nil
---@param schema table<string, table> known fields and their validators
---@return table
function args.fields(op, options, schema)
  if options == nil then return {} end
  if type(options) ~= "table" then args.fail(op, "options", "a table", options) end
  local copy = {}
  for name, value in next, options do
    local kind = schema[name]
    if not kind then args.unknown(op, "option", name, schema) end
    if not kind.fits(value) then args.fail(op, name, kind.wanted, value) end
    copy[name] = value
  end
  return copy
end

return args

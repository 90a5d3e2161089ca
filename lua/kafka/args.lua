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

---The name in the set that looks most like `name`, or goes on where it ends.
---@param name any
---@param set table<string, any> the known names are its keys
---@return string|nil
function args.nearest(name, set)
  if type(name) ~= "string" or #name > 100 then return nil end
  local best, least = nil, math.max(3, #name // 2)
  local lower = name:lower()
  for known in pairs(set) do
    local d = distance(lower, known:lower())
    if #lower > 3 and known:sub(1, #lower):lower() == lower then d = math.min(d, 2) end
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

---Has misuse that the core finds within these functions begin with the names by which callers know them.
---@param class table<string, any>
function args.public(class)
  for name, f in next, class do
    if type(f) == "function" then core.public(f, (name:gsub("^__", ""))) end
  end
  return class
end

---Raises where `self` is no object of the class: its methods and metamethods can be reached, and called with anything.
---@param op string
---@param class table its metatable
function args.object(op, self, class)
  if not rawequal(debug.getmetatable(self), class) then
    local name = rawget(class, "__name")
    args.fail(op, "the object", (name:find "^kafka%.[AEIO]" and "an " or "a ") .. name, self)
  end
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
args.printable = validator("a string of visible characters", function(v)
  return type(v) == "string" and v:find "%S" ~= nil and not v:find "%c"
end)
args.finite = validator("a finite number", function(v) return type(v) == "number" and v - v == 0 end)
args.name = validator("a string of at least one byte, without NUL", function(v)
  return type(v) == "string" and v ~= "" and not v:find("\0", 1, true)
end)

-- Kafka's strings are UTF-8 with lengths of 16 bits: another group than the one that was said would be meant.
args.group = validator("a string of 1 to 32767 bytes of UTF-8, without NUL", function(v)
  return type(v) == "string" and v ~= "" and #v <= 32767 and not v:find("\0", 1, true) and utf8.len(v) ~= nil
end)
args.metadata = validator("a string of at most 32767 bytes, without NUL", function(v)
  return type(v) == "string" and #v <= 32767 and not v:find("\0", 1, true)
end)

local function has(module, name)
  local ok, f = pcall(function() return module[name] end)
  return ok and type(f) == "function"
end

args.loop = validator("the luv module or a function", function(v)
  return type(v) == "function" or type(v) == "table" and has(v, "new_poll") and has(v, "new_timer")
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

args.level = args.integer(0, 7) -- of syslog
args.timestamp = validator("integer milliseconds since the epoch (1e11 or more)", function(v)
  return type(v) == "number" and math.tointeger(v) ~= nil and v >= 1e11
end)
args.offset = args.integer(0, math.maxinteger)
args.message_offset = args.integer(0, math.maxinteger - 1) -- the next is one too
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

args.topic_name = validator("a topic name of 1 to 249 letters, digits, '.', '_' or '-'", core.is_topic)

---A topic's name.
function args.topic(op, value)
  return args.check(op, "topic", value, args.topic_name)
end

---A checked copy of an option table; nil counts as empty.
---@param op string
---@param options table|nil
---@param schema table<string, table> known fields and their validators
---@param what string|nil what the table is called (default "options"); its fields are then called what.field
---@return table
function args.fields(op, options, schema, what)
  if options == nil then return {} end
  if type(options) ~= "table" then args.fail(op, what or "options", "a table", options) end
  local copy = core.copy(options)
  for name, value in next, copy do
    local kind = schema[name]
    if not kind then args.unknown(op, what and "field of " .. what or "option", name, schema) end
    if not kind.fits(value) then args.fail(op, what and what .. "." .. name or name, kind.wanted, value) end
  end
  return copy
end

---A copy of a list without holes and other keys.
---@param arg string
---@param wanted string
---@return any[]
function args.list(op, arg, value, wanted)
  if type(value) ~= "table" then args.fail(op, arg, wanted, value) end
  local copy = core.copy(value)
  local n = 0
  for key in next, copy do
    n = n + 1
    if math.type(key) ~= "integer" or key < 1 then
      args.misuse(op, ("%s must be %s, got an entry at %s"):format(arg, wanted, core.show(key)))
    end
  end
  if n ~= #copy then args.misuse(op, ("%s must be %s, got a list with holes"):format(arg, wanted)) end
  return copy
end

return args

-- JSON read by a library of the system's, cjson or dkjson, whichever is there. Knows nothing of Kafka.

local json = {}

local library

---@return table|nil the library
---@return string|nil why there is none, in a sentence
local function find()
  if library then return library end
  for _, name in ipairs { "cjson", "dkjson" } do
    local found, module = pcall(require, name)
    if found then
      library = module
      return library
    end
  end
  return nil, "JSON is read by lua-cjson or lua-dkjson, and neither was found (Debian: apt-get install lua-cjson)"
end

---@return boolean|nil true where JSON can be read
---@return string|nil why not, in a sentence
function json.available()
  local found, why = find()
  return found and true, why
end

-- cjson has only floats.
local function whole(value)
  if type(value) == "number" then return math.tointeger(value) or value end
  if type(value) ~= "table" then return value end
  for k, v in next, value do value[k] = whole(v) end
  return value
end

---@param text string JSON without null
---@return any numbers are integers where they are whole; raises where it is no JSON
function json.decode(text)
  local value, _, why = assert(find()).decode(text)
  if value == nil then error(why, 0) end
  return whole(value)
end

return json

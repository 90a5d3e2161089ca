-- JSON. It is read by a library of the system's, cjson or dkjson, whichever is there. Strings are written here: the libraries
-- escape differently, and pass on bytes that are no text. Knows nothing of Kafka.

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

local short = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape(c) return short[c] or ("\\u%04x"):format(c:byte()) end

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

-- Three bytes as four digits.
local function group(c)
  local a, b, d = c:byte(1, 3)
  local n = a << 16 | (b or 0) << 8 | (d or 0)
  local digits = ""
  for shift = 18, 0, -6 do
    local at = (n >> shift & 63) + 1
    digits = digits .. DIGITS:sub(at, at)
  end
  return digits:sub(1, #c + 1) .. ("="):rep(3 - #c)
end

---Bytes without loss: text as a JSON string, what is no UTF-8 as {"base64": "..."}, nil as null.
---@param bytes string|nil
---@return string
function json.bytes(bytes)
  if bytes == nil then return "null" end
  if utf8.len(bytes) then return '"' .. bytes:gsub('[%c"\\]', escape) .. '"' end
  return '{"base64":"' .. bytes:gsub("..?.?", group) .. '"}'
end

return json

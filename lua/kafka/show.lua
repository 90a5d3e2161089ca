-- How rows and lists of rows look at a prompt: a list is aligned lines under their names, a row is one short line. Gives tables
-- their metatables, and leaves what is in them alone. Pure: knows no other module.
--
--   local offsets = show.list({ "topic", "partition", "offset", show.maybe "metadata" }, { none = "nothing committed" })
--   return offsets(rows)            -- rows, now a list that prints itself, of rows that print themselves
--   local counts = show.row { "accepted", "failed" }
--   return counts { accepted = 3, failed = 0 }          -- accepted 3, failed 0
--
-- A field that is nil prints as "-". The field `err` is a column of every list in which a row has it.

local show = {}

local SHOWN = 60 -- bytes of a string that are shown
local LINES = 100 -- of a list

-- Text --------------------------------------------------------------------------------------------------------------------

local function escape(c) return (("\\%03d"):rep(#c)):format(c:byte(1, -1)) end

---A string in one line, of at most 60 bytes or so: what is no printable UTF-8 as \ddd, the length behind what was cut.
---@param bytes string|nil
---@return string
function show.bytes(bytes)
  if bytes == nil then return "nil" end
  local from = #bytes > SHOWN and (utf8.offset(bytes, 0, SHOWN + 1) or 1) or #bytes + 1
  if SHOWN + 1 - from > 3 then from = SHOWN + 1 end -- continuation bytes that continue nothing
  local text = bytes:sub(1, from - 1)
  text = text:gsub(utf8.len(text) and "\194[\128-\159]" or "[\128-\255]", escape):gsub("%c", escape)
  return #bytes > SHOWN and ("%s... (%d bytes)"):format(text, #bytes) or text
end

---A moment as a person reads it.
---@param ms integer|nil milliseconds since the epoch
---@return string|nil ISO 8601, UTC
function show.time(ms)
  if not ms then return nil end
  return ("%s.%03dZ"):format(os.date("!%Y-%m-%dT%H:%M:%S", ms // 1000), ms % 1000)
end

local function cell(value)
  if value == nil then return "-" end
  if type(value) == "string" then return show.bytes(value) end
  local meta = type(value) == "table" and getmetatable(value)
  if type(value) ~= "table" or meta and meta.__tostring then return tostring(value) end
  if value.name and value.message then return value.name .. ": " .. value.message end -- an error of the core's
  local words = {}
  for i, v in ipairs(value) do words[i] = cell(v) end
  return table.concat(words, ",")
end

-- Columns ---------------------------------------------------------------------------------------------------------------

---A column that is shown only where a row has it.
function show.maybe(field) return { field, maybe = true } end

---A column whose text is made of the row.
---@param name string what stands above it
---@param text fun(row: table): any
---@param options table|nil maybe: shown only where a row has it
function show.made(name, text, options) return { name, text = text, maybe = options and options.maybe } end

local function columns_of(fields)
  local columns = {}
  for i, field in ipairs(fields) do columns[i] = type(field) == "table" and field or { field } end
  columns[#columns + 1] = { "err", maybe = true }
  return columns
end

local function value_of(column, row)
  if column.text then return column.text(row) end
  return rawget(row, column[1])
end

-- One line -----------------------------------------------------------------------------------------------------------------

local function line(columns, row)
  local words, from = {}, 1
  local topic, number = rawget(row, "topic"), rawget(row, "partition")
  local place = columns[1][1] == "topic" and columns[2][1] == "partition" and topic and number
  if place then from = 3 end
  for i = from, #columns do
    local value = value_of(columns[i], row)
    if value ~= nil or not columns[i].maybe then words[#words + 1] = columns[i][1] .. " " .. cell(value) end
  end
  local text = table.concat(words, ", ")
  return place and ("%s[%d]: %s"):format(topic, number, text) or text
end

---A kind of row: a function that gives a table of this kind its printing, and returns it.
---@param fields (string|table)[] names of fields, `show.maybe`, `show.made`
---@return fun(row: table): table
function show.row(fields)
  local columns = columns_of(fields)
  local meta = { __name = "kafka.Row", __tostring = function(self) return line(columns, self) end }
  return function(row) return setmetatable(row, meta) end
end

-- Aligned lines ------------------------------------------------------------------------------------------------------------

local function width(text) return utf8.len(text) or #text end

local function shown_columns(columns, rows, count)
  local shown = {}
  for _, column in ipairs(columns) do
    local any = not column.maybe
    for i = 1, any and 0 or count do any = any or value_of(column, rows[i]) ~= nil end
    if any then shown[#shown + 1] = column end
  end
  return shown
end

-- A column's cells, all of one width; numbers stand to the right.
local function padded(column, rows, count)
  local cells, widest = { column[1] }, width(column[1])
  local right, any = true, false
  for i = 1, count do
    local value = value_of(column, rows[i])
    right, any = right and (value == nil or type(value) == "number"), any or value ~= nil
    cells[i + 1] = cell(value)
    widest = math.max(widest, width(cells[i + 1]))
  end
  for i, text in ipairs(cells) do
    local pad = (" "):rep(widest - width(text))
    cells[i] = right and any and pad .. text or text .. pad
  end
  return cells
end

---Lines under the names of the columns, each indented by two.
---@param fields (string|table)[]
---@param rows table[]
---@return string
function show.lines(fields, rows)
  local count = math.min(#rows, LINES)
  local cells, lines = {}, {}
  for i, column in ipairs(shown_columns(columns_of(fields), rows, count)) do cells[i] = padded(column, rows, count) end
  for i = 1, count + 1 do
    local words = {}
    for j, column in ipairs(cells) do words[j] = column[i] end
    lines[i] = ("  " .. table.concat(words, "  ")):gsub("%s+$", "")
  end
  if #rows > count then lines[#lines + 1] = ("  ... and %d more"):format(#rows - count) end
  return table.concat(lines, "\n")
end

---A kind of list: a function that gives a list of this kind, and its rows, their printing, and returns it.
---@param fields (string|table)[] the columns: names of fields, `show.maybe`, `show.made`
---@param options table|nil none: what an empty list prints (default "none"); rows: false where rows print themselves; key: a
---  field by which list["..."] finds its row; foot: fun(list): string|nil makes a last line
---@return fun(rows: table[]): table[]
function show.list(fields, options)
  options = options or {}
  local row = options.rows ~= false and show.row(fields)
  local meta = { __name = "kafka.List", __tostring = function(self)
    local text = #self == 0 and (options.none or "none") or show.lines(fields, self)
    local foot = options.foot and options.foot(self)
    return foot and text .. "\n" .. foot or text
  end }
  local key = options.key
  if key then
    function meta.__index(list, wanted)
      if type(wanted) ~= "string" then return nil end
      for _, r in ipairs(list) do
        if rawget(r, key) == wanted then return r end
      end
    end
  end
  return function(rows)
    for _, r in ipairs(row and rows or {}) do row(r) end
    return setmetatable(rows, meta)
  end
end

return show

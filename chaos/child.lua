-- What the programs of the crew have in common: what they are told, the notes they leave, the wish that they end.

local kafka = require "kafka"

local child = { given = {} }

local base, set = arg[1], {}
for i = 2, #arg do
  local name, text = arg[i]:match "^(.-)=(.*)$"
  child.given[name] = text
  if name:find "^set%." then set[name:sub(5)] = text end
end

local notes = assert(io.open(base .. ".events", "a"))
notes:setvbuf "line"

---Notes an event: "kind time ...".
function child.note(kind, ...)
  notes:write(kind, (" %.6f"):format(kafka.now()))
  for i = 1, select("#", ...) do notes:write(" ", (tostring((select(i, ...))):gsub("\n", " "))) end
  notes:write "\n"
end

local looked = -1

---When it was asked to end, nil before that; looks at most each 0.1 s.
---@return "now"|"drained"|nil
function child.stopping()
  if kafka.now() < looked + 0.1 then return nil end
  looked = kafka.now()
  local f <close> = io.open(base .. ".stop")
  return f and f:read "a"
end

---Options for a client of this generation, with more.
---@param more table
---@param row_too string|nil also this field of the generation's row
function child.options(more, row_too)
  local row = require("chaos.generations")[child.given.version]
  local all = { brokers = child.given.brokers }
  for _, options in ipairs { row.client, row_too and row[row_too] or {}, set, more } do
    for name, value in pairs(options) do all[name] = value end
  end
  return all
end

---Of every partition, a row.
function child.rows()
  local rows = {}
  for p = 0, math.tointeger(child.given.partitions) - 1 do rows[p + 1] = { topic = child.given.topic, partition = p } end
  return rows
end

function child.on_error(err) child.note("trouble", err) end

return child

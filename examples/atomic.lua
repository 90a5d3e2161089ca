-- Counts the messages and bytes of a topic, exactly once: the result and the offsets that it was made of are one file, written
-- beside and renamed. Kill it, start it again, as often as you like: nothing is counted twice, and nothing is left out.
--
--   make run SCRIPT=examples/atomic.lua                    on a cluster in its own process
--   BROKERS=host:9092 TOPIC=first FILE=count.txt make run SCRIPT=examples/atomic.lua     IDLE=5: ends after 5 s without a message
--
-- A rename keeps the file whole where the program dies; against a machine that dies, write it through (fsync) before that.

local kafka = require "kafka"

local env = os.getenv
local brokers, topic, file = env "BROKERS" or "", env "TOPIC" or "first", env "FILE" or "count.txt"
local idle = tonumber(env "IDLE") or math.huge

local mock
if brokers == "" then
  mock, idle = assert(kafka.mock { topics = { [topic] = 2 } }), 1
  brokers, file = mock.brokers, os.tmpname()
  local p <close> = assert(kafka.producer { brokers = brokers })
  for i = 1, 1000 do assert(p:produce(topic, "message " .. i, { partition = i % 2 })) end
end

-- The result, and the offsets it was made of ("first 0" -> the next to read).
local messages, bytes, offsets = 0, 0, {}

local function load_state()
  local f <close>, err, code = io.open(file)
  if not f then return assert(code == 2, err) end -- ENOENT: the first run
  for line in f:lines() do
    local what, value, place = line:match "^(%w+) (%d+) ?(.*)$"
    value = math.tointeger(tonumber(value))
    if what == "messages" then messages = value elseif what == "bytes" then bytes = value else offsets[place] = value end
  end
end

local function save_state()
  local lines = { ("messages %d\nbytes %d\n"):format(messages, bytes) }
  for place, offset in pairs(offsets) do lines[#lines + 1] = ("offset %d %s\n"):format(offset, place) end
  local f, err = io.open(file .. ".new", "w")
  if not f then return nil, err end
  local written, why = f:write(table.concat(lines))
  local closed, late = f:close() -- a full disk shows here at the latest
  if not (written and closed) then return nil, why or late end
  return os.rename(file .. ".new", file)
end

load_state()
local r <close> = assert(kafka.reader {
  brokers = brokers,
  broker_version = env "BROKER_VERSION",
  topic = topic,
  commit = "manual", -- by the loop, when the result is complete
  offsets = {
    load = function(rows)
      for _, row in ipairs(rows) do row.offset = offsets[row.topic .. " " .. row.partition] end
      return rows
    end,
    save = function(rows)
      for _, row in ipairs(rows) do offsets[row.topic .. " " .. row.partition] = row.offset end
      return save_state()
    end,
  },
  on_change = print,
})

for batch in r:batches { max = tonumber(env "MAX") or 1000, idle = idle } do
  for _, m in ipairs(batch) do
    messages, bytes = messages + 1, bytes + #(m.value or "")
  end
  assert(r:commit())
end
print(("%d messages, %d bytes"):format(messages, bytes))
if mock then os.remove(file) end

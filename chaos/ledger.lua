-- From what the crew has noted, and from the partitions read once more, to what is judged.
-- Must not know: what is right and what is wrong.

local kafka = require "kafka"
local crew = require "chaos.crew"

local ledger = {}

local function pick(events, kind, make)
  local list = {}
  for _, e in ipairs(events) do
    if e.kind == kind then list[#list + 1] = make(e) end
  end
  return list
end

local function reading(events)
  return {
    opening = events[1] and events[1].time or math.huge,
    read = pick(events, "read", function(e) return { time = e.time, partition = e[1], offset = e[2], number = e[3] } end),
    committed = pick(events, "committed", function(e) return { time = e.time, partition = e[1], offset = e[2] } end),
    resets = #pick(events, "reset", function(e) return e end),
    errors = #pick(events, "error", function(e) return e end),
  }
end

---Every message of every partition, from the first to the last.
---@param settings table for kafka.connect
---@param topic string
---@param count integer partitions
---@return table<integer, { offset: integer, number: integer }[]>
function ledger.log(settings, topic, count)
  local k <close> = assert(kafka.connect(settings))
  local log = {}
  for partition = 0, count - 1 do
    local list = {}
    local part <close> = assert(k:partition(topic, partition, { offset = "earliest", timeout = 30 }))
    local _, latest = assert(k:watermarks(topic, partition, 30))
    while part:position() < latest do
      local batch = assert(part:fetch { timeout = 30 })
      assert(batch.n > 0, "a partition could not be read to its end")
      for _, m in ipairs(batch) do
        list[#list + 1] = { offset = m.offset, number = math.tointeger(m.value:match "^%d+") }
      end
    end
    log[partition] = list
  end
  return log
end

---@param sandbox kafka.localcluster.Sandbox
---@param readers integer how many processes there were
---@param log table<integer, table> see above
---@return kafka.chaos.Ledger
function ledger.collect(sandbox, readers, log)
  local writer, witness = crew.events(sandbox, "writer"), crew.events(sandbox, "witness")
  local found = {
    acked = pick(writer, "acked", function(e) return { time = e.time, partition = e[1], number = e[2], offset = e[3] } end),
    failed = #pick(writer, "failed", function(e) return e end),
    log = log,
    readers = {},
    witness = pick(witness, "committed", function(e)
      return { time = e.time, asked = tonumber(e[3]), partition = e[1], offset = e[2] }
    end),
  }
  for i = 1, readers do found.readers[i] = reading(crew.events(sandbox, "reader-" .. i)) end
  return found
end

return ledger

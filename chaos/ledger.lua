-- From what the crew has noted, and from what the cluster holds in the end, to what is judged.
-- Must not know: what is right and what is wrong.

local kafka = require "kafka"
local crew = require "chaos.crew"
local history = require "chaos.history"
local whole = require "chaos.whole"

local ledger = {}

local function pick(events, kind, make)
  local list = {}
  for _, e in ipairs(events) do
    if e.kind == kind then list[#list + 1] = make(e) end
  end
  return list
end

local function reading(events)
  local opened = pick(events, "opened", function(e) return e.time end)
  return {
    opening = events[1] and events[1].time or math.huge,
    opened = opened[1] or math.huge,
    read = pick(events, "read", function(e) return { time = e.time, partition = e[1], offset = e[2], number = e[3] } end),
    committed = pick(events, "committed", function(e) return { time = e.time, partition = e[1], offset = e[2] } end),
    resets = #pick(events, "reset", function(e) return e end),
    errors = #pick(events, "error", function(e) return e end),
  }
end

---What the cluster holds in the end: every message of every partition, and every commit.
---@param settings table for kafka.connect
---@param topic string
---@param count integer partitions
---@param group string
---@return table {log, history}: see kafka.chaos.Ledger
function ledger.kept(settings, topic, count, group)
  local k <close> = assert(kafka.connect(settings))
  local log = {}
  for partition = 0, count - 1 do
    local list = {}
    whole.each(k, topic, partition, function(m)
      list[#list + 1] = { offset = m.offset, number = math.tointeger(m.value:match "^%d+") }
    end)
    log[partition] = list
  end
  return { log = log, history = history.read(k, group, topic) }
end

---@param sandbox kafka.localcluster.Sandbox
---@param readers integer how many processes there were
---@param faults integer how many came
---@param kept table see above
---@return kafka.chaos.Ledger
function ledger.collect(sandbox, readers, faults, kept)
  local writer, witness = crew.events(sandbox, "writer"), crew.events(sandbox, "witness")
  local found = {
    faults = faults,
    acked = pick(writer, "acked", function(e)
      -- A broker that has the message from an earlier try may not say where.
      return { time = e.time, partition = e[1], number = e[2], offset = math.tointeger(e[3]) or -1 }
    end),
    failed = #pick(writer, "failed", function(e) return e end),
    fatal = #pick(writer, "fatal", function(e) return e end),
    log = kept.log,
    history = kept.history,
    readers = {},
    witness = pick(witness, "committed", function(e)
      return { time = e.time, asked = tonumber(e[3]), partition = e[1], offset = e[2] }
    end),
  }
  for i = 1, readers do found.readers[i] = reading(crew.events(sandbox, "reader-" .. i)) end
  return found
end

return ledger

-- Words for the scenarios. What counts here makes no Lua value, so that it cannot fail itself.

local core = require "kafka.core"

local support = {}

function support.settings(more)
  local settings = { ["bootstrap.servers"] = _G.brokers, ["log.queue"] = "true", ["log_level"] = "0" }
  for k, v in pairs(more or {}) do settings[k] = v end
  return settings
end

---An object with a client and its records: asked and got count them, by their tickets' sum too, so that none comes twice.
function support.open(kind, more)
  local settings = support.settings(more)
  if kind == "consumer" then
    settings["group.id"] = settings["group.id"] or "g"
    settings["fetch.wait.max.ms"], settings["auto.offset.reset"] = "10", "error"
    settings["fetch.error.backoff.ms"] = "1"
  else
    settings["linger.ms"] = "0"
  end
  return { c = assert(core[kind](settings)), list = {}, tail = 0, ticket = 1, asked = 0, got = 0, asked_sum = 0, got_sum = 0,
    other = 0, error = nil }
end

---Runs start(client, ticket); counts the call where it was accepted.
function support.ask(o, start)
  if start(o.c, o.ticket) then
    o.asked, o.asked_sum, o.ticket = o.asked + 1, o.asked_sum + o.ticket, o.ticket + 1
  end
end

---Drains once, and counts the records.
function support.drain(o)
  local list = o.list
  local tail = o.c:drain(list, o.tail, 1000)
  o.tail = tail or o.tail
  for i = 1, o.tail, 2 do
    local key, payload = list[i], list[i + 1]
    if math.type(key) == "integer" then
      o.got, o.got_sum = o.got + 1, o.got_sum + (key < 0 and -1 - key or key)
      if payload.err then o.error = payload.err.name end
    else
      o.other = o.other + 1
    end
    list[i], list[i + 1] = nil, nil
  end
  o.tail = 0
end

---Waits until every accepted call has its record.
function support.answers(o)
  local deadline = core.now() + 20
  while o.got < o.asked do
    if core.now() > deadline then error("records are missing: " .. o.got .. " of " .. o.asked) end
    o.c:wait(100)
    support.drain(o)
  end
end

function support.check(o)
  support.answers(o)
  support.drain(o)
  assert(o.got == o.asked and o.got_sum == o.asked_sum, "each accepted call has one record")
end

---Closes and waits until librdkafka has ended it.
function support.close(o)
  local c = o.c
  o.c = nil
  c:close()
  local deadline = core.now() + 10
  while not c:gone() and core.now() < deadline do c:wait(100) end
  assert(c:gone(), "the client has ended")
  c:release()
end

return support

-- What the fuzz targets do in Lua: opening what they call, bringing every message to its report, comparing. Whatever raises
-- here is a finding.

local core = require "kafka.core"

local support = {}

local open = {} -- target -> function that sets the globals it works with

---Opens what the target needs. `things` are objects that a fuzzed value may be; `reenter(how)` is what its functions and
---finalizers call.
function support.start(target)
  things, reenter = {}, function() end
  support.target = target
  if open[target] then open[target]() end
end

local function wait_gone(client)
  client:close()
  local deadline = core.now() + 10
  while not client:gone() do
    client:wait(10)
    assert(core.now() < deadline, "a client did not end within 10 s")
  end
  client:release()
end

local function is_open(client) return pcall(client.name, client) end

---Before each input: what the last one has closed is opened again, as is a producer that has seen many topics.
---@param short boolean whether the input's calls will run out of memory
function support.revive(short)
  support.short = short
  support.inputs = (support.inputs or 0) + 1
  local fine = not producer or is_open(producer)
  if P then fine = not P.handle.closed and not K.closed and not part.feed.closed end
  if fine and support.inputs % 20000 ~= 0 then return end
  support.close()
  support.start(support.target)
end

function support.close()
  for _, name in ipairs { "producer", "consumer", "mock_client" } do
    local client = _G[name]
    if client then wait_gone(client) end
    _G[name] = nil
  end
  if P then P:close(0) end
  if K then K:close() end
  if M then M:close() end
  P, K, M, part, inbox, things = nil, nil, nil, nil, nil, nil
  collectgarbage()
end

-- Messages that never leave: a producer without brokers ---------------------------------------------------------------

local strayed = {} -- records that the input's own functions have drained

local function last(list)
  local tail = 0
  while list[tail + 1] ~= nil do tail = tail + 2 end
  return tail
end

local function open_producer()
  producer = assert(core.producer { ["log.queue"] = "true" })
  things[#things + 1] = producer
  function reenter(how)
    local p = producer
    if how == 0 then return p:close() end
    if how % 4 == 1 then p:produce("t", "again", 5, nil, nil, nil, { { "a", "b" } }) end
    if how % 4 == 2 then p:drain(strayed, last(strayed), 10) end
    if how % 4 == 3 then p:purge() end
    p:counts()
  end
end
open.headers = open_producer

local function collect(list, reports)
  for i = 1, last(list), 2 do
    local key, report = list[i], list[i + 1]
    if math.type(key) == "integer" then
      assert(key < 0 and report.err.name == "_PURGE_QUEUE", key)
      reports[-1 - key] = reports[-1 - key] or {}
      table.insert(reports[-1 - key], report)
    end
  end
end

---Gives up what is queued and takes all that comes, behind what is in `list` already.
---@return table|nil reports by ticket: lists; nil where the producer was closed meanwhile
function support.settle(list)
  local reports = {}
  local before = strayed
  strayed = {}
  if not is_open(producer) then return nil end
  local tail, deadline = last(list), core.now() + 10
  repeat
    assert(producer:purge()) -- again: a finalizer may have produced
    tail = producer:drain(list, tail, 1000)
    local accepted, delivered, failed = producer:counts()
    assert(core.now() < deadline, "accepted messages have no report")
  until delivered + failed == accepted
  assert(list[tail + 1] == nil)
  collect(list, reports)
  collect(before, reports)
  return reports
end

---The one report of a ticket.
function support.one(reports, ticket)
  local found = reports and reports[ticket]
  if not reports then return nil end
  assert(found and #found == 1, "not one report")
  return found[1]
end

-- The core's other methods ------------------------------------------------------------------------------------------------

function open.options()
  open_producer()
  consumer = assert(core.consumer { ["log.queue"] = "true", ["group.id"] = "g" })
  inbox = consumer:inbox()
  things[#things + 1] = consumer
  things[#things + 1] = inbox
end

---Numbers that would only take long.
function support.limit(...)
  local list = table.pack(...)
  for i = 1, list.n do
    local v = list[i]
    if math.type(v) == "integer" and v > 100 then list[i] = v % 100 end
    if math.type(v) == "float" and v > 100 then list[i] = 100.5 end
  end
  return table.unpack(list, 1, list.n)
end

---What the list gives back is what was put in: topic, partition, and by its kind the offset and the metadata.
function support.same_rows(given, got, kind)
  for i, row in ipairs(got) do
    local from = rawget(given, i)
    assert(rawget(from, "topic") == row.topic and rawget(from, "partition") == row.partition, "another partition")
    if kind == 0 then
      assert(row.offset == nil and row.metadata == nil)
    else
      local offset, metadata = rawget(from, "offset"), rawget(from, "metadata")
      assert(row.offset == (offset >= 0 and offset or nil), "another offset")
      assert(row.metadata == (metadata ~= "" and metadata or nil), "other metadata")
    end
  end
  assert(rawget(given, #got + 1) == nil, "rows are lost")
end

---Brings all to its report and compares their number with the notes: ticket -> accepted messages, -1 for any number.
function support.check_reports(notes)
  local reports = support.settle {}
  if consumer and is_open(consumer) then consumer:drain({}, 0, 1000) end
  if not reports then return end
  for ticket, accepted in pairs(notes) do
    local n = reports[ticket] and #reports[ticket] or 0
    assert(n == accepted or accepted < 0, ("%d accepted, %d reports"):format(accepted, n))
  end
end

-- The Lua layer -----------------------------------------------------------------------------------------------------------

local quiet = function() end
local expected -- entries of messages whose reports are counted

function open.calls()
  local kafka = require "kafka"
  kafka.log.write = quiet
  expected = {}
  M = assert(kafka.mock { topics = { t = 1, u = 1 } })
  P = assert(kafka.producer { brokers = "127.0.0.1:1", on_error = quiet, on_log = quiet })
  K = assert(kafka.connect { brokers = M.brokers, fetch_wait_max_ms = 10, on_error = quiet, on_log = quiet })
  local filler <close> = assert(kafka.producer { brokers = M.brokers, on_log = quiet })
  for i = 1, 3 do assert(filler:send("t", "v" .. i, { partition = 0, headers = { { "h", "1" } } })) end
  part = assert(K:partition("t", 0))
  local batch = assert(part:fetch { timeout = 5 })
  assert(part:seek "earliest")
  things[1], things[2], things[3], things[4], things[5] = P, K, part, batch, batch[1]
  function reenter(how)
    if how == 0 then return P:close(0) end
    if how == 1 then return part:seek "earliest" end
    if how % 4 == 1 then P:produce("t", "again") end
    if how % 4 == 2 then P:poll(0) end
    if how % 4 == 3 then part:fetch { timeout = 0, max_bytes = how } end
    P:flush(0)
  end
end

---Options that do not wait, and do not count far.
function support.soon(options)
  if options == nil then options = {} end
  if type(options) ~= "table" then return options end
  for _, thing in ipairs(things) do
    if rawequal(thing, options) then return options end
  end
  local timeout, n = rawget(options, "timeout"), rawget(options, "n")
  if type(timeout) == "number" and timeout > 0 then rawset(options, "timeout", 0) end
  if type(n) == "number" and n > 100 then rawset(options, "n", 100) end
  if timeout == nil then rawset(options, "timeout", 0) end
  return options
end

---Seconds that do not wait.
function support.at_once(seconds)
  return (seconds == nil or type(seconds) == "number" and seconds > 0) and 0 or seconds
end

---One group only: each other one would be a connection more.
function support.group(name)
  if type(name) == "string" and name ~= "" and not name:find "\0" then return "g" end
  return name
end

---Options whose on_delivery counts, and its entry.
function support.counted(options, wanted)
  local entry = { reports = 0 }
  if wanted and type(options) == "table" and getmetatable(options) == nil then
    options.on_delivery = function() entry.reports = entry.reports + 1 end
    entry.counts = true
  end
  return options, entry
end

function support.expect(entry, ok, method, result, err)
  expected[#expected + 1] = entry
  if not ok then
    -- A wait that ran out of memory leaves the message on its way.
    if method ~= "produce" and result:find "memory" then entry.counts = false end
    entry.accepted = 0
  elseif method == "produce_many" then
    entry.accepted = result or err.accepted
  elseif method == "send" then
    entry.accepted = (result or err.in_flight or err.name == "_PURGE_QUEUE") and 1 or 0
  else
    entry.accepted = result and 1 or 0
  end
end

---Gives up what is queued, runs every handler, and compares the number of reports.
function support.finish(changed)
  local entries = expected
  expected = {}
  local deadline = core.now() + 10
  repeat
    if P.handle.closed then return end
    P.handle.core:purge() -- again: a handler may have produced
    local _, raised = pcall(P.poll, P, 0) -- raises what a handler of the input raised
    if P.handle.closed then return end
    local pending = P:pending()
    assert(core.now() < deadline, ("%d messages have no report; poll: %s"):format(pending, raised))
  until pending == 0
  pcall(P.poll, P, 0)
  for _, entry in ipairs(entries) do
    local same = entry.reports == entry.accepted or P.handle.closed or changed
    -- A handler whose call runs out of memory has raised that.
    same = same or support.short and entry.reports < entry.accepted
    assert(same or not entry.counts, ("%d accepted, %d reports"):format(entry.accepted, entry.reports))
  end
end

-- Messages through the mock cluster -----------------------------------------------------------------------------------------

local sent -- accepted messages so far

function open.messages()
  local quiet_log = { ["log.queue"] = "true", ["log_level"] = "0" }
  local function settings(more)
    local all = support.shallow_copy(quiet_log)
    for k, v in next, more do all[k] = v end
    return all
  end
  local mock = assert(core.mock(1, quiet_log))
  assert(mock:topic("t", 1, 1))
  mock_client = mock:client()
  things[1] = mock -- lives as long
  producer = assert(core.producer(settings { ["bootstrap.servers"] = mock:brokers(), ["linger.ms"] = "0",
    ["compression.type"] = "lz4" }))
  consumer = assert(core.consumer(settings { ["bootstrap.servers"] = mock:brokers(), ["group.id"] = "g",
    ["fetch.wait.max.ms"] = "2", ["queued.min.messages"] = "1000000" }))
  inbox = consumer:inbox()
  inbox:open("t", 0, 0)
  assert(consumer:add { { topic = "t", partition = 0, offset = 0 } })
  columns = { "value", "key", "headers", "timestamp", "offset" }
  sent = 0
end

---Where produce_many would have stopped, had it told.
function support.accepted()
  return producer:counts() - sent + 1
end

local function message_of(batch, i, as_columns)
  if not as_columns then return batch[i] end
  local m = {}
  for _, name in ipairs(columns) do m[name] = batch[name][i] end
  return m
end

---Takes until all that were accepted are there, and compares each with what was given.
function support.check_taken(next_index, as_columns, changed, batch, values, keys, _, timestamps, headers)
  local count, got, deadline = next_index - 1, 0, core.now() + 20
  local function at(column, i)
    if column then return rawget(column, i) end
  end
  while true do
    for i = 1, batch and batch.n or 0 do
      local m = message_of(batch, i, as_columns)
      got = got + 1
      assert(m.offset == sent + got - 1, "an offset was left out")
      if not changed then
        support.same_message(at(values, got), at(keys, got), at(headers, got), at(timestamps, got), m)
      end
    end
    if got == count then break end
    assert(got < count, "more than was sent")
    assert(core.now() < deadline, ("%d of %d messages came"):format(got, count))
    if not batch or batch.n == 0 then
      consumer:drain({}, 0, 1000)
      consumer:wait(5)
    end
    batch = assert(inbox:take(1 << 20, 1000, as_columns and columns or nil))
  end
  sent = sent + count
  producer:drain({}, 0, 1000)
end

-- Settings ----------------------------------------------------------------------------------------------------------------

function open.settings()
  require "kafka"
  _G.core, config = core, require "kafka.config"
  local args = require "kafka.args"
  own_options = {
    on_delivery = args.func,
    on_error = args.func,
    on_log = args.func,
    on_stats = args.func,
    loop = args.either(args.table, args.func),
    timeout = args.seconds,
  }
end

function support.shallow_copy(t)
  local copy = {}
  for k, v in next, t do copy[k] = v end
  return copy
end

function support.same_fields(a, b)
  for k, v in next, a do assert(rawequal(rawget(b, k), v) or v ~= v, "an option was changed") end
  for k in next, b do assert(rawget(a, k) ~= nil, "an option was taken away") end
end

---What split returns goes to librdkafka as it is.
function support.check_settings(settings)
  for name, value in next, settings do
    assert(config.settings()[name] or name:find "^client.software", name)
    assert(type(value) == "string" and not value:find "\0", name)
  end
end

local harmful = { "^sasl", "^ssl", "^security", "servers$", "broker.list$", "^plugin", "^test", "^oauth", "^enable.ssl" }

---Settings without those that reach a network, a file or a program.
function support.harmless(settings)
  local copy = {}
  for name, value in next, settings do
    copy[name] = value
    for _, pattern in ipairs(harmful) do
      if name:find(pattern) then copy[name] = nil end
    end
  end
  return copy
end

---What opening a client gave: it is closed again, and nothing of it is left.
function support.opened(client, err)
  if client then return wait_gone(client) end
  assert(type(err.message) == "string" and math.type(err.code) == "integer")
end

-- Comparing ---------------------------------------------------------------------------------------------------------------

---Headers as they were given, and as they came back.
function support.same_headers(given, got)
  local n = got and #got or 0
  if given == nil then return assert(got == nil) end
  if n == 0 then assert(got == nil and rawlen(given) == 0, "headers are lost") end
  for i = 1, n do
    local pair = rawget(given, i)
    assert(rawget(pair, 1) == got[i][1] and rawget(pair, 2) == got[i][2] and #got[i] <= 2, "another header")
  end
  assert(rawget(given, n + 1) == nil, "headers are lost")
end

---A message as it was given, and as it came back.
function support.same_message(value, key, headers, timestamp, m)
  assert(rawequal(value, m.value), "another value")
  assert(rawequal(key, m.key), "another key")
  support.same_headers(headers, m.headers)
  if timestamp then assert(timestamp == m.timestamp, "another timestamp") end
end

return support

-- The benchmark: starts a real broker, lets the contestants work in turn, checks what they moved, prints the table. Each
-- contestant is a process of its own that measures itself (see contest.lua) and is given the same settings.
-- From the environment: MESSAGES, ROUNDS, ROWS, KAFKA, PYTHON; LUA is the interpreter, BUILT the folder of what was built.

local kafka = require "kafka"

local function number_of(name, default)
  local n = math.tointeger(os.getenv(name) or default)
  if not n or n < 1 then error(name .. " must be an integer of at least 1", 0) end
  return n
end

local messages, rounds = number_of("MESSAGES", 1000000), number_of("ROUNDS", 5)
local version = os.getenv "KAFKA" or "4.3.1"
local lua, python, built = os.getenv "LUA" or "lua5.4", os.getenv "PYTHON" or "python3", os.getenv "BUILT"

-- librdkafka's defaults and ours, said aloud, so that all have the same.
local producer_settings = {
  "socket.nagle.disable=true", "partitioner=murmur2_random", "acks=-1", "linger.ms=5", "batch.num.messages=10000",
  "batch.size=1000000", "queue.buffering.max.messages=100000", "queue.buffering.max.kbytes=1048576", "compression.codec=none",
}
local consumer_settings = {
  "socket.nagle.disable=true", "auto.offset.reset=error", "enable.auto.commit=false", "enable.auto.offset.store=false",
  "enable.partition.eof=true", "fetch.wait.max.ms=100", "fetch.error.backoff.ms=100", "queued.min.messages=1000000",
  "queued.max.messages.kbytes=65536", "fetch.message.max.bytes=1048576",
}

local rows = {
  { name = "produce_many", title = "produce_many" },
  { name = "produce", title = "produce one by one, reports counted" },
  { name = "on_delivery", title = "produce one by one, a function per report" },
  { name = "tables", title = "fetch as message tables", fetch = true },
  { name = "columns", title = "fetch as columns", fetch = true },
  { name = "messages", title = "consumer's messages(), to fetch as tables", fetch = true, like = "tables" },
  { name = "batches", title = "consumer's batches(), to fetch as columns", fetch = true, like = "columns" },
}
local contestants = {
  { name = "C", command = built .. "/baseline" },
  { name = "hand-made", command = lua .. " bench/handmade.lua" },
  { name = "lua-kafka", command = lua .. " bench/ours.lua", loops = true },
  { name = "confluent-kafka-python", command = python .. " bench/confluent.py",
    rows = { produce = true, on_delivery = true, tables = true, messages = true } },
}

local function output(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("a")
  return pipe:close() and text, text
end

-- Only rows that ROWS names, and Python only where it is there.
local function choose()
  local wanted, chosen = os.getenv "ROWS", {}
  if wanted then wanted = " " .. wanted:gsub(",", " ") .. " " end
  for _, row in ipairs(rows) do
    if not wanted or wanted:find(" " .. row.name .. " ", 1, true) then chosen[#chosen + 1] = row end
  end
  if #chosen == 0 then error("ROWS must name some of: produce_many produce on_delivery tables columns messages batches", 0) end
  local found = output(python .. " -c 'import confluent_kafka as c; print(c.libversion()[0])' 2>/dev/null")
  if not found then contestants[4] = nil end
  return chosen, found and found:match("%S.*%S")
end

local cluster

-- One process; returns messages a second and microseconds of CPU a message.
local function run(contestant, row, topic)
  local name = not contestant.loops and row.like or row.name -- the others' nearest
  local command = ("%s %s %s %s %d %s"):format(contestant.command, name, cluster.brokers, topic, messages,
    table.concat(row.fetch and consumer_settings or producer_settings, " "))
  local ok, text = output(command)
  local count, sum, wall, cpu = text:match("^(%d+) (%d+) ([%d.]+) ([%d.]+)\n$")
  if not ok or not count then error(("%s failed at %s: %s"):format(contestant.name, row.name, command), 0) end
  local all = (row.fetch or row.name == "on_delivery") and messages * (messages - 1) // 2 or 0
  if tonumber(count) ~= messages or tonumber(sum) ~= all then
    error(("%s moved %s messages (sum %s) of %d (sum %d) at %s"):format(contestant.name, count, sum, messages, all, row.name), 0)
  end
  return messages / tonumber(wall), tonumber(cpu) / messages * 1e6
end

local reader = { name = "tables", fetch = true }
local topics = 0

local function with_topic(f)
  topics = topics + 1
  local name = "bench-" .. topics
  assert(cluster:create_topic(name, 1))
  f(name)
  assert(output(("%s/baseline delete %s %s 0"):format(built, cluster.brokers, name)), "a topic was not deleted")
end

local function median(list)
  table.sort(list)
  local middle = (#list + 1) // 2
  return #list % 2 == 1 and list[middle] or (list[middle] + list[middle + 1]) / 2
end

-- Alternates: every contestant once, then again; what was sent is read back, message by message.
local function compete(row, filled)
  local speeds, cpus = {}, {}
  for round = 1, rounds do
    for i, contestant in ipairs(contestants) do
      if not contestant.rows or contestant.rows[row.name] then
        io.stderr:write(("%s: round %d of %d, %s\n"):format(row.name, round, rounds, contestant.name))
        local function measure(topic)
          speeds[i], cpus[i] = speeds[i] or {}, cpus[i] or {}
          speeds[i][round], cpus[i][round] = run(contestant, row, topic)
        end
        if row.fetch then
          measure(filled)
        else
          with_topic(function(topic)
            measure(topic)
            run(contestants[1], reader, topic)
          end)
        end
      end
    end
  end
  local results = {}
  for i in pairs(speeds) do results[i] = { speed = median(speeds[i]), cpu = median(cpus[i]) } end
  return results
end

local line = "%-42s %-23s %8s %8s   %6s %6s   %7s %6s"

local function show(row, results)
  local c, hand = results[1], results[2]
  for i, contestant in ipairs(contestants) do
    local r = results[i]
    local function ratio(of) return r == of and "-" or ("%.2f"):format(r.speed / of.speed), r == of and "-"
      or ("%.2f"):format(of.cpu / r.cpu) end
    if r then
      local speed_c, cpu_c = ratio(c)
      local speed_hand, cpu_hand = ratio(hand)
      print(line:format(i == 1 and row.title or "", contestant.name, ("%.3f"):format(r.speed / 1e6), ("%.3f"):format(r.cpu),
        speed_c, cpu_c, speed_hand, cpu_hand))
    end
  end
end

local function main()
  local chosen, python_version = choose()
  cluster = assert(kafka.localcluster { version = version, brokers = 1, settings = { ["log.segment.delete.delay.ms"] = 100 } })
  local _ <close> = cluster
  local shown = {}
  with_topic(function(filled)
    run(contestants[1], rows[2], filled) -- warms the broker too
    for i, row in ipairs(chosen) do shown[i] = compete(row, filled) end
  end)
  print(("%d messages of 100 bytes, median of %d rounds; Kafka %s, librdkafka %s, %s%s"):format(messages, rounds, version,
    kafka.librdkafka, _VERSION, python_version and ", confluent-kafka-python on librdkafka " .. python_version or ""))
  print("of C, of hand-made: 1 is level, more is better\n")
  print(("%-66s %8s %8s   %13s   %14s"):format("", "million", "CPU us", "of C", "of hand-made"))
  print(line:format("row", "contestant", "a second", "a msg", "speed", "CPU", "speed", "CPU"))
  for i, row in ipairs(chosen) do show(row, shown[i]) end
end

main()

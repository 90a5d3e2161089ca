-- A run: starts three brokers, a writer, a reader and a witness, lets the faults come that the seed draws, then judges what
-- became of every message and every commit, and prints it. Ends with 1 where a figure is other than it must be, and keeps the
-- logs.
-- From the environment: MINUTES, SEED, KAFKA, FAULTS, STRICT, KEEP, SETTINGS, LUA; see README.md.

local kafka = require "kafka"
local machine = require "kafka.localcluster.machine"
local uv = require "luv"
local crew = require "chaos.crew"
local direct = require "chaos.direct"
local faults = require "chaos.faults"
local generations = require "chaos.generations"
local keep = require "chaos.keep"
local ledger = require "chaos.ledger"
local plan = require "chaos.plan"
local scenes = require "chaos.scene"
local show = require "chaos.show"
local silence = require "chaos.silence"
local stage = require "chaos.stage"
local verdict = require "chaos.verdict"

local BROKERS, PARTITIONS, TOPIC, GROUP = 3, 4, "chaos", "chaos"
local FIRST, LAST = 2, 3 -- seconds without a fault, at the start and at the end
local EVERY = 0.5 -- seconds between two commits
local SOCKET_TIMEOUT = 10 -- seconds, this client's default

local function asked_for(name, default, convert, words)
  local given = os.getenv(name)
  if not given or given == "" then given = default end
  return convert(given) or error(("%s must be %s"):format(name, words), 0)
end

local version = asked_for("KAFKA", "4.3.1", tostring)
local minutes = asked_for("MINUTES", 3, tonumber, "a number of minutes")
local seed = asked_for("SEED", os.time() % 1000000, math.tointeger, "an integer")
local strict, keeps = asked_for("STRICT", "no", tostring) ~= "no", asked_for("KEEP", "no", tostring) ~= "no"
local rows = faults.chosen(asked_for("FAULTS", "", tostring))
local row = generations[version] or error(("KAFKA must be a version that chaos/generations.lua has, not %s"):format(version), 0)

-- "name=value ..." for every client.
local settings = {}
for name, value in asked_for("SETTINGS", "", tostring):gmatch "(%S+)=(%S+)" do settings[name] = value end

local started = machine.now()

local function say(words) print(("%7.1f s  %s"):format(machine.now() - started, words)) end

local function client_options(cluster)
  local all = { brokers = cluster.brokers }
  for _, set in ipairs { row.client, settings } do
    for name, value in pairs(set) do all[name] = value end
  end
  return all
end

-- What the crew is told.
local function told(cluster)
  local all = { brokers = cluster.brokers, topic = TOPIC, group = GROUP, partitions = tostring(PARTITIONS), version = version,
    every = tostring(EVERY) }
  for name, value in pairs(settings) do all["set." .. name] = value end
  return all
end

-- The topic, and the one that keeps the group's offsets: its first use makes it.
local function furnish(cluster)
  assert(cluster:create_topic(TOPIC, PARTITIONS, BROKERS))
  local k <close> = assert(kafka.connect(client_options(cluster)))
  assert(k:committed(GROUP, { { topic = TOPIC, partition = 0 } }, 30))
end

-- What was done to the cluster, by how many readers, and the time in which the crew was to work without rest.
local function act(cluster)
  local sandbox = cluster.sandbox
  local notes <close> = assert(io.open(sandbox.folder .. "/faults.events", "w"))
  notes:setvbuf "line"
  local run = { from = machine.now(), partitions = PARTITIONS }
  local writer = crew.start(sandbox, "writer", "writer", told(cluster))
  local witness = crew.start(sandbox, "witness", "witness", told(cluster))
  local readers = crew.readers(sandbox, told(cluster))
  readers:start()
  local scene = scenes.new {
    cluster = cluster, topic = TOPIC, group = GROUP, readers = readers, session = row.session,
    say = function(words)
      say(words)
      notes:write(("fault %.6f %s\n"):format(machine.now(), words)) -- as the crew notes its events, by the same clock
    end,
  }
  local play = stage.new()
  play:start(function()
    scene:whole()
    stage.wait(FIRST)
    direct(play, scene, rows, plan.cards(seed, rows, PARTITIONS, BROKERS), machine.now() + minutes * 60)
    stage.wait(LAST)
    run.till = machine.now()
    say "no more faults: the writer ends, the reader reads what is left"
    crew.stop(sandbox, writer, "now", 70)
    readers:close("drained", 90)
    crew.stop(sandbox, witness, "now", 30)
  end)
  play:run()
  return scene, readers.count, run
end

local function limit_of(kind, fault)
  local socket_timeout = tonumber(settings["socket.timeout.ms"] or SOCKET_TIMEOUT * 1000) / 1000
  return kind.limit and kind.limit(row.session, socket_timeout, fault.held)
end

local function print_all(...)
  for _, lines in ipairs { ... } do print("\n" .. table.concat(lines, "\n")) end
end

-- Prints what became of all; returns why the run has failed.
local function judge(cluster, scene, readers, run)
  local kept = ledger.kept(client_options(cluster), TOPIC, PARTITIONS, GROUP)
  local found = ledger.collect(cluster.sandbox, readers, #scene.faults, kept)
  local figures, details = verdict.judge(found)
  local wrong = verdict.wrong(figures, row.duplicates)
  local read = {}
  for _, reading in ipairs(found.readers) do table.move(reading.read, 1, #reading.read, #read + 1, read) end
  local measured = silence.measure(scene.faults, found.acked, read, found.history, run)
  local lines, over = show.faults(rows, scene.faults, measured, limit_of, EVERY)
  print_all(lines, show.figures(figures, wrong))
  if #details > 0 then print_all(details) end
  if #over > 0 then print_all(over) end
  if #wrong > 0 then return "figures are wrong: " .. table.concat(wrong, ", ") end
  if #over > 0 and strict then return "silence was longer than the limit" end
end

local function main()
  print(("chaos: Kafka %s, librdkafka %s, %g minutes; again by: make chaos KAFKA=%s MINUTES=%g SEED=%d"):format(version,
    kafka.librdkafka, minutes, version, minutes, seed))
  io.stdout:setvbuf "line"
  local cluster <close> = assert(kafka.localcluster { version = version, brokers = BROKERS, settings = row.brokers })
  local done, why = xpcall(function()
    furnish(cluster)
    return judge(cluster, act(cluster))
  end, function(err) return type(err) == "string" and err or debug.traceback(tostring(err)) end)
  local good = done and not why
  if good and not keeps then return true end
  local folder = keep(cluster.sandbox.folder, uv.os_tmpdir(), seed)
  if not good then print(("\nFAILED (seed %d): %s"):format(seed, why)) end
  print("logs are in " .. folder)
  return good
end

os.exit(main(), true)

-- What real clusters do to a producer, and to the examples that read beside it: too few replicas in sync, a full disk, every
-- broker restarted in turn, partitions added, a topic deleted under it. What readers are told of changes is reader_spec.lua's, a
-- lost acknowledgement producing_spec.lua's.

require "spec.support.luv"
local kafka = require "kafka"
local generations = require "spec.support.generations"
local process = require "spec.support.process"
local try = require "spec.support.try"

local kind, cluster

local function quote(text) return (text:gsub("%p", "%%%0")) end

local topics = 0
local function topic(partitions, config)
  topics = topics + 1
  local name = "faults-" .. topics
  assert(cluster:create_topic(name, partitions, 3, config))
  return name
end

local function producer(options) return assert(kafka.producer(kind:with(cluster.brokers, options))) end

local function connect() return assert(kafka.connect(kind:with(cluster.brokers, { timeout = 30 }))) end

-- A producer's reports: tag -> the name of its error, or "none".
local function noted(options)
  local reports = {}
  options.on_delivery = function(report, err)
    assert(not reports[report.tag], "a second report of " .. report.tag)
    reports[report.tag] = err and err.name or "none"
  end
  return producer(options), reports
end

local function count(reports)
  local counts = {}
  for _, name in pairs(reports) do counts[name] = (counts[name] or 0) + 1 end
  return counts
end

-- How often each value is stored.
local function stored(name)
  local k <close> = connect()
  local all <close> = assert(k:partitions(name, { offset = "earliest" }))
  local found = {}
  for _, m in ipairs(try.read_all(all, { timeout = 1, max_bytes = 1 << 26 })) do found[m.value] = (found[m.value] or 0) + 1 end
  return found
end

-- Every message that was acknowledged is there, and no more than once where the producer is idempotent.
local function expect_stored(name, reports)
  local found = stored(name)
  for value, err in pairs(reports) do
    if err == "none" then
      assert.is_number(found[value], "lost: " .. value)
      if kind.can.idempotence then assert.equal(1, found[value], value) end
    end
  end
end

local function leader_of(name)
  return try.until_true(30, function()
    local found = cluster:describe(name)
    return found and found.partitions[1].leader
  end, "a leader of " .. name)
end

-- Old brokers go on telling of replicas as out of sync that are in sync again.
local function wait_in_sync(name)
  if not kind.can.admin then return end
  try.until_true(60, function()
    local found = cluster:describe(name)
    return found and #found.partitions[1].isr == 3
  end, "all in sync")
end

-- An example that reads a topic beside this program.
local examples, running = 0, {}
local function start_example(script, name, idle)
  examples = examples + 1
  local out = ("%s/example-%d"):format(process.folder, examples)
  local group = script .. " of " .. name
  local version = kind.options.broker_version
  local old = version and "BROKER_VERSION=" .. version or ""
  local env = ("%s BROKERS=%s TOPIC=%s GROUP='%s' IDLE=%d"):format(old, cluster.brokers, name, group, idle)
  local program = ([[lua5.4 -e 'io.stdout:setvbuf "line"' examples/%s.lua]]):format(script)
  -- The subshell becomes the program, so its id is the program's.
  os.execute(([[{ (sh -c 'echo $PPID' >%s.pid; exec env %s timeout 100 %s); echo ended $?; } >%s 2>&1 &]]):format(out, env,
    program, out))
  local example = { group = group }
  running[#running + 1] = example
  function example.text()
    local f <close> = io.open(out)
    return f and f:read "a" or ""
  end
  function example.stop()
    if example.text():find "ended %d" then return end
    local f <close> = io.open(out .. ".pid")
    local pid = f and f:read "n"
    if pid then process.kill(pid, 15) end
  end
  function example.shows(pattern, seconds)
    return try.until_true(seconds, function()
      local text = example.text()
      assert(text:find(pattern) or not text:find "ended %d", text)
      return text:match(pattern)
    end, pattern)
  end
  return example
end

generations.each(describe, "while real brokers change,", function(generation)
  setup(function()
    kind = generation
    cluster = generation:cluster { brokers = 3 }
  end)
  teardown(function() cluster:close() end)
  after_each(function()
    for _, example in ipairs(running) do example.stop() end
    running = {}
  end)
  before_each(function()
    for id = 1, 3 do
      if cluster:broker(id):state() == "stopped" then assert(cluster:broker(id):start()) end
    end
  end)

  it("a producer is held by too few replicas in sync, with acks = 1 it is not", function()
    local name = topic(1, { ["min.insync.replicas"] = 2 })
    local leader = leader_of(name)
    local idempotent = kind.can.idempotence
    local patient, held = noted { acks = "all", enable_idempotence = idempotent, message_timeout_ms = 60000 }
    local hasty, late = noted { acks = "all", message_timeout_ms = 1500 }
    local easy, taken = noted { acks = 1, message_timeout_ms = 2000 }
    for _, p in ipairs { patient, hasty, easy } do assert(p:send(name, "before")) end
    for id = 1, 3 do
      if id ~= leader then assert(cluster:broker(id):kill()) end
    end
    try.until_true(30, function() return not hasty:send(name, "alone?") end, "a leader alone")
    for i = 1, 20 do
      assert(patient:produce(name, "patient " .. i, { tag = "patient " .. i }))
      assert(hasty:produce(name, "hasty " .. i, { tag = "hasty " .. i }))
      assert(easy:produce(name, "easy " .. i, { tag = "easy " .. i }))
    end
    assert(easy:flush(20))
    assert.same({ none = 20 }, count(taken))
    assert.equal(20, select(2, hasty:flush(20)).failed)
    assert.same({ _MSG_TIMED_OUT = 20 }, count(late))
    assert.equal(20, patient:pending())
    for id = 1, 3 do
      if id ~= leader then cluster:broker(id):start(0) end
    end
    for id = 1, 3 do assert(cluster:broker(id):state() == "running" or cluster:broker(id):start()) end
    assert(patient:flush(60))
    assert.same({ none = 20 }, count(held))
    expect_stored(name, held)
    expect_stored(name, taken)
    for _, p in ipairs { patient, hasty, easy } do assert(p:close()) end
  end)

  it("a leader whose disk is full ends, and another takes over: nothing is reported lost, nothing is", function()
    local name = topic(1)
    local leader = leader_of(name)
    local p, reports = noted { acks = "all", enable_idempotence = kind.can.idempotence, message_timeout_ms = 60000 }
    -- No file of its may grow beyond this: writing fails as on a full disk, without one.
    assert(os.execute(("prlimit --pid %d --fsize=12000000"):format(cluster:broker(leader).process.pid)))
    local filler = ("x"):rep(900000)
    for i = 1, 20 do assert(p:produce(name, i .. filler, { tag = i .. filler, timeout = 30 })) end
    try.until_true(30, function()
      p:poll(0.05)
      return cluster:broker(leader):state() == "stopped"
    end, "the broker to end")
    assert(p:flush(60))
    assert.same({ none = 20 }, count(reports))
    assert(p:close())
    assert(cluster:broker(leader):start())
    expect_stored(name, reports)
  end)

  it("a producer and both examples go through a restart of each broker, without an error, nothing lost", function()
    local name = topic(2)
    local readers = { start_example("survive", name, 4), start_example("reader", name, 4) }
    local p, reports = noted { acks = "all", enable_idempotence = kind.can.idempotence, message_timeout_ms = 60000 }
    local sent = 0
    local function write(seconds, done)
      local till = kafka.now() + seconds
      while kafka.now() < till and not (done and done()) do
        sent = sent + 1
        assert(p:produce(name, tostring(sent), { tag = tostring(sent), partition = sent % 2 }))
        p:poll(0.01)
      end
    end
    write(1)
    for id = 1, 3 do
      assert(cluster:broker(id):stop())
      cluster:broker(id):start(0)
      write(30, function() return cluster:broker(id):start(0) end)
      wait_in_sync(name)
      write(0.5)
    end
    assert(p:flush(60))
    assert.same({ none = sent }, count(reports))
    expect_stored(name, reports)
    local read = math.tointeger(tonumber((readers[1].shows("\nread (%d+) messages, %1 of them committed\nended 0\n", 60))))
    assert.is_true(read == sent or read > sent and not kind.can.idempotence, ("read %d of %d"):format(read, sent))
    readers[2].shows("\nended 0\n", 60)
    local k <close> = connect()
    for _, reader in ipairs(readers) do
      for partition = 0, 1 do
        local _, latest = assert(k:watermarks(name, partition))
        local row = assert(k:committed(reader.group, { { topic = name, partition = partition } }))[1]
        assert.equal(latest, row.offset, reader.group)
      end
    end
  end)

  it("a producer sees added partitions when it is asked for one, and both examples read them", function()
    local name = topic(1)
    local readers = { start_example("survive", name, 8), start_example("reader", name, 8) }
    local p <close> = producer { topic_metadata_refresh_interval_ms = 600000 }
    assert(p:send(name, "1"))
    readers[1].shows(quote(name) .. " +%d+ +%d+\n", 60) -- it watches before it tells where it reads
    readers[2].shows(quote(name) .. "%W", 60)
    assert.equal("_UNKNOWN_PARTITION", select(2, p:send(name, "2", { partition = 2 })).name)
    assert(cluster:add_partitions(name, 3))
    try.until_true(5, function() return p:send(name, "2", { partition = 2 }) end, "a message to partition 2")
    for _, reader in ipairs(readers) do reader.shows("partitions 1 %-> 3\n", 20) end
    readers[2].shows("%[2%]@0 2\n", 20)
    local k <close> = connect()
    try.until_true(20, function()
      return assert(k:committed(readers[1].group, { { topic = name, partition = 2 } }))[1].offset == 1
    end, "survive.lua to commit")
  end)

  it("a topic that is deleted while it is written and read is named, and both go on with the new one", function()
    local name = topic(1)
    local readers = { start_example("survive", name, 20), start_example("reader", name, 20) }
    local p <close> = producer { message_timeout_ms = 1500 }
    for i = 1, 10 do assert(p:send(name, "old " .. i)) end
    local k <close> = connect()
    local function has_read(offset, value) -- reader.lua prints messages, and commits each 5 s
      readers[2].shows(("%%[0%%]@%d %s\n"):format(offset - 1, value), 20)
      try.until_true(20, function()
        return assert(k:committed(readers[1].group, { { topic = name, partition = 0 } }))[1].offset == offset
      end, "survive.lua to commit " .. offset)
    end
    has_read(10, "old 10")
    assert(cluster:delete_topic(name))
    local known = { _UNKNOWN_PARTITION = true, _UNKNOWN_TOPIC = true, _MSG_TIMED_OUT = true, UNKNOWN_TOPIC_OR_PART = true }
    for i = 1, 2 do
      local report, err = p:send(name, "gone " .. i, { timeout = 5 })
      assert.is_nil(report)
      assert.matches(name, tostring(err), 1, true)
      assert.is_true(known[err.name], tostring(err))
    end
    for _, reader in ipairs(readers) do reader.shows(quote(name) .. " deleted\n", 20) end
    assert(cluster:create_topic(name, 1, 3))
    try.until_true(20, function() return p:send(name, "new 1", { timeout = 3 }) end, "a message in the new topic")
    for i = 2, 15 do assert(p:send(name, "new " .. i)) end
    local _, latest = assert(k:watermarks(name, 0))
    for _, reader in ipairs(readers) do reader.shows(quote(name) .. " created", 20) end
    has_read(latest, "new 15")
  end)
end)

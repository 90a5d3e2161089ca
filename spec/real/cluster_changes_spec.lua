-- The transcripts of docs/cluster-changes.md, produced anew: what a reader and a producer say while a real cluster changes.
-- What differs from run to run is left out of the comparison; SHOW=1 prints the lines, to be put into the page.

require "spec.support.luv"
local kafka = require "kafka"
local page = require "spec.support.page"
local try = require "spec.support.try"

local cluster, k, transcripts
local used = {} -- the transcripts that a spec has produced

local function quiet() end

local function fill(topic, from, to)
  local p <close> = assert(kafka.producer { brokers = cluster.brokers, on_error = quiet, on_log = quiet })
  for i = from, to do assert(p:produce(topic, tostring(i), { partition = 0 })) end
  assert(p:flush(30))
end

-- A reader of `topic`, and the lines that its handlers are told.
local function open(topic, options)
  options = options or {}
  local lines = {}
  local function tell(line) lines[#lines + 1] = line end
  options.brokers, options.topic, options.every, options.on_log, options.on_error = cluster.brokers, topic, 0.2, quiet, quiet
  options.on_change = function(change) tell(tostring(change)) end
  options.on_reset = function(row)
    tell(("%s[%d] %d -> %s: %s"):format(row.topic, row.partition, row.from, row.to or "stop", row.reason))
  end
  return assert(kafka.reader(options)), lines
end

-- Polls until `done()`, then a little longer: nothing else is told.
local function poll(r, seconds, done)
  local deadline = kafka.now() + seconds
  local enough
  repeat
    r:poll(0.05)
    if not enough and done() then enough = kafka.now() + 0.5 end
  until enough and kafka.now() > enough or kafka.now() > deadline
end

local function has(lines, pattern)
  for _, line in ipairs(lines) do
    if line:find(pattern) then return true end
  end
  return false
end

local function in_sync(topic)
  try.until_true(60, function()
    local found = k:topic(topic)
    return found and #found.partitions[1].isr == #found.partitions[1].replicas
  end, topic .. " in sync")
end

local function expect(name, lines)
  used[name] = true
  if os.getenv "SHOW" then print(("\n%s\n%s"):format(name, table.concat(lines, "\n"))) end
  assert.same(page.lasting(transcripts[name] or {}), page.lasting(lines))
end

describe("docs/cluster-changes.md", function()
  setup(function()
    transcripts = page.transcripts(page.read "docs/cluster-changes.md")
    -- A session that a busy machine keeps: a broker that is fenced by mistake would be told of, and rightly.
    cluster = assert(kafka.localcluster { version = "4.3.1", brokers = 3, settings = { ["broker.session.timeout.ms"] = 3000 } })
    k = assert(kafka.connect { brokers = cluster.brokers, timeout = 30, on_log = quiet, on_error = quiet })
    assert(k:create_topic { name = "first", replicas = { { 1, 2, 3 } } })
    fill("first", 1, 20)
  end)
  teardown(function()
    k:close()
    cluster:close()
  end)

  before_each(function()
    for id = 1, 3 do
      if cluster:broker(id):state() == "stopped" then cluster:broker(id):start(0) end
    end
    for id = 1, 3 do assert(cluster:broker(id):start()) end
    in_sync "first"
  end)

  it("shows a leader that dies and comes back, and one that is elected", function()
    local r <close>, lines = open "first"
    poll(r, 10, function() return r:positions()[1].offset == 20 end)
    assert(cluster:broker(1):kill())
    poll(r, 30, function() return has(lines, "left") and has(lines, "isr") and has(lines, "leader") end)
    assert(cluster:broker(1):start())
    poll(r, 30, function() return has(lines, "joined") and has(lines, "isr 2,3 %->") end)
    expect("a leader dies and comes back", lines)
    in_sync "first"
    r:close()
    local again <close>, more = open "first"
    assert(cluster:elect("first", 0))
    poll(again, 20, function() return has(more, "leader") end)
    expect("a leader is elected", more)
  end)

  it("shows partitions that are added", function()
    assert(k:create_topic { name = "second", replicas = { { 1, 2, 3 } } })
    local r <close>, lines = open "second"
    assert(k:add_partitions("second", 3))
    poll(r, 20, function() return has(lines, "partitions") end)
    expect("partitions are added", lines)
  end)

  it("shows a topic that is deleted and created again, as a reader and a producer see it", function()
    assert(k:create_topic { name = "third", replicas = { { 1, 2, 3 } } })
    fill("third", 1, 20)
    local r <close>, lines = open "third"
    poll(r, 20, function() return r:positions()[1].offset == 20 end)
    local p <close> = assert(kafka.producer { brokers = cluster.brokers, message_timeout_ms = 2000, on_error = quiet,
      on_log = quiet })
    assert(p:send("third", "the last"))
    poll(r, 20, function() return r:positions()[1].offset == 21 end)
    assert(k:delete_topic "third")
    local errors = {}
    try.until_true(20, function()
      local report, err = p:send("third", "gone", { timeout = 5 })
      assert.is_nil(report)
      if err.name ~= "_UNKNOWN_TOPIC" then return false end
      errors[1] = tostring(err)
      return true
    end)
    poll(r, 20, function() return has(lines, "deleted") end)
    assert(k:create_topic { name = "third", replicas = { { 1, 2, 3 } } })
    fill("third", 1, 40)
    poll(r, 20, function() return has(lines, "%->") end)
    assert(p:send("third", "again"))
    expect("a topic is deleted and created again", lines)
    expect("a producer of a topic that is gone", errors)
  end)

  it("shows records that were deleted before they were read", function()
    assert(k:create_topic { name = "fourth", replicas = { { 1, 2, 3 } } })
    fill("fourth", 1, 100)
    assert(k:commit("g", { { topic = "fourth", partition = 0, offset = 10 } }))
    assert(k:delete_records { { topic = "fourth", partition = 0, offset = 50 } })
    local r <close>, lines = open("fourth", { group = "g" })
    poll(r, 20, function() return has(lines, "fourth") end)
    expect("a committed offset is gone", lines)
  end)

  it("shows a producer that too few replicas are in sync for", function()
    assert(k:create_topic { name = "fifth", replicas = { { 1, 2, 3 } }, config = { ["min.insync.replicas"] = 2 } })
    local p <close> = assert(kafka.producer { brokers = cluster.brokers, message_timeout_ms = 2000, on_error = quiet,
      on_log = quiet })
    assert(p:send("fifth", "before"))
    for id = 2, 3 do assert(cluster:broker(id):kill()) end
    local report, err
    try.until_true(30, function()
      report, err = p:send("fifth", "held")
      return not report
    end)
    expect("too few replicas are in sync", { tostring(err) })
  end)

  it("shows a coordinator that dies", function()
    in_sync "__consumer_offsets"
    local r <close>, lines = open("first", { group = "g" })
    local id = assert(k:coordinator "g").id
    assert(cluster:broker(id):kill())
    poll(r, 30, function() return has(lines, "coordinator") end)
    local said = {}
    for _, line in ipairs(lines) do
      if line:find "coordinator" then said[#said + 1] = line end
    end
    assert(cluster:broker(id):start())
    in_sync "first"
    expect("a coordinator dies", said)
  end)

  it("shows brokers that are all down and come back", function()
    in_sync "__consumer_offsets"
    local r <close>, lines = open "first"
    for id = 1, 3 do assert(cluster:broker(id):kill()) end
    poll(r, 20, function() return has(lines, "^cluster unreachable") end)
    for id = 1, 3 do cluster:broker(id):start(0) end
    poll(r, 60, function() return has(lines, "^cluster reachable") end)
    local said = {}
    for _, line in ipairs(lines) do
      if line:find "^cluster" then said[#said + 1] = line end
    end
    for id = 1, 3 do assert(cluster:broker(id):start()) end
    expect("all brokers are down", said)
  end)

  it("shows an unclean election", function()
    assert(k:create_topic { name = "sixth", replicas = { { 1, 2, 3 } },
      config = { ["unclean.leader.election.enable"] = "true", ["min.insync.replicas"] = "1" } })
    fill("sixth", 1, 100)
    local r <close>, lines = open "sixth"
    poll(r, 20, function() return r:positions()[1].offset == 100 end)
    for id = 2, 3 do assert(cluster:broker(id):kill()) end
    poll(r, 30, function() return has(lines, "isr .* %-> 1$") end)
    fill("sixth", 101, 150)
    poll(r, 20, function() return r:positions()[1].offset == 150 end)
    assert(cluster:broker(1):kill())
    for id = 2, 3 do cluster:broker(id):start(0) end
    poll(r, 60, function() return has(lines, "150 %-> 0") end)
    local said = {}
    for _, line in ipairs(lines) do
      if line:find "150 %->" then said[#said + 1] = (line:gsub("leader %w+ %-> %d", "leader 1 -> 2")) end
    end
    expect("an unclean election", said)
  end)

  it("has no transcript that none of these has produced", function()
    for name in pairs(transcripts) do assert.is_true(used[name], name) end
  end)
end)

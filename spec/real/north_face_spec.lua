-- The contract on real brokers of each generation: what the mock cannot show, or shows too kindly.

require "spec.support.luv"
local kafka = require "kafka"
local child = require "spec.support.child"
local generations = require "spec.support.generations"

local kind, cluster -- the generation under test, and brokers of it

local function connect(options)
  options = options or {}
  options.timeout = 20
  return assert(kafka.connect(kind:with(cluster.brokers, options)))
end

local function producer(options) return assert(kafka.producer(kind:with(cluster.brokers, options))) end

local topics = 0
local function topic(partitions, replication_factor, config)
  -- A broker that was paused may have lost its session, and not be back yet.
  local deadline = kafka.now() + 20
  while true do
    topics = topics + 1
    local name = "real-" .. topics
    local ok, err = cluster:create_topic(name, partitions, replication_factor, config)
    if ok then return name end
    assert(kafka.now() < deadline, err)
  end
end

-- Reads until `n` messages have come or the time is over.
local function read(reader, n, seconds, options)
  local list, deadline = {}, kafka.now() + seconds
  options = options or {}
  options.timeout = 1
  while #list < n and kafka.now() < deadline do
    table.move(assert(reader:fetch(options)), 1, n, #list + 1, list)
  end
  return list
end

local function wait_for(seconds, f)
  local deadline = kafka.now() + seconds
  while true do
    local result = f()
    if result or kafka.now() > deadline then return result end
  end
end

generations.each(describe, "real brokers", function(generation)
  setup(function()
    kind, cluster = generation, generation:cluster()
  end)
  teardown(function() cluster:close() end)

  it("let the README's whole demo climb the north face", function()
    -- It makes a topic of its own on brokers that let a client do so; else it starts others.
    local where = kind.can.admin and "KAFKA= BROKERS=" .. cluster.brokers or "BROKERS= KAFKA=" .. kind.version
    assert.matches("read 4000 of 4000, 0 lost, 0 repeated", child.works(where .. " lua5.4 examples/north_face.lua"))
  end)

  it("give keys, values, headers and timestamps back as they were", function()
    local name = topic(1, 2)
    local p <close> = producer()
    local k <close> = connect()
    local big = ("\0\xff"):rep(450000)
    local headers = { { "a", "1" }, { "b", "" }, { "a", nil }, { "a", "\0" }, { "", "empty name" } }
    assert(p:produce(name, nil, { key = "tombstone" }))
    assert(p:produce(name, "", { key = "" }))
    kind:allowed("headers", p:produce(name, "x", { headers = headers }))
    kind:allowed("timestamps", p:produce(name, "x", { timestamp = 1700000000123 }))
    assert(p:produce(name, "a\0b", { key = "\0", headers = kind.can.headers and headers or nil,
      timestamp = kind.can.timestamps and 1700000000123 or nil }))
    assert(p:produce(name, big))
    assert(p:flush(20))
    local part <close> = assert(k:partition(name, 0))
    local m = read(part, kind.can.headers and 6 or 4, 20)
    for i = #m, 1, -1 do
      if m[i].value == "x" then table.remove(m, i) end
    end
    assert.equal(4, #m)
    assert.is_nil(m[1].value)
    assert.equal("tombstone", m[1].key)
    assert.equal("", m[2].value)
    assert.equal("", m[2].key)
    assert.equal("a\0b", m[3].value)
    assert.equal("\0", m[3].key)
    assert.equal(kind.can.timestamps and 1700000000123 or nil, m[3].timestamp)
    assert.same(kind.can.headers and headers or nil, m[3].headers)
    assert.equal(kind.can.headers and "\0" or nil, m[3]:header "a")
    assert.is_nil(m[4].key)
    assert.is_true(m[4].value == big)
  end)

  it("answer for offsets by time, and for both ends", function()
    local name = topic(1, 1)
    local p <close> = producer()
    local k <close> = connect()
    for i = 1, 10 do
      assert(p:produce(name, "v", { timestamp = kind.can.timestamps and 1700000000000 + i * 1000 or nil }))
    end
    assert(p:flush(20))
    assert.same({ 0, 10 }, { k:watermarks(name, 0) })
    local rows = kind:allowed("offsets_at", k:offsets_at(name, 1700000004500))
    if rows then
      assert.equal(4, rows[1].offset)
      assert.is_nil(assert(k:offsets_at(name, 1800000000000))[1].offset)
    end
  end)

  it("keep a group's offsets, all of them to be had in order, with the lag", function()
    local name = topic(3, 2)
    local p <close> = producer()
    local k <close> = connect()
    for i = 0, 299 do assert(p:produce(name, "v", { partition = i % 3 })) end
    assert(p:flush(20))
    local group = "group of " .. name
    if kind.can.all_offsets then assert.equal("_NO_OFFSET", select(2, k:lag(group)).name) end
    local wanted = { { topic = name, partition = 0, offset = 40, metadata = "note" },
      { topic = name, partition = 1, offset = 100 }, { topic = name, partition = 2, offset = 100 } }
    assert(k:commit(group, wanted))
    assert.same(wanted, assert(k:committed(group, { { topic = name, partition = 0 }, { topic = name, partition = 1 },
      { topic = name, partition = 2 } })))
    local rows = kind:allowed("all_offsets", k:committed(group))
    local total, list = k:lag(group)
    if kind:allowed("all_offsets", total, list) then
      assert.same(wanted, rows)
      assert.equal(60, total)
      assert.equal(3, #list)
    end
    local coordinator = assert(k:coordinator(group))
    assert.is_true(coordinator.id == 1 or coordinator.id == 2)
  end)

  it("say what a create_topic did wrong", function()
    local k <close> = connect()
    local name = topic(1, 1)
    local ok, err = k:create_topic { name = name }
    assert.is_nil(ok)
    if kind.can.admin then
      assert.equal("TOPIC_ALREADY_EXISTS", err.name)
      assert.equal("INVALID_REPLICATION_FACTOR", select(2, k:create_topic { name = name .. "x", replication_factor = 9 }).name)
    else
      kind:allowed("admin", ok, err)
    end
    assert.equal("UNKNOWN_TOPIC_OR_PART", select(2, k:topic "no-such-topic").name)
  end)

  it("are read after a seek in either direction exactly where was asked, prefetched or not", function()
    local name = topic(1, 1)
    local p <close> = producer()
    local k <close> = connect()
    local values = {}
    for i = 1, 20000 do values[i] = tostring(i - 1) end
    assert(p:produce_many(name, values, { partitions = (function()
      local t = {}
      for i = 1, #values do t[i] = 0 end
      return t
    end)() }))
    assert(p:flush(20))
    local part <close> = assert(k:partition(name, 0))
    assert.equal(1, #assert(part:fetch { max_messages = 1 }))
    for i = 1, 40 do
      local at = (i * 7919) % 19000
      assert(part:seek(at))
      local batch = assert(part:fetch { max_bytes = i % 2 * 2000, timeout = 5 })
      assert.equal(at, batch[1].offset)
      assert.equal(tostring(at), batch[1].value)
    end
  end)

  it("lose no report of 100,000 messages while a broker is killed half way", function()
    local name = topic(4, 2)
    local counts, bad = {}, 0
    local p = producer { linger_ms = 20, on_delivery = function(report, err)
      if err then bad = bad + 1 end
      counts[report.tag] = (counts[report.tag] or 0) + 1
    end }
    for i = 1, 100000 do
      assert(p:produce(name, "message " .. i, { tag = i, timeout = 60 }))
      if i == 50000 then assert(cluster:broker(2):kill()) end
    end
    assert(p:flush(60))
    assert.equal(0, bad)
    for i = 1, 100000 do assert.equal(1, counts[i]) end
    assert.same({ accepted = 100000, delivered = 100000, failed = 0, pending = 0 }, p:counts())
    assert(p:close())
    assert(cluster:broker(2):start())

    -- And every acknowledged message is there.
    local k <close> = connect()
    local all <close> = assert(k:partitions(name))
    local seen, n, stored = {}, 0, 0
    for _, ends in ipairs(assert(k:ends(name, 30))) do stored = stored + ends.latest end
    for _, m in ipairs(read(all, stored, 60, { max_bytes = 1 << 24 })) do
      if not seen[m.value] then n = n + 1 end
      seen[m.value] = true
    end
    assert.equal(100000, n) -- without idempotence what was acknowledged late is there twice
  end)

  it("that are gone: close with messages in flight counts every one of them", function()
    local name = topic(1, 1)
    local k <close> = connect()
    local leader = assert(k:topic(name)):partition(0).leader
    local p = producer()
    assert(p:send(name, "first"))
    assert(cluster:broker(leader):pause())
    for i = 1, 500 do assert(p:produce(name, "v" .. i)) end
    local started = kafka.now()
    local ok, err = p:close(1)
    assert.is_nil(ok)
    assert.equal(500, err.lost)
    assert.is_true(kafka.now() - started < 4)
    assert(cluster:broker(leader):resume())
  end)

  it("that do not answer: message.timeout.ms passes, and every message is reported as failed, once", function()
    local name = topic(1, 1)
    local k <close> = connect()
    local leader = assert(k:topic(name)):partition(0).leader
    local reports, errors = 0, {}
    local p <close> = producer { message_timeout_ms = 1000, on_delivery = function(_, err)
      reports = reports + 1
      errors[err and err.name or "none"] = (errors[err and err.name or "none"] or 0) + 1
    end }
    assert(p:send(name, "first"))
    reports, errors = 0, {}
    assert(cluster:broker(leader):pause())
    for i = 1, 2000 do assert(p:produce(name, "v" .. i)) end
    local ok, err = p:flush(20)
    assert(cluster:broker(leader):resume())
    assert.is_nil(ok)
    assert.same({ 0, 2000 }, { err.left, err.failed })
    assert.equal(2000, reports)
    assert.same({ _MSG_TIMED_OUT = 2000 }, errors)
    assert.same({ accepted = 2001, delivered = 1, failed = 2000, pending = 0 }, p:counts())
  end)

  it("go on being read when the leader dies, nothing lost and nothing twice", function()
    local name = topic(1, 2)
    local k <close> = connect()
    local p <close> = producer()
    local part <close> = assert(k:partition(name, 0))
    local leader = assert(wait_for(20, function()
      local row = assert(cluster:describe(name)):partition(0)
      return #row.isr == 2 and row.leader
    end))
    for i = 0, 999 do assert(p:produce(name, tostring(i))) end
    assert(p:flush(20))
    local before = read(part, 500, 20, { max_messages = 100 })
    assert(cluster:broker(leader):kill())
    for i = 1000, 1999 do assert(p:produce(name, tostring(i), { timeout = 30 })) end
    assert(p:flush(30))
    local after = read(part, 2000 - #before, 30, { max_messages = 100 })
    table.move(after, 1, #after, #before + 1, before)
    assert.equal(2000, #before)
    for i, m in ipairs(before) do assert.equal(i - 1, m.offset) end
    assert.not_equal(leader, assert(k:topic(name)):partition(0).leader)
    assert(cluster:broker(leader):start())
  end)

  it("without a leader for a partition: told, and read when one comes", function()
    local name = topic(1, 1)
    local k1 <close> = connect()
    local leader = assert(k1:topic(name)):partition(0).leader
    local p <close> = producer()
    assert(p:send(name, "kept"))
    assert(cluster:broker(leader):kill())
    local told = {}
    local k <close> = connect { on_error = function(e) told[#told + 1] = e end }
    wait_for(15, function() return assert(k:topic(name)):partition(0).leader == nil end)
    local part <close> = assert(k:partition(name, 0))
    local leaderless
    for _, e in ipairs(told) do leaderless = leaderless or (e.name == "LEADER_NOT_AVAILABLE" and e) end
    assert.equal(name, leaderless.topic)
    assert.equal(0, #assert(part:fetch { timeout = 0.2 }))
    assert(cluster:broker(leader):start())
    local batch = read(part, 1, 20)
    assert.equal("kept", batch[1].value)
  end)
end)

-- The reader where something comes between: a handler that raises, a coroutine that is closed, a slow caller, a topic that goes
-- away while its messages are in hand. What a watcher would tell is put into its queue: the mock's topics stay as they are.

local changes = require "kafka.changes"
local kafka = require "kafka"
local process = require "spec.support.process"
local try = require "spec.support.try"

local mock, topics = nil, 0

local function topic(n)
  topics = topics + 1
  local name = "care-" .. topics
  assert(mock:create_topic(name, 1))
  if n then try.fill(mock.brokers, name, 0, n) end
  return name
end

local function open(options)
  options.brokers = mock.brokers
  options.on_log = options.on_log or function() end
  options.on_error = options.on_error or function() end
  return assert(kafka.reader(options))
end

local function committed(group, name) return try.committed(mock.brokers, group, name) end

-- The connection that a reader makes while f runs.
local function connection_of(f)
  local connect, made = kafka.connect, nil
  kafka.connect = function(...)
    made = assert(connect(...))
    return made
  end
  local results = table.pack(pcall(f))
  kafka.connect = connect
  return made, table.unpack(results, 1, results.n)
end

local function tell(r, kind, name)
  local one = { name = name, partitions = { { partition = 0, leader = 1, replicas = { 1 }, isr = { 1 } } } }
  table.insert(r.watch.queue, changes.new { kind = kind, topic = name, from = one, to = one })
end

local function nothing() return {} end

-- What a caller does with a message: longer than the time between two looks at what is due.
local function slow()
  local till = kafka.now() + 0.15
  repeat process.nap() until kafka.now() > till
end

describe("a reader with care", function()
  setup(function() mock = assert(kafka.mock { brokers = 3 }) end)
  teardown(function() mock:close() end)

  it("commits while a slow caller works through what was fetched at once", function()
    local name = topic(50)
    local r <close> = open { topic = name, group = "slow", interval = 0.1 }
    local seen, deadline = 0, kafka.now() + 10
    repeat
      assert(r:poll(5))
      seen = seen + 1
      if seen % 10 == 0 then slow() end
    until seen == 50 or kafka.now() > deadline
    assert.equal(50, seen)
    assert.is_true(committed("slow", name) >= 20)
  end)

  it("tells of changes while a slow caller works through what was fetched at once", function()
    local name, told = topic(5), {}
    local r <close> = open { topic = name, on_change = function(c) told[#told + 1] = c.kind end }
    assert.equal(0, assert(r:poll(5)).offset)
    tell(r, "topic_deleted", name)
    try.until_true(5, function()
      r:poll(0.1)
      return told[1]
    end)
    assert.same({ "topic_deleted" }, told)
  end)

  it("counts nothing of a topic's old messages for the one that took its place", function()
    local name, jumps = topic(20), {}
    local r <close> = open { topic = name, group = "anew", commit = "manual", every = 60,
      on_reset = function(row) jumps[#jumps + 1] = ("%d -> %d"):format(row.from, row.earliest) end }
    for _ = 1, 10 do assert(r:poll(5)) end
    tell(r, "topic_recreated", name)
    slow()
    assert.equal(0, assert(r:poll(5)).offset)
    assert.same({ "10 -> 0" }, jumps)
    assert.equal(0, r:positions()[1].offset)
  end)

  it("goes on committing after a handler has raised within a commit", function()
    local name, raises = topic(3), false
    local r <close> = open { topic = name, group = "raises", interval = 0.05 }
    local commit = r.k.commit
    r.k.commit = function(...) -- it serves handlers before it sends
      if not raises then return commit(...) end
      raises = false
      error("a handler", 0)
    end
    assert(r:poll(5))
    raises = true
    local raised
    try.until_true(5, function()
      local ok, err = pcall(r.poll, r, 0.1)
      raised = raised or not ok and err
      return raised
    end)
    assert.equal("a handler", raised)
    try.until_true(10, function()
      r:poll(0.1)
      return committed("raises", name) == 3
    end)
  end)

  it("does not end where a commit meets a topic that is just being deleted", function()
    local name, told = topic(3), {}
    local r <close> = open { topic = name, group = "meets", interval = 0.05, on_error = function(err) told[err.name] = true end }
    r.k.commit = function(_, _, rows, options)
      options.on_commit(rows, kafka.errors.new { name = "UNKNOWN_TOPIC_OR_PART", op = "commit", topic = name })
      return true
    end
    try.until_true(5, function()
      local _, err = r:poll(0.1)
      assert.is_nil(err)
      return told.UNKNOWN_TOPIC_OR_PART
    end)
    r.k.commit = nil
  end)

  it("takes partitions up later where an error came between", function()
    local name, told = topic(3), {}
    local r <close> = open { topic = name, on_change = function(c) told[#told + 1] = c.kind end }
    r.k.partitions = function() error("interrupted!", 0) end
    tell(r, "topic_recreated", name)
    local ok, raised = pcall(r.poll, r, 1)
    assert.same({ false, "interrupted!" }, { ok, raised })
    r.k.partitions = nil
    local m
    try.until_true(5, function()
      m = m or r:poll(0.2)
      return m
    end)
    assert.equal(0, m.offset)
  end)

  it("ends at the end though one of its topics is gone", function()
    local gone, name = topic(2), topic(3)
    local r <close> = open { topics = { gone, name } }
    tell(r, "topic_deleted", gone)
    local n = 0
    local seconds = try.time(function()
      for _ in r:messages { to_end = true, idle = 10 } do n = n + 1 end
    end)
    assert.equal(3, n)
    assert.is_true(seconds < 8)
  end)

  it("reads the partitions too that the broker did not know of which it asked first", function()
    topics = topics + 1
    local name, connect = "care-" .. topics, kafka.connect
    assert(mock:create_topic(name, 3))
    for partition = 0, 2 do try.fill(mock.brokers, name, partition, 2) end
    local own <close> = assert(kafka.connect { brokers = mock.brokers })
    assert(own:commit(name, { { topic = name, partition = 2, offset = 1 } }))
    function kafka.connect(o)
      local k = assert(connect(o))
      function k.topic(self, ...)
        local found, err = getmetatable(k).topic(self, ...)
        if found then found.partitions[3] = nil end
        return found, err
      end
      return k
    end
    local ok, r = pcall(open, { topic = name, group = name })
    kafka.connect = connect
    assert(ok, r)
    local _ <close> = r
    assert.equal(2, #r:positions())
    local seen = {}
    try.until_true(10, function()
      local m = r:poll(0.1)
      if m then seen[m.partition] = seen[m.partition] or m.offset end
      return seen[0] and seen[1] and seen[2]
    end)
    assert.same({ [0] = 0, 0, 1 }, seen)
  end)

  it("waits again after a loop was stopped", function()
    local r <close> = open { topic = topic(2) }
    for _ in r:messages() do r:stop() end
    r:poll(0)
    assert.is_true(try.time(r.poll, r, 0.3) >= 0.3)
  end)

  it("may be asked by others once a coroutine that asked was closed", function()
    local r <close> = open { topic = topic(), loop = function() coroutine.yield() end }
    local co = coroutine.create(function() r:poll(10) end)
    assert(coroutine.resume(co))
    try.misuse("another call of this reader", function() r:poll(0) end)
    assert(coroutine.close(co))
    assert.is_nil(r:poll(0.1))
  end)

  it("may be sought by the function that saves its offsets", function()
    local r, sought
    r = open { topic = topic(30), interval = 0, offsets = { load = nothing, save = function()
      if r and not sought then sought = assert(r:seek(r.o.topics[1], 0, 20)) end
      return true
    end } }
    local offsets = {}
    for m in r:messages { to_end = true, idle = 10 } do
      offsets[#offsets + 1] = m.offset
      if #offsets == 3 then slow() end
    end
    assert.equal(29, offsets[#offsets])
    assert.is_true(#offsets <= 30)
    assert.is_true(r:close())
  end)

  it("gives its connection back where the caller's functions raise", function()
    local name = topic(3)
    local k, ok, raised = connection_of(function()
      return open { topic = name, offsets = { load = function() error("no disk", 0) end } }
    end)
    assert.same({ false, "no disk", true }, { ok, raised, k.closed })
    local r
    k, ok, r = connection_of(function()
      return open { topic = name, offsets = { load = nothing, save = function() error("full", 0) end } }
    end)
    assert.is_true(ok)
    assert.equal(0, assert(r:poll(5)).offset)
    assert.equal(1, assert(r:poll(5)).offset)
    ok, raised = pcall(r.close, r)
    assert.same({ false, "full", true }, { ok, raised, k.closed })
    assert.is_true(r:close())
  end)

  it("logs what its end raises while an error is on its way", function()
    local ok, raised = pcall(function()
      local r <close> = open { topic = topic(3), offsets = { load = nothing, save = function() error("full", 0) end } }
      assert(r:poll(5))
      error("the first", 0)
    end)
    assert.same({ false, "the first" }, { ok, raised })
  end)

  it("says which row of a store is none", function()
    local name = topic(3)
    for wanted, rows in pairs {
      ["a row {topic, partition, offset}, got 1"] = { 1 },
      ['got "0"'] = { { topic = name, partition = "0", offset = 1 } },
      ["got -2 for partition 0"] = { { topic = name, partition = 0, offset = -2 } },
      ["got 0.5 for partition 0"] = { { topic = name, partition = 0, offset = 0.5 } },
    } do
      local r, err = kafka.reader { brokers = mock.brokers, topic = name, offsets = { load = function() return rows end } }
      assert.is_nil(r)
      assert.matches("offsets.load: it must return", err.message, 1, true)
      assert.matches(wanted, err.message, 1, true)
    end
  end)

  it("watches its topics before it looks where to start: what comes meanwhile is told", function()
    local order = {}
    local watch, partitions
    local _, ok, r = connection_of(function()
      local connect = kafka.connect
      kafka.connect = function(...)
        local k = connect(...)
        watch, partitions = k.watch, k.partitions
        k.watch = function(...)
          order[#order + 1] = "watch"
          return watch(...)
        end
        k.partitions = function(...)
          order[#order + 1] = "partitions"
          return partitions(...)
        end
        return k
      end
      return open { topic = topic(1) }
    end)
    assert.is_true(ok)
    assert.same({ "watch", "partitions" }, order)
    r:close()
  end)

  it("does not wait for every leader in turn, and asks each", function()
    local name, asked = "care-many", {}
    assert(mock:create_topic(name, 6))
    local r <close> = open { topic = name }
    r.k.watermarks = function(_, _, partition)
      asked[partition] = true
      local till = kafka.now() + 0.9
      repeat process.nap() until kafka.now() > till
      return nil, kafka.errors.new { name = "_TIMED_OUT", op = "watermarks" }
    end
    for number = 0, 5 do r.parts:find(name, number).lost = { from = 9, why = "a test", since = kafka.now() } end
    local longest = 0
    try.until_true(20, function()
      longest = math.max(longest, (try.time(r.poll, r, 0)))
      return asked[0] and asked[1] and asked[2] and asked[3] and asked[4] and asked[5]
    end)
    assert.is_true(longest < 4)
    r.k.watermarks = nil
  end)

  it("counts its lag within the timeout, however many partitions there are", function()
    assert(mock:create_topic("care-lag", 60))
    local r <close> = open { topic = "care-lag" }
    mock:rtt(0.2)
    local seconds, total, err = try.time(r.lag, r, 0.5)
    mock:rtt(0)
    try.failure("_TIMED_OUT", total, err)
    assert.matches("^lag care%-lag.*timed out after 0.5 s, with the ends of %d+ of 60 partitions", tostring(err))
    assert.is_true(seconds < 1.5)
  end)

  it("closes within its timeout where no broker is left", function()
    local own <close> = assert(kafka.mock { brokers = 2 })
    assert(own:create_topic("left", 1))
    try.fill(own.brokers, "left", 0, 3)
    local r = assert(kafka.reader { brokers = own.brokers, topic = "left", group = "left", on_log = function() end,
      on_error = function() end })
    assert(r:poll(5))
    assert(r:poll(5))
    for id = 1, 2 do assert(own:broker(id):kill()) end
    local seconds, ok, err = try.time(r.close, r, 1)
    assert.is_nil(ok)
    assert.equal(1, err.uncommitted[1].offset)
    assert.is_true(seconds < 2)
  end)
end)

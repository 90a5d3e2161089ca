-- The reader on the mock cluster: where it starts, what counts as handled, commits, loops, and what the mock can show of a
-- cluster that changes. The rest is in spec/real.

local kafka = require "kafka"
local try = require "spec.support.try"

local mock, topics = nil, 0

local function topic(partitions, counts)
  topics = topics + 1
  local name = "reader-" .. topics
  assert(mock:create_topic(name, partitions or 1))
  for i, n in ipairs(counts or {}) do try.fill(mock.brokers, name, i - 1, n) end
  return name
end

local function open(options)
  options.brokers = mock.brokers
  options.on_log = options.on_log or function() end
  options.on_error = options.on_error or function() end
  return assert(kafka.reader(options))
end

local function read(reader, n)
  local list = {}
  for m in reader:messages { to_end = true, idle = 10 } do
    list[#list + 1] = ("%d:%s"):format(m.partition, m.value)
    if #list == n then break end
  end
  table.sort(list)
  return list
end

local function committed(group, name, partition) return try.committed(mock.brokers, group, name, partition) end

describe("a reader", function()
  setup(function() mock = assert(kafka.mock { brokers = 3 }) end)
  teardown(function() mock:close() end)

  it("reads every partition of every topic to its end", function()
    local one, two = topic(2, { 3, 2 }), topic(1, { 1 })
    local r <close> = open { topics = { one, two } }
    assert.same({ "0:1", "0:1", "0:2", "0:3", "1:1", "1:2" }, read(r))
    local total, rows = r:lag()
    assert.equal(0, total)
    assert.equal(3, #rows)
    assert.matches("partition", tostring(r:positions()))
  end)

  it("starts where it is told", function()
    local name = topic(1, { 10 })
    local function first(start)
      local r <close> = open { topic = name, start = start }
      local m = r:poll(0.3)
      return m and m.offset
    end
    assert.equal(0, first())
    assert.equal(0, first "earliest")
    assert.is_nil(first "latest")
    assert.equal(4, first(4))
    assert.equal(8, first(-2))
  end)

  it("resumes behind what it has committed, with its metadata", function()
    local name = topic(2, { 4, 4 })
    do
      local r <close> = open { topic = name, group = "resumes", metadata = "a note" }
      assert.equal(8, #read(r))
    end
    local k <close> = assert(kafka.connect { brokers = mock.brokers })
    local rows = assert(k:committed("resumes", { { topic = name, partition = 0 }, { topic = name, partition = 1 } }))
    assert.same({ 4, "a note", 4, "a note" }, { rows[1].offset, rows[1].metadata, rows[2].offset, rows[2].metadata })
    try.fill(mock.brokers, name, 1, { "new" })
    local r <close> = open { topic = name, group = "resumes" }
    assert.same({ "1:new" }, read(r))
  end)

  it("begins where `otherwise` says where its group has committed nothing", function()
    local name = topic(1, { 5 })
    local r <close> = open { topic = name, group = "otherwise", otherwise = -2 }
    assert.same({ "0:4", "0:5" }, read(r))
  end)

  it("reads a partition from its first offset of which nothing is committed while others are: it was added since", function()
    local name = topic(2, { 5, 5 })
    local k <close> = assert(kafka.connect { brokers = mock.brokers })
    assert(k:commit("added", { { topic = name, partition = 0, offset = 3 } }))
    local r <close> = open { topic = name, group = "added", otherwise = "latest" }
    assert.same({ "0:4", "0:5", "1:1", "1:2", "1:3", "1:4", "1:5" }, read(r))
  end)

  describe("counts a message as handled", function()
    it("when the next is asked for, and not before", function()
      local name = topic(1, { 5 })
      do
        local r <close> = open { topic = name, group = "handled" }
        for m in r:messages() do
          if m.offset == 3 then break end
        end
      end
      assert.equal(3, committed("handled", name))
    end)

    it("not where the loop was left by an error", function()
      local name = topic(1, { 5 })
      assert.has_error(function()
        local r <close> = open { topic = name, group = "raised" }
        for m in r:messages() do
          if m.offset == 2 then error("no") end
        end
      end)
      assert.equal(2, committed("raised", name))
    end)

    it("of a batch when the next batch is asked for", function()
      local name = topic(1, { 5 })
      local r <close> = open { topic = name, group = "batches", commit = "manual" }
      local b = assert(r:batch { max = 3, timeout = 5 })
      assert.equal(3, #b)
      assert.equal(0, r:positions()[1].offset)
      b = assert(r:batch { max = 3, timeout = 5 })
      assert.equal(2, #b)
      assert.equal(3, r:positions()[1].offset)
      assert.is_nil(r:batch { timeout = 0 })
      assert.equal(5, r:positions()[1].offset)
    end)

    it("of a batch of what poll has left, within its limits", function()
      local name = topic(1, { 10 })
      local r <close> = open { topic = name, group = "mixed", commit = "manual" }
      assert.equal(0, assert(r:poll(5)).offset)
      local b = assert(r:batch { max = 2, timeout = 0 })
      assert.same({ 1, 2, n = 2 }, { b[1].offset, b[2].offset, n = b.n })
      assert.same({ { topic = name, partition = 0, offset = 3 } }, b.next)
      assert.equal(1, r:positions()[1].offset)
      b = assert(r:batch { max_bytes = 1, timeout = 0 }) -- at least one
      assert.same({ 3, n = 1 }, { b[1].offset, n = b.n })
      assert.equal(3, r:positions()[1].offset)
      assert.equal(4, assert(r:poll(0)).offset)
      assert.equal(4, r:positions()[1].offset)
      b = assert(r:batch { timeout = 0 })
      assert.same({ 5, 9, n = 5 }, { b[1].offset, b[5].offset, n = b.n })
      assert.is_nil(r:poll(0))
      assert.equal(10, r:positions()[1].offset)
    end)

    it("that is in hand when it is told to commit", function()
      local name = topic(1, { 5 })
      local r <close> = open { topic = name, group = "by hand", commit = "manual" }
      assert(r:poll(5))
      assert(r:poll(5))
      assert(r:commit "mine")
      assert.equal(2, committed("by hand", name))
      assert.equal(2, assert(r:poll(5)).offset)
    end)

    it("by hand only where commits are manual", function()
      local name = topic(1, { 5 })
      do
        local r <close> = open { topic = name, group = "manual", commit = "manual" }
        assert.equal(5, #read(r))
      end
      assert.is_nil(committed("manual", name))
    end)
  end)

  it("commits at intervals while it reads", function()
    local name = topic(1, { 5 })
    local r <close> = open { topic = name, group = "intervals", interval = 0.2 }
    for _ = 1, 5 do assert(r:poll(5)) end
    try.until_true(5, function()
      r:poll(0.05)
      return committed("intervals", name) == 5
    end)
  end)

  it("hands out by batch what poll has left", function()
    local name = topic(1, { 5 })
    local r <close> = open { topic = name }
    assert.equal(0, assert(r:poll(5)).offset)
    local b = assert(r:batch { timeout = 5 })
    assert.equal(1, b[1].offset)
    local seen = #b
    while seen < 4 do seen = seen + #assert(r:batch { timeout = 5 }) end
    assert.equal(4, seen)
  end)

  it("ends loops when idle and when stopped", function()
    local name = topic(1, { 3 })
    local r <close> = open { topic = name }
    local n = 0
    for _ in r:messages { idle = 0.2 } do n = n + 1 end
    assert.equal(3, n)
    assert(r:seek(name, 0, 0))
    for _ in r:messages() do r:stop() end
    assert.equal(1, r:positions()[1].offset)
    for b in r:batches { to_end = true } do n = n + #b end
    assert.equal(5, n)
  end)

  it("seeks within what it has fetched and beyond", function()
    local name = topic(2, { 10, 10 })
    local r <close> = open { topic = name }
    assert(r:poll(5))
    assert(r:seek(name, 0, 7))
    assert(r:seek(name, 1, "latest"))
    assert.same({ "0:10", "0:8", "0:9" }, read(r))
    try.failure("_UNKNOWN_PARTITION", r:seek(name, 2, 0))
  end)

  it("keeps its offsets in a store of the caller's", function()
    local name = topic(2, { 3, 3 })
    local store, saved = {}, 0
    local offsets = {
      load = function(rows)
        for _, row in ipairs(rows) do row.offset = store[row.partition] end
        return rows
      end,
      save = function(rows)
        saved = saved + 1
        for _, row in ipairs(rows) do store[row.partition] = row.offset end
        return true
      end,
    }
    do
      local r <close> = open { topic = name, offsets = offsets }
      assert.equal(6, #read(r))
    end
    assert.same({ [0] = 3, 3 }, store)
    assert.is_true(saved >= 1)
    local r <close> = open { topic = name, offsets = offsets }
    assert.same({}, read(r))
  end)

  it("says what is wrong with that store", function()
    local name = topic(1, { 3 })
    local burns = { load = function() return nil, "disk on fire" end }
    local r, err = kafka.reader { brokers = mock.brokers, topic = name, offsets = burns }
    assert.is_nil(r)
    assert.matches("offsets.load.*disk on fire", tostring(err))
    r = open { topic = name, offsets = { load = function(rows) return rows end, save = function() return nil, "full" end } }
    assert.equal(3, #read(r))
    local ok
    ok, err = r:close()
    assert.is_nil(ok)
    assert.matches("offsets.save.*full", tostring(err))
    assert.equal(3, err.uncommitted[1].offset)
  end)

  it("says that a topic does not exist", function()
    assert(mock:topic_error("reader-none", "UNKNOWN_TOPIC_OR_PART"))
    local r, err = kafka.reader { brokers = mock.brokers, topic = "reader-none", on_log = function() end }
    assert.is_nil(r)
    assert.same({ "kafka.reader", "reader-none" }, { err.op, err.topic })
  end)

  it("says that no broker answers", function()
    local r, err = kafka.reader { brokers = "127.0.0.1:1", topic = "t", timeout = 0.3, on_log = function() end,
      on_error = function() end }
    assert.is_nil(r)
    assert.matches("no broker of 127.0.0.1:1 answered", tostring(err), 1, true)
  end)

  describe("whose position is not there", function()
    local rows

    local function resets(name, offset, options)
      rows = {}
      local k <close> = assert(kafka.connect { brokers = mock.brokers })
      local group = "reset of " .. name
      assert(k:commit(group, { { topic = name, partition = 0, offset = offset } }))
      options.topic, options.group = name, group
      options.on_reset = options.on_reset or function(row) rows[#rows + 1] = row end
      return open(options)
    end

    it("goes on at the first offset, and tells from where, to where and why", function()
      local name = topic(1, { 5 })
      local r <close> = resets(name, 50, {})
      assert.same({ "0:1", "0:2", "0:3", "0:4", "0:5" }, read(r))
      assert.equal(1, #rows)
      local row = rows[1]
      assert.same({ name, 0, 50, 0, 0, 5 }, { row.topic, row.partition, row.from, row.to, row.earliest, row.latest })
      assert.matches("offset 50 is not there.*the partition holds 0 to 4", row.reason)
    end)

    it("does not leave one that is there, whatever a broker that is behind says", function()
      local name = topic(1, { 5 })
      mock:fail("Fetch", "OFFSET_OUT_OF_RANGE", "OFFSET_OUT_OF_RANGE")
      local r <close> = resets(name, 3, {})
      assert.same({ "0:4", "0:5" }, read(r))
      assert.same({}, rows)
    end)

    it("waits for an end that is behind", function()
      local name = topic(1, { 5 })
      local r <close> = resets(name, 6, {})
      assert.is_nil(r:poll(0.5))
      try.fill(mock.brokers, name, 0, { "six", "seven" })
      assert.equal("seven", assert(r:poll(10)).value)
      assert.same({}, rows)
    end)

    it("goes on at the end where that is the policy", function()
      local name = topic(1, { 5 })
      local r <close> = resets(name, 50, { reset = "latest" })
      assert.same({}, read(r))
      assert.equal(5, rows[1].to)
      assert.equal(5, r:positions()[1].offset)
    end)

    it("goes on where the handler says", function()
      local name = topic(1, { 5 })
      local r <close> = resets(name, 50, { on_reset = function() return 3 end })
      assert.same({ "0:4", "0:5" }, read(r))
    end)

    it("stops where that is the policy, until it is told where to go on", function()
      local name = topic(1, { 5 })
      local r <close> = resets(name, 50, { reset = "error" })
      for _ = 1, 2 do
        local err = try.failure("OFFSET_OUT_OF_RANGE", r:poll(5))
        assert.same({ name, 0, 50, 0, 5 }, { err.topic, err.partition, err.offset, err.earliest, err.latest })
      end
      assert(r:seek(name, 0, 4))
      assert.equal(4, assert(r:poll(5)).offset)
    end)

    it("is told through on_error where there is no handler for it", function()
      local name, told = topic(1, { 5 }), {}
      local k <close> = assert(kafka.connect { brokers = mock.brokers })
      assert(k:commit("told", { { topic = name, partition = 0, offset = 9 } }))
      local r <close> = open { topic = name, group = "told", on_error = function(err) told[#told + 1] = tostring(err) end }
      assert.equal(5, #read(r))
      assert.matches("offset 9 is not there.*reading goes on at 0", table.concat(told, "\n"))
    end)

    it("asks a handler that raises again", function()
      local name, calls = topic(1, { 5 }), 0
      local r <close> = resets(name, 50, { on_reset = function()
        calls = calls + 1
        if calls == 1 then error("not yet", 0) end
      end })
      local ok, raised = pcall(r.poll, r, 5)
      assert.same({ false, "not yet" }, { ok, raised })
      assert.equal(0, assert(r:poll(5)).offset)
      assert.equal(2, calls)
    end)
  end)

  it("goes on when a leader moves, and tells it", function()
    local name, told = topic(1, { 5 }), {}
    assert(mock:leader(name, 0, 1))
    local r <close> = open { topic = name, every = 0.1, topic_metadata_refresh_interval_ms = 200,
      on_change = function(c) told[#told + 1] = tostring(c) end }
    assert.equal(5, #read(r))
    assert(mock:leader(name, 0, 2))
    try.until_true(10, function()
      r:poll(0.1)
      return table.concat(told, "\n"):find(name .. "[0] leader 1 -> 2", 1, true)
    end)
    try.fill(mock.brokers, name, 0, { "after" })
    assert.equal("after", assert(r:poll(10)).value)
  end)

  it("refuses handlers and other coroutines that ask for messages", function()
    local name, raised = topic(1, { 5 }), nil
    local k <close> = assert(kafka.connect { brokers = mock.brokers })
    assert(k:commit("busy", { { topic = name, partition = 0, offset = 9 } }))
    local r
    r = open { topic = name, group = "busy", on_reset = function() raised = select(2, pcall(r.poll, r, 0)) end }
    assert(r:poll(5))
    assert.matches("another call of this reader is under way", raised)
    r:close()
  end)

  it("may be closed by its handler", function()
    local name = topic(1, { 5 })
    local k <close> = assert(kafka.connect { brokers = mock.brokers })
    assert(k:commit("closing", { { topic = name, partition = 0, offset = 9 } }))
    local r
    r = open { topic = name, group = "closing", on_reset = function() r:close() end }
    assert.is_nil(r:poll(5))
    try.misuse("closed kafka.Reader", function() r:poll(0) end)
    assert.is_true(r:close())
    assert.matches("closed", tostring(r))
  end)
end)

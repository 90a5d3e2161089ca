-- What a reader has fetched and handed out, where other coroutines, batches after polls and refused commits come between; and how
-- long its calls take at most.

local kafka = require "kafka"
local changes = require "kafka.changes"
local process = require "spec.support.process"
local try = require "spec.support.try"

local mock, topics = nil, 0

local function topic(...)
  topics = topics + 1
  local name = "hands-" .. topics
  assert(mock:create_topic(name, select("#", ...)))
  for i, n in ipairs { ... } do
    if n > 0 then try.fill(mock.brokers, name, i - 1, n) end
  end
  return name
end

local function nothing() end

local function open(options)
  options.brokers = mock.brokers
  options.on_log, options.on_error = nothing, options.on_error or nothing
  return assert(kafka.reader(options))
end

local function committed(group, name) return try.committed(mock.brokers, group, name) end

local function nap(seconds)
  local till = kafka.now() + seconds
  repeat process.nap() until kafka.now() > till
end

describe("what a reader has in hand", function()
  before_each(function() mock = assert(kafka.mock { brokers = 3 }) end)
  after_each(function() mock:close() end)

  it("gives way where another coroutine seeks, and is not committed", function()
    local cqueues = require "cqueues"
    local name, seen, sought = topic(60), {}, false
    local loop = cqueues.new()
    loop:wrap(function()
      local r <close> = open { topic = name, group = "sought" }
      mock:rtt(0.2)
      for i = 1, 40 do
        local m = assert(r:poll(5))
        seen[#seen + 1] = m.offset
        if i == 10 then
          loop:wrap(function()
            assert(r:seek(name, 0, "earliest"))
            assert.equal(0, r:positions()[1].offset)
            sought = #seen
            mock:rtt(0)
          end)
        end
        if sought and #seen >= sought + 5 then break end
        cqueues.sleep(0.03)
      end
      assert(sought, "the seek has not ended")
    end)
    assert(loop:loop(20))
    assert.is_true(sought > 10)
    for i = 1, 5 do assert.equal(i - 1, seen[sought + i]) end
    assert.equal(4, committed("sought", name))
  end)

  it("is not what a handler has sought away from, while a position that does not exist was looked at", function()
    local r, armed
    local name, told = topic(10), 0
    r = open { topic = name, statistics_interval_ms = 50, every = 60, on_reset = function() told = told + 1 end,
      on_stats = function()
        local feed = r and r.parts.list[1].reading.all.feed
        if not armed or not feed.parts[0].stopped then return end
        armed = false
        assert(r:seek(name, 0, 5))
      end }
    assert.equal(0, assert(r:poll(5)).offset)
    assert(r:seek(name, 0, 100000))
    assert(mock:delay("ListOffsets", 1, 0.5, 1))
    armed = true
    assert.equal(5, assert(r:poll(10)).offset)
    assert.is_false(armed)
    assert.equal(0, told)
    r:close(5)
  end)

  it("begins at the first message where a seek to it finds no leader, and soon", function()
    local name = topic(10)
    local r <close> = open { topic = name, every = 60, topic_metadata_refresh_interval_ms = 200 }
    for _ = 1, 10 do assert(r:poll(5)) end
    assert(mock:leader(name, 0, nil))
    local seconds, ok, err = try.time(r.seek, r, name, 0, "earliest", 1)
    assert.is_true(seconds < 2, ("%.1f s"):format(seconds))
    assert(mock:leader(name, 0, 1))
    if not ok then -- the time was over before it was known that there is no leader
      assert.equal("_TIMED_OUT", err.name)
      assert(r:seek(name, 0, "earliest"))
    end
    assert.equal(0, assert(r:poll(10)).offset)
  end)

  it("does not mind what the caller writes into a message", function()
    local name = topic(6)
    local r = open { topic = name, group = "changed", interval = 60 }
    local m = assert(r:poll(5))
    m.n = 1
    assert.equal(1, assert(r:poll(5)).offset)
    assert.equal(1, r:positions()[1].offset)
    for _, field in ipairs { "partition", "offset", "topic" } do
      m = assert(r:poll(5))
      m[field] = nil
    end
    nap(0.15)
    assert.equal(5, assert(r:poll(5)).offset)
    assert.equal(2, r:positions()[1].offset) -- the last that says where it was
    assert(r:close(5))
    assert.equal(2, committed("changed", name))
  end)

  it("is nil where a handler closes the reader because of an error of another topic", function()
    local r
    r = open { topics = { topic(2), topic(2) }, every = 60, on_error = function() r:close(1) end }
    for _ = 1, 4 do assert(r:poll(5)) end
    for _, reading in ipairs(r.parts.readings) do
      local all = reading.all
      reading.all = { close = function() all:close() end, fetch = function(_, o)
        if r.closed then return all:fetch(o) end
        return nil, kafka.errors.new { name = "LEADER_NOT_AVAILABLE", op = "fetch" }
      end }
    end
    assert.is_nil(r:poll(2))
    assert.is_true(r.closed)
  end)

  it("is committed when it is time, also where batches are cut from what poll has left", function()
    local name = topic(40)
    local r <close> = open { topic = name, group = "cut", interval = 0.2 }
    assert(r:poll(5))
    local n = 0
    try.until_true(10, function()
      n = n + assert(r:batch { max = 1, timeout = 0 }).n
      nap(0.05)
      return (committed("cut", name) or 0) > 0
    end)
    assert.is_true(n < 39)
  end)

  it("is told to end at the last batch only of what poll has left", function()
    local r <close> = open { topic = topic(5) }
    local ends, n = {}, 0
    assert(r:poll(5))
    try.until_true(10, function()
      local b = r:batch { max = 2, timeout = 0.5 }
      if b then
        n = n + b.n
        ends[#ends + 1] = b.eof or false
      end
      return n == 4
    end)
    assert.is_false(ends[1])
  end)

  it("waits while an error of a commit is told", function()
    local r = open { topic = topic(40), group = "refused", interval = 0.1 }
    assert.equal(0, assert(r:poll(5)).offset)
    local refusals = {}
    for i = 1, 20 do refusals[i] = "GROUP_AUTHORIZATION_FAILED" end
    assert(mock:fail("OffsetCommit", table.unpack(refusals)))
    local last, err = 0
    try.until_true(10, function()
      local m
      m, err = r:poll(1)
      if m then
        assert.equal(last + 1, m.offset)
        last = m.offset
      end
      nap(0.06)
      return err
    end)
    assert.equal("GROUP_AUTHORIZATION_FAILED", err.name)
    assert.is_true(last < 39)
    assert.equal(last + 1, assert(r:poll(1)).offset)
    r:close(5)
  end)
end)

describe("a reader's commits", function()
  setup(function() mock = assert(kafka.mock { brokers = 1 }) end)
  teardown(function() mock:close() end)

  -- Brokers count the age of an offset from its commit.
  it("are made again where nothing moves, once by each reader and then each hour", function()
    local name = topic(3, 3)
    local k <close> = assert(kafka.connect { brokers = mock.brokers })
    assert(k:commit("again", { { topic = name, partition = 0, offset = 3, metadata = "mine" } }))
    assert(k:commit("again", { { topic = name, partition = 1, offset = 3 } }))
    local r <close> = open { topic = name, group = "again", interval = 0.05, metadata = "other" }
    local rows, commit = {}, r.k.commit
    function r.k.commit(self, group, what, options)
      for _, row in ipairs(what) do rows[#rows + 1] = ("%d@%d %s"):format(row.partition, row.offset, row.metadata) end
      return commit(self, group, what, options)
    end
    local function poll_until(n)
      try.until_true(5, function()
        r:poll(0.05)
        return #rows >= n and not r.sending
      end)
    end
    poll_until(2)
    assert.same({ "0@3 mine", "1@3 nil" }, rows)
    try.fill(mock.brokers, name, 1, 1)
    poll_until(3)
    assert.equal("1@4 other", rows[3])
    r.parts:find(name, 0).kept_at = kafka.now() - 3601
    poll_until(4)
    assert.equal("0@3 mine", rows[4])
    assert.is_nil(r:poll(0.3))
    assert.equal(4, #rows)
    assert(r:commit "new")
    assert.same({ "0@3 new", "1@4 new" }, { rows[5], rows[6] })
    assert(r:commit "new")
    assert.equal(6, #rows)
  end)

  it("come from a store whose rows name their topic", function()
    local name = topic(3)
    local r, err = kafka.reader { brokers = mock.brokers, topic = name,
      offsets = { load = function() return { { partition = 0, offset = 2 } } end } }
    assert.is_nil(r)
    assert.matches("offsets.load: it must return rows with a topic, got nil", err.message, 1, true)
  end)
end)

describe("the time of a reader's calls", function()
  before_each(function() mock = assert(kafka.mock { brokers = 1 }) end)
  after_each(function() mock:close() end)

  it("is that of one look-up where a cluster is slow, however many topics are made anew", function()
    local names = { topic(0), topic(0), topic(0) }
    local r = open { topics = names }
    r:poll(0.2)
    mock:rtt(2.5)
    for _, name in ipairs(names) do
      local one = { name = name, partitions = { { partition = 0, leader = 1, replicas = { 1 }, isr = { 1 } } } }
      table.insert(r.watch.queue, changes.new { kind = "topic_recreated", topic = name, from = one, to = one })
    end
    local seconds = try.time(r.poll, r, 0)
    assert.is_true(seconds < 5, ("poll(0) took %.1f s"):format(seconds))
    mock:rtt(0)
    local there = 0
    try.until_true(20, function()
      r:poll(0.1)
      there = #r:positions()
      return there == 3
    end)
    r:close(0)
  end)

  it("is its timeout where the cluster stops to answer while it opens", function()
    local name, connect = topic(5), kafka.connect
    function kafka.connect(o)
      local k = assert(connect(o))
      function k.watch(...)
        mock:rtt(9)
        return getmetatable(k).watch(...)
      end
      return k
    end
    local seconds, called, r, err = try.time(pcall, kafka.reader,
      { brokers = mock.brokers, topic = name, timeout = 0.8, on_log = function() end, on_error = function() end })
    kafka.connect = connect
    mock:rtt(0)
    assert(called, r)
    assert.is_nil(r)
    assert.matches("timed out", err.message, 1, true)
    assert.is_true(seconds < 2, ("%.1f s"):format(seconds))
  end)

  it("is its timeout for the ends of a partition that are asked for several times", function()
    local name = topic(5)
    local k = assert(kafka.connect { brokers = mock.brokers, on_log = function() end, on_error = function() end })
    assert(k:watermarks(name, 0))
    mock:rtt(9)
    local seconds, none, err = try.time(k.watermarks, k, name, 0, 5)
    assert.is_nil(none)
    assert.equal("_TIMED_OUT", err.name)
    assert.is_true(seconds < 5.8, ("%.1f s"):format(seconds))
    mock:rtt(0)
    k:close(0)
  end)
end)

-- Where the reading of a partition stands: seek, pause, an offset that does not exist, two readers, leaders that move.

local kafka = require "kafka"
local try = require "spec.support.try"

local mock, k
local topics = 0

setup(function()
  mock = assert(kafka.mock { brokers = 2 })
  -- A broker is killed below: nobody need read of it.
  k = assert(kafka.connect { brokers = mock.brokers, fetch_wait_max_ms = 10, on_error = function() end,
    on_log = function() end })
end)
teardown(function()
  k:close()
  mock:close()
end)

-- A topic of its own, with one partition that holds these values.
local function topic_with(values)
  topics = topics + 1
  local name = "t" .. topics
  assert(mock:create_topic(name, 1))
  if values then try.fill(mock.brokers, name, 0, values) end
  return name
end

-- Exactly n messages: a fetch may bring fewer where not more had come.
local function take(part, n)
  local list, limit = {}, kafka.now() + 5
  while #list < n and kafka.now() < limit do
    local batch = assert(part:fetch { max_messages = n - #list, timeout = 2 })
    assert.is_true(batch.n <= n - #list)
    for _, m in ipairs(batch) do list[#list + 1] = m end
  end
  assert.equal(n, #list)
  return list
end

describe("a position", function()
  local name
  setup(function() name = topic_with(1000) end)

  it("is the next offset that fetch gives, whatever was prefetched", function()
    local part <close> = assert(k:partition(name, 0))
    assert.equal(0, part:position())
    local at = 0
    for _ = 1, 20 do
      local batch = assert(part:fetch { max_messages = 7, timeout = 2 })
      at = at + batch.n
      assert.equal(at, part:position())
    end
    assert.is_true(at >= 20)
  end)

  it("moves forward and backward by seek", function()
    local part <close> = assert(k:partition(name, 0))
    assert.equal(9, take(part, 10)[10].offset)
    for where, offset in pairs { [500] = 500, [3] = 3, [-1] = 999, earliest = 0 } do
      assert(part:seek(where))
      assert.equal(offset, part:position())
      assert.equal(offset, assert(part:fetch { max_messages = 2, timeout = 2 })[1].offset)
    end
    assert(part:seek "latest")
    assert.same({ 1000, 0 }, { part:position(), assert(part:fetch { timeout = 0.2 }).n })
  end)

  it("is exact over hundreds of seeks through what was prefetched", function()
    local part <close> = assert(k:partition(name, 0))
    math.randomseed(20240601)
    for _ = 1, 300 do
      local offset = math.random(0, 999)
      assert(part:seek(offset))
      for i = 0, math.random(0, 2) do
        if offset + i > 999 then break end
        local batch = assert(part:fetch { max_messages = 1, timeout = 5 })
        if batch.n ~= 1 or batch[1].offset ~= offset + i or batch[1].value ~= tostring(offset + i + 1) then
          error(("asked for %d, got %s"):format(offset + i, tostring(batch[1])))
        end
      end
    end
  end)

  it("stands still in a pause, and goes on from there", function()
    local part <close> = assert(k:partition(name, 0))
    take(part, 10)
    assert.is_true(part:pause())
    assert.is_true(part:pause())
    assert.equal(0, assert(part:fetch { timeout = 0.2 }).n)
    assert.equal(10, part:position())
    assert.is_true(part:resume())
    assert.equal(10, assert(part:fetch { max_messages = 1, timeout = 2 })[1].offset)
    assert.is_true(part:resume())
  end)

  it("may be sought during a pause", function()
    local part <close> = assert(k:partition(name, 0))
    part:pause()
    assert(part:seek(77))
    assert.equal(77, part:position())
    assert.equal(0, assert(part:fetch { timeout = 0.1 }).n)
    assert(part:resume())
    assert.equal(77, assert(part:fetch { timeout = 2 })[1].offset)
  end)
end)

describe("an offset out of range", function()
  it("is an error that names the offset and both ends, until seek goes on", function()
    local name = topic_with(10)
    local part <close> = assert(k:partition(name, 0, { offset = 500 }))
    local err = try.failure("OFFSET_OUT_OF_RANGE", part:fetch { timeout = 5 })
    assert.same({ 500, 0, 10, name, 0, "data", "fix" },
      { err.offset, err.earliest, err.latest, err.topic, err.partition, err.category, err.action })
    local text = tostring(err)
    for _, word in ipairs { "500", "0 to 9", name .. "[0]", "seek" } do assert.truthy(text:find(word, 1, true), text) end
    local seconds, batch, again = try.time(part.fetch, part, { timeout = 5 })
    assert.equal("OFFSET_OUT_OF_RANGE", try.failure(nil, batch, again).name)
    assert.is_true(seconds < 0.5)
    assert.equal(500, part:position())
    assert(part:seek(err.earliest))
    assert.equal(0, assert(part:fetch { timeout = 2 })[1].offset)
  end)

  it("is none where a broker that is behind knows less than is there", function()
    local name = topic_with(10)
    local part <close> = assert(k:partition(name, 0, { offset = 7 }))
    mock:fail("Fetch", "OFFSET_OUT_OF_RANGE", "OFFSET_OUT_OF_RANGE")
    assert.equal(7, assert(part:fetch { timeout = 5 })[1].offset)
  end)

  it("names the ends where retention has taken what was asked for", function()
    local values = {}
    for i = 1, 8 do values[i] = ("x"):rep(900000) .. i end
    local name = topic_with(values) -- the mock keeps 5 MB
    local earliest, latest = assert(k:watermarks(name, 0))
    assert.is_true(earliest > 0)
    assert.equal(8, latest)
    local part <close> = assert(k:partition(name, 0, { offset = 0 }))
    local err = try.failure("OFFSET_OUT_OF_RANGE", part:fetch { timeout = 5 })
    assert.same({ 0, earliest, latest }, { err.offset, err.earliest, err.latest })
    assert(part:seek "earliest")
    local batch = assert(part:fetch { timeout = 5 })
    assert.equal(earliest, batch[1].offset)
    assert.equal(values[earliest + 1], batch[1].value)
  end)

  it("says so of an empty partition", function()
    local part <close> = assert(k:partition(topic_with(), 0, { offset = 5 }))
    local err = try.failure("OFFSET_OUT_OF_RANGE", part:fetch { timeout = 5 })
    assert.same({ 5, 0, 0 }, { err.offset, err.earliest, err.latest })
    assert.truthy(tostring(err):find("empty", 1, true))
  end)
end)

describe("the same partition opened twice", function()
  it("is read twice, each at its own place", function()
    local name = topic_with(100)
    local one <close> = assert(k:partition(name, 0))
    local two <close> = assert(k:partition(name, 0, { offset = 60 }))
    assert.equal(0, take(one, 10)[1].offset)
    assert.equal(60, take(two, 10)[1].offset)
    assert(two:seek(5))
    assert.equal(10, assert(one:fetch { max_messages = 1, timeout = 2 })[1].offset)
    assert.equal(5, assert(two:fetch { max_messages = 1, timeout = 2 })[1].offset)
    one:close()
    assert.equal(6, assert(two:fetch { max_messages = 1, timeout = 2 })[1].offset)
  end)

  it("may be closed and opened over and over", function()
    local name = topic_with(3)
    for i = 1, 20 do
      local part <close> = assert(k:partition(name, 0, { offset = i % 3 }))
      if i % 4 == 0 then assert.equal(i % 3, assert(part:fetch { timeout = 2 })[1].offset) end
    end
    assert.is_true(#k.handles <= 3, #k.handles .. " handles")
  end)
end)

describe("a leader", function()
  local errors_told, own

  before_each(function()
    errors_told = {}
    own = assert(kafka.connect { brokers = mock.brokers, topic_metadata_refresh_interval_ms = 200,
      on_error = function(e) errors_told[#errors_told + 1] = e end, on_log = function() end })
  end)
  after_each(function() own:close() end)

  it("that is not there is reported, and the partition is read when one comes", function()
    local name = topic_with(20)
    assert(mock:leader(name, 0, nil))
    local seconds, part = try.time(function() return assert(own:partition(name, 0, { offset = "earliest" })) end)
    assert.is_true(seconds < 2)
    assert.equal("LEADER_NOT_AVAILABLE", errors_told[1].name)
    assert.same({ name, 0, "wait" }, { errors_told[1].topic, errors_told[1].partition, errors_told[1].action })
    assert.is_nil(part:position())
    local batch, err = part:fetch { timeout = 0.2 }
    assert.is_true(batch ~= nil and batch.n == 0, tostring(err))
    assert(mock:leader(name, 0, 2))
    assert.equal(20, #try.read_all(part))
    assert.equal(20, part:position())
  end)

  it("that comes may refuse to say where the partition begins", function()
    local name = topic_with(20)
    assert(mock:leader(name, 0, nil))
    local part <close> = assert(own:partition(name, 0))
    local all <close> = assert(own:partitions(name))
    assert.equal(0, assert(part:fetch { timeout = 0.2 }).n)
    local refusals = {}
    for i = 1, 4 do refusals[i] = "UNKNOWN" end
    assert(mock:fail("ListOffsets", table.unpack(refusals)))
    assert(mock:leader(name, 0, 2))
    assert.equal(20, #try.read_all(part))
    assert.equal(20, #try.read_all(all))
  end)

  it("may move while the partition is read: every message comes once", function()
    local name = topic_with(600)
    local part <close> = assert(own:partition(name, 0))
    local next_offset, moves, limit = 0, 0, kafka.now() + 15
    while next_offset < 600 and kafka.now() < limit do
      local batch = assert(part:fetch { max_messages = 50, timeout = 2 })
      for _, m in ipairs(batch) do
        assert.equal(next_offset, m.offset)
        next_offset = next_offset + 1
      end
      if next_offset >= (moves + 1) * 200 and moves < 2 then
        moves = moves + 1
        assert(mock:leader(name, 0, moves % 2 + 1))
        assert(part:seek(next_offset)) -- what was prefetched is dropped: the rest comes from the new leader
      end
    end
    assert.same({ 600, 2 }, { next_offset, moves })
  end)

  it("whose broker is down and comes back is read on", function()
    local name = topic_with(10)
    assert(mock:leader(name, 0, 2))
    local part <close> = assert(own:partition(name, 0))
    take(part, 5)
    assert(mock:broker(2):kill())
    assert(part:seek(5))
    assert.equal(0, assert(part:fetch { timeout = 0.2 }).n)
    assert(mock:broker(2):start())
    assert.equal(5, assert(part:fetch { timeout = 10 })[1].offset)
  end)
end)

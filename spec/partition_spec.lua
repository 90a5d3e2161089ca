-- Reading one partition: what a fetch gives, and where it starts.

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

local function offsets(batch)
  local list = {}
  for i, m in ipairs(batch) do list[i] = m.offset end
  return list
end

local function range(from, to)
  local list = {}
  for i = from, to do list[#list + 1] = i end
  return list
end

describe("a fetch", function()
  local sized -- 200 values of 1 to 2,000 bytes

  setup(function()
    local values = {}
    for i = 1, 200 do values[i] = ("x"):rep(1 + i * 37 % 2000) end
    sized = topic_with(values)
  end)

  it("gives one message at least and no byte more than max_bytes past it, in order and complete", function()
    for _, max_bytes in ipairs { 0, 1, 1000, 5000, 30000, 1 << 40 } do
      local part <close> = assert(k:partition(sized, 0))
      local at, limit = 0, kafka.now() + 5
      while at < 200 and kafka.now() < limit do
        local batch = assert(part:fetch { max_bytes = max_bytes, timeout = 2 })
        local bytes = 0
        for _, m in ipairs(batch) do
          assert.equal(at, m.offset)
          at = at + 1
          bytes = bytes + #m.value
        end
        assert.equal(bytes, batch.bytes)
        assert.equal(#batch, batch.n)
        assert.equal(at, batch.next)
        assert.is_true(#batch >= 1)
        assert.is_true(bytes <= max_bytes or #batch == 1, ("%d bytes for max_bytes %d"):format(bytes, max_bytes))
      end
      assert.equal(200, at)
    end
  end)

  it("counts keys as bytes too", function()
    local name = topic_with()
    local p <close> = assert(kafka.producer { brokers = mock.brokers, linger_ms = 1000 }) -- one batch for all, flush sends it
    assert(p:produce_many(name, { "12345", "12345", "12345" }, { keys = { "abc", "abc", "abc" } }))
    assert(p:flush())
    local part <close> = assert(k:partition(name, 0))
    assert.equal(2, assert(part:fetch { max_bytes = 16, timeout = 2 }).n)
    assert.equal(8, assert(part:fetch { max_bytes = 16, timeout = 2 }).bytes)
  end)

  it("gives at most max_messages", function()
    local part <close> = assert(k:partition(sized, 0))
    local n = 0
    while n < 20 do
      local batch = assert(part:fetch { max_messages = 7, timeout = 2 })
      assert.is_true(batch.n >= 1 and batch.n <= 7)
      assert.same(range(n, n + batch.n - 1), offsets(batch))
      n = n + batch.n
    end
  end)

  it("gives none below the offset asked for, though they come in the same batch of the broker", function()
    for _, offset in ipairs { 1, 99, 150, 199 } do
      local part <close> = assert(k:partition(sized, 0, { offset = offset }))
      assert.equal(offset, part:position())
      assert.equal(offset, assert(part:fetch { timeout = 2 })[1].offset)
    end
  end)

  it("gives an empty batch where nothing comes within its timeout", function()
    local part <close> = assert(k:partition(topic_with(), 0))
    for _, timeout in ipairs { 0.3, 0 } do
      local seconds, batch = try.time(part.fetch, part, { timeout = timeout })
      assert.same({ 0, 0, 0, 0 }, { #batch, batch.n, batch.bytes, batch.next })
      assert.is_true(seconds >= timeout and seconds < timeout + 0.15, "took " .. seconds)
    end
  end)

  it("ends as soon as a message comes", function()
    local name = topic_with()
    local part <close> = assert(k:partition(name, 0))
    assert.equal(0, assert(part:fetch { timeout = 0.2 }).n)
    try.fill(mock.brokers, name, 0, 1)
    local seconds, batch = try.time(part.fetch, part, { timeout = 5 })
    assert.equal(1, batch.n)
    assert.is_true(seconds < 1.5, "took " .. seconds)
  end)

  it("may give lists of fields instead of messages", function()
    local name = topic_with()
    try.produce_together(mock.brokers, name, { "a", nil, "c" }, { n = 3, keys = { "1", "2", nil } })
    local part <close> = assert(k:partition(name, 0))
    local b = assert(part:fetch { columns = { "value", "offset", "key" }, timeout = 2 })
    assert.same({ 3, 3, 0, name }, { b.n, b.next, b.partition, b.topic })
    assert.same({ 0, 1, 2 }, b.offset)
    assert.same({ "a", nil, "c" }, b.value)
    assert.same({ "1", "2" }, b.key)
    assert.is_nil(b[1])
    assert.is_nil(b.timestamp)
  end)

  it("tells where the end of the partition was reached", function()
    local name = topic_with(10)
    local part <close> = assert(k:partition(name, 0))
    assert.is_false(assert(part:fetch { max_messages = 3, timeout = 2 }).eof)
    local batch
    local n = 3
    repeat
      batch = assert(part:fetch { timeout = 0.5 })
      n = n + batch.n
    until batch.eof or batch.n == 0
    assert.is_true(batch.eof)
    assert.equal(10, n)
    try.fill(mock.brokers, name, 0, 1)
    batch = assert(part:fetch { timeout = 2 })
    assert.equal(1, batch.n)
  end)
end)

describe("a start", function()
  local name
  setup(function() name = topic_with(50) end)

  local function first(options, timeout)
    local part <close> = assert(k:partition(name, 0, options))
    local batch = assert(part:fetch { timeout = timeout or 2 })
    return batch[1] and batch[1].offset, part:position()
  end

  it("is the earliest by default", function() assert.equal(0, (first())) end)
  it("may be the latest", function() assert.same({ nil, 50 }, { first({ offset = "latest" }, 0.2) }) end)
  it("may be an offset", function() assert.equal(42, (first { offset = 42 })) end)
  it("may be an offset written as a float", function() assert.equal(42, (first { offset = 42.0 })) end)
  it("may be the last n", function() assert.equal(47, (first { offset = -3 })) end)
  it("may be more than there are of the last n", function() assert.equal(0, (first { offset = -1000 })) end)

  it("is the committed offset where a group is given", function()
    assert(k:commit("start-group", { { topic = name, partition = 0, offset = 33 } }))
    assert.equal(33, (first { group = "start-group" }))
  end)

  it("is what otherwise says where nothing was committed", function()
    assert.equal(0, (first { group = "never-seen" }))
    assert.equal(45, (first { group = "never-seen", otherwise = -5 }))
    assert.equal(7, (first { group = "never-seen", otherwise = 7 }))
    assert.same({ nil, 50 }, { first({ group = "never-seen", otherwise = "latest" }, 0.2) })
  end)

  it("at the latest means now: what comes later is read", function()
    local own = topic_with(5)
    local part <close> = assert(k:partition(own, 0, { offset = "latest" }))
    assert.equal(5, part:position())
    try.fill(mock.brokers, own, 0, { "later" })
    assert.equal("later", assert(part:fetch { timeout = 3 })[1].value)
  end)
end)

describe("a partition that is not there", function()
  it("is an error that says how many there are", function()
    local name = topic_with()
    local err = try.failure("_UNKNOWN_PARTITION", k:partition(name, 7))
    assert.same({ name, 7 }, { err.topic, err.partition })
    assert.truthy(tostring(err):find("1 partition", 1, true))
  end)
end)

describe("a closed partition", function()
  it("raises at the caller's line, and may be closed again", function()
    local part = assert(k:partition(topic_with(), 0))
    assert.is_true(part:close())
    assert.is_true(part:close())
    for _, call in ipairs { "fetch", "position", "pause", "resume" } do
      try.misuse("closed kafka.Partition", function() part[call](part) end)
    end
    try.misuse("closed kafka.Partition", function() part:seek(0) end)
    try.misuse("closed kafka.Partition", function() part:commit("g") end)
  end)

  it("is closed with its client", function()
    local own = assert(kafka.connect { brokers = mock.brokers })
    local part = assert(own:partition(topic_with(), 0))
    own:close()
    try.misuse("closed", function() part:fetch() end)
    assert.is_true(part:close())
  end)
end)

-- Reading every partition of a topic at once.

local kafka = require "kafka"
local try = require "spec.support.try"

local mock, k
local topics = 0

setup(function()
  mock = assert(kafka.mock { brokers = 2 })
  k = assert(kafka.connect { brokers = mock.brokers, topic_metadata_refresh_interval_ms = 200, fetch_wait_max_ms = 10 })
end)
teardown(function()
  k:close()
  mock:close()
end)

-- A topic of its own with three partitions: 30, 20 and no messages.
local function topic()
  topics = topics + 1
  local name = "many" .. topics
  assert(mock:create_topic(name, 3))
  try.fill(mock.brokers, name, 0, 30)
  try.fill(mock.brokers, name, 1, 20)
  return name
end

-- Reads to the end: each partition's offsets, which must come in order.
local function read(all)
  local seen = {}
  for _, m in ipairs(try.read_all(all)) do
    local list = seen[m.partition] or {}
    seen[m.partition] = list
    if #list > 0 then assert.equal(list[#list] + 1, m.offset) end
    list[#list + 1] = m.offset
  end
  return seen
end

describe("partitions", function()
  it("are not opened where a handler closes the client meanwhile, which is said", function()
    local client, armed
    assert(mock:create_topic("closing", 40))
    client = assert(kafka.connect { brokers = mock.brokers, on_log = function() end, statistics_interval_ms = 20,
      on_stats = function()
        if not armed then return end
        armed = false
        client:close(0)
      end })
    assert(client:topic "closing")
    assert(mock:delay("ListOffsets", 1, 0.1, 1))
    armed = true
    local all, err = client:partitions("closing", { offset = "latest", timeout = 5 })
    assert.equal("_DESTROY", try.failure(nil, all, err).name)
  end)

  it("are read together, in order within each, to the end of all", function()
    local all <close> = assert(k:partitions(topic()))
    local seen = read(all)
    assert.same({ 30, 20 }, { #seen[0], #seen[1] })
    assert.same({ 0, 0 }, { seen[0][1], seen[1][1] })
    assert.is_nil(seen[2])
  end)

  it("count max_bytes over all of them", function()
    local all <close> = assert(k:partitions(topic()))
    local n, limit = 0, kafka.now() + 5
    while n < 50 and kafka.now() < limit do
      local batch = assert(all:fetch { max_bytes = 10, timeout = 2 })
      assert.is_true(batch.bytes <= 10)
      n = n + batch.n
    end
    assert.equal(50, n)
  end)

  it("tell their positions as rows, in order", function()
    local name = topic()
    local all <close> = assert(k:partitions(name))
    local function rows(a, b, c)
      return { { topic = name, partition = 0, offset = a }, { topic = name, partition = 1, offset = b },
        { topic = name, partition = 2, offset = c } }
    end
    assert.same(rows(0, 0, 0), all:positions())
    read(all)
    assert.same(rows(30, 20, 0), all:positions())
    assert.equal(20, all:position(1))
  end)

  it("say in batch.next which of them moved", function()
    local name = topic()
    local all <close> = assert(k:partitions(name))
    local next_of, limit = {}, kafka.now() + 5
    repeat
      local batch = assert(all:fetch { max_messages = 7, timeout = 0.3 })
      local last = {}
      for _, m in ipairs(batch) do last[m.partition] = m.offset + 1 end
      for _, row in ipairs(batch.next) do
        assert.equal(name, row.topic)
        if last[row.partition] then assert.equal(last[row.partition], row.offset) end
        next_of[row.partition] = row.offset
      end
      for partition in pairs(last) do assert.equal(last[partition], next_of[partition]) end
    until batch.eof or kafka.now() > limit
    assert.same({ 30, 20 }, { next_of[0], next_of[1] })
  end)

  it("may be sought one by one", function()
    local all <close> = assert(k:partitions(topic()))
    read(all)
    assert(all:seek(1, 17))
    assert.same({ 17, 30 }, { all:position(1), all:position(0) })
    assert.same({ [1] = { 17, 18, 19 } }, read(all))
    assert(all:seek(0, -2))
    assert.same({ [0] = { 28, 29 } }, read(all))
  end)

  it("may be paused one by one", function()
    local all <close> = assert(k:partitions(topic()))
    assert(all:pause(0))
    assert.is_nil(read(all)[0])
    assert.same({ 0, 20 }, { all:position(0), all:position(1) })
    assert(all:resume(0))
    assert.equal(30, #read(all)[0])
  end)

  it("are committed together, and a second reader resumes there", function()
    local name = topic()
    do
      local all <close> = assert(k:partitions(name))
      read(all)
      assert(all:seek(0, 11))
      assert(all:commit("partitions-group", "a note"))
    end
    local function row(partition) return { topic = name, partition = partition } end
    local rows = assert(k:committed("partitions-group", { row(0), row(1), row(2) }))
    assert.same({ 11, 20, 0 }, { rows[1].offset, rows[2].offset, rows[3].offset })
    assert.equal("a note", rows[1].metadata)
    local again <close> = assert(k:partitions(name, { group = "partitions-group" }))
    assert.equal(11, read(again)[0][1])
    assert(again:commit())
    assert.equal(30, assert(k:committed("partitions-group", { { topic = name, partition = 0 } }))[1].offset)
  end)

  it("may give columns", function()
    local all <close> = assert(k:partitions(topic()))
    local n, limit = { [0] = 0, 0, 0 }, kafka.now() + 5
    repeat
      local b = assert(all:fetch { columns = { "partition", "offset" }, timeout = 0.3 })
      for i = 1, b.n do
        assert.equal(n[b.partition[i]], b.offset[i])
        n[b.partition[i]] = b.offset[i] + 1
      end
    until b.eof or kafka.now() > limit
    assert.same({ 30, 20 }, { n[0], n[1] })
  end)

  it("tell an offset out of range of one, and the others go on", function()
    local name = topic()
    local all <close> = assert(k:partitions(name))
    assert(all:seek(1, 999))
    local err, n, limit = nil, 0, kafka.now() + 5
    while (n < 30 or not err) and kafka.now() < limit do
      local batch, e = all:fetch { timeout = 0.3 }
      if batch then
        for _, m in ipairs(batch) do assert.equal(0, m.partition) end
        n = n + batch.n
      else
        assert.is_nil(err)
        err = e
      end
    end
    assert.same({ "OFFSET_OUT_OF_RANGE", name, 1, 999 }, { err.name, err.topic, err.partition, err.offset })
    assert.equal(30, n)
    assert(all:seek(1, 15))
    assert.same({ 15, 16, 17, 18, 19 }, read(all)[1])
  end)

  it("without a leader are reported, and read when one comes", function()
    local name = topic()
    local told = {}
    local own <close> = assert(kafka.connect { brokers = mock.brokers, topic_metadata_refresh_interval_ms = 200,
      on_error = function(e) told[#told + 1] = e end, on_log = function() end })
    assert(mock:leader(name, 1, nil))
    local all <close> = assert(own:partitions(name))
    assert.same({ "LEADER_NOT_AVAILABLE", 1 }, { told[1].name, told[1].partition })
    local n, limit = 0, kafka.now() + 5
    while n < 30 and kafka.now() < limit do n = n + assert(all:fetch { timeout = 0.2 }).n end
    assert.equal(30, n)
    assert.is_nil(all:position(1))
    assert(mock:leader(name, 1, 1))
    assert.equal(20, #read(all)[1])
  end)

  it("may be open beside one of them", function()
    local name = topic()
    local part <close> = assert(k:partition(name, 0, { offset = 25 }))
    local all <close> = assert(k:partitions(name))
    assert.equal(30, #read(all)[0])
    assert.equal(25, assert(part:fetch { timeout = 2 })[1].offset)
  end)

  it("raise for a partition that is not among them", function()
    local all <close> = assert(k:partitions(topic()))
    try.misuse({ "seek", "one of the 3 partitions", "3" }, function() all:seek(3, 0) end)
  end)

  it("raise once they are closed", function()
    local all = assert(k:partitions(topic()))
    all:close()
    assert.is_true(all:close())
    try.misuse("closed kafka.Partitions", function() all:fetch() end)
    try.misuse("closed kafka.Partitions", function() all:positions() end)
  end)
end)

describe("partitions of which one has stopped at an offset that does not exist", function()
  it("go on with the others, and still tell where those end", function()
    local cluster <close> = assert(kafka.mock { topics = { first = 2 } })
    try.fill(cluster.brokers, "first", 0, 5)
    try.fill(cluster.brokers, "first", 1, 5)
    local client <close> = assert(kafka.connect { brokers = cluster.brokers })
    local all <close> = assert(client:partitions("first"))
    assert(all:seek(1, 500))
    local told, count, batch = 0, 0, nil
    try.until_true(10, function()
      local err
      batch, err = all:fetch { timeout = 0.3 }
      if err then
        told = told + 1
        assert.same({ "OFFSET_OUT_OF_RANGE", 1, 500, 0, 5 },
          { err.name, err.partition, err.offset, err.earliest, err.latest })
        return false
      end
      count = count + batch.n
      return told == 1 and count == 5 and batch.eof
    end)
    assert.is_true(batch.eof)
    assert.equal(1, told)
  end)
end)

describe("a partition that may not be read", function()
  it("is an error of each fetch until it may, and is read from where it stood", function()
    local cluster <close> = assert(kafka.mock { topics = { first = 2 } })
    try.fill(cluster.brokers, "first", 0, 5)
    local client <close> = assert(kafka.connect { brokers = cluster.brokers })
    local all <close> = assert(client:partitions("first"))
    assert(all:pause(1))
    assert.equal(2, assert(all:fetch { timeout = 5, max_messages = 2 }).n)
    assert(all:seek(0, 2))
    local NO = "TOPIC_AUTHORIZATION_FAILED"
    cluster:fail("Fetch", NO, NO)
    for _ = 1, 2 do
      local err = try.failure(NO, all:fetch { timeout = 5 })
      assert.same({ "first", 0, "security", "fix" }, { err.topic, err.partition, err.category, err.action })
      assert.is_false(all.feed.parts[0].assigned) -- librdkafka tells it once: so the next fetch begins anew
      assert.equal(2, all:position(0))
    end
    local seen = {}
    for i, m in ipairs(assert(all:fetch { timeout = 10 })) do seen[i] = m.offset end
    assert.same({ 2, 3, 4 }, seen)
  end)
end)

describe("an offset that does not exist", function()
  for _, count in ipairs { 1, 2 } do
    it("is told by the next fetch where a handler raised before it could be told, of " .. count, function()
      local cluster <close> = assert(kafka.mock { topics = { first = count } })
      for p = 0, count - 1 do try.fill(cluster.brokers, "first", p, 5) end
      local all, raised
      local client <close> = assert(kafka.connect { brokers = cluster.brokers, statistics_interval_ms = 20, on_stats = function()
        if raised or not all or not all.feed.parts[0].stopped then return end
        raised = true
        error("a handler", 0)
      end })
      all = assert(client:partitions("first"))
      assert(all:seek(0, 50))
      cluster:delay("ListOffsets", 1, 0.5)
      try.until_true(10, function()
        local ok, batch, err = pcall(all.fetch, all, { timeout = 0.1 })
        assert.is_nil(err)
        assert.is_true(not ok or not batch.eof or not all.feed.parts[0].stopped)
        return not ok
      end, "the handler's error")
      local err = try.failure("OFFSET_OUT_OF_RANGE", all:fetch { timeout = 1 })
      assert.same({ 0, 50, 0, 5 }, { err.partition, err.offset, err.earliest, err.latest })
      assert(all:seek(0, 3))
      local seen = 0
      for _, m in ipairs(try.read_all(all)) do seen = seen + (m.partition == 0 and 1 or 0) end
      assert.equal(2, seen)
    end)
  end

  it("is told no more once it was left by a seek", function()
    local cluster <close> = assert(kafka.mock { topics = { first = 2 } })
    try.fill(cluster.brokers, "first", 0, 5)
    local client <close> = assert(kafka.connect { brokers = cluster.brokers })
    local all <close> = assert(client:partitions("first"))
    assert(all:seek(0, 50))
    local watermarks = client.watermarks
    function client.watermarks() error("left", 0) end
    try.until_true(10, function() return not pcall(all.fetch, all, { timeout = 0.1 }) end)
    client.watermarks = watermarks
    assert(all:seek(0, 3))
    assert.equal(3, assert(all:fetch { timeout = 5 })[1].offset)
  end)
end)

-- A consumer of partitions that are assigned by hand: messages, batches, loops, what counts as handled, seeks, the end. What a
-- group adds is consumer_group_spec.lua's.

local kafka = require "kafka"
local try = require "spec.support.try"

local mock
local groups = 0

setup(function()
  mock = assert(kafka.mock { topics = { first = 2, empty = 1, many = 1 } })
  try.fill(mock.brokers, "first", 0, 10)
  try.fill(mock.brokers, "first", 1, 10)
  try.fill(mock.brokers, "many", 0, 1200)
end)
teardown(function() mock:close() end)

-- A group nobody else uses.
local function new_group()
  groups = groups + 1
  return "group-" .. groups
end

local function open(options)
  options = options or {}
  options.brokers, options.group = mock.brokers, options.group or new_group()
  options.fetch_wait_max_ms = 10
  return assert(kafka.consumer(options))
end

-- A consumer of partition 0 of first, or of the rows given.
local function reading(options, ...)
  local c = open(options)
  assert(c:assign(... and { ... } or { { topic = "first", partition = 0 } }))
  return c
end

local function both(options) return reading(options, { topic = "first", partition = 0 }, { topic = "first", partition = 1 }) end

local function committed(c, partition)
  return assert(c:committed { topic = "first", partition = partition or 0 })[1].offset
end

-- What the group of a closed consumer has committed of partition 0.
local function committed_by(group) return try.committed(mock.brokers, group, "first") end

local function values(list)
  local found = {}
  for i, m in ipairs(list) do found[i] = m.value end
  return table.concat(found, " ")
end

describe("poll", function()
  it("gives the messages of a partition in order", function()
    local c <close> = reading()
    for i = 1, 10 do
      local m = assert(c:poll(5))
      assert.same({ "first", 0, i - 1, tostring(i) }, { m.topic, m.partition, m.offset, m.value })
    end
  end)

  it("gives a message and nothing beside it", function()
    local c <close> = reading()
    assert.equal(1, select("#", c:poll(5)))
  end)

  it("gives nil alone where nothing comes in its time", function()
    local c <close> = reading({}, { topic = "empty", partition = 0 })
    local seconds, m, err = try.time(c.poll, c, 0.2)
    assert.is_nil(m)
    assert.is_nil(err)
    assert.is_true(seconds >= 0.2 and seconds < 0.6, "took " .. seconds)
    assert.is_true((try.time(c.poll, c, 0)) < 0.1)
  end)

  it("goes on after stop, which ends loops only", function()
    local c <close> = reading()
    c:stop()
    assert.equal("1", assert(c:poll(5)).value)
  end)
end)

describe("a batch", function()
  it("holds what is there, at most so many, and says where reading goes on", function()
    local c <close> = reading()
    local b = assert(c:batch { max = 4, timeout = 5 })
    assert.equal("1 2 3 4", values(b))
    assert.same({ 4, 4, { { topic = "first", partition = 0, offset = 4 } }, false }, { b.n, b.bytes, b.next, b.eof })
    b = assert(c:batch { timeout = 5 })
    assert.equal("5 6 7 8 9 10", values(b))
  end)

  it("holds at most so many bytes, but one message at least", function()
    local c <close> = reading()
    assert.equal("1 2 3", values(assert(c:batch { max_bytes = 3, timeout = 5 })))
    assert.equal("4", values(assert(c:batch { max_bytes = 0, timeout = 5 })))
  end)

  it("is empty where nothing comes, and tells the end", function()
    local c <close> = reading({}, { topic = "empty", partition = 0 })
    try.until_true(5, function() return assert(c:batch { timeout = 0.1 }).eof end)
    local b = assert(c:batch { timeout = 0 })
    assert.same({ 0, 0, {} }, { b.n, b.bytes, b.next })
  end)

  it("comes as columns", function()
    local c <close> = reading()
    local b = assert(c:batch { max = 3, timeout = 5, columns = { "value", "offset" } })
    assert.same({ { "1", "2", "3" }, { 0, 1, 2 }, 3 }, { b.value, b.offset, b.n })
  end)

  it("begins with what poll has left, in any form and within its limits", function()
    local c <close> = reading()
    assert.equal("1", assert(c:poll(5)).value)
    assert.equal("2 3", values(assert(c:batch { max = 2 })))
    assert.equal("4", values(assert(c:batch { max_bytes = 1 })))
    local b = assert(c:batch { max = 2, columns = { "offset", "key" } })
    assert.same({ { 4, 5 }, {}, 2 }, { b.offset, b.key, b.n })
    assert.same({ { topic = "first", partition = 0, offset = 6 } }, b.next)
    assert.equal("7", assert(c:poll(5)).value)
  end)
end)

describe("messages", function()
  it("end at the end of every partition, where asked", function()
    local c <close> = both()
    local n = { [0] = 0, [1] = 0 }
    for m in c:messages { to_end = true } do n[m.partition] = n[m.partition] + 1 end
    assert.same({ [0] = 10, [1] = 10 }, n)
    for _ in c:messages { to_end = true } do error "there is nothing more" end
  end)

  it("end when none has come for so long", function()
    local c <close> = reading()
    local n = 0
    local seconds = try.time(function()
      for _ in c:messages { idle = 0.3 } do n = n + 1 end
    end)
    assert.equal(10, n)
    assert.is_true(seconds >= 0.3 and seconds < 5, "took " .. seconds)
  end)

  it("end where somebody stops them, at once", function()
    local c <close> = reading()
    local n = 0
    for _ in c:messages() do
      n = n + 1
      if n == 3 then c:stop() end
    end
    assert.equal(3, n)
    assert.equal("4", c:messages()().value)
  end)

  it("are the same as batches, in any form", function()
    local one, two, three = {}, {}, {}
    local function all() return reading({}, { topic = "many", partition = 0 }) end
    local a <close> = all()
    local b <close> = all()
    local c <close> = all()
    for m in a:messages { to_end = true } do one[#one + 1] = m.value end
    for batch in b:batches { to_end = true, max = 77 } do
      assert.is_true(batch.n <= 77)
      for _, m in ipairs(batch) do two[#two + 1] = m.value end
    end
    for batch in c:batches { to_end = true, columns = { "value" } } do table.move(batch.value, 1, batch.n, #three + 1, three) end
    assert.equal(1200, #one)
    assert.same(one, two)
    assert.same(one, three)
  end)

  it("come in empty batches too, where a time for each is given", function()
    local c <close> = reading({}, { topic = "empty", partition = 0 })
    local n = 0
    for batch in c:batches { timeout = 0.05 } do
      assert.equal(0, batch.n)
      n = n + 1
      if n == 3 then break end
    end
    for _ in c:batches { idle = 0.2 } do error "an empty batch" end
  end)
end)

describe("on_eof", function()
  it("hears of each end once, after its last message was handled", function()
    local c, seen, count = nil, {}, 0
    c = both { on_eof = function(row, consumer)
      assert.equal(c, consumer)
      seen[row.partition] = (seen[row.partition] or 0) + 1
      assert.equal(10, row.offset)
      assert.equal(10, consumer:position("first", row.partition))
    end }
    for _ in c:messages { to_end = true } do count = count + 1 end
    c:poll(0.2)
    assert.same({ [0] = 1, [1] = 1 }, seen)
    assert.equal(20, count)
    c:close()
  end)

  it("hears of an end again after more has come, and after a seek", function()
    local ends = 0
    local topic = "grows"
    assert(mock:create_topic(topic, 1, 1))
    local c <close> = open { on_eof = function() ends = ends + 1 end }
    assert(c:assign { { topic = topic, partition = 0 } })
    local function until_end(n)
      try.until_true(5, function()
        c:poll(0.05)
        return ends == n
      end)
    end
    until_end(1)
    try.fill(mock.brokers, topic, 0, 1)
    until_end(2)
    assert(c:seek(topic, 0, "earliest"))
    until_end(3)
  end)

  it("may seek, and reading goes on there", function()
    local again = true
    local c <close> = reading { on_eof = function(row, consumer)
      if again then assert(consumer:seek(row.topic, row.partition, 8)) end
      again = false
    end }
    local n = 0
    for _ in c:messages { idle = 0.3 } do n = n + 1 end
    assert.equal(12, n)
  end)

  it("may close the consumer", function()
    local c = reading { on_eof = function(_, consumer) assert(consumer:close()) end }
    local n = 0
    for _ in c:messages() do n = n + 1 end
    assert.equal(10, n)
  end)

  it("that raises is heard by the caller, and nothing is lost", function()
    local c <close> = both { on_eof = function(row) error("at the end of " .. row.partition, 0) end }
    local n, raised = 0, {}
    while n < 20 or #raised < 2 do
      local ok, m = pcall(c.poll, c, 5)
      if ok then n = n + (m and 1 or 0) else raised[#raised + 1] = m end
    end
    table.sort(raised)
    assert.same({ "at the end of 0", "at the end of 1" }, raised)
  end)

  it("may not ask for messages", function()
    local refused
    local c <close> = reading { on_eof = function(_, consumer)
      refused = try.misuse("handler of the same consumer", function() consumer:poll(0) end)
    end }
    for _ in c:messages { to_end = true } do end
    assert.truthy(refused)
  end)
end)

describe("a message", function()
  it("counts as handled when the next is asked for, not before", function()
    local c <close> = reading()
    c:poll(5)
    assert(c:commit())
    assert.is_nil(committed(c))
    c:poll(5)
    assert(c:commit())
    assert.equal(1, committed(c))
  end)

  it("in hand is not committed by close: the next consumer gets it again", function()
    local group = new_group()
    local c = reading { group = group }
    for m in c:messages() do
      if m.value == "4" then break end
    end
    assert(c:close())
    assert.equal(3, committed_by(group))
    local again <close> = reading { group = group }
    assert.equal("4", assert(again:poll(5)).value)
  end)

  it("in hand is not committed where its loop raises", function()
    local group = new_group()
    assert.has_error(function()
      local c <close> = reading { group = group }
      for m in c:messages() do
        if m.value == "3" then error("cannot do 3", 0) end
      end
    end, "cannot do 3")
    assert.equal(2, committed_by(group))
  end)

  it("that a loop is through with is committed by close", function()
    local group = new_group()
    local c = reading { group = group }
    for _ in c:messages { to_end = true } do end
    assert(c:close())
    assert.equal(10, committed_by(group))
  end)

  it("of a batch counts with its batch", function()
    local c <close> = reading()
    c:batch { max = 4, timeout = 5 }
    assert(c:commit())
    assert.is_nil(committed(c))
    c:batch { max = 4, timeout = 5 }
    assert(c:commit())
    assert.equal(4, committed(c))
  end)

  it("is committed at intervals, without a word", function()
    local c <close> = reading { auto_commit_interval_ms = 50 }
    for _ = 1, 5 do c:poll(5) end
    try.until_true(5, function()
      c:poll(0.05)
      return (committed(c) or 0) >= 5
    end)
  end)

  it("is not committed by itself where that is switched off", function()
    local group = new_group()
    local c = reading { group = group, enable_auto_commit = false, auto_commit_interval_ms = 10 }
    for _ in c:messages { to_end = true } do end
    assert(c:close())
    assert.is_nil(committed_by(group))
  end)

  it("is stored only by store where that is switched off", function()
    local c <close> = reading { enable_auto_offset_store = "0" }
    local m = assert(c:poll(5))
    c:poll(5)
    assert(c:commit())
    assert.is_nil(committed(c))
    assert(c:store(m))
    assert(c:commit())
    assert.equal(1, committed(c))
    assert(c:store(assert(c:batch { max = 3 })))
    assert(c:commit())
    assert.equal(5, committed(c))
    assert(c:store { topic = "first", partition = 0, offset = 2, metadata = "back" })
    assert(c:commit())
    local row = assert(c:committed())[1]
    assert.same({ 2, "back" }, { row.offset, row.metadata })
    try.failure("_STATE", c:store { topic = "first", partition = 1, offset = 2 })
  end)
end)

describe("a commit", function()
  it("of a message, a batch or rows says what is named", function()
    local c <close> = reading()
    assert(c:commit(assert(c:poll(5))))
    assert.equal(1, committed(c))
    assert(c:commit(assert(c:batch { max = 3 })))
    assert.equal(4, committed(c))
    assert(c:commit { topic = "first", partition = 1, offset = 7 })
    assert.equal(7, committed(c, 1))
  end)

  it("may have metadata", function()
    local c <close> = reading()
    assert(c:commit(assert(c:poll(5)), { metadata = "a note" }))
    assert.equal("a note", assert(c:committed())[1].metadata)
  end)

  it("of nothing new is true at once", function()
    local c <close> = reading()
    assert.is_true(c:commit())
  end)

  it("need not wait: its handler hears of it", function()
    local c <close> = reading()
    local rows, problem
    assert.is_true(c:commit(assert(c:poll(5)), { on_commit = function(r, err) rows, problem = r, err end }))
    try.until_true(5, function()
      c:poll(0)
      return rows
    end)
    assert.is_nil(problem)
    assert.same({ { topic = "first", partition = 0, offset = 1 } }, rows)
    assert(c:commit())
    local empty
    assert(c:commit(nil, { on_commit = function(r) empty = r end }))
    assert.same({}, empty)
  end)

  it("that is refused is an error, and is sent again with the next", function()
    local c <close> = reading { enable_auto_commit = false }
    c:poll(5)
    c:poll(5)
    mock:fail("OffsetCommit", "GROUP_AUTHORIZATION_FAILED")
    local err = try.failure("GROUP_AUTHORIZATION_FAILED", c:commit())
    assert.same({ c:assignment()[1].topic, 0 }, { err.topic, err.partition })
    assert(c:commit())
    assert.equal(1, committed(c))
  end)

  it("at an interval that is refused is told, and sent again", function()
    local told = {}
    local c <close> = reading { auto_commit_interval_ms = 50, on_commit = function(rows, err)
      told[#told + 1] = err and err.name or rows[1].offset
    end }
    mock:fail("OffsetCommit", "GROUP_AUTHORIZATION_FAILED")
    c:poll(5)
    try.until_true(5, function()
      c:poll(0.05)
      return #told >= 2
    end)
    assert.equal("GROUP_AUTHORIZATION_FAILED", told[1])
    assert.is_true(math.type(told[2]) == "integer")
  end)

  it("is true only when what is stored has arrived: also what an interval has just sent", function()
    local c <close> = reading { auto_commit_interval_ms = 10, on_commit = function() end }
    c:poll(5)
    assert(c:pause())
    mock:rtt(0.3)
    mock:fail("OffsetCommit", "GROUP_AUTHORIZATION_FAILED") -- of the interval
    c:poll(0.15)
    assert(c:commit())
    mock:rtt(0)
    assert.equal(1, committed(c))
  end)
end)

describe("a position", function()
  it("is the next to be handed out, not the next that was fetched", function()
    local c <close> = reading()
    assert.equal(0, c:position("first", 0))
    c:poll(5)
    assert.equal(1, c:position("first", 0))
    c:batch { max = 3 }
    assert.equal(4, c:position("first", 0))
    assert.same({ { topic = "first", partition = 0, offset = 4 } }, c:assignment())
    try.failure("_STATE", c:position("first", 1))
  end)
end)

describe("a seek", function()
  it("whose time is over before it has asked is late, not misused", function()
    local c <close> = reading()
    assert(mock:rtt(0.2)) -- or a busy machine has the answer before it looks
    finally(function() assert(mock:rtt(0)) end)
    try.failure("_TIMED_OUT", c:seek("first", 0, { time = 1700000000000 }, 0))
    try.failure("_TIMED_OUT", c:seek("first", 0, "committed", 0))
  end)

  it("goes to an offset, to either end, to the last n, to what was committed", function()
    local c <close> = reading()
    local function at(where)
      assert(c:seek("first", 0, where))
      local m = c:poll(1)
      return m and m.offset
    end
    assert.equal(7, at(7))
    assert.equal(0, at "earliest")
    assert.equal(7, at(-3))
    assert.equal(0, at(-100))
    assert(c:commit { topic = "first", partition = 0, offset = 5 })
    assert.equal(5, at "committed")
    assert(c:seek("first", 0, "latest"))
    assert.equal(10, c:position("first", 0))
    assert.is_nil(c:poll(0.2))
  end)

  it("drops what was fetched, and what is in hand", function()
    local c <close> = both()
    local m = assert(c:poll(5))
    assert(c:seek("first", m.partition, m.offset))
    local found
    try.until_true(5, function()
      found = assert(c:poll(5))
      return found.partition == m.partition
    end)
    assert.equal(m.offset, found.offset)
  end)

  it("may come again and again, each exact", function()
    local c <close> = reading({}, { topic = "many", partition = 0 })
    for i = 1, 200 do
      local offset = i * 37 % 1200
      assert(c:seek("many", 0, offset))
      if i % 10 == 0 then assert.equal(offset, assert(c:poll(5)).offset) end
    end
  end)

  it("of a partition that is not ours is an error", function()
    local c <close> = reading()
    try.failure("_STATE", c:seek("first", 1, 0))
  end)

  it("to an offset that does not exist is told, and reading goes on by policy", function()
    local told
    local c <close> = reading { on_reset = function(row) told = row end }
    assert(c:seek("first", 0, 500))
    assert.equal(0, assert(c:poll(10)).offset)
    assert.same({ "first", 0, 500, 0 }, { told.topic, told.partition, told.from, told.to })
    assert.matches("behind the end", told.reason)
  end)

  it("to an offset that does not exist is told to on_error without on_reset", function()
    local told
    local c <close> = reading { auto_offset_reset = "latest", on_error = function(err) told = err end }
    assert(c:seek("first", 0, 500))
    try.until_true(10, function() return not c:poll(0.1) and told end)
    assert.equal(10, c:position("first", 0))
    assert.equal("OFFSET_OUT_OF_RANGE", told.name)
  end)

  it("is not undone where a broker that is behind knows less than is there", function()
    local c <close> = reading { on_reset = function(row) error(row.reason) end }
    assert(c:seek("first", 0, 7))
    mock:fail("Fetch", "OFFSET_OUT_OF_RANGE", "OFFSET_OUT_OF_RANGE")
    assert.equal(7, assert(c:poll(10)).offset)
    assert.equal(8, assert(c:poll(10)).offset)
  end)

  it("to an offset that does not exist is told though a handler raised while the ends were looked up", function()
    local told, looking, raised
    local c <close> = reading { on_reset = function(row) told = row end, statistics_interval_ms = 20, on_stats = function()
      if raised or not looking or not looking.doubts[1] then return end
      raised = true
      error("a handler", 0)
    end }
    looking = c
    assert(c:seek("first", 0, 500))
    mock:delay("ListOffsets", 1, 0.5)
    try.until_true(10, function() return not pcall(c.poll, c, 0.1) end, "the handler's error")
    assert.equal(0, assert(c:poll(10)).offset)
    assert.same({ 500, 0 }, { told.from, told.to })
  end)

  it("to an offset that does not exist stops there, where the policy is error", function()
    local c <close> = reading({ auto_offset_reset = "error" }, { topic = "first", partition = 0, offset = 500 })
    local err = try.failure("OFFSET_OUT_OF_RANGE", c:poll(10))
    assert.same({ "first", 0, 500, "fix" }, { err.topic, err.partition, err.offset, err.action })
    assert.is_nil(c:poll(0.1))
    assert(c:seek("first", 0, 9))
    assert.equal(9, assert(c:poll(5)).offset)
    assert(c:seek("first", 0, 500))
    assert.has_error(function()
      for _ in c:messages() do end
    end)
  end)
end)

describe("a pause", function()
  it("holds a partition back until it is resumed, and loses nothing", function()
    local c <close> = both()
    local m = assert(c:poll(5))
    assert(c:pause("first", m.partition))
    local seen = {}
    for other in c:messages { idle = 0.2 } do
      assert.is_true(other.partition ~= m.partition)
      seen[#seen + 1] = other.offset
    end
    assert.equal(10, #seen)
    assert.is_true(c:assignment()[m.partition + 1].paused)
    assert(c:resume("first", m.partition))
    local next_one = assert(c:poll(5))
    assert.same({ m.partition, m.offset + 1 }, { next_one.partition, next_one.offset })
  end)

  it("does not take back what is in hand: it counts when more is asked for", function()
    local c <close> = reading()
    c:poll(5)
    assert(c:pause("first", 0))
    c:poll(0.1)
    assert(c:commit())
    assert.equal(1, committed(c))
  end)

  it("of all needs no name", function()
    local c <close> = both()
    assert(c:pause())
    assert.is_nil(c:poll(0.2))
    assert(c:resume())
    local n = 0
    for _ in c:messages { to_end = true } do n = n + 1 end
    assert.equal(20, n)
  end)
end)

describe("partitions assigned by hand", function()
  it("begin where the group has committed, else by policy, or where their rows say", function()
    local c <close> = reading()
    assert(c:commit { topic = "first", partition = 0, offset = 6 })
    assert(c:assign { { topic = "first", partition = 0 }, { topic = "first", partition = 1, offset = -1 } })
    assert.same({ 6, 9 }, { c:position("first", 0), c:position("first", 1) })
    local late <close> = reading { auto_offset_reset = "latest" }
    assert.equal(10, late:position("first", 0))
  end)

  it("are an error where nothing is committed and the policy is error", function()
    local c <close> = open { auto_offset_reset = "error" }
    try.failure("_NO_OFFSET", c:assign { { topic = "first", partition = 0 } })
    assert.same({}, c:assignment())
  end)

  it("may be added and removed", function()
    local c <close> = reading()
    assert(c:add { topic = "first", partition = 1, offset = 4 })
    assert.equal(2, #c:assignment())
    assert(c:remove { topic = "first", partition = 0 })
    local list = {}
    for m in c:messages { to_end = true } do list[#list + 1] = m end
    assert.equal("5 6 7 8 9 10", values(list))
    assert(c:assign {})
    assert.same({}, c:assignment())
  end)

  it("are not for a consumer that has subscribed, and the other way round", function()
    local c <close> = open { topics = "first" }
    try.misuse("subscribed", function() c:assign { { topic = "first", partition = 0 } } end)
    local d <close> = reading()
    try.misuse("assigned by hand", function() d:subscribe "first" end)
  end)
end)

describe("the lag of a consumer", function()
  it("is counted from its positions, for each partition and whole", function()
    local c <close> = both()
    assert.equal(20, (assert(c:lag())))
    assert(c:seek("first", 1, 7))
    local total, rows = assert(c:lag())
    assert.equal(13, total)
    assert.same({ topic = "first", partition = 1, position = 7, latest = 10, lag = 3 }, rows[2])
    for _ in c:messages { to_end = true } do end
    assert.equal(0, (assert(c:lag())))
  end)
end)

describe("misuse of a consumer", function()
  it("is named at the caller's line", function()
    local c <close> = reading()
    try.misuse({ "poll", "timeout" }, function() c:poll(-1) end)
    try.misuse({ "batch", "column", "value" }, function() c:batch { columns = { "valu" } } end)
    try.misuse({ "batches", "max" }, function() c:batches { max = 0 } end)
    try.misuse({ "messages", "to_end" }, function() c:messages { to_edn = true } end)
    try.misuse({ "seek", "offset" }, function() c:seek("first", 0, "middle") end)
    try.misuse({ "seek", "offset" }, function() c:seek("first", 0, { time = 1700000000 }) end)
    try.misuse({ "assign", "rows[1]" }, function() c:assign { { topic = "first" } } end)
    try.misuse({ "commit", "rows" }, function() c:commit {} end)
    try.misuse({ "pause", "partition" }, function() c:pause "first" end)
    try.misuse({ "subscribe", "topics" }, function() c:subscribe {} end)
    try.misuse({ "kafka.consumer", "group" }, function() kafka.consumer { brokers = mock.brokers } end)
    try.misuse({ "kafka.consumer", "topics" }, function() kafka.consumer { brokers = mock.brokers, group = "g", topics = 3 } end)
  end)

  it("is any call on a closed one", function()
    local c = reading()
    assert(c:close())
    assert.is_true(c:close())
    for _, name in ipairs { "poll", "batch", "messages", "commit", "assignment", "lag", "stop" } do
      try.misuse("closed", function() c[name](c) end)
    end
    assert.matches("closed", tostring(c))
  end)
end)

-- librdkafka 2.0 guesses a wrong security.protocol from both; 2.14 tells only that no broker is left.
describe("a connection that ends early", function()
  local function with_disconnects(n, f)
    local own <close> = assert(kafka.mock { topics = { first = 1 } })
    try.fill(own.brokers, "first", 0, 5)
    local faults, told = {}, nil
    for i = 1, n do faults[i] = "DISCONNECT" end
    own:fail("ApiVersions", table.unpack(faults))
    local c <close> = assert(kafka.consumer { brokers = own.brokers, group = "g", on_log = function() end,
      on_error = function(err) told = told or tostring(err) end })
    assert(c:assign { { topic = "first", partition = 0, offset = 0 } })
    f(c, function() return assert(told):find "the port speaks TLS" ~= nil end)
    if kafka.librdkafka:find "^2%.0%." then assert.matches("the port speaks TLS", told) end
  end

  it("is told, and ends no loop where it was a broker that went down", function()
    with_disconnects(1, function(c)
      local n = 0
      for _ in c:messages { to_end = true } do n = n + 1 end
      assert.equal(5, n)
    end)
  end)

  it("is an error of poll where no broker answers at all", function()
    with_disconnects(100, function(c, is_guess)
      local _, err = c:poll(6)
      assert.same(is_guess() and { "security", "fix" } or {}, { err and err.category, err and err.action })
    end)
  end)
end)

describe("a consumer of a dead cluster", function()
  it("closes within its time, and names what could not be committed", function()
    local own = assert(kafka.mock { topics = { first = 1 } })
    try.fill(own.brokers, "first", 0, 3)
    local c = assert(kafka.consumer { brokers = own.brokers, group = "g", on_error = function() end, on_log = function() end })
    assert(c:assign { { topic = "first", partition = 0 } })
    assert.equal("1", assert(c:poll(5)).value)
    assert.equal("2", assert(c:poll(5)).value)
    own:close()
    local seconds, ok, err = try.time(c.close, c, 0.5)
    assert.is_true(seconds < 3, "took " .. seconds)
    try.failure(nil, ok, err)
    local given = tonumber(err.message:match "timed out after ([%d.]+) s") -- what was left of it for the last commit
    assert.is_true(given > 0.2 and given <= 0.5, err.message)
    assert.same({ { topic = "first", partition = 0, offset = 1 } }, err.uncommitted)
  end)
end)

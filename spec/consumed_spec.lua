-- What a consumer has handed out and where it goes back to: rows of a transaction, marks, partitions that went away meanwhile.

local kafka = require "kafka"
local consumed = require "kafka.consumed"
local try = require "spec.support.try"

local mock
local quiet = function() end
local groups = 0

setup(function()
  mock = assert(kafka.mock { brokers = 1, topics = { two = 2 } })
  for p = 0, 1 do try.fill(mock.brokers, "two", p, 10) end
end)
teardown(function() mock:close() end)

local function open(options)
  groups = groups + 1
  options.brokers, options.group, options.enable_auto_commit = mock.brokers, "consumed-" .. groups, false
  options.on_error, options.on_log, options.fetch_wait_max_ms = quiet, quiet, 10
  return assert(kafka.consumer(options))
end

local function both(options)
  local c = open(options or {})
  assert(c:assign { { topic = "two", partition = 0, offset = 0 }, { topic = "two", partition = 1, offset = 0 } })
  return c
end

-- partition -> offset
local function rows_of(c)
  local found = {}
  for _, row in ipairs(consumed.rows(c)) do found[row.partition] = row.offset end
  return found
end

-- Takes batches until both partitions were among them.
local function take_both(c)
  local seen = {}
  while not (seen[0] and seen[1]) do
    for _, m in ipairs(assert(c:batch { max = 3, timeout = 5 })) do seen[m.partition] = m.offset end
  end
  return seen
end

local function transactional(f)
  local t <close> = assert(kafka.producer { brokers = mock.brokers, transactional_id = "t-" .. groups, on_error = quiet,
    on_log = quiet })
  return f(t)
end

describe("what a consumer handed out", function()
  it("is counted over all batches, not only the last one", function()
    local c <close> = both()
    local last = take_both(c)
    assert.same({ [0] = last[0] + 1, [1] = last[1] + 1 }, rows_of(c))
  end)

  it("ends before what poll has fetched and not given", function()
    local c <close> = both()
    local m = assert(c:poll(5))
    assert.same({ [m.partition] = m.offset + 1 }, rows_of(c))
  end)

  it("begins anew where it was committed by hand, or sought", function()
    local c <close> = both()
    take_both(c)
    assert(c:commit(consumed.rows(c)))
    assert.same({}, rows_of(c))
    assert(c:seek("two", 0, 7))
    assert.same({}, rows_of(c))
  end)

  it("is read again from where the last committed transaction ended", function()
    local c <close> = both()
    local last = take_both(c)
    consumed.settle(c, { { topic = "two", partition = 0, offset = 2 } })
    consumed.rewind(c)
    assert.same({ 2, 0 }, { c:position("two", 0), c:position("two", 1) })
    assert.is_true(last[0] >= 2)
  end)

  it("goes back to a mark, and still counts what was handed out before", function()
    local c <close> = both()
    local before = take_both(c)
    local mark = consumed.mark(c)
    assert(c:batch { max = 3 })
    consumed.restore(c, mark)
    assert.same({ [0] = before[0] + 1, [1] = before[1] + 1 }, rows_of(c))
    assert.same({ before[0] + 1, before[1] + 1 }, { c:position("two", 0), c:position("two", 1) })
  end)

  it("stays in the caller's hand where nothing was handed out since the mark", function()
    local c <close> = both()
    assert(c:poll(5))
    local second = assert(c:poll(5))
    consumed.restore(c, consumed.mark(c))
    local third = assert(c:poll(5))
    assert.same({ second.partition, second.offset + 1 }, { third.partition, third.offset })
  end)

  it("is nobody's to commit where its partition went away and came back", function()
    local c <close> = both()
    take_both(c)
    local mark, rows = consumed.mark(c), consumed.rows(c)
    assert.is_nil(consumed.problem(c, rows, mark))
    assert(c:remove { { topic = "two", partition = 0 } })
    assert.equal("_ASSIGNMENT_LOST", consumed.problem(c, {}, mark).name)
    assert(c:add { { topic = "two", partition = 0, offset = 0 } })
    local err = consumed.problem(c, rows)
    assert.same({ "_ASSIGNMENT_LOST", true }, { err.name, err.abortable })
    assert.equal("_ASSIGNMENT_LOST", consumed.problem(c, consumed.rows(c), mark).name)
  end)

  it("stays where a broker that is behind denied the position for a moment", function()
    local c <close> = open { on_reset = function(row) error(row.reason) end }
    assert(c:assign { { topic = "two", partition = 0, offset = 0 } })
    local n = 0
    for _ in c:messages { to_end = true } do n = n + 1 end
    assert.equal(10, n)
    local part, denied, halt = c.parts:find("two", 0), false, c.parts.halt
    c.parts.halt = function(...)
      denied = true
      return halt(...)
    end
    mock:fail("Fetch", "OFFSET_OUT_OF_RANGE")
    try.until_true(10, function()
      assert.is_nil(c:poll(0.05))
      return denied and not part.doubt
    end, "the denial, and the end of its doubt")
    assert.same({ [0] = 10 }, rows_of(c))
    consumed.rewind(c)
    assert.equal(0, assert(c:poll(5)).offset)
  end)

  it("is asked of the group where nobody knows whether it was committed", function()
    local c <close> = both()
    take_both(c)
    local k <close> = assert(kafka.connect { brokers = mock.brokers })
    assert(k:commit(c.group, { { topic = "two", partition = 0, offset = 5 } }))
    consumed.ask(c, consumed.rows(c))
    local first = {}
    while not (first[0] and first[1]) do
      local m = assert(c:poll(5))
      first[m.partition] = first[m.partition] or m.offset
    end
    assert.same({ [0] = 5, [1] = 0 }, first) -- nothing is committed of 1: it goes on where it began
  end)
end)

describe("send_offsets", function()
  it("refuses those of a consumer that reads what is not committed", function()
    local c <close> = both { isolation_level = "read_uncommitted" }
    transactional(function(t)
      assert(t:begin())
      try.misuse("isolation_level = read_committed", function() t:send_offsets(c) end)
      assert(t:abort())
    end)
  end)

  it("refuses offsets that the consumer has not come to", function()
    local c <close> = both()
    transactional(function(t)
      assert(t:begin())
      local err = try.failure("_ASSIGNMENT_LOST", t:send_offsets(c, { { topic = "two", partition = 0, offset = 4 } }))
      assert.is_true(err.abortable)
      assert(t:abort())
    end)
  end)

  it("refuses those of a consumer that its group has thrown out, before it knows", function()
    local c = open { topics = { "two" }, auto_offset_reset = "earliest", session_timeout_ms = 6000, heartbeat_interval_ms = 100 }
    assert(c:poll(15))
    mock:fail("Heartbeat", "UNKNOWN_MEMBER_ID")
    transactional(function(t)
      local err
      assert(t:begin())
      try.until_true(5, function()
        local ok
        ok, err = t:send_offsets(c)
        return not ok
      end)
      assert(t:abort())
      assert.same({ "_ASSIGNMENT_LOST", true, "abort" }, { err.name, err.abortable, err.action })
    end)
    c:close()
  end)
end)

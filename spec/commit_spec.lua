-- A commit that was asked for must be decided: until then nothing else is done, nothing is repeated, nothing goes back.

local kafka = require "kafka"
local child = require "spec.support.child"
local try = require "spec.support.try"

local mock
local ids = 0
local quiet = function() end

local function open(options)
  ids = ids + 1
  options = options or {}
  options.brokers, options.transactional_id = mock.brokers, "c-" .. ids
  options.on_log, options.on_error = quiet, options.on_error or quiet
  return assert(kafka.producer(options))
end

-- In a transaction, with a message; the coordinator's answer to its end will take so long.
local function begun(seconds, options)
  local t = open(options)
  assert(t:begin())
  assert(t:produce("first", "v"))
  assert(t:flush())
  mock:delay("EndTxn", 1, seconds)
  return t
end

setup(function() mock = assert(kafka.mock { brokers = 1, topics = { first = 2 } }) end)
teardown(function() mock:close() end)
before_each(function() mock:fail "EndTxn" end)

describe("a commit that timed out", function()
  it("keeps an abort away, and is decided by calling it again", function()
    local t <close> = begun(0.8)
    local ok, err = t:commit(0.2)
    try.failure("_TIMED_OUT", ok, err)
    assert.same({ true, false }, { err.retriable, err.fatal })
    assert.matches("it may still take effect: commit again to know", err.message)
    ok, err = t:abort()
    try.failure("_CONFLICT", ok, err)
    assert.equal("retry", err.action)
    ok, err = t:produce("first", "late")
    assert.matches("only between begin and commit", select(2, try.failure("_STATE", ok, err)) or err.message)
    try.misuse("has begun already", function() t:begin() end)
    assert(t:commit())
    assert(t:transaction(function(tx) assert(tx:produce("first", "v")) end))
  end)

  it("is decided by close", function()
    local t = begun(0.5)
    try.failure("_TIMED_OUT", t:commit(0.1))
    assert(t:close())
  end)

  it("is told as in doubt by a close that has no time either", function()
    local t = begun(2)
    try.failure("_TIMED_OUT", t:commit(0.1))
    local err = try.failure(nil, t:close(0.1))
    assert.is_true(err.in_doubt)
    assert.matches("not known whether the transaction was committed", err.message)
  end)

  it("makes transaction(f) wait longer, not call f again", function()
    local t <close> = open()
    assert(t:begin())
    assert(t:abort())
    mock:delay("EndTxn", 1, 0.8)
    local calls = 0
    assert(t:transaction(function(tx)
      calls = calls + 1
      assert(tx:produce("first", "v"))
    end, { timeout = 0.6 }))
    assert.equal(1, calls)
  end)

  it("ends the producer's use where it stays undecided, and every later call says so", function()
    local t = open()
    assert(t:begin())
    assert(t:abort())
    mock:delay("EndTxn", 1, 3)
    local calls = 0
    local ok, err = t:transaction(function(tx)
      calls = calls + 1
      assert(tx:produce("first", "v"))
    end, { timeout = 0.3 })
    try.failure("_TIMED_OUT", ok, err)
    assert.same({ 1, true, true, "recreate" }, { calls, err.fatal, err.in_doubt, err.action })
    for _, call in ipairs {
      function() return t:begin() end,
      function() return t:produce("first", "v") end,
      function() return t:produce_many("first", { "v" }) end,
      function() return t:send("first", "v") end,
      function() return t:flush() end,
      function() return t:transaction(function() end) end,
    } do
      local again, e = call()
      assert.is_nil(again)
      assert.same({ true, err.name, err.message }, { e.fatal, e.name, e.message })
    end
    t:close(0)
  end)
end)

describe("a step under way", function()
  it("is finished by the same call after Ctrl-C", function()
    local r = child.run [[
      local kafka = require "kafka"
      local process = require "spec.support.process"
      local mock = assert(kafka.mock { brokers = 1, topics = { first = 1 } })
      local t = assert(kafka.producer { brokers = mock.brokers, transactional_id = "t" })
      local calls = 0
      assert(t:begin())
      assert(t:abort())
      mock:delay("EndTxn", 1, 1)
      process.interrupt_in(0.2)
      print(pcall(t.transaction, t, function(tx)
        calls = calls + 1
        assert(tx:produce("first", "v"))
      end))
      print(process.since_interrupt() < 0.3, calls)
      print(select(2, t:abort()).name)
      print(t:commit())
      print(t:transaction(function(tx) assert(tx:produce("first", "w")) end))
      assert(t:close())
      mock:close()
    ]]
    assert.equal("", r.err)
    assert.matches("^false\t[^\n]*interrupted!\ntrue\t1\n_CONFLICT\ntrue\ntrue\n$", r.out)
  end)

  it("is not disturbed by a handler's error, which the next call raises", function()
    local t <close> = open()
    assert(t:transaction(function(tx)
      assert(tx:produce("first", "v", { on_delivery = function() error("mine", 0) end }))
    end))
    local ok, raised = pcall(t.produce, t, "first", "v")
    assert.same({ false, "mine" }, { ok, raised })
    assert(t:transaction(function() end))
  end)

  it("keeps the steps of a handler away", function()
    local t <close> = open()
    local ok, raised
    assert(t:begin())
    assert(t:produce("first", "v", { on_delivery = function() ok, raised = pcall(t.commit, t) end }))
    assert(t:commit())
    assert.is_false(ok)
    assert.matches("commit is under way on this producer", raised)
  end)

  it("keeps the steps of another coroutine away", function()
    local t <close> = open { loop = function() coroutine.yield() end }
    assert(t:begin())
    mock:delay("EndTxn", 1, 0.3)
    assert(t:produce("first", "v"))
    local done
    local co = coroutine.create(function() done = t:commit() end)
    assert(coroutine.resume(co))
    try.misuse("commit is under way on this producer", function() t:abort() end)
    try.until_true(5, function()
      assert(coroutine.resume(co))
      return coroutine.status(co) == "dead"
    end)
    assert.is_true(done)
  end)

  it("ends where a handler closes the producer", function()
    local t = open()
    assert(t:begin())
    mock:delay("EndTxn", 1, 0.5)
    local closed
    assert(t:produce("first", "v", { on_delivery = function() closed = table.pack(t:close(1)) end }))
    local err = try.failure("_DESTROY", t:commit())
    assert.is_true(err.in_doubt)
    assert.matches("not known whether the transaction was committed", tostring(closed[2]))
  end)
end)

describe("the function of transaction(f)", function()
  it("may not begin, commit or abort", function()
    local t <close> = open()
    for _, name in ipairs { "begin", "commit", "abort" } do
      local ok, raised = pcall(t.transaction, t, function(tx) tx[name](tx) end)
      assert.is_false(ok)
      assert.matches("transaction%(f%) begins, commits and aborts by itself", raised)
    end
    assert(t:transaction(function() end))
  end)

  it("may close the producer: nothing is committed", function()
    local t = open()
    local ok, err = t:transaction(function(tx)
      assert(tx:produce("first", "v"))
      tx:close()
    end)
    try.failure("_DESTROY", ok, err)
  end)
end)

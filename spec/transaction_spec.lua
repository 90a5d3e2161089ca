-- Transactions on the mock cluster: steps in their order, what each error leads to. What readers then see is for real brokers
-- (spec/real/transaction_spec.lua): the mock shows aborted messages too.

local kafka = require "kafka"
local try = require "spec.support.try"

local mock
local ids = 0

local function open(options)
  ids = ids + 1
  options = options or {}
  options.brokers, options.transactional_id = mock.brokers, options.transactional_id or "t-" .. ids
  options.on_error = options.on_error or function() end
  options.on_log = options.on_log or function() end
  return assert(kafka.producer(options))
end

setup(function() mock = assert(kafka.mock { brokers = 2, topics = { first = 2 } }) end)
teardown(function() mock:close() end)

describe("a transaction step by step", function()
  it("begins, produces and commits", function()
    local t <close> = open()
    assert(t:begin())
    assert(t:produce("first", "a"))
    assert(t:commit())
    assert.same({ 1, 0 }, { t:counts().delivered, t:counts().pending })
    assert(t:begin())
    assert(t:commit())
  end)

  it("aborts, and neither log nor close calls that a loss", function()
    local t = open()
    local lines = try.logged(function()
      assert(t:begin())
      for i = 1, 100 do assert(t:produce("first", tostring(i))) end
      assert(t:abort())
      assert.equal(0, t:pending())
      assert(t:flush())
      assert(t:close())
    end)
    assert.same({}, lines)
  end)

  it("gives each message its report, an aborted one too", function()
    local t <close> = open()
    local reports = 0
    assert(t:begin())
    for _ = 1, 50 do assert(t:produce("first", "v", { on_delivery = function() reports = reports + 1 end })) end
    assert(t:abort())
    assert.equal(50, reports)
  end)

  it("takes steps out of order for misuse", function()
    local t <close> = open()
    try.misuse({ "commit", "no transaction has begun" }, function() t:commit() end)
    try.misuse({ "abort", "no transaction has begun" }, function() t:abort() end)
    assert(t:begin())
    try.misuse({ "begin", "has begun already" }, function() t:begin() end)
    try.misuse({ "transaction", "has begun already" }, function() t:transaction(function() end) end)
    assert(t:abort())
    local plain <close> = assert(kafka.producer { brokers = mock.brokers })
    try.misuse({ "begin", "transactional_id" }, function() plain:begin() end)
    try.misuse({ "timeout", "-1" }, function() t:begin(-1) end)
  end)

  it("refuses a message outside of a transaction", function()
    local t <close> = open()
    local ok, err = t:produce("first", "v")
    try.failure("_STATE", ok, err)
    assert.equal(0, t:counts().accepted)
  end)

  it("fails within its time where no coordinator answers", function()
    local t = assert(kafka.producer { brokers = "127.0.0.1:1", transactional_id = "nobody", on_error = function() end,
      on_log = function() end })
    local seconds, ok, err = try.time(function() return t:begin(0.5) end)
    try.failure(nil, ok, err)
    assert.equal("begin", err.op)
    assert.is_true(seconds < 2, seconds)
    t:close(0)
  end)

  it("is aborted by close, which says so", function()
    local t = open()
    assert(t:begin())
    assert(t:produce("first", "v"))
    local ok, err = t:close()
    assert.is_nil(ok)
    assert.matches("not committed: it is aborted", tostring(err))
  end)
end)

describe("a step that fails", function()
  it("is repeated where the coordinator asks for it", function()
    local t <close> = open()
    assert(t:begin())
    assert(t:produce("first", "v"))
    mock:fail("EndTxn", "COORDINATOR_LOAD_IN_PROGRESS", "NOT_COORDINATOR")
    assert(t:commit())
  end)

  it("is abortable where a message of it failed", function()
    local t <close> = open()
    assert(t:begin())
    mock:fail("Produce", "RECORD_LIST_TOO_LARGE")
    assert(t:produce("first", "v", { on_delivery = function() end }))
    local ok, err = t:commit()
    try.failure(nil, ok, err)
    assert.same({ true, "abort" }, { err.abortable, err.action })
    assert(t:abort())
    -- Twice: below 2.3 librdkafka finds only in the next one that a sequence number is missing.
    assert(t:transaction(function(tx) assert(tx:produce("first", "v")) end))
  end)

  it("ends a fenced producer for good, and every later call says the same", function()
    local told = {}
    local t = open { on_error = function(err) if err.fatal then told[#told + 1] = err end end }
    assert(t:begin())
    assert(t:produce("first", "v"))
    mock:fail("EndTxn", "PRODUCER_FENCED")
    local ok, err = t:commit()
    try.failure(nil, ok, err)
    assert.same({ true, "recreate", true }, { err.fatal, err.action, err.in_doubt })
    local words = err.message
    assert.matches("another producer has taken over transactional.id", words)
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
      assert.same({ true, err.name, err.code, words }, { e.fatal, e.name, e.code, e.message })
    end
    t:poll(0)
    assert.equal(1, #told)
    assert.same({ err.name, words }, { told[1].name, told[1].message })
    t:close(1)
  end)
end)

describe("transaction(f)", function()
  it("commits what f produced, and returns what f returned", function()
    local t <close> = open()
    local ok, a, b = t:transaction(function(tx)
      assert(tx:produce("first", "v"))
      return 7, nil
    end)
    assert.same({ true, 7, nil }, { ok, a, b })
    assert.equal(1, t:counts().delivered)
  end)

  it("aborts where f raises, and raises that", function()
    local t <close> = open()
    local ok, raised = pcall(t.transaction, t, function(tx)
      tx:produce("first", "v")
      error({ "mine" })
    end)
    assert.is_false(ok)
    assert.same({ "mine" }, raised)
    assert(t:transaction(function() end))
  end)

  it("aborts where f says no, with its reason", function()
    local t <close> = open()
    local calls = 0
    local ok, err = t:transaction(function()
      calls = calls + 1
      return nil, "the order is not paid"
    end)
    try.failure(nil, ok, err)
    assert.same({ "the order is not paid", 1 }, { err.reason, calls })
    assert.matches("aborted as the function asked: the order is not paid", tostring(err))
  end)

  it("calls f again after an error that asks for an abort", function()
    local t <close> = open()
    local calls = 0
    mock:fail("Produce", "RECORD_LIST_TOO_LARGE")
    assert(t:transaction(function(tx)
      calls = calls + 1
      assert(tx:produce("first", "v", { on_delivery = function() end }))
    end))
    assert.is_true(calls >= 2)
  end)

  it("gives up after so many attempts", function()
    local t <close> = open()
    local calls = 0
    local ok, err = t:transaction(function()
      calls = calls + 1
      return nil, kafka.errors.new { name = "INVALID_TXN_STATE", abortable = true }
    end, { attempts = 3 })
    try.failure("INVALID_TXN_STATE", ok, err)
    assert.same({ 3, 3 }, { calls, err.attempts })
  end)

  it("aborts where f has closed the consumer that takes part, and says so", function()
    local t <close> = open()
    local c = assert(kafka.consumer { brokers = mock.brokers, group = "closes", enable_auto_commit = false })
    local ok, err = t:transaction(function(tx)
      assert(tx:produce("first", "v"))
      c:close()
    end, { consumer = c })
    try.failure("_DESTROY", ok, err)
    assert.matches("the consumer was closed meanwhile", tostring(err))
    assert(t:transaction(function() end))
  end)

  it("says no more than it knows where f returns false", function()
    local t <close> = open()
    local _, err = t:transaction(function() return false end)
    assert.matches("aborted as the function asked %(", tostring(err))
  end)

  it("names what is no function, no option and no consumer", function()
    local t <close> = open()
    try.misuse({ "the function", "42" }, function() t:transaction(42) end)
    try.misuse({ "atempts", '"attempts"' }, function() t:transaction(print, { atempts = 1 }) end)
    assert(t:begin())
    try.misuse({ "consumer", "a table" }, function() t:send_offsets({}) end)
    assert(t:abort())
  end)
end)

-- Many messages in one crossing.

local kafka = require "kafka"
local try = require "spec.support.try"

local mock, brokers

setup(function()
  mock = assert(kafka.mock { topics = { first = 1, two = 2, order = 1 } })
  brokers = mock.brokers
end)
teardown(function() mock:close() end)
before_each(function() mock:rtt(0) end)

local function open(options)
  options.brokers = brokers
  return assert(kafka.producer(options))
end

-- Connects, then lets every answer take so long.
local function slow(p, seconds)
  assert(p:send("first", "warm", { on_delivery = function() end }))
  mock:rtt(seconds)
end

describe("produce_many", function()
  it("takes columns beside the values, in order", function()
    local got = {}
    local p <close> = open {}
    assert.equal(3, assert(p:produce_many("two", { "a", "b", nil }, { n = 3, keys = { "1", nil, "3" },
      partitions = { 0, 0, 0 }, timestamps = { [2] = 1700000000123 }, headers = { [3] = { { "h", "x" } } },
      on_delivery = function(r, err) got[#got + 1] = err or r.offset end })))
    assert(p:flush())
    assert.equal(3, #got)
    local k <close> = assert(kafka.connect { brokers = brokers })
    local part <close> = assert(k:partition("two", 0, { offset = got[1] }))
    local batch = try.read_all(part)
    assert.same({ "a", "b" }, { batch[1].value, batch[2].value })
    assert.is_nil(batch[3].value)
    assert.same({ "1", "3" }, { batch[1].key, batch[3].key })
    assert.is_nil(batch[2].key)
    assert.equal(1700000000123, batch[2].timestamp)
    assert.same({ { "h", "x" } }, batch[3].headers)
    assert.is_nil(batch[1].headers)
  end)

  it("keeps the order of small, large and refused messages, with holes and keys", function()
    local p <close> = open { message_max_bytes = 3000 }
    local values, keys, expected, n = {}, {}, {}, 1000
    for i = 1, n do
      local size = i % 300 == 7 and 4000 or i % 7 == 0 and 900 or 10
      values[i] = i % 50 ~= 3 and ("%04d"):format(i) .. ("."):rep(size) or nil
      keys[i] = i % 3 == 0 and ("k"):rep(i % 600 + 1) or nil
      if size < 4000 then expected[#expected + 1] = i end
    end
    local offset
    assert(p:send("order", "first", { on_delivery = function(r) offset = r.offset end }))
    local ok, err = p:produce_many("order", values, { keys = keys, n = n })
    assert.is_nil(ok)
    assert.equal(#expected, err.accepted)
    local refused = {}
    for i, row in ipairs(err.refused) do refused[i] = row.index end
    assert.same({ 7, 307, 607, 907 }, refused)
    assert(p:flush())
    local k <close> = assert(kafka.connect { brokers = brokers })
    local part <close> = assert(k:partition("order", 0, { offset = offset + 1 }))
    local got = try.read_all(part)
    assert.equal(#expected, #got)
    for i, m in ipairs(got) do
      assert.equal(values[expected[i]], m.value)
      assert.equal(keys[expected[i]], m.key)
    end
  end)

  it("gives one report for each message", function()
    local n = 0
    local p <close> = open {}
    local values = {}
    for i = 1, 10000 do values[i] = "v" end
    assert.equal(10000, assert(p:produce_many("first", values, { on_delivery = function() n = n + 1 end })))
    assert(p:flush())
    assert.equal(10000, n)
    assert.equal(10000, p:counts().delivered)
  end)

  it("accepts the others where one is refused, and names it", function()
    local n = 0
    local p <close> = open { message_max_bytes = 2000 }
    local values = { "a", ("x"):rep(3000), "c" }
    local err = try.failure("MSG_SIZE_TOO_LARGE", p:produce_many("first", values, { on_delivery = function() n = n + 1 end }))
    assert.equal(2, err.accepted)
    assert.equal(1, #err.refused)
    assert.equal(2, err.refused[1].index)
    assert.equal("MSG_SIZE_TOO_LARGE", err.refused[1].err.name)
    assert(p:flush())
    assert.equal(2, n)
    assert.equal(2, p:counts().accepted)
  end)

  it("refuses the rest where the queue stays full for its timeout", function()
    local n = 0
    local p <close> = open { queue_buffering_max_messages = 4, linger_ms = 0 }
    slow(p, 0.5)
    local values = { "1", "2", "3", "4", "5", "6" }
    local seconds, ok, err = try.time(p.produce_many, p, "first", values,
      { timeout = 0.1, on_delivery = function() n = n + 1 end })
    try.failure("_QUEUE_FULL", ok, err)
    assert.equal("wait", err.action)
    assert.is_true(seconds >= 0.1 and seconds < 0.3, "waited " .. seconds)
    assert.equal(4, err.accepted)
    assert.same({ 5, 6 }, { err.refused[1].index, err.refused[2].index })
    assert(p:flush())
    assert.equal(4, n)
  end)

  it("accepts nothing where one entry is misuse", function()
    local p <close> = open {}
    try.misuse({ "values[2]", "42" }, function() p:produce_many("first", { "a", 42 }) end)
    assert.equal(0, p:counts().accepted)
  end)

  it("takes more than the queue holds", function()
    local p <close> = open { queue_buffering_max_messages = 100, linger_ms = 0 }
    local values = {}
    for i = 1, 5000 do values[i] = "v" end
    assert.equal(5000, assert(p:produce_many("first", values)))
    assert(p:flush())
    assert.equal(5000, p:counts().delivered)
  end)
end)

describe("produce_many whose producer is closed by a handler while it waits for room", function()
  it("says so, and which messages were refused", function()
    local cluster <close> = assert(kafka.mock { topics = { first = 1 } })
    local p
    p = assert(kafka.producer { brokers = cluster.brokers, queue_buffering_max_messages = 10, linger_ms = 0,
      on_delivery = function() p:close(1) end })
    local values = {}
    for i = 1, 100 do values[i] = tostring(i) end
    local ok, err = p:produce_many("first", values)
    assert.is_nil(ok)
    assert.equal("_DESTROY", err.name)
    assert.equal(100, err.accepted + #err.refused)
    assert.equal(100, err.refused[#err.refused].index)
  end)
end)

describe("produce_many whose list is changed by a handler while it waits for room", function()
  it("hands each message over once and names the entry that is none any more", function()
    local cluster <close> = assert(kafka.mock { topics = { first = 1 } })
    local values, reports = {}, 0
    for i = 1, 100 do values[i] = tostring(i) end
    local p <close> = assert(kafka.producer { brokers = cluster.brokers, queue_buffering_max_messages = 10, linger_ms = 0,
      on_delivery = function()
        reports = reports + 1
        values[100] = 42
      end })
    local ok, err = p:produce_many("first", values, { timeout = 5 })
    assert.is_nil(ok)
    assert.same({ "_INVALID_ARG", 99, 1, 100 }, { err.name, err.accepted, #err.refused, err.refused[1].index })
    assert.truthy(err.message:find("got 42", 1, true), err.message)
    assert(p:flush())
    assert.equal(99, reports)
  end)
end)

-- A fatal error of an idempotent producer: told once, then every later call returns it; what was accepted has its reports.

local kafka = require "kafka"
local try = require "spec.support.try"

local mock

setup(function() mock = assert(kafka.mock { brokers = 1, topics = { first = 1 } }) end)
teardown(function() mock:close() end)

describe("a fatal error", function()
  it("is told once, returned by every later call, and loses no report", function()
    local told, reports = {}, 0
    local p = assert(kafka.producer { brokers = mock.brokers, enable_idempotence = true, on_log = function() end,
      on_error = function(err) if err.fatal then told[#told + 1] = err end end })
    assert(p:send("first", "before"))
    mock:fail("Produce", "OUT_OF_ORDER_SEQUENCE_NUMBER")
    local accepted = 0
    for i = 1, 10 do
      local ok, err = p:produce("first", "v" .. i, { on_delivery = function() reports = reports + 1 end })
      assert.is_true(ok or err.fatal) -- the first batch may have come back by now
      accepted = accepted + (ok and 1 or 0)
    end
    assert.is_true(accepted > 0)
    local first = try.failure("OUT_OF_ORDER_SEQUENCE_NUMBER", p:flush(10))
    assert.same({ true, "recreate" }, { first.fatal, first.action })
    for _, call in ipairs {
      function() return p:produce("first", "late") end,
      function() return p:produce_many("first", { "late", "late" }) end,
      function() return p:send("first", "late") end,
      function() return p:flush() end,
    } do
      local ok, err = call()
      assert.is_nil(ok)
      assert.same({ true, first.name, first.code, first.message }, { err.fatal, err.name, err.code, err.message })
    end
    assert.equal(accepted, reports)
    assert.same({ accepted + 1, 0 }, { p:counts().accepted, p:pending() })
    assert.equal(1, #told)
    assert.same({ first.name, first.message }, { told[1].name, told[1].message })
    p:close(1)
  end)
end)

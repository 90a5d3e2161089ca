-- On a real broker: what the mock cannot show of handlers and of the questions asked at a prompt.

require "spec.support.luv"
local java = require "kafka.localcluster.java"
local kafka = require "kafka"
local try = require "spec.support.try"

local cluster

local function quiet(options)
  options.brokers = cluster.brokers
  options.on_log = options.on_log or function() end
  options.on_error = options.on_error or function() end
  return options
end

describe("on a real broker", function()
  setup(function() cluster = assert(kafka.localcluster { version = "4.3.1", topics = { first = 1 } }) end)
  teardown(function() cluster:close() end)

  local function quota(client_id, change, value)
    assert(java.run(cluster.java, cluster.sandbox, "quota", "kafka.admin.ConfigCommand", { "--bootstrap-server", cluster.brokers,
      "--alter", "--entity-type", "clients", "--entity-name", client_id, change, value }, kafka.now() + 60))
  end

  it("a quota is told to on_throttle: how long the broker makes the client wait, then that it does no longer", function()
    quota("slow", "--add-config", "producer_byte_rate=20000")
    local notes = {}
    local p = assert(kafka.producer(quiet { client_id = "slow", on_throttle = function(note) notes[#notes + 1] = note end }))
    for _ = 1, 30 do assert(p:produce("first", ("x"):rep(10000))) end
    assert(p:flush(60))
    assert.truthy(#notes > 0, "no note")
    for _, note in ipairs(notes) do
      assert.same({ cluster.brokers, 1, "kafka.producer slow to " .. cluster.brokers }, { note.broker, note.id, note.client })
      assert.equal("integer", math.type(note.ms))
    end
    assert.truthy(notes[1].ms > 0)
    quota("slow", "--delete-config", "producer_byte_rate")
    try.until_true(60, function()
      assert(p:send("first", "small", { timeout = 60 }))
      return notes[#notes].ms == 0
    end, "the end of it")
    assert(p:close())
  end)

  it("a quota is told in the log where there is no handler", function()
    quota("slower", "--add-config", "producer_byte_rate=20000")
    local lines = try.logged(function()
      local p = assert(kafka.producer(quiet { client_id = "slower" }))
      for _ = 1, 30 do assert(p:produce("first", ("x"):rep(10000))) end
      assert(p:flush(60))
      assert(p:close())
    end)
    assert.equal(1, #lines)
    assert.matches("^kafka.producer slower to 127.0.0.1:%d+: broker 1 at 127.0.0.1:%d+ makes this client wait %d+ ms", lines[1])
  end)
end)

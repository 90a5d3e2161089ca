-- From the constructor's table to librdkafka's settings.

local kafka = require "kafka"
local config = require "kafka.config"
local core = require "kafka.core"
local args = require "kafka.args"
local try = require "spec.support.try"

local own = { on_error = args.func, timeout = args.seconds }

-- The settings that librdkafka would get.
local function settings(options, role)
  options.brokers = options.brokers or (not options["bootstrap.servers"] and "h:1" or nil)
  local mine, made = config.split("the constructor", options, own, role or "producer")
  return made, mine
end

describe("names", function()
  it("may be librdkafka's own, or with underscores", function()
    assert.equal("7", settings { ["linger.ms"] = 7 }["linger.ms"])
    assert.equal("7", settings { linger_ms = 7 }["linger.ms"])
    assert.equal("0", settings { log_level = 0 }.log_level)
  end)

  it("brokers and group are short for bootstrap.servers and group.id", function()
    local s = settings({ brokers = "a:1,b:2", group = "g" }, "consumer")
    assert.same({ "a:1,b:2", "g" }, { s["bootstrap.servers"], s["group.id"] })
    assert.equal("c:3", settings { ["bootstrap.servers"] = "c:3" }["bootstrap.servers"])
  end)

  it("of a later librdkafka name the version that is needed", function()
    local function given() return settings({ group = "g", group_protocol = "consumer" }, "consumer")["group.protocol"] end
    if config.settings()["group.protocol"] then
      assert.equal("consumer", given())
    else
      try.misuse({ "group_protocol", "needs librdkafka 2.4 or newer", core.librdkafka }, given)
    end
  end)

  it("that are unknown raise with the nearest", function()
    try.misuse({ "unknown setting", '"liger_ms"', "linger.ms" }, function() settings { liger_ms = 1 } end)
    try.misuse({ "unknown setting", '"broker"', '"brokers"' }, function() settings { broker = "h:1" } end)
    try.misuse({ "unknown setting", '"zzzzzzzzzz"' }, function() settings { zzzzzzzzzz = 1 } end)
  end)

  it("given twice raise with both", function()
    try.misuse({ "linger_ms", "linger.ms", "same setting" }, function() settings { linger_ms = 1, ["linger.ms"] = 1 } end)
    try.misuse({ "brokers", "bootstrap.servers", "same setting" },
      function() settings { brokers = "h:1", ["bootstrap.servers"] = "h:1" } end)
  end)

  it("of our own options are kept apart", function()
    local made, mine = settings { on_error = print, timeout = 2 }
    assert.same({ on_error = print, timeout = 2 }, mine)
    assert.is_nil(made.timeout)
  end)

  it("are those of the loaded librdkafka", function()
    local known = config.settings()
    assert.equal("integer", known["linger.ms"] and known["message.max.bytes"].kind)
    local n = 0
    for _ in pairs(known) do n = n + 1 end
    assert.is_true(n > 100)
  end)
end)

describe("values", function()
  it("may be numbers, booleans and strings", function()
    local s = settings { message_max_bytes = 2000, ["message.timeout.ms"] = 3e3, enable_idempotence = true,
      compression_type = "lz4", socket_keepalive_enable = "false", linger_ms = 0.5 }
    assert.same({ "2000", "3000", "true", "lz4", "false" }, { s["message.max.bytes"], s["message.timeout.ms"],
      s["enable.idempotence"], s["compression.type"], s["socket.keepalive.enable"] })
    assert.equal(0.5, tonumber(s["linger.ms"]))
  end)

  it("that librdkafka would read loosely raise", function()
    for _, value in ipairs { "100abc", "", " 100", "0x10", 1.5, true } do
      try.misuse({ "message_max_bytes", "an integer" }, function() settings { message_max_bytes = value } end)
    end
    try.misuse({ "enable_idempotence", "true or false", '"yes"' }, function() settings { enable_idempotence = "yes" } end)
    try.misuse({ "compression_type", "lz4", '"lz5"' }, function() settings { compression_type = "lz5" } end)
  end)

  it("out of range raise with the range", function()
    try.misuse({ "message_max_bytes", "1000", "1000000000", "4294967396" },
      function() settings { message_max_bytes = 4294967396 } end)
    try.misuse({ "message_max_bytes", "1000", "999" }, function() settings { message_max_bytes = 999 } end)
    try.misuse({ "message_max_bytes", '"4294967396"' }, function() settings { message_max_bytes = "4294967396" } end)
    try.misuse({ "queue_buffering_max_messages", "-1" }, function() settings { queue_buffering_max_messages = -1 } end)
  end)

  it("that are tables, functions or have a NUL raise", function()
    try.misuse({ "client_id", "a table" }, function() settings { client_id = {} } end)
    try.misuse({ "client_id", "a function" }, function() settings { client_id = print } end)
    try.misuse({ "client_id", "NUL" }, function() settings { client_id = "a\0b" } end)
  end)

  it("of acks may be all", function()
    assert.equal("all", settings { acks = "all" }.acks)
    assert.equal("-1", settings { acks = -1 }.acks)
    assert.equal("1", settings { acks = 1 }.acks)
  end)
end)

describe("defaults", function()
  it("are ours where we differ", function()
    local s = settings {}
    assert.same({ "murmur2_random", "lua-kafka", "true" },
      { s.partitioner, s["client.software.name"], s["socket.nagle.disable"] })
    assert.equal("earliest", settings({}, "consumer")["auto.offset.reset"])
    local parts = settings({}, "partitions")
    assert.same({ "error", "false", "false" },
      { parts["auto.offset.reset"], parts["enable.auto.commit"], parts["enable.auto.offset.store"] })
  end)

  it("leave librdkafka's time to a producer whose messages must be stored once", function()
    assert.equal("10000", settings({})["socket.timeout.ms"])
    assert.equal("10000", settings({ enable_idempotence = false })["socket.timeout.ms"])
    assert.equal("60000", settings({ enable_idempotence = true })["socket.timeout.ms"])
    assert.equal("60000", settings({ transactional_id = "t" })["socket.timeout.ms"])
    assert.equal("2000", settings({ enable_idempotence = true, socket_timeout_ms = 2000 })["socket.timeout.ms"])
  end)

  it("give way to what the user says", function()
    local s = settings { partitioner = "consistent_random", socket_nagle_disable = false, client_id = "mine",
      socket_timeout_ms = 60000 }
    assert.same({ "consistent_random", "false", "mine", "60000" },
      { s.partitioner, s["socket.nagle.disable"], s["client.id"], s["socket.timeout.ms"] })
    assert.equal("latest", settings({ auto_offset_reset = "latest" }, "consumer")["auto.offset.reset"])
  end)

  it("let one request of an idempotent producer be on its way, unless the user says otherwise", function()
    local name = "max.in.flight.requests.per.connection"
    for _, value in ipairs { true, "true", "1" } do assert.equal("1", settings({ enable_idempotence = value })[name]) end
    assert.is_nil(settings({})[name])
    assert.is_nil(settings({ enable_idempotence = false })[name])
    assert.is_nil(settings({ enable_idempotence = true, transactional_id = "t" })[name])
    assert.equal("5", settings({ enable_idempotence = true, max_in_flight_requests_per_connection = 5 })[name])
    assert.is_nil(settings({ enable_idempotence = true, max_in_flight = 5 })[name])
  end)

  it("are all taken by librdkafka", function()
    for role, kind in pairs { producer = "producer", consumer = "consumer", partitions = "consumer" } do
      local s = settings({ group = role ~= "producer" and "g" or nil }, role)
      local client, err = core[kind](s)
      assert.truthy(client, err and err.message)
      client:close()
    end
  end)
end)

describe("brokers", function()
  it("may be several, with protocols and IPv6 addresses", function()
    for _, list in ipairs { "a:1", "a:1,b:2", "a:1, b:65535", "PLAINTEXT://a:9092", "[::1]:9092", "127.0.0.1:9092" } do
      assert.equal(list, settings { brokers = list }["bootstrap.servers"])
    end
  end)

  it("that make no sense raise", function()
    for _, list in ipairs { "", " ", ",", "a:1,,b:1", ":9092", "a:0", "a:65536", "a:http", "a b:1", "a", "[::1]" } do
      try.misuse("brokers", function() settings { brokers = list } end)
    end
  end)
end)

describe("settings that the flows stand on", function()
  local function refused(constructor, name, value, why)
    local ok, err = pcall(constructor, { brokers = "127.0.0.1:1", timeout = constructor == kafka.connect and 0 or nil,
      [name] = value })
    assert.is_false(ok)
    assert.matches(why, err)
    assert.matches("setting " .. name, err, 1, true)
  end

  it("are refused in other values, with the reason", function()
    refused(kafka.connect, "auto_offset_reset", "earliest", "seek decides")
    refused(kafka.connect, "enable_auto_commit", true, "commit says")
    refused(kafka.producer, "delivery_report_only_error", true, "every message has a report")
    refused(kafka.producer, "log_queue", false, "log lines")
  end)

  it("never show a key, whatever is wrong with it", function()
    local ok, err = pcall(kafka.producer, { brokers = "127.0.0.1:1", ssl_key = "CANARY\0x" })
    assert.is_false(ok)
    assert.is_nil(err:find("CANARY", 1, true))
  end)
end)

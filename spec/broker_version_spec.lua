-- What old brokers cannot do is refused at the call, with the Kafka it needs: none of these reaches a broker.

local kafka = require "kafka"
local generation = require "kafka.generation"
local try = require "spec.support.try"

local OLD = "0.8.2.1"

local mock

setup(function() mock = assert(kafka.mock { topics = { first = 2 } }) end)
teardown(function() mock:close() end)

local function quiet() end

local function with(version, options)
  local all = { brokers = mock.brokers, broker_version = version, on_log = quiet, on_error = quiet }
  for name, value in pairs(options or {}) do all[name] = value end
  return all
end

local function connect(version) return assert(kafka.connect(with(version))) end

-- what is refused, the last Kafka that does not have it, the first that has, the call
local constructors = {
  { "zstd, by compression_type", "2.0.1", "2.1", kafka.producer, { compression_type = "zstd" } },
  { "zstd, by compression_codec", "2.0.1", "2.1", kafka.producer, { compression_codec = "zstd" } },
  { "lz4", "0.8.1", "0.8.2", kafka.producer, { compression_type = "lz4" } },
  { "idempotence", "0.10.2", "0.11", kafka.producer, { enable_idempotence = true } },
  { "transactions", "0.10.2", "0.11", kafka.producer, { transactional_id = "t" } },
  { "TLS", "0.8.2.2", "0.9", kafka.producer, { security_protocol = "ssl" } },
  { "a login", "0.8.2.2", "0.9", kafka.connect,
    { security_protocol = "sasl_plaintext", sasl_mechanism = "PLAIN", sasl_username = "a", sasl_password = "b" } },
  { "topics of a member", "0.8.2.2", "0.9", kafka.consumer, { group = "g", topics = { "first" } } },
  { "a static member", "2.2.1", "2.3", kafka.consumer, { group = "g", group_instance_id = "i" } },
}

local producing = {
  { "headers of one message", "0.10.2", "0.11", function(p) return p:produce("first", "v", { headers = { { "a", "b" } } }) end },
  { "headers of one that is sent", "0.10.2", "0.11", function(p) return p:send("first", "v", { headers = {} }) end },
  { "headers of many", "0.10.2", "0.11",
    function(p) return p:produce_many("first", { "v" }, { headers = { { { "a", "b" } } } }) end },
  { "a timestamp", "0.9.0.1", "0.10", function(p) return p:produce("first", "v", { timestamp = 1700000000000 }) end },
  { "timestamps of many", "0.9.0.1", "0.10",
    function(p) return p:produce_many("first", { "v" }, { timestamps = { 1700000000000 } }) end },
}

local asking = {
  { "offsets_at", "0.10.0.1", "0.10.1", function(k) return k:offsets_at("first", 1700000000000) end },
  { "find by time", "0.10.0.1", "0.10.1", function(k) return k:find("first", { from = "-1h" }) end },
  { "all that a group has committed", "0.10.1", "0.10.2", function(k) return k:committed "g" end },
  { "lag", "0.10.1", "0.10.2", function(k) return k:lag "g" end },
  { "commit", "0.8.1", "0.8.2", function(k) return k:commit("g", { { topic = "first", partition = 0, offset = 1 } }) end },
  { "committed", "0.8.1", "0.8.2", function(k) return k:committed("g", { { topic = "first", partition = 0 } }) end },
  { "coordinator", "0.8.1", "0.8.2", function(k) return k:coordinator "g" end },
  { "groups", "0.8.2.2", "0.9", function(k) return k:groups() end },
  { "describe_group", "0.8.2.2", "0.9", function(k) return k:describe_group "g" end },
  { "create_topic", "0.9.0.1", "0.10.1", function(k) return k:create_topic { name = "x" } end },
  { "delete_topic", "0.9.0.1", "0.10.1", function(k) return k:delete_topic "first" end },
  { "add_partitions", "0.9.0.1", "1.0", function(k) return k:add_partitions("first", 9) end },
  { "delete_records", "0.9.0.1", "0.11",
    function(k) return k:delete_records { topic = "first", partition = 0, offset = "latest" } end },
  { "configs", "0.9.0.1", "0.11", function(k) return k:configs { topic = "first" } end },
  { "alter_configs", "0.9.0.1", "0.11", function(k) return k:alter_configs({ topic = "first" }, { ["retention.ms"] = 1 }) end },
  { "acls", "0.9.0.1", "0.11", function(k) return k:acls() end },
  { "delete_group", "0.9.0.1", "1.1", function(k) return k:delete_group "g" end },
}

local consuming = {
  { "subscribe", "0.8.2.2", "0.9", function(c) return c:subscribe "first" end },
  { "assign by time", "0.10.0.1", "0.10.1",
    function(c) return c:assign { { topic = "first", partition = 0, offset = { time = 1700000000000 } } } end },
  { "seek by time", "0.10.0.1", "0.10.1", function(c)
    assert(c:assign { { topic = "first", partition = 0, offset = 0 } })
    return c:seek("first", 0, { time = 1700000000000 })
  end },
}

-- Refused at once, in words that name the Kafka that it needs.
local function refused(since, f, ...)
  local seconds, value, err = try.time(f, ...)
  try.failure("_UNSUPPORTED_FEATURE", value, err)
  assert.equal("fix", err.action)
  assert.matches("Kafka " .. since:gsub("%.", "%%.") .. " ", err.message)
  assert.is_true(seconds < 1, "took " .. seconds)
  return err
end

describe("brokers of a version that is told", function()
  for _, row in ipairs(constructors) do
    local what, last, since, open, options = table.unpack(row)
    it("are not asked for " .. what, function()
      refused(since, open, with(last, options))
    end)
  end

  for _, row in ipairs(producing) do
    local what, last, since, call = table.unpack(row)
    it("are not sent " .. what, function()
      local p <close> = assert(kafka.producer(with(last)))
      local err = refused(since, call, p)
      assert.equal("first", err.topic)
      assert.same({ accepted = 0, delivered = 0, failed = 0, pending = 0 }, p:counts())
    end)
  end

  for _, row in ipairs(asking) do
    local what, last, since, call = table.unpack(row)
    it("are not asked for " .. what, function()
      local k <close> = connect(last)
      refused(since, call, k)
    end)
  end

  for _, row in ipairs(consuming) do
    local what, last, since, call = table.unpack(row)
    it("are not asked to " .. what, function()
      local c <close> = assert(kafka.consumer(with(last, { group = "g" })))
      refused(since, call, c)
    end)
  end

  it("are given what they have", function()
    local p <close> = assert(kafka.producer(with("0.11.0.0", { enable_idempotence = true })))
    assert(p:send("first", "v", { headers = { { "a", "b" } }, timestamp = 1700000000123 }))
    local k <close> = connect "4.3.1"
    assert.equal(2, #assert(k:topic "first").partitions)
  end)

  it("are refused each message of many, by its number", function()
    local p <close> = assert(kafka.producer(with(OLD)))
    local err = refused("0.11", p.produce_many, p, "first", { "a", "b" }, { headers = { { { "a", "b" } } } })
    assert.equal(0, err.accepted)
    assert.equal(2, #err.refused)
    assert.equal(2, err.refused[2].index)
  end)
end)

describe("the version of the brokers", function()
  it("sets what old ones need of librdkafka, and only of them", function()
    local settings = {}
    assert.equal(OLD, generation.settle("x", OLD, settings, "producer"))
    assert.same({ ["api.version.request"] = "false", ["broker.version.fallback"] = OLD,
      ["request.timeout.ms"] = "2000" }, settings)
    settings = { ["request.timeout.ms"] = "7000" }
    generation.settle("x", "0.9", settings, "producer")
    assert.equal("7000", settings["request.timeout.ms"])
    settings = {}
    assert.equal("0.10", generation.settle("x", "0.10", settings, "producer"))
    assert.same({}, settings)
    assert.is_nil(generation.settle("x", nil, settings, "producer"))
  end)

  it("bounds how long a request of a producer waits, also where librdkafka's own settings say it", function()
    local function settled(fallback, role)
      local settings = { ["api.version.request"] = "false", ["broker.version.fallback"] = fallback }
      assert.equal(fallback or "0.10", generation.settle("x", nil, settings, role))
      return settings["request.timeout.ms"]
    end
    assert.equal("2000", settled(OLD, "producer"))
    assert.is_nil(settled(OLD, "consumer"))
    assert.is_nil(settled("0.10.0", "producer"))
    assert.is_nil(settled(nil, "producer"))
  end)

  it("is also read from librdkafka's own settings, where these say it", function()
    local p <close> = assert(kafka.producer(with(nil, { api_version_request = false, broker_version_fallback = "0.8.2" })))
    refused("0.11", p.send, p, "first", "v", { headers = {} })
  end)

  -- Before there is a topic such a broker knows of none, and librdkafka gives up in silence after two more attempts.
  it("has old brokers asked for metadata again, within the time of the call", function()
    local k <close> = connect "0.9"
    local h, asked = k.handles[1], 0
    local request = h.request
    function h.request(self, about, seconds, start)
      asked = asked + 1
      if asked > 2 then return request(self, about, seconds, start) end
      return nil, kafka.errors.new { name = asked == 1 and "_TIMED_OUT" or "_TRANSPORT" }
    end
    assert.equal(1, #assert(k:metadata(nil, 5)).brokers)
    assert.equal(3, asked)
    function h.request() return nil, kafka.errors.new { name = "_FAIL" } end
    try.failure("_FAIL", k:metadata(nil, 5))
    function h.request()
      try.until_true(0.1, function() return true end)
      return nil, kafka.errors.new { name = "_TIMED_OUT" }
    end
    local seconds, _, err = try.time(k.metadata, k, nil, 0.2)
    assert.matches("timed out after 0.2 s", err.message, 1, true)
    assert.is_true(seconds < 1)
  end)

  it("has old coordinators that know of nothing asked again", function()
    local function committed(version, seconds)
      local k <close> = connect(version)
      local rows = { { topic = "first", partition = 1 } }
      assert(k:commit("asked again", { { topic = "first", partition = 1, offset = 3 } }))
      local h = k.group_handles["asked again"]
      local request = h.request
      function h.request() -- the first time
        h.request = request
        return { rows = { { topic = "first", partition = 1 } } }
      end
      local found, err = k:committed("asked again", rows, seconds)
      return found and (found[1].offset or "nothing"), err
    end
    assert.equal(3, committed(OLD, 10))
    local err = try.failure("_TIMED_OUT", committed(OLD, 0.5))
    assert.matches("whether something was committed is not sure yet", err.message, 1, true)
    assert.equal("nothing", committed(nil, 10))
  end)

  it("must be one, and be said once", function()
    for _, wrong in ipairs { "0.7", "old", "0.8.", "0.8..2", "", "4" } do
      try.misuse({ "broker_version", "0.8.2.1" }, function() kafka.connect(with(wrong)) end)
    end
    try.misuse({ "broker_version", "8" }, function() kafka.producer(with(8)) end)
    try.misuse({ "broker_version or api.version.request, not both" },
      function() kafka.producer(with(OLD, { api_version_request = true })) end)
    try.misuse({ "broker_version or broker.version.fallback, not both" },
      function() kafka.consumer(with(OLD, { group = "g", broker_version_fallback = "0.9.0" })) end)
  end)

  it("is compared number by number", function()
    assert.is_true(generation.reaches("0.10", "0.9.0.1"))
    assert.is_true(generation.reaches("0.11", "0.11.0.0"))
    assert.is_false(generation.reaches("0.8.2.1", "0.8.2.2"))
    assert.is_true(generation.reaches("4.3.1", "2.1"))
  end)
end)

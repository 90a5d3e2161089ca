-- SCRAM on Kafka 3.9.2, with which every librdkafka can do it; and what that generation needs to come back after a crash.

require "spec.support.luv"
local kafka = require "kafka"
local secure = require "spec.support.secure"
local try = require "spec.support.try"

describe("Kafka 3.9.2", function()
  local cluster

  setup(function()
    cluster = assert(kafka.localcluster { version = "3.9.2", security = true, topics = { t = 1 },
      settings = { ["zookeeper.session.timeout.ms"] = 6000 } }) -- longer than a start takes
  end)
  teardown(function() cluster:close() end)

  local function settings(protocol, mechanism, user, password)
    local options = { brokers = cluster.listeners[protocol], security_protocol = protocol, sasl_mechanism = mechanism,
      sasl_username = user, sasl_password = password, on_error = function() end, on_log = function() end }
    if protocol == "sasl_ssl" then options.ssl_ca_location = cluster.certificates.ca end
    return options
  end

  for _, protocol in ipairs { "sasl_plaintext", "sasl_ssl" } do
    for _, mechanism in ipairs { "SCRAM-SHA-256", "SCRAM-SHA-512" } do
      it(("lets admin in by %s, %s"):format(mechanism, protocol), function()
        local p <close> = assert(kafka.producer(settings(protocol, mechanism, "admin", "admin-secret")))
        assert(p:send("t", "by " .. mechanism))
      end)
    end
  end

  it("refuses a wrong password, and a user without one", function()
    for user, password in pairs { admin = "no", carol = "x" } do
      local options = settings("sasl_plaintext", "SCRAM-SHA-256", user, password)
      options.timeout = 1
      local k, err = kafka.connect(options)
      try.failure(nil, k, err)
      assert.truthy(tostring(err):find("the broker refused user " .. user .. ": wrong name or password", 1, true), tostring(err))
      assert.equal("security", err.category)
    end
  end)

  it("denies what no ACL allows, and allows what one does", function()
    local p <close> = assert(kafka.producer(settings("sasl_plaintext", "SCRAM-SHA-512", "alice", "alice-secret")))
    local report, err = p:send("t", "x", { timeout = 5 })
    try.failure("TOPIC_AUTHORIZATION_FAILED", report, err)
    assert.truthy(tostring(err):find("no ACL allows user alice Write on the topic", 1, true), tostring(err))
    assert(cluster:acl { "--add", "--allow-principal", "User:alice", "--operation", "Write", "--topic", "t" })
    try.until_true(10, function() return p:send("t", "x", { timeout = 5 }) end, "the right to write")
  end)

  it("comes back as soon as it is started after a crash, though its name is still taken", function()
    local broker = cluster:broker(1)
    assert(broker:kill())
    assert(broker:start())
    local p <close> = assert(kafka.producer(settings("sasl_ssl", "SCRAM-SHA-256", "admin", "admin-secret")))
    assert(p:send("t", "after the crash", { timeout = 20 }))
  end)
end)

describe("a secure cluster", function()
  it("has an authorizer, and a plain one has none", function()
    local plain <close> = assert(kafka.localcluster {})
    assert.is_nil(plain.listeners)
    try.misuse("start it with security = true", function() plain:acl { "--list" } end)
    try.misuse("arguments[1] must be a string", function() secure.cluster():acl { 7 } end)
  end)
end)

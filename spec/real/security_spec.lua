-- Logins and TLS on the real listeners of Kafka 4.3.1: each way in, and each way to be refused with its cause in words.

local uv = require "spec.support.luv"
local kafka = require "kafka"
local secure = require "spec.support.secure"
local try = require "spec.support.try"

local cluster, certificates

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function with(...)
  local all = {}
  for _, part in ipairs { ... } do
    for name, value in pairs(part) do all[name] = value end
  end
  return all
end

setup(function()
  cluster = secure.cluster()
  certificates = cluster.certificates
end)

describe("a login as alice", function()
  local function works(listener, settings)
    local options = secure.settings(listener, settings)
    local p <close> = assert(kafka.producer(options))
    local report = assert(p:send("open", "by " .. listener))
    options = secure.settings(listener, with(settings, { timeout = 10 }))
    local k <close> = assert(kafka.connect(options))
    local part <close> = assert(k:partition("open", 0, { offset = report.offset }))
    assert.equal("by " .. listener, assert(part:fetch { timeout = 5 })[1].value)
  end

  it("works by PLAIN", function() works("sasl_plaintext", secure.login("sasl_plaintext", "PLAIN", "alice", "alice-secret")) end)

  it("works by PLAIN over TLS", function() works("sasl_ssl", secure.login("sasl_ssl", "PLAIN", "alice", "alice-secret")) end)

  it("works by librdkafka's own unsecured tokens", function()
    works("oauth", { security_protocol = "sasl_plaintext", sasl_mechanism = "OAUTHBEARER",
      enable_sasl_oauthbearer_unsecure_jwt = true, sasl_oauthbearer_config = "principal=alice" })
  end)
end)

describe("TLS", function()
  local function brokers(listener, settings)
    local k <close> = assert(kafka.connect(secure.settings(listener, with({ security_protocol = "ssl", timeout = 10 },
      settings))))
    return #assert(k:brokers())
  end

  it("works with the authority in a file, and in a string", function()
    assert.equal(1, brokers("ssl", { ssl_ca_location = certificates.ca }))
    assert.equal(1, brokers("ssl", { ssl_ca_pem = read(certificates.ca) }))
  end)

  it("shows the client's certificate from files, its key encrypted or not", function()
    local own = { ssl_ca_location = certificates.ca, ssl_certificate_location = certificates.certificate }
    assert.equal(1, brokers("mtls", with(own, { ssl_key_location = certificates.key })))
    assert.equal(1, brokers("mtls", with(own, { ssl_key_location = certificates.encrypted_key, ssl_key_password = "secret" })))
  end)

  it("shows the client's certificate from strings", function()
    assert.equal(1, brokers("mtls", { ssl_ca_pem = read(certificates.ca), ssl_certificate_pem = read(certificates.certificate),
      ssl_key_pem = read(certificates.key) }))
  end)

  it("accepts an expired certificate only where verification is off, another host's where its name is not looked at", function()
    assert.equal(1, brokers("expired", { ssl_ca_location = certificates.ca, enable_ssl_certificate_verification = false }))
    assert.equal(1, brokers("wrong_host", { ssl_ca_location = certificates.ca, ssl_endpoint_identification_algorithm = "none" }))
  end)
end)

describe("kafka.connect is refused, and says why:", function()
  local function plain(user, password) return secure.login("sasl_plaintext", "PLAIN", user, password) end
  local function plain_tls(user, password) return secure.login("sasl_ssl", "PLAIN", user, password) end
  local function tls(more) return with({ security_protocol = "ssl", ssl_ca_location = certificates.ca }, more or {}) end
  local function client(name)
    return { ssl_certificate_location = certificates[name .. "_certificate"], ssl_key_location = certificates[name .. "_key"] }
  end

  local cases = {
    { "a wrong password", "sasl_plaintext", function() return plain("alice", "no") end,
      "refused user alice: wrong name or password" },
    { "a user that is not there", "sasl_ssl", function() return plain_tls("carol", "x") end,
      "refused user carol: wrong name or password" },
    { "SCRAM with a wrong password", "sasl_plaintext",
      function() return secure.login("sasl_plaintext", "SCRAM-SHA-256", "alice", "no") end,
        "refused user alice: wrong name or password" },
    { "a mechanism that is not offered", "oauth", function() return plain("alice", "alice-secret") end,
      "takes no PLAIN, only OAUTHBEARER" },
    { "a login where none is taken", "plaintext", function() return plain("alice", "alice-secret") end,
      "takes no login: set security.protocol to plaintext" },
    { "a login where none is taken, by TLS", "ssl", function() return plain_tls("alice", "alice-secret") end,
      "takes no login: set security.protocol to ssl" },
    { "no login where one is wanted", "sasl_plaintext", function() return {} end,
      "wants a login: set security.protocol to sasl_plaintext" },
    { "no login where one is wanted, by TLS", "sasl_ssl", tls, "wants a login: set security.protocol to sasl_ssl" },
    { "plaintext to TLS", "ssl", function() return {} end, "speaks TLS, or is not Kafka's: set security.protocol to ssl" },
    { "TLS to plaintext", "plaintext", tls, "does not speak TLS: set security.protocol to plaintext" },
    { "TLS to plaintext, with a login", "sasl_plaintext", function() return plain_tls("alice", "alice-secret") end,
      "does not speak TLS: set security.protocol to sasl_plaintext" },
    { "an untrusted authority", "ssl", function() return tls { ssl_ca_location = certificates.other_ca } end,
      "an authority that is not in ssl.ca.location" },
    { "another host's certificate", "wrong_host", tls, "for another host" },
    { "an expired certificate", "expired", tls, "certificate has expired" },
    { "no client certificate", "mtls", tls, "wants a client's certificate: set ssl.certificate.location and ssl.key.location" },
    { "a client certificate of another authority", "mtls", function() return tls(client "stranger") end,
      "does not trust this client's certificate" },
    { "an expired client certificate", "mtls", function() return tls(client "expired") end,
      "does not trust this client's certificate" },
  }

  for _, case in ipairs(cases) do
    it(case[1], function()
      local seen = {}
      local k, err = kafka.connect(secure.settings(case[2], with(case[3](), { timeout = 0.7 }), seen))
      try.failure(nil, k, err)
      local text = tostring(err)
      assert.truthy(text:find("answered: timed out after 0.7 s; last: ", 1, true), text)
      assert.truthy(text:find(case[4], 1, true), text)
      assert.truthy(text:find(cluster.listeners[case[2]], 1, true), text)
      assert.same({ "security", "fix", false }, { err.category, err.action, err.retriable })
      assert.truthy(err.cause.original, text)
      assert.truthy(table.concat(seen, "\n"):find(case[4], 1, true), "neither told nor logged")
    end)
  end

  it("SCRAM with the right password, where librdkafka is too old for Kafka 4", function()
    local core = require "kafka.core"
    local k, err = kafka.connect(secure.settings("sasl_plaintext", with(secure.login("sasl_plaintext", "SCRAM-SHA-512", "alice",
      "alice-secret"), { timeout = 2 })))
    if core.librdkafka_number >= 0x020601ff then
      assert(k, err):close()
    else
      assert.truthy(tostring(err):find("Kafka 4 takes no SCRAM from librdkafka below 2.6.1", 1, true))
    end
  end)
end)

describe("a port where nothing answers", function()
  local silent, address

  setup(function() -- the system takes the connection up by itself
    silent = assert(uv.new_tcp())
    assert(silent:bind("127.0.0.1", 0))
    assert(silent:listen(16, function() end))
    address = "127.0.0.1:" .. silent:getsockname().port
  end)
  teardown(function()
    silent:close()
    uv.run "nowait" -- luv crashes at its end over a handle that was closed since its loop turned
  end)

  it("is told of after api.version.request.timeout.ms", function()
    local k, err = kafka.connect(secure.settings(address, { timeout = 2, api_version_request_timeout_ms = 1000 }))
    try.failure(nil, k, err)
    assert.truthy(tostring(err):find("connected, but nothing answers", 1, true), tostring(err))
  end)

  it("is told of after socket.connection.setup.timeout.ms with TLS", function()
    local k, err = kafka.connect(secure.settings(address, { security_protocol = "ssl", timeout = 2.5,
      ssl_ca_location = certificates.ca, socket_connection_setup_timeout_ms = 1000 }))
    try.failure(nil, k, err)
    assert.truthy(tostring(err):find("connected, but no TLS answer comes", 1, true), tostring(err))
  end)
end)

describe("a call that waits in vain", function()
  local CAUSE = "last: the broker refused user alice: wrong name or password"
  local settings

  setup(function() settings = secure.login("sasl_plaintext", "PLAIN", "alice", "no") end)

  local function has_cause(name, value, err)
    try.failure(name, value, err)
    assert.truthy(tostring(err):find(CAUSE, 1, true), tostring(err))
    assert.same({ "security", "fix" }, { err.category, err.action })
  end

  it("carries the cause: send, flush, close, and the report of the message", function()
    local reports = {}
    local p = assert(kafka.producer(secure.settings("sasl_plaintext", with(settings, { message_timeout_ms = 1500,
      on_delivery = function(_, err) reports[#reports + 1] = err end }))))
    local report, err = p:send("open", "x", { timeout = 1 })
    has_cause("_TIMED_OUT", report, err)
    assert.truthy(tostring(err):find("timed out after 1 s; " .. CAUSE, 1, true), tostring(err))
    assert(p:produce("open", "y"))
    local ok
    ok, err = p:flush(0.5)
    has_cause("_TIMED_OUT", ok, err)
    try.until_true(5, function()
      p:poll(0.1)
      return #reports == 2
    end)
    has_cause("_MSG_TIMED_OUT", nil, reports[1])
    ok, err = p:close()
    try.failure(nil, ok, err)
    assert.truthy(tostring(err):find(CAUSE, 1, true), tostring(err))
  end)

  it("still carries it long after librdkafka told of it, and no more once a broker has answered", function()
    local p <close> = assert(kafka.producer(secure.settings("sasl_plaintext", with(settings, { on_delivery = function() end }))))
    local handle = p.handle
    try.until_true(5, function()
      p:poll(0)
      return handle.last_error and handle.last_error.category == "security"
    end)
    handle.last_error_at = handle.last_error_at - 1000
    has_cause("_TIMED_OUT", p:send("open", "x", { timeout = 0.2 }))
    p:purge()
    local k <close> = assert(kafka.connect(secure.settings("plaintext", { timeout = 10 })))
    k.handles[1].last_error, k.handles[1].unsolved = handle.last_error, true
    assert(k:brokers())
    assert.is_nil(k.handles[1]:reason())
  end)
end)

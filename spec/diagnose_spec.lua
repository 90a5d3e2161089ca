-- The likely cause in words, for each text of librdkafka's that names a trouble with a connection.

local diagnose = require "kafka.diagnose"

local OLD, NEW = 0x020002ff, 0x020601ff

local function look(text, settings, certificate, version)
  local facts = diagnose.facts(settings or {}, version or OLD, "2.0.2")
  facts.certificate = certificate and function() return table.unpack(certificate) end
  return diagnose.look(text, facts)
end

local login = { ["security.protocol"] = "sasl_plaintext", ["sasl.mechanism"] = "PLAIN", ["sasl.username"] = "alice" }
local tls = { ["security.protocol"] = "ssl" }
local tls_login = { ["security.protocol"] = "sasl_ssl" }
local VERIFY = "ssl://h:1/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker "
  .. "certificate "
  .. "could not be verified, verify that ssl.ca.location is correctly configured or root CA certificates are installed "
  .. "(install ca-certificates package) (after 14ms in state SSL_HANDSHAKE)"
local NOT_TLS = "the port does not speak TLS: set security.protocol to "
local DISCONNECTED = "h:1/bootstrap: Disconnected"

-- what librdkafka says, the client's settings, category, what is said instead
local cases = {
  { "sasl_plaintext://h:1/bootstrap: SASL authentication error: Authentication failed: Invalid username or password "
    .. "(after 3ms in state "
    .. "AUTH_REQ, 1 identical error(s) suppressed)", login, "security", "the broker refused user alice: wrong name or "
      .. "password (h:1)" },
  { "sasl_plaintext://h:1/bootstrap: SASL authentication error: Authentication failed during authentication due to invalid "
    .. "credentials with SASL mechanism SCRAM-SHA-256 (after 3ms in state AUTH_REQ)", login, "security",
    "the broker refused user alice: wrong name or password, or it has no SCRAM password; Kafka 4 takes no SCRAM from librdkafka "
      .. "below 2.6.1, and this is 2.0.2 (h:1)" },
  { 'sasl_plaintext://h:1/bootstrap: SASL authentication error: {"status":"invalid_token"} (after 3ms in state AUTH_REQ)', login,
    "security", "the broker refused the token: check its expiry, issuer, audience and signature (h:1)" },
  { "Failed to acquire SASL OAUTHBEARER token: idp unreachable", login, "security", "no token: idp unreachable" },
  { "h:1/bootstrap: SASL PLAIN mechanism handshake failed: Broker: Unsupported SASL mechanism: broker's supported mechanisms: "
    .. "OAUTHBEARER,GSSAPI (after 2ms in state AUTH_HANDSHAKE)", login, "security",
    "the port takes no PLAIN, only OAUTHBEARER,GSSAPI: set sasl.mechanism (h:1)" },
  { "h:1/bootstrap: SASL PLAIN mechanism handshake failed: Broker: Request not valid in current SASL state: broker's supported "
    .. "mechanisms:  (after 2ms in state AUTH_HANDSHAKE)", login, "security",
    "the port takes no login: set security.protocol to plaintext (h:1)" },
  { "h:1/bootstrap: SASL PLAIN mechanism handshake failed: Broker: Request not valid in current SASL state: broker's supported "
    .. "mechanisms: ", tls_login, "security", "the port takes no login: set security.protocol to ssl (h:1)" },
  { DISCONNECTED .. ": verify that security.protocol is correctly configured, broker might require SASL authentication "
    .. "(after 2ms in "
    .. "state UP)", {}, "security", "the port wants a login: set security.protocol to sasl_plaintext (h:1)" },
  { "ssl://" .. DISCONNECTED .. ": verify that security.protocol is correctly configured, broker might require SASL "
    .. "authentication", tls,
    "security", "the port wants a login: set security.protocol to sasl_ssl (h:1)" },
  { DISCONNECTED .. " while requesting ApiVersion: might be caused by incorrect security.protocol configuration "
    .. "(connecting to a SSL "
    .. "listener?) or broker version is < 0.10 (see api.version.request) (after 2ms in state APIVERSION_QUERY)", {}, "security",
    "the port speaks TLS, or is not Kafka's: set security.protocol to ssl; an old broker, before 0.10? broker_version = "
      .. '"0.8.2.1" (h:1)' },
  { "ssl://h:1/bootstrap: SSL handshake failed: error:0A000126:SSL routines::unexpected eof while reading (after 3ms in state "
    .. "SSL_HANDSHAKE)", tls, "security", NOT_TLS .. "plaintext (h:1)" },
  { "ssl://h:1/bootstrap: error:0A000126:SSL routines::unexpected eof while reading (after 3ms in state SSL_HANDSHAKE)",
    tls_login,
    "security", NOT_TLS .. "sasl_plaintext (h:1)" },
  { "ssl://h:1/bootstrap: SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener? (after 1ms in state "
    .. "SSL_HANDSHAKE)", tls, "security", NOT_TLS .. "plaintext (h:1)" },
  { "ssl://h:1/bootstrap: SSL handshake failed: error:0A00010B:SSL routines::wrong version number", tls, "security",
    NOT_TLS .. "plaintext (h:1)" },
  { "h:1/bootstrap: Receive failed: Invalid response size 1213486160 (0..100000000): increase receive.message.max.bytes",
    {}, "network",
    "a web server answers there, not Kafka (h:1)" },
  { VERIFY, tls, "security", "the broker's certificate was refused: its authority is not in ssl.ca.location, or it is for "
    .. "another "
    .. "host, or expired (h:1)" },
  { "ssl://h:1/bootstrap: Receive failed: error:0A000412:SSL routines::sslv3 alert bad certificate: SSL alert number 42 "
    .. "(after 4ms in "
    .. "state APIVERSION_QUERY)", tls, "security",
    "the broker wants a client's certificate: set ssl.certificate.location and ssl.key.location (h:1)" },
  { "ssl://h:1/bootstrap: Receive failed: error:0A000416:SSL routines::sslv3 alert certificate unknown: SSL alert number 46", tls,
    "security", "the broker does not trust this client's certificate: another authority's, or expired (h:1)" },
  { "h:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)", {}, "network",
    "Connection refused: nothing listens there (h:1)" },
  { "h:1/7: Failed to resolve 'h:1': Name or service not known (after 2ms in state CONNECT)", {}, "network",
    "no such host name (Name or service not known) (broker 7 at h:1)" },
  { "h:1/bootstrap: ApiVersionRequest failed: Local: Timed out: probably due to broker version < 0.10 (see api.version.request "
    .. "configuration) (after 10003ms in state APIVERSION_QUERY)", {}, "network",
    "connected, but nothing answers: a broker that hangs, or not Kafka's port (h:1)" },
  { "ssl://h:1/bootstrap: Connection setup timed out in state SSL_HANDSHAKE (after 30029ms in state SSL_HANDSHAKE)", tls,
    "network",
    "connected, but no TLS answer comes: a broker that hangs, or not Kafka's port (h:1)" },
  { "h:1/bootstrap: Connection setup timed out in state CONNECT (after 30029ms in state CONNECT)", {}, "network",
    "no answer to the connection: a firewall, or another address (h:1)" },
  { "FindCoordinator response error: Group authorization failed.", login, "security",
    "access denied: no ACL allows user alice Read on the group" },
  { "Subscribed topic not available: secret: Broker: Topic authorization failed", login, "security",
    "access denied: no ACL allows user alice Read and Describe on topic secret" },
  { "Fetch from broker 1 failed: Broker: Topic authorization failed", login, "security",
    "access denied: no ACL allows user alice Read and Describe on the topic" },
  { "Failed to acquire idempotence PID from broker h:1/1: Broker: Cluster authorization failed", login, "security",
    "access denied: no ACL allows user alice IdempotentWrite on the cluster, or Write on any topic" },
  { "Unsupported SASL mechanism: plain", login, "config",
    "sasl.mechanism plain is not known: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or GSSAPI, in capitals" },
  { 'Invalid sasl.kerberos.kinit.cmd value: Property not available: "sasl.kerberos.keytab"', tls_login, "config",
    "sasl.mechanism is missing: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER" },
  { "h:1/1: Disconnected (after 3060ms in state UP)", {}, "network",
    "the broker ended the connection, as one that goes down does (broker 1 at h:1)" },
  { "h:1/1: Receive failed: Connection reset by peer (after 60ms in state UP)", {}, "network",
    "the broker ended the connection, as one that goes down does (broker 1 at h:1)" },
  { "GroupCoordinator: h:1: Send failed: Broken pipe (after 60ms in state UP)", {}, "network",
    "the broker ended the connection, as one that goes down does (coordinator at h:1)" },
  { "h:1/1: 3 request(s) timed out: disconnect (after 10060ms in state UP)", {}, "network",
    "no answer in time: the broker hangs, or waits for replicas, or the network is slow (broker 1 at h:1)" },
  { "3/3 brokers are down", {}, "network", "no broker can be reached" },
  { "Subscribed topic not available: frist: Broker: Unknown topic or partition", {}, "cluster",
    "the cluster has no topic frist" },
  { "Consumer group session timed out (in join-state steady) after 45000 ms without a successful response from the group "
    .. "coordinator (broker 3, last error was Success): revoking assignment and rejoining group", {}, "group",
    "the group's coordinator has not answered for 45000 ms (session.timeout.ms): the group is joined anew" },
  { "sasl.username and sasl.password must be set", tls_login, "config", "sasl.username and sasl.password are missing" },
}

describe("what librdkafka says of", function()
  for i, case in ipairs(cases) do
    it(("case %d: %s"):format(i, case[4]:sub(1, 70)), function()
      local found = assert(look(case[1], case[2]), case[1])
      assert.equal(case[4], found.message)
      assert.equal(case[3], found.category)
    end)
  end
end)

describe("a text that means nothing known", function()
  it("is left as it is", function()
    assert.is_nil(look "h:1/1: Protocol parse failure for Fetch v11")
    assert.is_nil(look "h:1/bootstrap: Receive failed: Connection reset by peer (after 3ms in state SSL_HANDSHAKE)")
  end)
end)

-- A broker that goes down ends connections half way, for which librdkafka blames security.protocol.
describe("a connection that ends early", function()
  local APIVERSION = "Disconnected while requesting ApiVersion: might be caused by incorrect security.protocol configuration "
    .. "(connecting to a SSL listener?) or broker version is < 0.10 (see api.version.request) (after 2ms in state "
    .. "APIVERSION_QUERY)"
  local texts = {
    APIVERSION,
    "Disconnected: verify that security.protocol is correctly configured, broker might require SASL authentication (after 2ms in "
      .. "state UP)",
    "SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener? (after 1ms in state SSL_HANDSHAKE)",
    "SSL handshake failed: error:0A000126:SSL routines::unexpected eof while reading (after 3ms in state SSL_HANDSHAKE)",
  }
  local facts = diagnose.facts({}, OLD, "2.0.2")

  for i, text in ipairs(texts) do
    it("may pass where a broker has answered, or has told of this one, text " .. i, function()
      for _, found in ipairs { diagnose.look("h:1/bootstrap: " .. text, facts, true), diagnose.look("h:1/2: " .. text, facts) } do
        assert.matches("^the broker ended the connection.*h:1%)$", found.message)
        assert.same({ "network", "retry" }, { found.category, found.action })
      end
      assert.equal("security", diagnose.look("h:1/bootstrap: " .. text, facts, false).category)
    end)
  end

  it("may pass where it was the coordinator's", function()
    local found = diagnose.look("GroupCoordinator: h:1: " .. APIVERSION, facts)
    assert.equal("retry", found.action)
    assert.equal("the broker ended the connection, as one that goes down does (coordinator at h:1)", found.message)
  end)
end)

describe("a refused certificate", function()
  for code, words in pairs {
    [19] = "authority that is not in ssl.ca.location", [20] = "authority that is not in ssl.ca.location",
    [62] = "is for another host", [64] = "is for another host", [10] = "the broker's certificate has expired",
      [99] = "OpenSSL's error 99",
  } do
    it(("with OpenSSL's error %d says: %s"):format(code, words), function()
      assert.truthy(look(VERIFY, tls, { code, 0 }).message:find(words, 1, true))
    end)
  end

  it("higher in the chain is the authority's", function()
    assert.equal("the broker's certificate authority has expired", diagnose.certificate(10, 1))
  end)
end)

describe("SCRAM refused", function()
  it("blames the version only where librdkafka is too old", function()
    local text = "h:1/bootstrap: SASL authentication error: due to invalid credentials with SASL mechanism SCRAM-SHA-512"
    assert.truthy(look(text, login).message:find("Kafka 4", 1, true))
    assert.is_nil(look(text, login, nil, NEW).message:find("Kafka 4", 1, true))
  end)
end)

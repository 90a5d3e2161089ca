-- What librdkafka's words about a connection mean: the likely cause and what to do, in a sentence. A table of patterns; the
-- original text stays beside what is made of it. Pure.

local diagnose = {}

-- Verdicts of OpenSSL on a broker's certificate (X509_V_ERR_...).
local UNTRUSTED = "the broker's certificate comes from an authority that is not in ssl.ca.location"
local certificates = {
  [2] = UNTRUSTED,
  [9] = "the broker's certificate is not valid yet: check the clock",
  [10] = "the broker's certificate has expired",
  [18] = UNTRUSTED,
  [19] = UNTRUSTED,
  [20] = UNTRUSTED,
  [21] = UNTRUSTED,
  [23] = "the broker's certificate was revoked",
  [62] = "the broker's certificate is for another host: connect by a name that is in it",
  [64] = "the broker's certificate is for another host: connect by an address or a name that is in it",
}

---What OpenSSL found wrong with a broker's certificate.
---@param code integer|nil its error; nil where it is not known
---@param depth integer|nil of the certificate in the chain: 0 is the broker's own
---@return string
function diagnose.certificate(code, depth)
  if not code then
    return "the broker's certificate was refused: its authority is not in ssl.ca.location, or it is for another host, or expired"
  end
  local text = certificates[code] or ("the broker's certificate was refused (OpenSSL's error %d)"):format(code)
  if depth and depth > 0 and (code == 9 or code == 10 or code == 23) then
    text = text:gsub("certificate", "certificate authority", 1)
  end
  return text
end

local TLS_PORT = "the port speaks TLS, or is not Kafka's: set security.protocol to {tls}; an old broker, before 0.10?"
  .. ' broker_version = "0.8.2.1"'
local NO_TLS = "the port does not speak TLS: set security.protocol to {plain}"

-- What librdkafka guesses from a connection that ends early. A broker that goes down ends them too, so it counts only while no
-- broker has answered this client.
local guesses = {
  "broker might require SASL authentication",
  "connecting to a SSL listener",
  "connecting to a PLAINTEXT broker listener",
  "SSL routines::unexpected eof.*SSL_HANDSHAKE",
}
local ENDED = "the broker ended the connection, as one that goes down does"
local BROKEN = { "", ENDED .. "{old}", "network", "retry" }

-- pattern of librdkafka's text, the sentence, category, action. {1} is what the pattern captured, {name} one of the facts.
-- The first row that fits counts.
local rows = {
  -- logins
  { "Invalid username or password", "the broker refused {user}: wrong name or password", "security", "fix" },
  { "due to invalid credentials with SASL mechanism SCRAM",
    "the broker refused {user}: wrong name or password, or it has no SCRAM password{scram}", "security", "fix" },
  { '"status":"invalid_token"', "the broker refused the token: check its expiry, issuer, audience and signature",
    "security", "fix" },
  { "Failed to acquire SASL OAUTHBEARER token: (.*)",
    "no token: {1}", "security", "fix" },
  { "Unsupported SASL mechanism: broker's supported mechanisms: (%S.*)",
    "the port takes no {mechanism}, only {1}: set sasl.mechanism", "security", "fix" },
  { "mechanism handshake failed: .*not valid in current SASL state",
    "the port takes no login: set security.protocol to {nologin}", "security", "fix" },
  { "mechanism handshake failed: .*supported mechanisms: *$",
    "the port takes no login: set security.protocol to {nologin}", "security", "fix" },
  { "broker might require SASL authentication", "the port wants a login: set security.protocol to {login}", "security", "fix" },
  { "SASL authentication error: (.*)", "the broker refused {user}: {1}", "security", "fix" },
  -- certificates
  { "certificate verify failed", "{certificate}", "security", "fix" },
  { "SSL alert number 42", "the broker wants a client's certificate: {clientcertificate}", "security", "fix" },
  { "SSL alert number 116", "the broker wants a client's certificate: {clientcertificate}", "security", "fix" },
  { "SSL alert number 4[3-8]", "the broker does not trust this client's certificate: another authority's, or expired",
    "security", "fix" },
  -- TLS on one side only
  { "connecting to a SSL listener", TLS_PORT, "security", "fix" },
  { "connecting to a PLAINTEXT broker listener", NO_TLS, "security", "fix" },
  { "SSL routines::unexpected eof.*SSL_HANDSHAKE", NO_TLS, "security", "fix" },
  { "SSL routines::wrong version number", NO_TLS, "security", "fix" },
  { "Invalid response size 1213486160", "a web server answers there, not Kafka", "network", "fix" },
  { "Invalid response size", "not Kafka's port, or it speaks TLS", "network", "fix" },
  -- reaching it
  { "Connection refused", "Connection refused: nothing listens there", "network", "retry" },
  { "Failed to resolve '[^']*': (.*)", "no such host name ({1})", "network", "fix" },
  { "ApiVersionRequest failed: Local: Timed out",
    "connected, but nothing answers: a broker that hangs, or not Kafka's port", "network", "retry" },
  { "Connection setup timed out in state SSL_HANDSHAKE",
    "connected, but no TLS answer comes: a broker that hangs, or not Kafka's port", "network", "retry" },
  { "Connection setup timed out in state CONNECT",
    "no answer to the connection: a firewall, or another address", "network", "retry" },
  -- One that was in use: before, it may be that this client was not wanted.
  { "^Disconnected .*in state UP", ENDED, "network", "retry" },
  { "Connection reset by peer .*in state UP", ENDED, "network", "retry" },
  { "Broken pipe .*in state UP", ENDED, "network", "retry" },
  { "request%(s%) timed out: disconnect", "no answer in time: the broker hangs, or waits for replicas, or the network is slow",
    "network", "retry" },
  { "^%d+/%d+ brokers are down", "no broker can be reached", "network", "retry" },
  -- what may be done
  { "FindCoordinator response error: Group authorization failed",
    "access denied: no ACL allows {user} Read on the group", "security", "fix" },
  { "Subscribed topic not available: ([^:%s]+): .*Topic authorization failed",
    "access denied: no ACL allows {user} Read and Describe on topic {1}", "security", "fix" },
  { "Subscribed topic not available: ([^:%s]+): .*Unknown topic or partition", "the cluster has no topic {1}", "cluster", "fix" },
  { "^Consumer group session timed out .*after (%d+) ms without",
    "the group's coordinator has not answered for {1} ms (session.timeout.ms): the group is joined anew", "group", "wait" },
  { "Topic authorization failed", "access denied: no ACL allows {user} Read and Describe on the topic", "security", "fix" },
  { "Failed to acquire idempotence PID.*Cluster authorization failed",
    "access denied: no ACL allows {user} IdempotentWrite on the cluster, or Write on any topic",
    "security", "recreate" },
  -- refused before any connection
  { "^Unsupported SASL mechanism: (%S+)", "sasl.mechanism {1} is not known: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER"
    .. " or GSSAPI, in capitals", "config", "fix" },
  { "^Invalid sasl%.kerberos%.kinit%.cmd value", "sasl.mechanism is missing: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER",
    "config", "fix" },
  { "^sasl%.username and sasl%.password must be set", "sasl.username and sasl.password are missing", "config", "fix" },
}
diagnose.rows = rows

---What the sentences need to know of a client, and no secret.
---@param settings table<string, string> librdkafka's
---@param version integer librdkafka's, 0x020601ff for 2.6.1
---@param version_name string
---@return table
function diagnose.facts(settings, version, version_name)
  local protocol = (settings["security.protocol"] or "plaintext"):lower()
  local login, tls = protocol:find "sasl" ~= nil, protocol:find "ssl" ~= nil
  local user = settings["sasl.username"]
  local certificate = settings["ssl.certificate.location"] or settings["ssl.certificate.pem"] or settings["ssl.keystore.location"]
  return {
    user = user and "user " .. user or "this client's user",
    mechanism = settings["sasl.mechanism"] or settings["sasl.mechanisms"] or "GSSAPI",
    tls = login and "sasl_ssl" or "ssl",
    plain = login and "sasl_plaintext" or "plaintext",
    login = tls and "sasl_ssl" or "sasl_plaintext",
    nologin = tls and "ssl" or "plaintext",
    old = settings["api.version.request"] == "false"
      and (", or Kafka 4 to a client with broker_version %s"):format(settings["broker.version.fallback"] or "0.10") or "",
    scram = version < 0x020601ff and ("; Kafka 4 takes no SCRAM from librdkafka below 2.6.1, and this is " .. version_name) or "",
    clientcertificate = certificate and "it took none that was given" or "set ssl.certificate.location and ssl.key.location",
  }
end

-- "sasl_ssl://host:9092/bootstrap: REASON (after 3ms in state UP, 1 identical error(s) suppressed)", or
-- "GroupCoordinator: host:9092: REASON": a second connection to a broker.
local function parts(text)
  local place, who, reason = text:match "^([^%s]+)/(%w+): (.*)$"
  if not place then
    who, place, reason = text:match "^(%a+Coordinator): ([^%s]+:%d+): (.*)$"
  end
  if not place then return nil, nil, text end
  return place:gsub("^[%w_]+://", ""), who, reason
end

-- Whether the trouble is with a broker whose address another broker has told.
local function is_learnt(who, reason)
  return who and (who:find "^%d+$" or who:find "Coordinator$") or reason:find "^%a+Coordinator[:/]"
end

local function is_guess(reason)
  for _, pattern in ipairs(guesses) do
    if reason:find(pattern) then return true end
  end
end

---Whether librdkafka only guesses, from a connection that ended early.
---@param text string
---@return boolean
function diagnose.is_guess(text)
  local _, _, reason = parts(text)
  return is_guess(reason) or false
end

---Looks up what a text of librdkafka's means.
---@param text string
---@param facts table from `facts`; certificate: fun(): integer|nil, integer|nil OpenSSL's last verdict
---@param answered boolean|nil whether a broker has answered this client
---@return {message: string, category: string, action: string}|nil
function diagnose.look(text, facts, answered)
  local place, who, reason = parts(text)
  local broken = (answered or is_learnt(who, reason)) and is_guess(reason)
  for _, row in ipairs(broken and { BROKEN } or rows) do
    local captured = reason:match(row[1])
    if captured then
      local message = row[2]:gsub("{(%w+)}", function(name)
        if name == "1" then return (captured:gsub(" %(after %d+ms in state .*$", "")) end
        if name == "certificate" then return diagnose.certificate(facts.certificate and facts.certificate()) end
        return facts[name]
      end)
      if place then
        local learnt = who:find "^%d+$" and ("broker %s at %s"):format(who, place)
          or who:find "Coordinator$" and "coordinator at " .. place
        message = ("%s (%s)"):format(message, learnt or place)
      end
      return { message = message, category = row[3], action = row[4] }
    end
  end
end

return diagnose

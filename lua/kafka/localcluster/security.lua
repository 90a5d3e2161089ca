-- A cluster to try security on: beside the plain listener one for each way to log in or to be refused, users, and an
-- authorizer that lets nobody in who has no ACL. Only what all generations of Kafka share; the rest is in their rows.
-- Must not know: how brokers are started.

local certificates = require "kafka.localcluster.certificates"

local M = {}

---Passwords by user. They guard nothing.
M.users = { admin = "admin-secret", alice = "alice-secret", bob = "bob-secret" }

M.scram = { "SCRAM-SHA-256", "SCRAM-SHA-512" }

-- By their names in `cluster.listeners`; in capitals they are Kafka's.
local LISTENERS = {
  { name = "ssl", protocol = "SSL" },
  { name = "mtls", protocol = "SSL", properties = { ["ssl.client.auth"] = "required" } },
  { name = "sasl_plaintext", protocol = "SASL_PLAINTEXT", passwords = true },
  { name = "sasl_ssl", protocol = "SASL_SSL", passwords = true },
  { name = "oauth", protocol = "SASL_PLAINTEXT", properties = {
    ["sasl.enabled.mechanisms"] = "OAUTHBEARER",
    ["oauthbearer.sasl.jaas.config"] = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;",
  } },
  { name = "expired", protocol = "SSL", keystore = "expired" },
  { name = "wrong_host", protocol = "SSL", keystore = "wrong-host" },
}

---@return fun(): string? names of the listeners beside the plain one
function M.names()
  local i = 0
  return function()
    i = i + 1
    return LISTENERS[i] and LISTENERS[i].name
  end
end

local function password_properties(found, prefix)
  local known = {}
  for user, password in pairs(M.users) do
    known[#known + 1] = ('user_%s="%s"'):format(user, password)
  end
  table.sort(known)
  local module = "org.apache.kafka.common.security.%s required%s;"
  found[prefix .. "plain.sasl.jaas.config"] = module:format("plain.PlainLoginModule", " " .. table.concat(known, " "))
  for _, mechanism in ipairs(M.scram) do
    found[prefix .. mechanism:lower() .. ".sasl.jaas.config"] = module:format("scram.ScramLoginModule", "")
  end
end

---Properties of a broker, or of a process beside it, which has the authorizer only.
---@param cluster kafka.localcluster.Cluster
---@param node kafka.localcluster.Node
---@param plain string? address of the plain listener; nil beside the brokers
---@return table<string, any>
function M.properties(cluster, node, plain)
  local found = {
    ["authorizer.class.name"] = cluster.row.security.authorizer,
    ["super.users"] = "User:ANONYMOUS;User:admin",
    ["allow.everyone.if.no.acl.found"] = false,
  }
  if not plain then
    return found
  end
  found["inter.broker.listener.name"] = "PLAINTEXT"
  found["sasl.enabled.mechanisms"] = "PLAIN," .. table.concat(M.scram, ",")
  found["ssl.keystore.type"], found["ssl.truststore.type"] = "PEM", "PEM"
  found["ssl.keystore.location"] = certificates.keystore(cluster.sandbox, "server")
  found["ssl.truststore.location"] = cluster.certificates.ca
  local addresses, protocols = { plain }, { "PLAINTEXT:PLAINTEXT", "CONTROLLER:PLAINTEXT" }
  for i, listener in ipairs(LISTENERS) do
    local prefix = ("listener.name.%s."):format(listener.name)
    addresses[i + 1] = ("%s://127.0.0.1:%d"):format(listener.name:upper(), node.listeners[listener.name])
    protocols[i + 2] = ("%s:%s"):format(listener.name:upper(), listener.protocol)
    for name, value in pairs(listener.properties or {}) do
      found[prefix .. name] = value
    end
    if listener.passwords then
      password_properties(found, prefix)
    end
    if listener.keystore then
      found[prefix .. "ssl.keystore.location"] = certificates.keystore(cluster.sandbox, listener.keystore)
    end
  end
  found["listeners"] = table.concat(addresses, ",")
  found["advertised.listeners"] = found["listeners"]
  found["listener.security.protocol.map"] = table.concat(protocols, ",")
  return found
end

return M

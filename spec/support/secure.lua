-- One secure cluster for all spec files that need it, started by the first of them and ended with the run; and clients of its
-- listeners whose events are kept instead of printed.

require "spec.support.luv"
local kafka = require "kafka"

local registry = debug.getregistry()

local secure = {}

---@return table the cluster: topics open (alice may do all), seen (alice may describe it), hidden; group open
function secure.cluster()
  local held = registry["spec.secure"] -- busted forgets modules between files
  if held then return held end
  local cluster = assert(kafka.localcluster { security = true, topics = { open = 1, seen = 1, hidden = 1 } })
  assert(cluster:acl { "--add", "--allow-principal", "User:alice", "--operation", "All", "--topic", "open", "--group", "open" })
  assert(cluster:acl { "--add", "--allow-principal", "User:alice", "--operation", "Describe", "--topic", "seen" })
  registry["spec.secure"] = cluster
  require("busted").subscribe({ "suite", "end" }, function()
    cluster:close()
    return nil, true
  end)
  return cluster
end

---Settings for one listener, with those of `more` above them; `seen` gets every error and log line.
---@param listener string
---@param more table|nil
---@param seen table|nil
function secure.settings(listener, more, seen)
  local cluster = secure.cluster()
  local options = { brokers = cluster.listeners[listener] or listener }
  options.on_error = function(err) if seen then seen[#seen + 1] = tostring(err) end end
  options.on_log = function(line) if seen then seen[#seen + 1] = line.text end end
  for name, value in pairs(more or {}) do options[name] = value end
  return options
end

---Settings of a login with name and password.
function secure.login(protocol, mechanism, user, password)
  local certificates = secure.cluster().certificates
  return { security_protocol = protocol, sasl_mechanism = mechanism, sasl_username = user, sasl_password = password,
    ssl_ca_location = protocol == "sasl_ssl" and certificates.ca or nil }
end

---Alice, by PLAIN.
function secure.alice(more)
  local settings = secure.login("sasl_plaintext", "PLAIN", "alice", "alice-secret")
  for name, value in pairs(more or {}) do settings[name] = value end
  return secure.settings("sasl_plaintext", settings)
end

return secure

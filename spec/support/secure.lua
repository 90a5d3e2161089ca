-- One secure cluster for all spec files that need it, started by the first of them and ended with the run; and clients of its
-- listeners whose events are kept instead of printed.

require "spec.support.luv"
local kafka = require "kafka"

local registry = debug.getregistry()

local LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

local secure = {}

---@return table the cluster: topics first and open (alice may do all), seen (alice may describe it), hidden; group open
function secure.cluster()
  local held = registry["spec.secure"] -- busted forgets modules between files
  if held then return held end
  local cluster = assert(kafka.localcluster { security = true, topics = { first = 1, open = 1, seen = 1, hidden = 1 } })
  assert(cluster:acl { "--add", "--allow-principal", "User:alice", "--operation", "All", "--topic", "first", "--topic", "open",
    "--group", "open" })
  assert(cluster:acl { "--add", "--allow-principal", "User:alice", "--operation", "Describe", "--topic", "seen" })
  registry["spec.secure"] = cluster
  require("busted").subscribe({ "suite", "end" }, function()
    cluster:close()
    return nil, true
  end)
  return cluster
end

local function base64url(text)
  local out = {}
  for i = 1, #text, 3 do
    local a, b, c = text:byte(i, i + 2)
    local n = a << 16 | (b or 0) << 8 | (c or 0)
    for j = 0, c and 3 or b and 2 or 1 do
      local at = n >> (18 - 6 * j) & 63
      out[#out + 1] = LETTERS:sub(at + 1, at + 1)
    end
  end
  return table.concat(out)
end

---A token that nobody signed: the listener oauth believes it.
---@param expires integer seconds since the epoch
---@return string token
---@return integer expires
function secure.unsecured_token(user, expires)
  local claims = ('{"sub":"%s","iat":%d,"exp":%d}'):format(user, os.time(), expires)
  return ("%s.%s."):format(base64url '{"alg":"none"}', base64url(claims)), expires
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

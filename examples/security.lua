-- Ways to log in, and what is said where one fails: on a secure cluster that this program starts (Java, Maven, luv, openssl).

local kafka = require "kafka"

local real <close> = assert(kafka.localcluster { security = true, topics = { first = 1 } })
local certificates = real.certificates

assert(real:acl { "--add", "--allow-principal", "User:alice", "--operation", "Write", "--topic", "first" })

local function silent() end

-- Sends one message by this listener, and tells what became of it.
local function try(what, listener, settings)
  settings.brokers = real.listeners[listener]
  settings.on_error, settings.on_log = silent, silent
  local p = assert(kafka.producer(settings))
  local report, err = p:send("first", what, { timeout = 2 })
  print(("%-28s %s"):format(what, report or err))
  p:purge()
  p:close(1)
end

local function alice(password, more)
  local settings = { security_protocol = "sasl_ssl", ssl_ca_location = certificates.ca, sasl_mechanism = "PLAIN",
    sasl_username = "alice", sasl_password = password }
  for name, value in pairs(more or {}) do settings[name] = value end
  return settings
end

try("the right password", "sasl_ssl", alice "alice-secret")
try("a wrong password", "sasl_ssl", alice "guess")
try("an authority not trusted", "sasl_ssl", alice("alice-secret", { ssl_ca_location = certificates.other_ca }))
try("a certificate of another host", "wrong_host", { security_protocol = "ssl", ssl_ca_location = certificates.ca })
try("an expired certificate", "expired", { security_protocol = "ssl", ssl_ca_location = certificates.ca })
try("no TLS where it is wanted", "ssl", {})
try("a user without the right", "sasl_plaintext", { security_protocol = "sasl_plaintext", sasl_mechanism = "PLAIN",
  sasl_username = "bob", sasl_password = "bob-secret" })

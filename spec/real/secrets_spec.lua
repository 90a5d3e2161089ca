-- The canary: a unique secret in each sensitive setting, every kind of output provoked, and none of them found in any of it.

require "spec.support.luv"
local kafka = require "kafka"
local core = require "kafka.core"
local secure = require "spec.support.secure"
local try = require "spec.support.try"

local CANARY = "cAnArY"
local seen -- all output of one spec

local function see(...)
  for i = 1, select("#", ...) do seen[#seen + 1] = tostring((select(i, ...))) end
end

-- An error or a table of results, with all it holds.
local function see_all(value, depth)
  see(value)
  if type(value) ~= "table" or depth == 0 then return end
  for k, v in next, value do
    see(k)
    see_all(v, (depth or 5) - 1)
  end
end

local function secret(name) return CANARY .. "-" .. name .. "-1f7a" end

local handlers = { on_error = see_all, on_log = see_all, on_stats = see_all, on_throttle = see_all, debug = "all",
  statistics_interval_ms = 100 }

local function with(...)
  local all = {}
  for _, part in ipairs { ... } do
    for name, value in pairs(part) do all[name] = value end
  end
  return all
end

-- What it opens, or nothing; what it says is seen.
local function open(f, options)
  local ok, object, err = pcall(f, options)
  see_all(err)
  if ok then return object end
  see(object)
end

local function traced(f, ...)
  see_all(select(2, xpcall(f, function(raised)
    see_all(raised)
    return debug.traceback(tostring(raised), 1)
  end, ...)))
end

-- Everything that clients with these settings say.
local function provoke(listener, settings, has_handlers)
  local all = with(secure.settings(listener), has_handlers and handlers or {}, settings)
  if not has_handlers then all.on_error, all.on_log = nil, nil end
  local p = open(kafka.producer, all)
  if p then
    see(p, p.handle, p.handle.core)
    see_all((select(2, p:send("open", "x", { timeout = 0.4 }))))
    see_all((select(2, p:flush(0.1))))
    traced(p.send, p, "open", "x", { timeout = {} })
    traced(p.produce, p)
    traced(function() assert(p:send("open", "x", { timeout = 0.1 })) end)
    see(p)
    p:purge()
    see_all((select(2, p:close(0.2))))
    see(p)
  end
  local k = open(kafka.connect, with(all, { timeout = 0.4 }))
  if k then
    see(k, k:metadata(), k:topic "open")
    traced(k.partition, k, "open", "x")
    local part = k:partition("open", 0, { timeout = 1 })
    see_all(part and select(2, part:commit("closed", "x", 0.3)))
    see(part)
    k:close()
    see(k, part)
  end
  local c = open(kafka.consumer, with(all, { group = "open", topics = "open" }))
  if c then
    see_all((select(2, c:poll(0.3))))
    see(c)
    c:close(0.2)
    see(c)
  end
end

local function no_canary()
  local text = table.concat(seen, "\n")
  local from = text:find(CANARY, 1, true)
  assert.is_nil(from, from and text:sub(math.max(1, from - 200), from + 60))
  return text
end

before_each(function() seen = {} end)

local password = secure.login("sasl_plaintext", "PLAIN", "alice", secret "password")

local settings = {
  ["sasl.password"] = { "sasl_plaintext", password },
  ["sasl.password with SCRAM"] = { "sasl_plaintext", with(password, { sasl_mechanism = "SCRAM-SHA-256" }) },
  ["sasl.password to a port without login"] = { "plaintext", password },
  ["ssl.key.password"] = { "mtls", function(c) return { security_protocol = "ssl", ssl_ca_location = c.ca,
    ssl_certificate_location = c.certificate, ssl_key_location = c.encrypted_key, ssl_key_password = secret "key" } end },
  ["ssl.key.password of a key that has none"] = { "mtls", function(c) return { security_protocol = "ssl", ssl_ca_location = c.ca,
    ssl_certificate_location = c.certificate, ssl_key_location = c.key, ssl_key_password = secret "key" } end },
  ["ssl.key.pem"] = { "mtls", function(c) return { security_protocol = "ssl", ssl_ca_location = c.ca,
    ssl_certificate_location = c.certificate, ssl_key_pem = secret "pem" } end },
  ["ssl.keystore.password"] = { "mtls", function(c) return { security_protocol = "ssl", ssl_ca_location = c.ca,
    ssl_keystore_location = c.certificate, ssl_keystore_password = secret "keystore" } end },
  ["sasl.oauthbearer.client.secret"] = { "oauth", { security_protocol = "sasl_plaintext", sasl_mechanism = "OAUTHBEARER",
    sasl_oauthbearer_method = "oidc", sasl_oauthbearer_client_id = "me", sasl_oauthbearer_client_secret = secret "client",
    sasl_oauthbearer_token_endpoint_url = "http://127.0.0.1:1/token" } },
  ["sasl.oauthbearer.config"] = { "oauth", { security_protocol = "sasl_plaintext", sasl_mechanism = "OAUTHBEARER",
    sasl_oauthbearer_config = secret "config", oauth_token = function() return nil, "none" end } },
  ["a token of oauth_token that the broker refuses"] = { "oauth", { security_protocol = "sasl_plaintext",
    sasl_mechanism = "OAUTHBEARER",
    oauth_token = function() return { token = secret "token", expires = os.time() + 100 } end } },
  ["a token of oauth_token that has expired"] = { "oauth", { security_protocol = "sasl_plaintext",
    sasl_mechanism = "OAUTHBEARER", oauth_token = function() return { token = secret "token", expires = 1 } end } },
  ["a token of oauth_token without expiry"] = { "oauth", { security_protocol = "sasl_plaintext",
    sasl_mechanism = "OAUTHBEARER", oauth_token = function() return { token = secret "token", [secret "name"] = 1 } end } },
  ["a string in the place of a token"] = { "oauth", { security_protocol = "sasl_plaintext",
    sasl_mechanism = "OAUTHBEARER", oauth_token = function() return secret "token" end } },
}

describe("no output shows", function()
  for name, case in pairs(settings) do
    it(name, function()
      local more = case[2]
      if type(more) == "function" then more = more(secure.cluster().certificates) end
      for _, has_handlers in ipairs { true, false } do
        for _, line in ipairs(try.logged(function() provoke(case[1], more, has_handlers) end)) do see(line) end
      end
      assert.is_true(#no_canary() > 200, "nothing was provoked")
    end)
  end

  it("a right password that works, nor statistics that hold it", function()
    provoke("sasl_plaintext", secure.login("sasl_plaintext", "PLAIN", "alice", "alice-secret"), true)
    local text = table.concat(seen, "\n")
    assert.is_nil(text:find("alice-secret", 1, true))
    assert.truthy(text:find("msg_cnt", 1, true), "no statistics")
    assert.truthy(text:find("delivered", 1, true), "nothing was sent")
  end)

  it("a sensitive setting that is misspelt, of a wrong type, given twice or refused", function()
    local names = {}
    for name in pairs(require("kafka.config").settings()) do
      for _, word in ipairs { "password", "secret", "key%.pem", "passphrase" } do
        if name:find(word) then names[#names + 1] = name end
      end
    end
    assert.is_true(#names >= 5)
    for _, name in ipairs(names) do
      for _, value in ipairs { secret "a\0b", { secret "table" }, true } do
        traced(kafka.producer, { brokers = "127.0.0.1:1", [name] = value })
      end
      traced(kafka.producer, { brokers = "127.0.0.1:1", [name] = secret "a", [name:gsub("%.", "_")] = secret "b" })
      traced(kafka.producer, { brokers = "127.0.0.1:1", [name .. "x"] = secret "a" })
      traced(core.producer, { [name] = secret "a\0b" })
      traced(core.producer, { [name .. "x"] = secret "a" })
    end
    traced(kafka.producer, { brokers = "127.0.0.1:1", oauth_token = secret "token" })
    no_canary()
  end)
end)

-- Certificates and keys that cannot be used: the constructor returns nil and an error that names the file, and says what is
-- wrong with it.

local kafka = require "kafka"
local pem = require "spec.support.pem"
local process = require "spec.support.process"
local try = require "spec.support.try"

local certificate, key, locked, other, junk, empty
setup(function()
  certificate, key = pem.file("certificate.pem", pem.certificate), pem.file("key.pem", pem.key)
  locked, other = pem.file("locked.pem", pem.locked), pem.file("other.pem", pem.other)
  junk, empty = pem.file("junk.pem", "no certificate\n"), pem.file("empty.pem", "")
end)

-- {what is wrong, words of the error, settings()}
local rows = {
  { "an authority that is not there", { "ssl.ca.location", "/no/such/file", "No such file" },
    function() return { ssl_ca_location = "/no/such/file" } end },
  { "an authority of two lines", { [["/no\010such"]], "No such file" }, function() return { ssl_ca_location = "/no\nsuch" } end },
  { "an authority that is a key", { "ssl.ca.location", "key.pem", "a certificate" },
    function() return { ssl_ca_location = key } end },
  { "an authority that is junk", { "junk.pem", "a certificate in PEM" }, function() return { ssl_ca_location = junk } end },
  { "an authority that is empty", { "empty.pem", "is empty" }, function() return { ssl_ca_location = empty } end },
  { "an authority whose text is junk", { "ssl.ca.pem", "a certificate in PEM" }, function() return { ssl_ca_pem = "junk" } end },
  { "a certificate that is not there", { "ssl.certificate.location", "/no/such/file", "No such file" },
    function() return { ssl_certificate_location = "/no/such/file" } end },
  { "a certificate that is a folder", { "ssl.certificate.location", process.folder, "directory" },
    function() return { ssl_certificate_location = process.folder } end },
  { "a certificate that is junk", { "junk.pem", "a certificate" }, function() return { ssl_certificate_location = junk } end },
  { "a certificate that is empty", { "empty.pem", "is empty" }, function() return { ssl_certificate_location = empty } end },
  { "a certificate whose text is junk", { "ssl.certificate.pem", "a certificate" },
    function() return { ssl_certificate_pem = "junk" } end },
  { "a key that is not there", { "ssl.key.location", "/no/such/file", "No such file" },
    function() return { ssl_key_location = "/no/such/file" } end },
  { "a key that is a folder", { process.folder, "directory" }, function() return { ssl_key_location = process.folder } end },
  { "a key that is junk", { "junk.pem", "a private key" }, function() return { ssl_key_location = junk } end },
  { "a key that is a certificate", { "certificate.pem", "a private key" },
    function() return { ssl_key_location = certificate } end },
  { "a key whose text is junk", { "ssl.key.pem", "a private key" }, function() return { ssl_key_pem = "junk" } end },
  { "a key without its certificate", { "ssl.certificate.location" }, function() return { ssl_key_location = key } end },
  { "a key of another certificate", { "other.pem", "certificate.pem", "is not the key" },
    function() return { ssl_certificate_location = certificate, ssl_key_location = other } end },
  { "a key's text of another certificate", { "ssl.key.pem", "is not the key" },
    function() return { ssl_certificate_pem = pem.certificate, ssl_key_pem = pem.other } end },
  { "a wrong password", { "locked.pem", "ssl.key.password", "does not open" },
    function() return { ssl_certificate_location = certificate, ssl_key_location = locked, ssl_key_password = "CANARY" } end },
  { "no password", { "locked.pem", "give ssl.key.password" },
    function() return { ssl_certificate_location = certificate, ssl_key_location = locked } end },
  { "a wrong password of a key's text", { "ssl.key.pem", "does not open" },
    function() return { ssl_certificate_pem = pem.certificate, ssl_key_pem = pem.locked, ssl_key_password = "CANARY" } end },
  { "a store that is not there", { "ssl.keystore.location", "/no/such/file", "No such file" },
    function() return { ssl_keystore_location = "/no/such/file", ssl_keystore_password = "CANARY" } end },
  { "a store that is junk", { "junk.pem", "PKCS#12" },
    function() return { ssl_keystore_location = junk, ssl_keystore_password = "CANARY" } end },
  { "a store without a password", { "ssl.keystore.password", "mandatory" },
    function() return { ssl_keystore_location = junk } end },
  { "a revocation list that is not there", { "ssl.crl.location", "/no/such/file" },
    function() return { ssl_crl_location = "/no/such/file" } end },
  { "a revocation list that is junk", { "junk.pem", "a revocation list" }, function() return { ssl_crl_location = junk } end },
  { "ciphers that are none", { "ssl.cipher.suites", '"no-such-cipher"' },
    function() return { ssl_cipher_suites = "no-such-cipher" } end },
}

local function fails(constructor, settings, words)
  settings.brokers, settings.security_protocol, settings.group = "h:1", "ssl", constructor ~= kafka.producer and "g" or nil
  local seconds, client, err = try.time(constructor, settings)
  try.failure("_INVALID_ARG", client, err)
  local text = tostring(err)
  for _, word in ipairs(words) do assert.truthy(text:find(word, 1, true), text) end
  assert.is_nil(text:find "%c", text)
  assert.is_nil(text:find("CANARY", 1, true), text)
  assert.same({ "config", "fix", false }, { err.category, err.action, err.retriable })
  assert.is_true(seconds < 1, "took " .. seconds)
  return err
end

describe("a client with", function()
  for _, row in ipairs(rows) do
    it(row[1] .. " is not opened", function() assert.equal("kafka.producer", fails(kafka.producer, row[3](), row[2]).op) end)
  end

  it("a bad file is not opened by any constructor", function()
    for op, constructor in pairs { ["kafka.connect"] = kafka.connect, ["kafka.consumer"] = kafka.consumer } do
      assert.equal(op, fails(constructor, rows[1][3](), rows[1][2]).op)
    end
  end)

  it("good ones is", function()
    for _, settings in ipairs { { ssl_ca_location = certificate }, { ssl_ca_pem = pem.certificate },
      { ssl_certificate_location = certificate, ssl_key_location = key },
      { ssl_certificate_location = certificate, ssl_key_location = locked, ssl_key_password = "secret" },
      { ssl_certificate_pem = pem.certificate, ssl_key_pem = pem.key } } do
      settings.brokers, settings.security_protocol, settings.log_level = "127.0.0.1:1", "ssl", 0
      settings.on_error = function() end
      assert(kafka.producer(settings)):close(0)
    end
  end)
end)

-- The programs of docs/security.md do what is said there, and so does the example.

require "spec.support.luv"
local child = require "spec.support.child"
local page = require "spec.support.page"
local secure = require "spec.support.secure"

describe("docs/security.md", function()
  local cluster, certificates, programs

  setup(function()
    cluster = secure.cluster()
    certificates = cluster.certificates
    programs = page.programs(page.read "docs/security.md")
  end)

  -- The page's addresses and files are the cluster's.
  local function run(i)
    local text = programs[i]
    for name, value in pairs { ["localhost:9094"] = cluster.listeners.sasl_ssl, ["localhost:9093"] = cluster.listeners.mtls,
      ["localhost:9095"] = cluster.listeners.oauth, ["ca.pem"] = certificates.ca, ["client.crt"] = certificates.certificate,
      ["client-encrypted.key"] = certificates.encrypted_key } do
      text = text:gsub('"' .. name:gsub("%p", "%%%0") .. '"', '"' .. value .. '"')
    end
    return table.concat(page.run(text, cluster.listeners.ssl, { make_token = secure.unsecured_token }), "\n")
  end

  it("starts a secure cluster", function()
    assert.equal(6, #programs)
    assert.matches("^127%.0%.0%.1:%d+\t/.*/ca%.pem$", run(1))
  end)

  it("logs in with a name and a password", function() assert.matches("delivered to first", run(2)) end)

  it("trusts brokers by TLS, and shows a certificate", function()
    assert.equal("1", run(3))
    assert.equal("1", run(4))
  end)

  it("logs in with a token", function() assert.matches("delivered to first", run(5)) end)

  it("says what went wrong", function()
    local text = run(6)
    assert.matches("timed out after 1 s; last: the broker refused user alice: wrong name or password", text)
    assert.matches("security\tfix\t.*Invalid username or password", text)
  end)
end)

describe("examples/security.lua", function()
  it("tells why each of its clients is refused", function()
    local text = child.works "lua5.4 examples/security.lua"
    for _, words in ipairs { "the right password +delivered to first", "a wrong password .*refused user alice: wrong name "
      .. "or password",
      "not trusted .*authority that is not in ssl.ca.location", "another host +send.*is for another host",
      "expired certificate .*certificate has expired", "no TLS .*speaks TLS",
      "without the right .*no ACL allows user bob Write on the topic" } do
      assert.matches(words, text)
    end
  end)
end)

-- OAUTHBEARER by a function of Lua's: asked between polls, on the caller's stack.

require "spec.support.luv"
local kafka = require "kafka"
local secure = require "spec.support.secure"
local try = require "spec.support.try"

local function token_of(user, seconds)
  local token, expires = secure.unsecured_token(user, os.time() + seconds)
  return { token = token, expires = expires, principal = user }
end

local function settings(f, more)
  local all = { security_protocol = "sasl_plaintext", sasl_mechanism = "OAUTHBEARER", oauth_token = f }
  for name, value in pairs(more or {}) do all[name] = value end
  return secure.settings("oauth", all)
end

describe("oauth_token", function()
  it("logs producer and client in, and is given sasl.oauthbearer.config", function()
    local calls, config, thread = 0, nil, nil
    local function give(given)
      calls, config, thread = calls + 1, given, coroutine.running()
      return token_of("alice", 300)
    end
    local p <close> = assert(kafka.producer(settings(give, { sasl_oauthbearer_config = "scope=kafka" })))
    local report = assert(p:send("open", "by token"))
    assert.equal(1, calls)
    assert.equal("scope=kafka", config)
    assert.equal(coroutine.running(), thread)
    local k <close> = assert(kafka.connect(settings(give, { timeout = 10 })))
    local part <close> = assert(k:partition("open", 0, { offset = report.offset, group = "open" }))
    assert.equal("by token", assert(part:fetch { timeout = 5 })[1].value)
    assert(part:commit()) -- on a handle of its own, with a token of its own
    assert.equal(3, calls)
  end)

  it("is asked again before the token expires", function()
    local calls = 0
    local p <close> = assert(kafka.producer(settings(function()
      calls = calls + 1
      return token_of("alice", 3)
    end)))
    assert(p:send("open", "x"))
    try.until_true(5, function()
      p:poll(0.1)
      return calls > 1
    end, "a second question")
    assert(p:send("open", "y"))
  end)

  it("may yield", function()
    local p
    local co = coroutine.wrap(function()
      p = assert(kafka.producer(settings(function()
        coroutine.yield "in the function"
        return token_of("alice", 300)
      end)))
      return assert(p:send("open", "x"))
    end)
    assert.equal("in the function", co())
    assert.equal("open", co().topic)
    p:close()
  end)

  it("takes expires in milliseconds too, and extensions", function()
    local p <close> = assert(kafka.producer(settings(function()
      local token = token_of("alice", 300)
      token.expires, token.extensions = token.expires * 1000, { traceId = "7" }
      return token
    end)))
    assert(p:send("open", "x"))
  end)

  for name, case in pairs {
    ["gives a reason instead"] = { function() return nil, "idp unreachable" end, "no token: idp unreachable" },
    ["gives nothing"] = { function() end, "no token: oauth_token returned nothing" },
    ["raises"] = { function() error "on\npurpose" end, "no token: oauth_token raised: " },
    ["gives a string"] = { function() return "eyJhbGci" end, "no token: oauth_token returned no table {token, expires}" },
    ["gives no expiry"] = { function() return { token = "x" } end, "no token: oauth_token returned no number as expires" },
    ["gives an expired token"] = { function() return token_of("alice", -10) end, "no token: Must supply an unexpired token" },
    ["gives a token of somebody the broker does not know"] = {
      function()
        local token = token_of("alice", 300)
        token.token = "eyJhbGciOiJub25lIn0.e30."
        return token
      end, "the broker refused the token: check its expiry" },
  } do
    it("that " .. name .. " is told of", function()
      local k, err = kafka.connect(settings(case[1], { timeout = 1 }))
      try.failure(nil, k, err)
      local text = tostring(err)
      assert.truthy(text:find(case[2], 1, true), text)
      assert.is_nil(text:find "\n")
      assert.equal("security", err.category)
    end)
  end
end)

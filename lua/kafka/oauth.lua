-- OAUTHBEARER by a function of the caller's: librdkafka asks for a token, `oauth_token` gives one, its failure is told to
-- librdkafka in words. Knows the core's client and the shape of settings.

local args = require "kafka.args"
local await = require "kafka.await"

local oauth = {}

local MILLISECONDS = 1e11 -- moments from here on are milliseconds: as seconds they would lie after the year 5000

---Raises where the settings name no source of tokens, or two.
---@param op string
---@param token_function function|nil
---@param settings table<string, string> librdkafka's
function oauth.check(op, token_function, settings)
  local mechanism = settings["sasl.mechanism"] or settings["sasl.mechanisms"]
  local unsecured = settings["enable.sasl.oauthbearer.unsecure.jwt"] or "false"
  local builtin = unsecured:lower():find "^[t1]" ~= nil or (settings["sasl.oauthbearer.method"] or ""):lower() == "oidc"
  if mechanism ~= "OAUTHBEARER" then
    if token_function then args.misuse(op, 'oauth_token needs sasl.mechanism "OAUTHBEARER"') end
  elseif builtin and token_function then
    args.misuse(op, "oauth_token cannot be given where librdkafka makes the token itself"
      .. " (enable.sasl.oauthbearer.unsecure.jwt, sasl.oauthbearer.method)")
  elseif not builtin and not token_function then
    args.misuse(op, "sasl.mechanism OAUTHBEARER needs oauth_token, a function that returns a token"
      .. ' (or sasl.oauthbearer.method "oidc")')
  end
end

local function wrong(token)
  local expires, principal, extensions = token.expires, token.principal, token.extensions
  if type(token.token) ~= "string" then return "no string as token" end
  if type(expires) ~= "number" or expires ~= expires then return "no number as expires" end
  if principal ~= nil and type(principal) ~= "string" then return "a principal that is no string" end
  if extensions ~= nil and type(extensions) ~= "table" then return "extensions that are no table" end
  for name, value in next, extensions or {} do
    if type(name) ~= "string" or type(value) ~= "string" then return "extensions that are not all strings" end
  end
end

local function milliseconds(moment)
  if moment < MILLISECONDS then moment = moment * 1000 end
  return math.tointeger(math.max(0, math.min(moment, 2 ^ 53)) // 1)
end

---Answers librdkafka's question for a token.
---@param h table the handle that asks
---@param token_function fun(config: string): table|nil, string|nil
---@param config string sasl.oauthbearer.config
function oauth.answer(h, token_function, config)
  local called, token, reason = pcall(token_function, config)
  if h.closed then return end
  local why
  if not called then
    why = "oauth_token raised: " .. tostring(token)
  elseif token == nil then
    why = tostring(reason or "oauth_token returned nothing")
  else
    local what = type(token) ~= "table" and "no table {token, expires}" or wrong(token)
    why = what and "oauth_token returned " .. what
  end
  if not why then
    local extensions = {}
    for name, value in next, token.extensions or {} do
      extensions[#extensions + 1], extensions[#extensions + 2] = name, value
    end
    local ok, err = h.core:oauth_token(token.token, milliseconds(token.expires), token.principal or "", extensions)
    if ok then return end
    why = err.message
  end
  h.core:oauth_failure((why:gsub("%s*[\r\n]+%s*", " ")))
  if not called and await.is_interrupt(token) then error(token, 0) end
end

return oauth

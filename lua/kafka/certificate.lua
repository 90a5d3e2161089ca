-- What is wrong with a certificate, a key or the file of one that librdkafka has refused, in words: its own are OpenSSL's, and
-- name no file. Reads the file again to say so. Knows no client.

local certificate = {}

local holds = {
  ["ssl.ca.location"] = "a certificate in PEM",
  ["ssl.ca.pem"] = "a certificate in PEM",
  ["ssl.certificate.location"] = "a certificate in PEM",
  ["ssl.certificate.pem"] = "a certificate in PEM",
  ["ssl.crl.location"] = "a revocation list in PEM",
  ["ssl.key.location"] = "a private key in PEM",
  ["ssl.key.pem"] = "a private key in PEM",
  ["ssl.keystore.location"] = "a PKCS#12 store",
}

-- The whole name, in one line.
local function quoted(file)
  return '"' .. file:gsub("%c", function(c) return ("\\%03d"):format(c:byte()) end) .. '"'
end

-- What the file begins with, or nil and why it cannot be read.
local function read(name)
  local f <close>, why = io.open(name, "rb")
  if not f then return nil, "cannot be opened: " .. why:sub(#name + 3) end
  local text, trouble = f:read(4096)
  if text then return text end
  return nil, trouble and "cannot be read: " .. trouble or "is empty"
end

local function what_it_certifies(settings)
  local name = settings["ssl.certificate.location"]
  return name and "the certificate in " .. quoted(name) or "the certificate given"
end

local function lock(text, settings, password)
  if not text:find("ENCRYPTED", 1, true) then return nil end
  return settings[password] and "is encrypted, and " .. password .. " does not open it" or "is encrypted: give " .. password
end

local function trouble(name, text, message, settings)
  if message:find("key values mismatch", 1, true) then return "is not the key of " .. what_it_certifies(settings) end
  if message:find("mac verify failure", 1, true) then return "is not opened by ssl.keystore.password" end
  local locked = name:find "^ssl%.key%." and lock(text, settings, "ssl.key.password")
  return locked or "does not hold " .. holds[name]
end

---A sentence about what librdkafka refused, or nil where it is about no certificate.
---@param message string librdkafka's
---@param settings table<string, string>
---@return string|nil
function certificate.explain(message, settings)
  if message:find("no certificate assigned", 1, true) then
    return "a key without its certificate: give ssl.certificate.location or ssl.certificate.pem too"
  end
  if message:find("is mandatory", 1, true) then return nil end
  local name
  for word in message:gmatch "ssl%.[%a.]*%a" do name = name or (holds[word] and settings[word] and word) end
  if not name then return nil end
  if not name:find "%.location$" then return name .. " " .. trouble(name, settings[name], message, settings) end
  local file = settings[name]
  local text, why = read(file)
  return ("%s: %s %s"):format(name, quoted(file), text and trouble(name, text, message, settings) or why)
end

return certificate

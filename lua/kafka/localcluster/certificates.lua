-- Certificates for trying TLS, made by openssl in a second's fraction each time: two authorities, a server's, a client's, and
-- those that must be refused. Nobody else trusts them, and they are gone with the cluster.
-- Must not know: brokers, listeners.

local fault = require "kafka.localcluster.fault"
local machine = require "kafka.localcluster.machine"

local M = {}

-- `openssl ca` signs, because it takes dates; Kafka wants key, certificate and authority in one file.
local SCRIPT = [[
set -e
cd "$1"
key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
: >index.txt; echo 01 >serial
cat >ca.cnf <<END
[ca]
default_ca = this
[this]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = names
unique_subject = no
[names]
commonName = supplied
END
authority() {
  openssl req -x509 $key -days 9000 -subj "/CN=$2" -keyout "$1.key" -out "$1.pem" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
}
certificate() { # file, authority, common name, alternative names, last day
  openssl req $key -subj "/CN=$3" -keyout "$1.key" -out "$1.csr"
  printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$4" >"$1.ext"
  openssl ca -batch -config ca.cnf -notext -cert "$2.pem" -keyfile "$2.key" -extfile "$1.ext" \
    -startdate 20200101000000Z -enddate "$5" -in "$1.csr" -out "$1.crt"
  cat "$1.key" "$1.crt" "$2.pem" >"$1.pem"
}
authority ca "local test authority"
authority other-ca "another authority"
certificate server ca localhost DNS:localhost,IP:127.0.0.1 20491231235959Z
certificate expired ca localhost DNS:localhost,IP:127.0.0.1 20200201000000Z
certificate wrong-host ca wrong.example DNS:wrong.example 20491231235959Z
certificate client ca alice DNS:alice 20491231235959Z
certificate stranger other-ca mallory DNS:mallory 20491231235959Z
openssl pkcs8 -topk8 -v2 aes-256-cbc -in client.key -passout pass:secret -out client-encrypted.key
]]

---@class kafka.localcluster.Certificates paths of PEM files
---@field ca string the authority that signed the brokers' and the client's certificates
---@field other_ca string one that signed none of the brokers'
---@field certificate string the client's, for CN=alice
---@field key string the client's
---@field encrypted_key string the same
---@field password string of the encrypted key; no path
---@field stranger_certificate string a client's that the brokers do not trust
---@field stranger_key string
---@field expired_certificate string
---@field expired_key string

---Makes them in a folder of the sandbox.
---@param sandbox kafka.localcluster.Sandbox
---@param deadline number
---@return kafka.localcluster.Certificates?
---@return table? err
function M.make(sandbox, deadline)
  if not machine.program("openssl") then
    return nil, fault.new("openssl is missing, which makes the certificates: install it (on Debian: apt-get install openssl)")
  end
  local folder = sandbox.folder .. "/certificates/"
  local ok, err = machine.make_folder(folder)
  if not ok then
    return nil, fault.new(err)
  end
  ok, err = sandbox:run("openssl", { "/bin/sh", "-c", SCRIPT, "lua-kafka-certificates", folder }, deadline)
  if not ok then
    return nil, err
  end
  return {
    ca = folder .. "ca.pem",
    other_ca = folder .. "other-ca.pem",
    certificate = folder .. "client.crt",
    key = folder .. "client.key",
    encrypted_key = folder .. "client-encrypted.key",
    password = "secret",
    stranger_certificate = folder .. "stranger.crt",
    stranger_key = folder .. "stranger.key",
    expired_certificate = folder .. "expired.crt",
    expired_key = folder .. "expired.key",
  }
end

---@param sandbox kafka.localcluster.Sandbox
---@param name string "server", "expired" or "wrong-host"
---@return string path of the one file that a broker takes
function M.keystore(sandbox, name)
  return ("%s/certificates/%s.pem"):format(sandbox.folder, name)
end

return M

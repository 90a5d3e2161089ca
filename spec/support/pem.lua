-- A certificate, its key, the same key under the password "secret", and another key; and folders of their files.

local process = require "spec.support.process"

local pem = {
  certificate = [[
-----BEGIN CERTIFICATE-----
MIIBcDCCARWgAwIBAgIUSdiAuL35elMRS4VZinoyNlFUAwAwCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBYTAgFw0yNjExMjMyMjEyNTVaGA8yMTI2MTAzMDIyMTI1NVow
DDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABL4WTXuRk8F4
aDeW6G20SbjgSmSdDOib3iv+2ZgUi8qq5dTRpHFUdaLy8pED/ROrToWI5JxljBDS
dRRzeUdyd5ejUzBRMB0GA1UdDgQWBBRnzhBvCycFBTHIy+ngMwbdMRxEfzAfBgNV
HSMEGDAWgBRnzhBvCycFBTHIy+ngMwbdMRxEfzAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0kAMEYCIQDu2Bh/H1S4KwawqA6nLOfgPbjDHVxPRSYBlpeFoX2E
KwIhAKCZYO+q143t0pJxTESHLjCJyJOXThCJ15PS3er2MTP2
-----END CERTIFICATE-----
]],
  key = [[
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgDVnxmxln7SEqOmJR
FrKpAjd1upmqNhCBGP6Bx9iJU72hRANCAAS+Fk17kZPBeGg3luhttEm44EpknQzo
m94r/tmYFIvKquXU0aRxVHWi8vKRA/0Tq06FiOScZYwQ0nUUc3lHcneX
-----END PRIVATE KEY-----
]],
  locked = [[
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAi3dbRiCU80gwICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEAx3UhFV1I4M5r+x6p8VnoUEgZAC
Z7/J7T7MbNXxUhwR1ujKwWJaZI5KrvQuxXKXin21RBvZG3CJw+JK4MQlXTdaj2T+
tHqyq5w8DuODjSWDx6XwqTWrYiV41y9iP/lEOhfdKWoXumThJaq6Iz9NHJeSwgi2
ynXBq5XAGT29CIKMvkwbUr3MndCI//dPRumC1Ur5teYjTzt9SB4y2EMkN+THmSM=
-----END ENCRYPTED PRIVATE KEY-----
]],
  other = [[
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQguByeaAI6opCwISWE
9a5bZ/RGX5aglHRg/3zSNwUYkSGhRANCAARfP1RGiDC6zgt79L1ilFnLU+hmKCYg
DmQtMVdqFoxxFc38MG3vWUEKJ4occfPkagn9vXdBTdn4emFBldvJj8Bz
-----END PRIVATE KEY-----
]],
}

---Writes a file, which goes with the specs' own folder.
---@return string its full name
function pem.file(name, text)
  local full = process.folder .. "/" .. name
  local f = assert(io.open(full, "wb"))
  f:write(text)
  f:close()
  return full
end

return pem

-- What each state of states.c does: one of everything, with messages in flight and a request under way, and closes nothing.

local kafka = require "kafka"

local brokers = ...
local function quiet() end

local p = assert(kafka.producer { brokers = brokers, linger_ms = 50, on_log = quiet, on_error = quiet })
for i = 1, 100 do assert(p:produce("first", "value " .. i, { on_delivery = quiet })) end
local k = assert(kafka.connect { brokers = brokers, on_log = quiet, on_error = quiet })
local part = assert(k:partition("first", 0))
part:fetch { timeout = 0 }
assert(k.handles[1].core:metadata(true, 5000, 1000000)) -- a thread that is at work
kafka.held = { p, k, part }

-- Asks again and again what the group has committed, and notes what it hears, with the moment it asked.

local kafka = require "kafka"
local child = require "chaos.child"

local EVERY = 0.1 -- seconds

local k = assert(kafka.connect(child.options { on_error = child.on_error }))
local rows = child.rows()
child.note "opened"
while not child.stopping() do
  local asked = kafka.now()
  local found, err = k:committed(child.given.group, rows, 5)
  if err then child.note("trouble", err) end
  for _, row in ipairs(found or {}) do
    if row.offset then child.note("committed", row.partition, row.offset, ("%.6f"):format(asked)) end
  end
  k:wait(math.max(0, asked + EVERY - kafka.now()))
end
k:close()

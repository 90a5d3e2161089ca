-- Reads what is written, and notes each message and each commit. Commits by itself, or every so often as a caller asks.

local kafka = require "kafka"
local child = require "chaos.child"

local given = child.given
local every = tonumber(given.every) -- seconds between two commits
local manual = given.commit == "manual"

local function on_reset(row) child.note("reset", row.partition, row.from, row.to, row.reason) end

-- What the reader itself says it has committed.
local function note_commit(rows)
  for _, row in ipairs(rows) do
    if row.offset then child.note("committed", row.partition, row.offset) end
  end
end

child.note "opening"
local r
repeat
  local err
  r, err = kafka.reader(child.options {
    topic = given.topic,
    group = given.group,
    commit = given.commit,
    interval = not manual and every or nil,
    on_reset = on_reset,
    on_error = child.on_error,
    on_change = function(change) child.note("change", change) end,
  })
  if err then child.note("trouble", err) end
until r or child.stopping()

child.note "opened"
local due = kafka.now() + every
local asked

local function commit()
  due = kafka.now() + every
  local ok, err = r:commit()
  if ok then note_commit(r:positions()) else child.note("trouble", err) end
end

local function go_on()
  asked = asked or child.stopping()
  if asked ~= "drained" then return asked == nil end
  local lag, err = r:lag()
  if not lag then child.note("trouble", err) end
  return lag ~= 0
end

while r and go_on() do
  local m, err = r:poll(0.1)
  while m do
    child.note("read", m.partition, m.offset, m.value:match "^%d+")
    if manual and kafka.now() >= due then commit() end
    asked = asked or child.stopping()
    if asked == "now" then break end
    m, err = r:poll(0)
  end
  if err then child.note("error", err) end
end
if r then
  if manual then commit() end
  local positions = r:positions()
  local ok, err = r:close(20)
  if ok then note_commit(positions) else child.note("trouble", err) end
end
child.note "closed"

-- Writes numbered messages without rest, in each partition from 1 on, and notes each report. Ends early where the client says
-- that it can do no more.

local kafka = require "kafka"
local child = require "chaos.child"

local EVERY = 0.02 -- seconds: a message to each partition
local filler = ("."):rep(100)

local function on_delivery(report, err)
  if err then
    child.note("failed", report.partition, report.tag, err)
  else
    child.note("acked", report.partition, report.tag, report.offset)
  end
end

local p = assert(kafka.producer(child.options({ on_delivery = on_delivery, on_error = child.on_error }, "producer")))
local partitions = math.tointeger(child.given.partitions)
local number, due = 0, kafka.now()

local fatal

-- Until it is accepted, or nothing is accepted any more.
local function write(partition)
  while not fatal do
    local ok, err = p:produce(child.given.topic, number .. " " .. filler, { partition = partition, tag = number })
    if ok then return end
    fatal = err.fatal
    child.note(fatal and "fatal" or "refused", partition, number, err)
    p:poll(0.1)
  end
end

child.note "opened"
while not fatal and not child.stopping() do
  number = number + 1
  for partition = 0, partitions - 1 do write(partition) end
  due = math.max(due + EVERY, kafka.now() - 1) -- what a queue that was full has held up is not made up for at once
  repeat p:poll(math.max(0, due - kafka.now())) until kafka.now() >= due
end
child.note("flushing", number)
local ok, err = p:flush(60)
child.note("flushed", number, ok or err)
p:close()

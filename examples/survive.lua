-- The north face with survival: reads every partition of a topic at its leader, by bytes, resumes where its group has committed,
-- and goes on whatever the cluster does: leaders and coordinators move, partitions are added, the topic is deleted and made anew,
-- an offset exists no more. On the primitives of kafka.connect only; reader.lua beside this is the same by kafka.reader.
--   BROKERS=host:9092 TOPIC=first GROUP=g make run SCRIPT=examples/survive.lua     IDLE=5: ends after 5 s without a message;
-- BROKER_VERSION=0.8.2.1 for brokers before 0.10. With no BROKERS: on a mock cluster, a leader of which moves half way.

local kafka = require "kafka"

local env = os.getenv
local brokers, topic, group = env "BROKERS" or "", env "TOPIC" or "first", env "GROUP" or "survivors"
local idle = tonumber(env "IDLE") or math.huge

local mock
if brokers == "" then
  mock, idle = assert(kafka.mock { brokers = 3, topics = { [topic] = 2 } }), 4
  brokers = mock.brokers
  local p <close> = assert(kafka.producer { brokers = brokers })
  for i = 1, 4000 do assert(p:produce(topic, ("message %d, %s"):format(i, ("."):rep(80)), { partition = i % 2 })) end
end

local version = env "BROKER_VERSION"
local k <close> = assert(kafka.connect { brokers = brokers, broker_version = version, timeout = 30, on_error = print })
local t = assert(k:topic(topic, 30))
print(t)
print(("group %s is coordinated by %s"):format(group, assert(k:coordinator(group, 30))))

-- Where each partition goes on. One of which nothing is committed is read from its first offset: maybe it was added just now.
local rows, at = {}, {}
for i, p in ipairs(t.partitions) do rows[i] = { topic = topic, partition = p.partition } end
for _, row in ipairs(assert(k:committed(group, rows, 30))) do at[row.partition] = row.offset end

local all -- what is read
local lost = {} -- partitions whose offset exists no more
local wanted = #rows -- how many partitions are to be opened; nil: no more than are open

local function open()
  local found, err = k:topic(topic, 10)
  if not found then return print(err) end
  if #found.partitions < wanted then return end -- a broker that does not know yet
  for i, p in ipairs(found.partitions) do rows[i] = { partition = p.partition, offset = at[p.partition] or "earliest" } end
  all, err = k:partitions(topic, { offsets = rows, timeout = 10 })
  if not all then return print(err) end
  print(all:positions())
  wanted = nil
end

local function follow(change)
  print(change)
  if not (change.kind == "partitions_added" or change.kind:find "^topic_") then return end
  if all then all:close() end
  local added = change.kind == "partitions_added"
  all, rows, wanted = nil, {}, added and change.from + #change.to or change.to and #change.to.partitions
  if not added then at, lost = {}, {} end -- what was read of it was other data
end

local watch <close> = k:watch { topics = { topic }, groups = { group }, every = 0.5 }
local read, committed, last, due = 0, 0, kafka.now(), 0
while kafka.now() < last + idle do
  for change in function() return watch:next(all and 0 or 0.5) end do follow(change) end
  if wanted then open() end
  for partition in pairs(lost) do if all and all:seek(partition, "earliest", 5) then lost[partition] = nil end end
  local batch, err
  if all then batch, err = all:fetch { max_bytes = 64000, timeout = 0.5 } end
  if err then print(err) end
  if err and err.name == "OFFSET_OUT_OF_RANGE" then lost[err.partition] = true end
  if batch and #batch > 0 then -- here it is handled, whatever that is
    read, last = read + #batch, kafka.now()
    for _, row in ipairs(batch.next) do at[row.partition] = row.offset end
    if mock and read - #batch < 2000 and read >= 2000 then assert(mock:leader(topic, 0, 2)) end
  end
  if all and read > committed and (kafka.now() > due or kafka.now() > last + idle / 2) then
    local ok, why = all:commit(group, "survive.lua", 30) -- to the coordinator, wherever it is by then
    committed, due = ok and read or committed, kafka.now() + 1
    if not ok then print(why) end
  end
end
print(("read %d messages, %d of them committed"):format(read, committed))

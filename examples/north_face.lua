-- The north face: every step that reading a topic by hand takes, and one change of the cluster survived on the way.
--
--   lua5.4 north_face.lua                 on a mock cluster of two brokers in this process
--   BROKERS=host:port lua5.4 ...          on a cluster of yours (it makes a topic of its own there)
--   KAFKA=4.3.1 lua5.4 ...                on two real brokers that it starts on this machine; also 3.9.2 and 0.8.2.1
--
-- Says what it sees at each step, checks its own result, and exits 1 where that is wrong.

local kafka = require "kafka"

local N = 4000 -- messages in the topic: half at first, half while it is read
local GROUP = "face-nord"
local topic = "first"

local function step(text, ...) print(("\n== " .. text):format(...)) end

local function check(ok, text)
  if ok then return end
  io.stderr:write("wrong: ", text, "\n")
  os.exit(1, true)
end

-- A cluster -----------------------------------------------------------------------------------------------------------

local cluster -- nil where it is somebody else's
local broker_version -- of those that it starts, which old ones do not tell
local brokers = os.getenv "BROKERS"
local version = os.getenv "KAFKA"
if brokers and brokers ~= "" then
  print("the cluster at " .. brokers)
  topic = ("first-%x"):format(os.time())
elseif version and version ~= "" then
  print("starting two brokers of Kafka " .. version .. " on this machine ...")
  cluster = assert(kafka.localcluster { version = version, brokers = 2, topics = { first = 2 } })
  broker_version = version
  brokers = cluster.brokers
else
  print("a mock cluster of two brokers in this process")
  cluster = assert(kafka.mock { brokers = 2, topics = { first = 2 } })
  brokers = cluster.brokers
end
print(("lua-kafka %s, librdkafka %s, %s"):format(kafka.version, kafka.librdkafka, _VERSION))

-- What the client itself meets on the way (a broker that goes), told in one line each.
local told = {}
local function tell(err)
  if not told[err.name] then print("   the client says: " .. err.message) end
  told[err.name] = true
end

local k <close> = assert(kafka.connect { brokers = brokers, broker_version = broker_version, timeout = 30, on_error = tell,
  on_log = function() end })
if not cluster then assert(k:create_topic { name = topic, partitions = 2 }) end

-- What is there, and who leads it -------------------------------------------------------------------------------------

step "metadata: the brokers, and the topic's partitions with their leaders"
for _, broker in ipairs(assert(k:brokers())) do print(broker) end
local t = assert(k:topic(topic))
print(t)

local p = assert(kafka.producer { brokers = brokers, broker_version = broker_version, on_log = function() end,
  on_error = function() end })

-- Numbered messages, in turn to partition 0 and 1.
local function produce(from, to)
  local values, partitions = {}, {}
  for i = from, to do
    values[#values + 1] = ("message %d, %s"):format(i, ("."):rep(80))
    partitions[#partitions + 1] = i % 2
  end
  assert(p:produce_many(topic, values, { partitions = partitions }))
end

step("producing %d messages, half of them to each partition", N // 2)
produce(1, N // 2)
assert(p:flush(30))
print(p)

-- Where to start ------------------------------------------------------------------------------------------------------

step "where each partition begins and ends"
for _, row in ipairs(t.partitions) do
  local earliest, latest = assert(k:watermarks(topic, row.partition))
  print(("%s[%d]: earliest %d, latest %d"):format(topic, row.partition, earliest, latest))
  check(latest - earliest == N // 4, "the partition does not hold what was produced")
end

-- Fetch by bytes ------------------------------------------------------------------------------------------------------

step "one fetch of at most 64 kB from partition 0, at its leader"
local part = assert(k:partition(topic, 0, { offset = "earliest" }))
local batch = assert(part:fetch { max_bytes = 64000, timeout = 10 })
print(("%d messages, %d bytes, next offset %d"):format(#batch, batch.bytes, batch.next))
print("the first: " .. tostring(batch[1]))
check(#batch > 0 and batch.bytes <= 64000 and batch[1].offset == 0, "the fetch brought something else")

-- Commit, and back ----------------------------------------------------------------------------------------------------

step("committing for group %s", GROUP)
local coordinator = assert(k:coordinator(GROUP, 30))
print("the group's coordinator: " .. tostring(coordinator))
assert(part:commit(GROUP, "read by the north face", 30))
local back = assert(k:committed(GROUP, { { topic = topic, partition = 0 } }))[1]
print(("committed offset %d, metadata %q"):format(back.offset, back.metadata))
check(back.offset == batch.next and back.metadata == "read by the north face", "something else was committed")
part:close()

step "a second client resumes there"
do
  local k2 <close> = assert(kafka.connect { brokers = brokers, broker_version = broker_version })
  local resumed <close> = assert(k2:partition(topic, 0, { group = GROUP }))
  local more = assert(resumed:fetch { max_bytes = 1000, timeout = 10 })
  print("its first message: " .. tostring(more[1]))
  check(more[1].offset == back.offset, "it did not start at the committed offset")
end

-- And the cluster changes ---------------------------------------------------------------------------------------------

-- Makes the leader of partition 0 another broker: the mock is told to, a real one is stopped.
local function move_leader(from)
  if cluster.leader then
    assert(cluster:leader(topic, 0, from == 1 and 2 or 1))
  else
    assert(cluster:broker(from):stop())
  end
end

step "reading both partitions from the beginning; half way the leader of partition 0 moves, and producing goes on"
local seen, lost, repeated, read = { [0] = -1, -1 }, 0, 0, 0
local all <close> = assert(k:partitions(topic, { offset = "earliest" }))
local leader = t:partition(0).leader
local deadline = kafka.now() + 60

local function read_until(count)
  while read < count and kafka.now() < deadline do
    for _, m in ipairs(assert(all:fetch { max_bytes = 20000, timeout = 5 })) do
      local last = seen[m.partition]
      if m.offset <= last then repeated = repeated + 1 end
      lost = lost + math.max(0, m.offset - last - 1)
      seen[m.partition] = math.max(last, m.offset)
      read = read + 1
    end
  end
end

read_until(N // 2)
if cluster then
  move_leader(leader)
  local leads
  repeat
    leads = assert(k:topic(topic)):partition(0).leader
  until (leads and leads ~= leader) or kafka.now() > deadline
  print(("%s[0] leader %d -> %s"):format(topic, leader, leads or "none"))
  check(leads and leads ~= leader, "the leader did not move")
end
produce(N // 2 + 1, N)
read_until(N)
print(("read %d of %d, %d lost, %d repeated"):format(read, N, lost, repeated))
check(read == N and lost == 0 and repeated == 0, "not every message was read exactly once")

all:close()
assert(p:close(30))
assert(k:close())
if cluster then assert(cluster:close()) end
print "\nthe north face is climbed"

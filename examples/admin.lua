-- A topic's life: created, filled, described, its settings changed, a group's offsets moved by a plan, records deleted, and all
-- of it removed again.
--
--   BROKERS=host:port lua5.4 admin.lua    on a cluster of yours (topic and group are its own)
--   lua5.4 admin.lua                      on a real broker that it starts on this machine
--
-- Says what it sees at each step, checks its own result, and exits 1 where that is wrong.

local kafka = require "kafka"

local function step(text) print("\n== " .. text) end

local function check(ok, text)
  if ok then return end
  io.stderr:write("wrong: ", text, "\n")
  os.exit(1, true)
end

local brokers, cluster = os.getenv "BROKERS", nil
if not brokers or brokers == "" then
  print "starting a broker on this machine ..."
  cluster = assert(kafka.localcluster { brokers = 1 })
  brokers = cluster.brokers
end

local k <close> = assert(kafka.connect { brokers = brokers, timeout = 30 })
local topic, group = ("climbs-%x"):format(os.time()), ("guides-%x"):format(os.time())

step "a topic of two partitions, and one that cannot be"
local made = assert(k:create_topics { { name = topic, partitions = 2, config = { ["retention.ms"] = 86400000 } },
  { name = topic .. "-huge", replication_factor = 9999 } })
print(made)
check(not made[topic].err and made[topic .. "-huge"].err, "the first should be there, the second not")

step "a hundred messages, and how the topic looks then"
local p <close> = assert(kafka.producer { brokers = brokers })
for i = 0, 99 do assert(p:produce(topic, "step " .. i, { partition = i % 2 })) end
assert(p:flush(30))
local described = assert(k:describe_topic(topic))
print(described)
check(described.partitions[1].latest == 50, "half of the messages should be in partition 0")

step "one setting changed, the other kept"
assert(k:alter_configs({ topic = topic }, { ["segment.ms"] = 3600000 }))
local settings
local deadline = kafka.now() + 10
repeat -- brokers show a change a moment later
  settings = assert(k:configs { topic = topic })
until settings["segment.ms"].value == "3600000" or kafka.now() > deadline
print(settings["segment.ms"])
print(settings["retention.ms"])
check(settings["retention.ms"].value == "86400000", "the retention should be as it was")

step "a group's offsets, and the plan of going back ten"
assert(k:alter_offsets(group, { { topic = topic, partition = 0, offset = 50 }, { topic = topic, partition = 1, offset = 5 } }))
print(assert(k:reset_offsets(group, { shift = -10, dry_run = true })))

step "the plan carried out"
local plan = assert(k:reset_offsets(group, { shift = -10 }))
check(plan[1].to == 40 and plan[2].to == 0, "ten back, but never before the first")
print(assert(k:committed(group)))
print(assert(k:describe_group(group)))

step "the first twenty messages of partition 0 deleted"
local cut = assert(k:delete_records { topic = topic, partition = 0, offset = 20 })
print(cut)
check(cut[1].offset == 20, "the partition should begin at 20")

step "group and topic deleted"
assert(k:delete_group(group))
assert(k:delete_topic(topic))
check(not assert(k:groups())[group], "the group should be gone")
if cluster then assert(cluster:close()) end
print "\nall of it is gone again"

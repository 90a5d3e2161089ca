-- Copies a topic, exactly once: each batch's copies and the group's offsets are one transaction. Kill it, kill brokers, start
-- it again, as often as you like: readers of committed messages find each message once, in order in each partition.
--
--   make run SCRIPT=examples/copy.lua                      on a cluster in its own process
--   BROKERS=host:9092 FROM=in TO=out ID=copy-1 make run SCRIPT=examples/copy.lua
--
-- ID is the transactional.id: two copiers need two. The topics need the same number of partitions.

local kafka = require "kafka"

local env = os.getenv
local brokers, from, to, id = env "BROKERS", env "FROM" or "in", env "TO" or "out", env "ID" or "copy-1"

local mock
if not brokers or brokers == "" then
  mock = assert(kafka.mock { topics = { [from] = 2, [to] = 2 } })
  brokers = mock.brokers
  local p <close> = assert(kafka.producer { brokers = brokers })
  for i = 1, 100 do assert(p:produce(from, "message " .. i, { key = "k" .. i })) end
  assert(p:flush())
end

-- The transaction commits the offsets, so the consumer does not; and it reads only what others have committed.
local consumer <close> = assert(kafka.consumer { brokers = brokers, group = env "GROUP" or "copy", topics = { from },
  enable_auto_commit = false, isolation_level = "read_committed", session_timeout_ms = tonumber(env "SESSION") or 6000,
  heartbeat_interval_ms = 500 })

local function open() return assert(kafka.producer { brokers = brokers, transactional_id = id }) end
local producer = open()

local copied = 0
for batch in consumer:batches { max = tonumber(env "MAX") or 500, to_end = env "FOREVER" == nil } do
  local ok, err = producer:transaction(function(tx)
    for _, m in ipairs(batch) do
      assert(tx:produce(to, m.value, { key = m.key, partition = m.partition, headers = m.headers, timestamp = m.timestamp }))
    end
  end, { consumer = consumer })
  if ok then
    copied = copied + batch.n
  else
    -- Aborted: the consumer has gone back, and the loop reads the same messages again.
    io.stderr:write(tostring(err), "\n")
    if err.name == "_FENCED" or err.name == "PRODUCER_FENCED" then error(err, 0) end -- another copier has this id
    if err.fatal then
      producer:close()
      producer = open()
    end
  end
end
print(("copied %d messages"):format(copied))
assert(producer:close())
if mock then consumer:close() mock:close() end

-- What differs between the generations of Kafka here: a row each.
-- session: seconds after which a silent broker is replaced, as kafka.localcluster sets it. client: settings of every client;
-- producer: of the writer; where brokers are old, nothing but broker_version is said, as most will. duplicates: whether a message
-- may be stored twice, or behind later ones.

local synced = { ["min.insync.replicas"] = 2 }
local idempotent = { enable_idempotence = true }

return {
  ["4.3.1"] = { session = 1, brokers = synced, client = {}, producer = idempotent, duplicates = false },
  ["3.9.2"] = { session = 1.5, brokers = synced, client = {}, producer = idempotent, duplicates = false },
  ["0.8.2.1"] = {
    session = 1.5,
    brokers = synced,
    client = { broker_version = "0.8.2.1" },
    producer = {},
    duplicates = true,
  },
}

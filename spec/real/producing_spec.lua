-- What a producer does only on real brokers shows: where Kafka's own producer puts the same keys, and a lost acknowledgement.

local kafka = require "kafka"
local try = require "spec.support.try"

local cluster
local quiet = function() end

setup(function()
  cluster = assert(kafka.localcluster { version = "4.3.1", brokers = 2, settings = { ["broker.session.timeout.ms"] = "9000" } })
end)
teardown(function() cluster:close() end)

-- What is stored: by partition, key or value -> how often.
local function stored(topic, field)
  local k <close> = assert(kafka.connect { brokers = cluster.brokers, on_error = quiet, on_log = quiet })
  local all <close> = assert(k:partitions(topic))
  local found, n = {}, 0
  for _, m in ipairs(try.read_all(all, { timeout = 1, max_bytes = 1 << 26 })) do
    local what = m.partition .. ":" .. tostring(m[field])
    found[what], n = (found[what] or 0) + 1, n + 1
  end
  return found, n
end

describe("the default partitioner", function()
  it("puts 1,000 keys where Kafka's own producer puts them", function()
    local PARTITIONS = 24
    for _, name in ipairs { "theirs", "ours" } do assert(cluster:create_topic(name, PARTITIONS, 1)) end
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    local keys = {}
    for i = 1, 1000 do
      local key = i <= 250 and "key " .. i or i <= 500 and "Schlüssel " .. i or i <= 750 and ("日本語"):rep(i % 7 + 1) .. i
        or ("😀"):rep(i % 5 + 1) .. i * 7919
      if i == 1 then key = "" end
      keys[i] = key
      file:write(key, "\t", "v\n")
    end
    file:close()
    local java = cluster.java
    local pipe = assert(io.popen(([[%s -Xshare:auto -XX:TieredStopAtLevel=1 -Dfile.encoding=UTF-8 -Dstdin.encoding=UTF-8 ]]
      .. [[-cp '%s/*' org.apache.kafka.tools.ConsoleProducer --bootstrap-server %s --topic theirs ]]
      .. [[--reader-property parse.key=true --reader-property key.separator="$(printf '\t')" < %s 2>&1]])
      :format(java.path, java.libs, cluster.brokers, path)))
    local said = pipe:read "a"
    pipe:close()
    os.remove(path)
    local p <close> = assert(kafka.producer { brokers = cluster.brokers })
    assert(p:produce_many("ours", keys, { keys = keys }))
    assert(p:flush())
    local theirs, n = stored("theirs", "key")
    assert.equal(1000, n, said)
    assert.same(theirs, (stored("ours", "key")))
  end)
end)

describe("an acknowledgement that is lost", function()
  -- A follower is paused: the leader stores, and cannot acknowledge in time; the producer sends again.
  local function produce_through_a_pause(topic, idempotent)
    assert(cluster:create_topic(topic, 1, 2, { ["min.insync.replicas"] = "2" }))
    local k <close> = assert(kafka.connect { brokers = cluster.brokers, on_error = quiet, on_log = quiet })
    local follower = 3 - assert(k:topic(topic)):partition(0).leader
    local p = assert(kafka.producer { brokers = cluster.brokers, enable_idempotence = idempotent, acks = "all",
      request_timeout_ms = 300, socket_timeout_ms = 400, retry_backoff_ms = 50, linger_ms = 1, on_error = quiet, on_log = quiet })
    local i, resumed, start = 0, false, kafka.now()
    assert(p:send(topic, "first"))
    assert(cluster:broker(follower):pause())
    while kafka.now() - start < 3 do
      i = i + 1
      assert(p:produce(topic, tostring(i)))
      p:poll(0.005)
      if not resumed and kafka.now() - start > 2 then
        resumed = true
        assert(cluster:broker(follower):resume())
      end
    end
    assert(p:flush(30))
    assert(p:close())
    local found, n = stored(topic, "value")
    local distinct = 0
    for _ in pairs(found) do distinct = distinct + 1 end
    assert.equal(i + 1, distinct)
    return n - distinct
  end

  it("leaves messages twice", function() assert.is_true(produce_through_a_pause("plain", false) > 0) end)

  it("leaves each message once where the producer is idempotent", function()
    assert.equal(0, produce_through_a_pause("idempotent", true))
  end)
end)

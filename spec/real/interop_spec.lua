-- Kafka's own command-line tools, kcat and this client understand each other: messages, offsets, groups, transactions.

require "spec.support.luv"
local kafka = require "kafka"
local tools = require "spec.support.tools"
local try = require "spec.support.try"

local CONSOLE_PRODUCER = "org.apache.kafka.tools.ConsoleProducer"
local CONSOLE_CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer"
local GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
local CODECS = { "gzip", "snappy", "lz4", "zstd" }
local TIME = 1700000000123

local cluster, k
local topics = 0

local function topic()
  topics = topics + 1
  local name = "interop-" .. topics
  assert(cluster:create_topic(name, 1, 1))
  return name
end

local function read_all(name)
  local part <close> = assert(k:partition(name, 0))
  return try.read_all(part, { timeout = 1 })
end

local function console_consume(name, more)
  local args = { "--topic", name, "--from-beginning", "--timeout-ms", "4000" }
  for _, property in ipairs { "print.timestamp=true", "print.offset=true", "print.headers=true", "print.key=true",
    "null.literal=NULL" } do
    args[#args + 1] = "--formatter-property"
    args[#args + 1] = property
  end
  return (tools.kafka(cluster, CONSOLE_CONSUMER, table.move(more or {}, 1, #(more or {}), #args + 1, args)))
end

local function has(text, line) assert.truthy(text:find(line, 1, true), ("%q is not in:\n%s"):format(line, text)) end

describe("with Kafka's console tools", function()
  setup(function()
    cluster = assert(kafka.localcluster { version = "4.3.1" })
    k = assert(kafka.connect { brokers = cluster.brokers })
  end)
  teardown(function()
    k:close()
    cluster:close()
  end)

  it("messages go both ways: keys, headers, tombstones, empty values, bytes beyond ASCII", function()
    local name = topic()
    local text, ok = tools.kafka(cluster, CONSOLE_PRODUCER, { "--topic", name, "--reader-property", "parse.key=true",
      "--reader-property", "parse.headers=true", "--reader-property", "null.marker=NULL" },
      "h:v1,h:v2\tk1\thello\na:b\tk2\tNULL\na:b\t\tümlaut\n")
    assert.is_true(ok, text)
    local all = read_all(name)
    assert.equal(3, #all)
    assert.same({ "k1", "hello", { { "h", "v1" }, { "h", "v2" } } }, { all[1].key, all[1].value, all[1].headers })
    assert.same({ "k2" }, { all[2].key, all[2].value })
    assert.same({ "", "ümlaut" }, { all[3].key, all[3].value })

    name = topic()
    local p <close> = assert(kafka.producer { brokers = cluster.brokers })
    assert(p:send(name, "by us", { key = "uk", headers = { { "a", "1" }, { "a", "2" }, { "n", nil } }, timestamp = TIME }))
    assert(p:send(name, nil, { key = "gone", timestamp = TIME + 1 }))
    assert(p:send(name, "", { timestamp = TIME + 2 }))
    assert(p:send(name, "\xff\0é", { key = "bytes", timestamp = TIME + 3 }))
    local printed = console_consume(name)
    has(printed, ("CreateTime:%d\tOffset:0\ta:1,a:2,n:NULL\tuk\tby us\n"):format(TIME))
    has(printed, ("CreateTime:%d\tOffset:1\tNO_HEADERS\tgone\tNULL\n"):format(TIME + 1))
    has(printed, ("CreateTime:%d\tOffset:2\tNO_HEADERS\tNULL\t\n"):format(TIME + 2))
    has(printed, ("CreateTime:%d\tOffset:3\tNO_HEADERS\tbytes\t\xff\0é\n"):format(TIME + 3))
  end)

  it("every compression goes both ways", function()
    local theirs, ours = topic(), topic()
    for _, codec in ipairs(CODECS) do
      local text, ok = tools.kafka(cluster, CONSOLE_PRODUCER, { "--topic", theirs, "--compression-codec", codec },
        (codec .. " "):rep(50) .. "\n")
      assert.is_true(ok, text)
      local p <close> = assert(kafka.producer { brokers = cluster.brokers, compression_codec = codec })
      assert(p:send(ours, (codec .. " "):rep(50)))
    end
    for i, m in ipairs(read_all(theirs)) do assert.equal((CODECS[i] .. " "):rep(50), m.value) end
    assert.equal(#CODECS, #read_all(theirs))
    local printed = console_consume(ours)
    for i, codec in ipairs(CODECS) do
      has(printed, ("Offset:%d\tNO_HEADERS\tNULL\t%s\n"):format(i - 1, (codec .. " "):rep(50)))
    end
    assert.equal(#CODECS, #read_all(ours))
  end)

  it("offsets are one and the same: ours are reset by Kafka's tool, theirs are gone on from by us", function()
    local name = topic()
    try.fill(cluster.brokers, name, 0, 20)
    local consume = { "--topic", name, "--from-beginning", "--max-messages", "7", "--group", "shared-1" }
    assert.is_true(select(2, tools.kafka(cluster, CONSOLE_CONSUMER, consume)))
    assert.equal(7, assert(k:committed("shared-1", { { topic = name, partition = 0 } }))[1].offset)
    do
      local c <close> = assert(kafka.consumer { brokers = cluster.brokers, group = "shared-1", topics = name })
      assert.equal("8", assert(c:poll(20)).value)
    end
    assert(k:commit("shared-2", { { topic = name, partition = 0, offset = 4, metadata = "a note" } }))
    local text = tools.kafka(cluster, GROUPS, { "--describe", "--group", "shared-2" })
    assert.matches(("shared%%-2%%s+%s%%s+0%%s+4%%s+20%%s+16%%s"):format(name:gsub("%-", "%%-")), text)
    local reset, ok = tools.kafka(cluster, GROUPS, { "--reset-offsets", "--group", "shared-2", "--topic", name,
      "--to-offset", "12", "--execute" })
    assert.is_true(ok, reset)
    local part <close> = assert(k:partition(name, 0, { group = "shared-2" }))
    assert.equal("13", assert(part:fetch { max_messages = 1 })[1].value)
  end)

  it("the metadata of our commits stands where Kafka keeps it", function()
    local name = topic()
    assert(k:commit("noted", { { topic = name, partition = 0, offset = 3, metadata = "seen by Kafka" } }))
    local text = tools.kafka(cluster, CONSOLE_CONSUMER, { "--topic", "__consumer_offsets", "--from-beginning",
      "--timeout-ms", "3000", "--formatter", "org.apache.kafka.tools.consumer.OffsetsMessageFormatter" })
    has(text, ('"group":"noted","topic":"%s","partition":0'):format(name))
    has(text, '"metadata":"seen by Kafka"')
  end)

  it("our members, their partitions and their lag are seen", function()
    local name = topic()
    try.fill(cluster.brokers, name, 0, 10)
    local c <close> = assert(kafka.consumer { brokers = cluster.brokers, group = "seen", topics = name, client_id = "watched",
      auto_offset_reset = "earliest" })
    for _ = 1, 4 do assert(c:poll(20)) end
    assert(c:commit()) -- three: the fourth is in hand
    -- The tool takes a second or two, within the session's time.
    local text = tools.kafka(cluster, GROUPS, { "--describe", "--group", "seen" })
    assert.matches("seen%s+" .. name:gsub("%-", "%%-") .. "%s+0%s+3%s+10%s+7%s+watched%-[%w-]+%s+/127.0.0.1%s+watched", text)
    text = tools.kafka(cluster, GROUPS, { "--describe", "--group", "seen", "--members", "--verbose" })
    assert.matches("seen%s+watched%-[%w-]+%s+/127.0.0.1%s+watched%s+1", text)
  end)

  it("what is committed in transactions is the same to both", function()
    local name = topic()
    local t <close> = assert(kafka.producer { brokers = cluster.brokers, transactional_id = "interop", on_log = function() end })
    for i = 1, 4 do
      assert(t:begin())
      assert(t:produce(name, ("transaction %d"):format(i)))
      if i % 2 == 0 then assert(t:commit()) else assert(t:abort()) end
    end
    local committed, all = console_consume(name, { "--isolation-level", "read_committed" }), console_consume(name)
    for i = 1, 4 do
      has(all, ("transaction %d\n"):format(i))
      assert.equal(i % 2 == 0, committed:find(("transaction %d\n"):format(i), 1, true) ~= nil)
    end
    local values = {}
    for _, m in ipairs(read_all(name)) do values[#values + 1] = m.value end
    assert.same({ "transaction 2", "transaction 4" }, values)
  end)

  it("kcat reads what we wrote, and we read what it wrote", function()
    local name = topic()
    local p <close> = assert(kafka.producer { brokers = cluster.brokers, compression_codec = "zstd" })
    assert(p:send(name, "by us", { key = "k", headers = { { "a", "1" } }, timestamp = TIME }))
    assert(p:send(name, nil, { key = "gone", timestamp = TIME }))
    local printed = tools.run { "kcat", "-C", "-q", "-e", "-b", cluster.brokers, "-t", name, "-f", "%o|%k|%s|%S|%T|%h\n" }
    assert.equal(("0|k|by us|5|%d|a=1\n1|gone||-1|%d|\n"):format(TIME, TIME), printed)
    local text, ok = tools.run({ "kcat", "-P", "-b", cluster.brokers, "-t", name, "-K:", "-Z", "-H", "a=1", "-H", "a=2",
      "-z", "gzip" }, "key:by kcat\ngone:\n")
    assert.is_true(ok, text)
    local all = read_all(name)
    assert.same({ "key", "by kcat", { { "a", "1" }, { "a", "2" } } }, { all[3].key, all[3].value, all[3].headers })
    assert.same({ "gone" }, { all[4].key, all[4].value })
  end)
end)

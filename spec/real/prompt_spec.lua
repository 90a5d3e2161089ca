-- On a real broker: what the mock cannot show of handlers and of the questions asked at a prompt.

require "spec.support.luv"
local java = require "kafka.localcluster.java"
local kafka = require "kafka"
local machine = require "kafka.localcluster.machine"
local page = require "spec.support.page"
local try = require "spec.support.try"

local cluster

local function quiet(options)
  options.brokers = cluster.brokers
  options.on_log = options.on_log or function() end
  options.on_error = options.on_error or function() end
  return options
end

describe("on a real broker", function()
  setup(function() cluster = assert(kafka.localcluster { version = "4.3.1", topics = { first = 1 } }) end)
  teardown(function() cluster:close() end)

  local function quota(client_id, change, value)
    assert(java.run(cluster.java, cluster.sandbox, "quota", "kafka.admin.ConfigCommand", { "--bootstrap-server", cluster.brokers,
      "--alter", "--entity-type", "clients", "--entity-name", client_id, change, value }, kafka.now() + 60))
  end

  it("a quota is told to on_throttle: how long the broker makes the client wait, then that it does no longer", function()
    quota("slow", "--add-config", "producer_byte_rate=20000")
    local notes = {}
    local p = assert(kafka.producer(quiet { client_id = "slow", on_throttle = function(note) notes[#notes + 1] = note end }))
    for _ = 1, 30 do assert(p:produce("first", ("x"):rep(10000))) end
    assert(p:flush(60))
    assert.truthy(#notes > 0, "no note")
    for _, note in ipairs(notes) do
      assert.same({ cluster.brokers, 1, "kafka.producer slow to " .. cluster.brokers }, { note.broker, note.id, note.client })
      assert.equal("integer", math.type(note.ms))
    end
    assert.truthy(notes[1].ms > 0)
    quota("slow", "--delete-config", "producer_byte_rate")
    try.until_true(60, function()
      assert(p:send("first", "small", { timeout = 60 }))
      return notes[#notes].ms == 0
    end, "the end of it")
    assert(p:close())
  end)

  it("a quota is told in the log where there is no handler", function()
    quota("slower", "--add-config", "producer_byte_rate=20000")
    local lines = try.logged(function()
      local p = assert(kafka.producer(quiet { client_id = "slower" }))
      for _ = 1, 30 do assert(p:produce("first", ("x"):rep(10000))) end
      assert(p:flush(60))
      assert(p:close())
    end)
    assert.equal(1, #lines)
    assert.matches("^kafka.producer slower to 127.0.0.1:%d+: broker 1 at 127.0.0.1:%d+ makes this client wait %d+ ms", lines[1])
  end)

  describe("the questions of a prompt:", function()
    local k
    setup(function()
      k = assert(kafka.connect(quiet { timeout = 20 }))
      assert(cluster:create_topic("times", 2, 1))
      -- Message i was written i minutes ago.
      local p <close> = assert(kafka.producer(quiet {}))
      for i = 90, 1, -1 do
        assert(p:produce("times", "m" .. i, { partition = i % 2, key = "k" .. i % 3, timestamp = os.time() * 1000 - i * 60000 }))
      end
      assert(p:flush(20))
    end)
    teardown(function() k:close() end)

    local function values(list)
      local words = {}
      for i, m in ipairs(list) do words[i] = m.value end
      return table.concat(words, " ")
    end

    it("find looks at what was written since a time", function()
      local list = assert(k:find("times", { from = "-9.5m" }))
      assert.equal("m9 m8 m7 m6 m5 m4 m3 m2 m1", values(list))
      assert.equal(9, list.scanned)
      assert.equal(59, assert(k:find("times", { from = "-59.5m" })).scanned)
      assert.equal(90, assert(k:find("times", { from = "-1d" })).scanned)
      assert.equal("m3 m2 m1", values(assert(k:find("times", { from = os.time() * 1000 - 210000 }))))
      assert.equal("m3 m2 m1", values(assert(k:find("times", { from = os.date("!%Y-%m-%dT%H:%M:%SZ", os.time() - 210) }))))
      assert.equal("m3 m1", values(assert(k:find("times", { from = "-3.5m", partitions = { 1 } }))))
      list = assert(k:find("times", { from = "-1h", where = function(m) return m.value:find "5$" end, max = 3 }))
      assert.equal("m55 m45 m35", values(list))
      list = assert(k:find("times", { from = "-30s" }))
      assert.same({ 0, 0 }, { #list, list.scanned })
    end)

    it("tail gives the last in time", function()
      assert.equal("m4 m3 m2 m1", values(assert(k:tail("times", 4))))
    end)

    it("message says which offsets are left where retention took it", function()
      assert.equal("m2", assert(k:message("times", 0, 44)).value)
      assert(machine.write(cluster.sandbox.folder .. "/delete.json",
        '{"partitions":[{"topic":"times","partition":0,"offset":10}],"version":1}'))
      assert(java.run(cluster.java, cluster.sandbox, "delete", "org.apache.kafka.tools.DeleteRecordsCommand",
        { "--bootstrap-server", cluster.brokers, "--offset-json-file", cluster.sandbox.folder .. "/delete.json" },
        kafka.now() + 60))
      local err = try.failure("OFFSET_OUT_OF_RANGE", k:message("times", 0, 3))
      assert.same({ 3, 10, 45 }, { err.offset, err.earliest, err.latest })
      assert.matches("offset 3 does not exist: the partition holds 10 to 44 %(the next is 45%)", tostring(err))
      assert.equal(80, assert(k:find "times").scanned)
      assert.equal(80, #assert(k:tail("times", 1000)))
    end)

    it("docs/prompt.md finds the errors of the last hour", function()
      local p <close> = assert(kafka.producer(quiet {}))
      assert(p:send("first", "an error"))
      local out = page.run(page.programs(page.read "docs/prompt.md")[1], cluster.brokers)
      assert.equal(1, #out)
      assert.equal("an error", require("dkjson").decode(out[1]).value)
    end)

    it("no more than is asked for is kept of many messages, and none is left out", function()
      assert(cluster:create_topic("many", 1, 1))
      local p <close> = assert(kafka.producer(quiet {}))
      local list = {}
      for i = 1, 20000 do list[i] = i .. ("x"):rep(1000) end
      assert(p:produce_many("many", list, { timeout = 30 }))
      assert(p:flush(60))
      list = nil -- luacheck: ignore
      collectgarbage()
      local before, most = collectgarbage "count", 0
      local n = 0
      local found = assert(k:find("many", { timeout = 60, max = 3, where = function(m)
        n = n + 1
        if n % 1000 == 0 then
          collectgarbage()
          most = math.max(most, collectgarbage "count" - before)
        end
        return m.value:find "^%d*999x"
      end }))
      assert.same({ 3, "max" }, { #found, found.stopped })
      found = assert(k:find("many", { timeout = 60, where = function() n = n + 1 end }))
      assert.equal(20000, found.scanned)
      assert.is_true(most < 8000, most .. " kB") -- of 20 MB
    end)

    it("tail and message see past the ends of transactions", function()
      assert(cluster:create_topic("transactions", 1, 1))
      local p <close> = assert(kafka.producer(quiet { transactional_id = "prompt" }))
      for i = 1, 6 do
        assert(p:begin())
        assert(p:produce("transactions", "m" .. i))
        assert(p:commit(30))
      end
      try.until_true(10, function() -- a broker that commits tells the partition's leader a moment later
        return assert(k:ends "transactions")[1].latest == 12
      end)
      assert.equal("m3 m4 m5 m6", values(assert(k:tail("transactions", 4)))) -- offsets 4, 6, 8, 10
      assert.equal("m2", assert(k:message("transactions", 0, 2)).value)
      local err = try.failure("OFFSET_OUT_OF_RANGE", k:message("transactions", 0, 3))
      assert.matches("offset 3 holds no message", tostring(err))
      assert.matches("offset 11 holds no message", tostring(try.failure("OFFSET_OUT_OF_RANGE", k:message("transactions", 0, 11))))
      assert.equal(6, assert(k:find "transactions").scanned)
    end)

    it("what administration gives prints as something to look at", function()
      local shown = page.type_in(([[
kafka = require "kafka"
k = assert(kafka.connect { brokers = %q, on_log = function() end })
k:create_topics { "shown", { name = "wrong", replication_factor = 9 } }
k:describe_topic "shown"
k:describe_topic("shown").partitions
k:configs { topic = "shown" }
k:configs({ topic = "shown" })[1]
k:alter_configs({ topic = "shown" }, { ["retention.ms"] = 1000 })
k:describe_cluster()
k:list_offsets { { topic = "times", partition = 0, at = "latest" } }
k:commit("g", { { topic = "times", partition = 0, offset = 11 } })
k:groups()
k:groups()[1]
k:describe_group "g"
k:describe_groups { "g" }
k:lag "g"
k:committed "g"
k:reset_offsets("g", { topics = { "times" }, to = "latest", dry_run = true })
k:delete_records { { topic = "times", partition = 1, offset = 1 } }
k:delete_offsets("g", { { topic = "times", partition = 0 } })
k:delete_groups { "g" }
k:acls()
k:users()
k:delete_topics { "shown" }
]]):format(cluster.brokers))
      page.is_readable(shown)
    end)
  end)
end)

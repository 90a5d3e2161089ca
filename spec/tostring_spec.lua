-- What a person sees at a prompt: every object and every error prints its state in few words, and no secret.

local kafka = require "kafka"
local try = require "spec.support.try"

local mock

setup(function() mock = assert(kafka.mock { brokers = 2, topics = { first = 2 } }) end)
teardown(function() mock:close() end)

describe("tostring", function()
  it("of a producer shows its counts, then that it is closed", function()
    local p = assert(kafka.producer { brokers = mock.brokers })
    assert(p:send("first", "v"))
    assert.truthy(tostring(p):find "^kafka%.Producer %(.*1 delivered, 0 failed, 0 pending%)$")
    p:close()
    assert.truthy(tostring(p):find "^kafka%.Producer %(.*closed%)$")
  end)

  it("of a client and its partitions shows where they stand, then that they are closed", function()
    local k = assert(kafka.connect { brokers = mock.brokers })
    local part = assert(k:partition("first", 0, { offset = 0 }))
    local all = assert(k:partitions "first")
    assert.truthy(tostring(k):find(mock.brokers, 1, true))
    assert.equal("kafka.Partition (first[0], next offset 0)", tostring(part))
    assert.equal("kafka.Partitions (first, 2 partitions)", tostring(all))
    k:close()
    assert.truthy(tostring(k):find "closed")
    assert.equal("kafka.Partition (first[0], closed)", tostring(part))
    assert.equal("kafka.Partitions (first, 2 partitions, closed)", tostring(all))
  end)

  it("of a partition without a leader says that it has not started", function()
    local k <close> = assert(kafka.connect { brokers = mock.brokers, on_error = function() end })
    assert(mock:leader("first", 1, nil))
    local part <close> = assert(k:partition("first", 1))
    assert.equal("kafka.Partition (first[1], not started)", tostring(part))
    assert(mock:leader("first", 1, 1))
  end)

  it("of a mock and its brokers shows addresses and state", function()
    local m = assert(kafka.mock { brokers = 2 })
    assert.equal(("kafka.Mock (2 brokers: %s)"):format(m.brokers), tostring(m))
    local broker = m:broker(1)
    assert.truthy(tostring(broker):find "^mock broker 1 at 127%.0%.0%.1:%d+ %(up%)$")
    assert(broker:kill())
    assert.truthy(tostring(broker):find "%(down%)$")
    m:close()
    assert.equal("kafka.Mock (closed)", tostring(m))
    assert.truthy(tostring(broker))
  end)

  it("of a watcher's picture is that of the cluster, with the coordinators of the groups it watches", function()
    local k <close> = assert(kafka.connect { brokers = mock.brokers })
    assert(mock:coordinator("g", 2))
    local w <close> = assert(k:watch { topics = "first", groups = "g", every = 0.1 })
    local here = assert(k:metadata "first")
    here.coordinators, here.controller = { g = 2 }, nil
    assert.truthy(tostring(here):find "\ngroup g: coordinator 2$")
    assert.equal(tostring(here), tostring(w.picture))
    assert(mock:leader("first", 0, 2))
    assert(w:next(5))
    assert.equal(2, w.picture:topic("first"):partition(0).leader)
    assert.truthy(tostring(w.picture):find "\n +0 +2 +1,2")
  end)

  it("of a topic is a grid of its partitions, of a cluster also its brokers", function()
    local k <close> = assert(kafka.connect { brokers = mock.brokers })
    assert(mock:leader("first", 0, 1))
    local grid = tostring(assert(k:topic "first"))
    assert.truthy(grid:find "^first\n +partition +leader +replicas +isr *\n +0 +1 +1,2 +1,2")
    local cluster = tostring(assert(k:metadata()))
    for _, word in ipairs { "cluster ", "broker 1 at 127.0.0.1:", "broker 2 at ", "first" } do
      assert.truthy(cluster:find(word, 1, true), cluster)
    end
    assert.truthy(tostring(assert(k:brokers())[1]):find "^broker 1 at 127%.0%.0%.1:%d+$")
  end)

  it("of lists is aligned lines, of their rows one line each", function()
    local k <close> = assert(kafka.connect { brokers = mock.brokers })
    local brokers = tostring(assert(k:brokers()))
    assert.matches("^  id  host +port\n   1  127%.0%.0%.1 +%d+\n   2  127%.0%.0%.1 +%d+$", brokers)
    assert.equal("  name   partitions\n  first           2", tostring(assert(k:metadata "first").topics))
    local row = { topic = "first", partition = 1, offset = 7, metadata = "a note" }
    assert(k:commit("g", { row }))
    local committed = assert(k:committed("g", { { topic = "first", partition = 1 } }))
    assert.equal("  topic  partition  offset  metadata\n  first          1       7  a note", tostring(committed))
    assert.equal("first[1]: offset 7, metadata a note", tostring(committed[1]))
    assert.same({ row }, committed)
    local all <close> = assert(k:partitions("first", { offset = 3 }))
    assert.equal("  topic  partition  offset\n  first          0       3\n  first          1       3", tostring(all:positions()))
    local p <close> = assert(kafka.producer { brokers = mock.brokers })
    assert.equal("accepted 0, delivered 0, failed 0, pending 0", tostring(p:counts()))
    local _, err = p:produce_many("first", { "a", ("x"):rep(1 << 21) })
    assert.matches("^  index  err\n      2  produce first: the message is larger", tostring(err.refused))
    assert(p:flush())
  end)

  it("of a batch tells how much it holds, and where it ended", function()
    try.fill(mock.brokers, "first", 0, { "aa", "bb" })
    local k <close> = assert(kafka.connect { brokers = mock.brokers })
    local part <close> = assert(k:partition("first", 0, { offset = -2 }))
    assert.truthy(tostring(assert(part:fetch { max_messages = 2, timeout = 5 })):find "^2 messages of first%[0%], 4 bytes")
    assert.truthy(tostring(assert(part:fetch { timeout = 0.3 })):find "^0 messages of first%[0%], 0 bytes, at the end$")
    local all <close> = assert(k:partitions "first")
    assert.truthy(tostring(assert(all:fetch { max_messages = 1, timeout = 5 })):find "^1 message of first, ")
  end)

  it("of metamethods stays out of reach of methods", function()
    local p <close> = assert(kafka.producer { brokers = mock.brokers })
    assert.is_nil(p.__gc)
    assert.is_nil(p.handle.core.__gc)
    assert.is_nil(p.handle.core.__close)
  end)
end)

describe("a secret", function()
  local canary = "canary-5f1e"

  -- All that a person could see of these calls.
  local function seen(f)
    local lines, text = try.logged(function()
      local words = {}
      local function see(x) words[#words + 1] = tostring(x) end
      f(see)
      return table.concat(words, "\n")
    end)
    return text .. "\n" .. table.concat(lines, "\n")
  end

  local function assert_hidden(text)
    assert.is_true(#text > 0)
    if text:find(canary, 1, true) then error("the secret is in: " .. text, 2) end
  end

  it("is in no object and no error of a client that has one", function()
    assert_hidden(seen(function(see)
      local settings = { brokers = "127.0.0.1:1", security_protocol = "sasl_plaintext", sasl_mechanism = "PLAIN",
        sasl_username = "me", sasl_password = canary, on_error = see, on_log = function(l) see(l.text) end, debug = "all" }
      local p = assert(kafka.producer(settings))
      see(p)
      see(select(2, p:send("first", "v", { timeout = 0.1, on_delivery = function() end })))
      see(select(2, p:close(0)))
      see(p)
      settings.timeout = 0.2
      see(select(2, kafka.connect(settings)))
    end))
  end)

  it("is in no refusal of a setting", function()
    for name, value in pairs {
      sasl_password = { canary },
      ["sasl.password"] = canary .. "\0",
      ssl_key_password = { canary },
      sasl_passwort = canary,
      ["ssl.key.pem"] = canary,
      ["sasl.oauthbearer.client.secret"] = { canary },
    } do
      assert_hidden(seen(function(see)
        local ok, err, more = pcall(kafka.producer, { brokers = "127.0.0.1:1", security_protocol = "ssl", [name] = value })
        see(err)
        see(more)
        if ok and err then err:close(0) end
      end))
    end
  end)
end)

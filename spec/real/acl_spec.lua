-- What an ACL denies is an error of each call, with the right that is missing; never silence.

require "spec.support.luv"
local kafka = require "kafka"
local secure = require "spec.support.secure"
local try = require "spec.support.try"

local cluster

setup(function() cluster = secure.cluster() end)

local function denied(right, value, err)
  try.failure("TOPIC_AUTHORIZATION_FAILED", value, err)
  assert.truthy(tostring(err):find("access denied: no ACL allows user alice " .. right .. " on the topic", 1, true),
    tostring(err))
  assert.same({ "security", "fix" }, { err.category, err.action })
  assert.truthy(err.original)
end

local function no_group(value, err, name)
  try.failure(name, value, err)
  assert.truthy(tostring(err):find("access denied: no ACL allows user alice Read on the group", 1, true), tostring(err))
  assert.same({ "security", "fix" }, { err.category, err.action })
end

describe("without a right", function()
  local k, p

  setup(function()
    local client, producer = secure.alice(), secure.alice()
    k, p = assert(kafka.connect(client)), assert(kafka.producer(producer))
  end)
  teardown(function()
    k:close()
    p:close()
  end)

  it("a topic that may not be described cannot be looked at or opened", function()
    denied("Describe", k:topic "hidden")
    denied("Describe", k:partition("hidden", 0))
    denied("Describe", k:partition("hidden", 0, { offset = 0 }))
    denied("Describe", k:partitions "hidden")
    denied("Describe", k:watermarks("hidden", 0))
    denied("Describe", k:offsets_at("hidden", 1e12 | 0))
  end)

  it("a topic that may be described only cannot be read: every fetch says so", function()
    local part <close> = assert(k:partition("seen", 0))
    for _ = 1, 3 do denied("Read", part:fetch { timeout = 2 }) end
    local all <close> = assert(k:partitions "seen")
    for _ = 1, 2 do denied("Read", all:fetch { timeout = 2 }) end
  end)

  it("a message is reported as failed", function()
    denied("Write", p:send("hidden", "x", { timeout = 5 }))
    denied("Write", p:send("seen", "x", { timeout = 5 }))
  end)

  it("a topic cannot be created", function()
    local ok, err = k:create_topic { name = "of-alice" }
    try.failure("TOPIC_AUTHORIZATION_FAILED", ok, err)
    assert.truthy(tostring(err):find("no ACL allows", 1, true) and tostring(err):find("Create on the topic", 1, true),
      tostring(err))
  end)

  it("a group's offsets can be neither committed nor read, told within the caller's timeout", function()
    local row = { topic = "open", partition = 0, offset = 0 }
    local seconds, ok, err = try.time(k.commit, k, "closed", { row }, { timeout = 1 })
    no_group(ok, err, "_TIMED_OUT")
    assert.is_true(seconds < 2)
    no_group(k:committed("closed", { row }, 1))
    no_group(k:committed("closed", nil, 1))
    no_group(k:coordinator("closed", 1))
    no_group(k:lag("closed", 1))
  end)

  it("a commit for a topic that may not be read is refused", function()
    denied("Read", k:commit("open", { { topic = "hidden", partition = 0, offset = 1 } }))
  end)

  it("an idempotent producer cannot begin", function()
    local settings = secure.login("sasl_plaintext", "PLAIN", "bob", "bob-secret")
    settings.enable_idempotence = true
    local other <close> = assert(kafka.producer(secure.settings("sasl_plaintext", settings)))
    local report, err = other:send("open", "x", { timeout = 5 })
    try.failure("TOPIC_AUTHORIZATION_FAILED", report, err)
    assert.truthy(tostring(err):find("no ACL allows user bob Write on the topic", 1, true), tostring(err))
  end)

  it("what a client that joins no group may do in groups is nobody's business", function()
    local seen = {}
    local settings = secure.login("sasl_plaintext", "PLAIN", "alice", "alice-secret")
    local other <close> = assert(kafka.connect(secure.settings("sasl_plaintext", settings, seen)))
    local part <close> = assert(other:partition("open", 0))
    assert(part:fetch { timeout = 1 })
    assert.same({}, seen)
  end)
end)

describe("a consumer", function()
  local function open(group, topics, seen)
    local settings = secure.alice { group = group, topics = topics }
    if seen then settings.on_error = function(err) seen[#seen + 1] = tostring(err) end end
    return assert(kafka.consumer(settings))
  end

  local function errors_of(c, count)
    for _ = 1, count do
      local err
      try.until_true(10, function()
        local m
        m, err = c:poll(2)
        return m == nil and err
      end, "an error")
      denied("Read", nil, err)
    end
  end

  it("that is assigned a topic it may not read is told so again and again", function()
    for _, topic in ipairs { "hidden", "seen" } do
      local c <close> = open "open"
      assert(c:assign { { topic = topic, partition = 0, offset = 0 } })
      errors_of(c, 3)
    end
  end)

  it("that subscribes to one is told so", function()
    local c <close> = open("open", "seen")
    errors_of(c, 2)
    local seen = {}
    local other <close> = open("open", "hidden", seen)
    try.until_true(10, function()
      other:poll(0.2)
      return table.concat(seen):find("no ACL allows user alice Read and Describe on topic hidden", 1, true)
    end, "the topic's denial")
  end)

  it("of a group that it may not join is told so", function()
    local seen = {}
    local c <close> = open("closed", "open", seen)
    try.until_true(10, function()
      c:poll(0.2)
      return table.concat(seen):find("for group closed: access denied: no ACL allows user alice Read on the group", 1, true)
    end, "the group's denial")
  end)
end)

describe("a right taken away while a partition is read", function()
  it("is an error of every fetch until it is given back", function()
    assert(cluster:create_topic "lent")
    local function acl(what) return assert(cluster:acl { what, "--force", "--allow-principal", "User:alice",
      "--operation", "Read",
      "--topic", "lent" }) end
    acl "--add"
    local admin <close> = assert(kafka.producer { brokers = cluster.brokers })
    local k <close> = assert(kafka.connect(secure.alice()))
    -- The command ends before each broker has heard of the right.
    local part <close> = try.until_true(15, function() return (k:partition("lent", 0)) end, "the right to describe")
    assert(admin:send("lent", "1"))
    local first = try.until_true(15, function()
      local batch = part:fetch { timeout = 1 }
      return batch and batch[1]
    end, "the first message")
    assert.equal("1", first.value)

    acl "--remove"
    local batch, err
    try.until_true(15, function()
      batch, err = part:fetch { timeout = 2 }
      return not batch
    end, "an error")
    denied("Read", batch, err)
    for _ = 1, 4 do denied("Read", part:fetch { timeout = 3 }) end

    acl "--add"
    assert(admin:send("lent", "2"))
    try.until_true(15, function()
      batch = part:fetch { timeout = 2 }
      return batch and batch.n > 0
    end, "the next message")
    assert.equal("2", batch[1].value)
  end)
end)

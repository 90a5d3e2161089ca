-- k:watch on the mock: the lines, the waits, the end. What it makes of contradicting brokers is spec/news_spec.lua's.

local kafka = require "kafka"
local child = require "spec.support.child"
local picture = require "kafka.picture"
local try = require "spec.support.try"

local mock, k
local function quiet() end

local function open_client(options)
  options = options or {}
  options.brokers, options.on_log, options.on_error = mock.brokers, quiet, options.on_error or quiet
  return assert(kafka.connect(options))
end

setup(function() mock = assert(kafka.mock { brokers = 3, topics = { first = 2, second = 1 } }) end)
teardown(function() mock:close() end)

local moved = false -- each call on a mock costs up to 1 s

-- Moves the leader of first[0]; the next spec finds it where it was.
local function lead(broker)
  moved = true
  assert(mock.core:leader("first", 0, broker or -1))
end

before_each(function()
  if moved then lead(1) end
  moved = false
  k = open_client()
end)
after_each(function() k:close() end)

local function watch(options)
  options = options or {}
  options.every = options.every or 0.1
  return k:watch(options)
end

-- Lets every answer take its time, until this goes out of scope.
local function slow(seconds)
  assert(mock:rtt(seconds))
  return setmetatable({}, { __close = function() mock:rtt(0) end })
end

-- The next change as a line.
local function line(watcher, seconds) return tostring(watcher:next(seconds or 10)) end

describe("a watcher", function()
  it("tells that a leader moved, was lost and found", function()
    local w <close> = watch { topics = { "first", "second" } }
    lead(2)
    assert.equal("first[0] leader 1 -> 2", line(w))
    lead(nil)
    assert.equal("first[0] leader 2 -> none", line(w))
    lead(3)
    local change = w:next(10)
    assert.equal("first[0] leader none -> 3", tostring(change))
    assert.same({ "leader", "first", 0, nil, 3 }, { change.kind, change.topic, change.partition, change.from, change.to })
  end)

  it("tells of the topics that it was asked for, and of nothing else", function()
    local w <close> = watch { topics = "second" }
    lead(2)
    assert.is_nil(w:next(0.5))
    assert(mock:leader("second", 0, 3))
    assert.equal("second[0] leader 1 -> 3", line(w))
    assert(mock:leader("second", 0, 1))
  end)

  it("tells of all topics where none is named, but of Kafka's own only where that is said", function()
    assert(mock:create_topic("__own", 1))
    local w <close> = watch()
    local internal <close> = watch { internal = true }
    assert(mock:leader("__own", 0, 2))
    lead(2)
    assert.equal("first[0] leader 1 -> 2", line(w))
    assert.equal("__own[0] leader 1 -> 2", line(internal))
    assert.equal("first[0] leader 1 -> 2", line(internal))
    assert(mock:create_topic("created", 2))
    assert.equal("created created, 2 partitions", line(w))
  end)

  it("tells of a topic that is named and comes to be", function()
    assert(mock:create_topic("later", 1))
    assert(mock:topic_error("later", "UNKNOWN_TOPIC_OR_PART"))
    local w <close> = watch { topics = { "first", "later" } }
    assert.is_nil(w:next(0.3))
    assert(mock:topic_error("later", nil))
    assert.equal("later created, 1 partitions", line(w))
    assert(mock:topic_error("later", "UNKNOWN_TOPIC_OR_PART"))
    assert.equal("later deleted", line(w))
    assert(mock:topic_error("later", nil))
    assert.equal("later created, 1 partitions", line(w))
  end)

  it("takes an error of a topic that passes for a state, not for an end", function()
    assert(mock:create_topic("shy", 1))
    local w <close> = watch { topics = { "first", "shy" } }
    for _, name in ipairs { "LEADER_NOT_AVAILABLE", "REPLICA_NOT_AVAILABLE" } do
      assert(mock:topic_error("shy", name))
      assert.is_nil(w:next(1.5))
    end
    assert(mock:topic_error("shy", nil))
    assert.is_nil(w:next(0.3))
  end)

  it("tells on_error once of a topic that may not be described, and takes it for no deletion", function()
    local told = {}
    local client <close> = open_client { on_error = function(err) told[#told + 1] = err end }
    assert(mock:create_topic("secret", 1))
    local w <close> = client:watch { topics = { "first", "secret" }, every = 0.1 }
    assert(mock:topic_error("secret", "TOPIC_AUTHORIZATION_FAILED"))
    assert.is_nil(w:next(1.5))
    local denied = 0
    for _, err in ipairs(told) do
      if err.name == "TOPIC_AUTHORIZATION_FAILED" and err.op == "watch" then denied = denied + 1 end
    end
    assert.equal(1, denied)
  end)

  it("tells that a coordinator moved, which the mock is asked for", function()
    assert(mock:coordinator("g", 1))
    assert(mock:coordinator("h", 1))
    local w <close> = watch { topics = {}, groups = { "g", "h" } }
    assert(mock:coordinator("g", 2))
    local change = w:next(10)
    assert.equal("group g coordinator 1 -> 2", tostring(change))
    assert.same({ "g", 1, 2 }, { change.group, change.from, change.to })
    assert(mock:coordinator("h", 3))
    local text = line(w)
    if text == "group h coordinator 1 -> none" then text = "1, " .. line(w) end -- the picture was taken while it connected
    assert.is_true(text == "group h coordinator 1 -> 3" or text == "1, group h coordinator none -> 3", text)
    local topics = assert(k:metadata()).topics
    for _, t in ipairs(topics) do assert.not_equal("__consumer_offsets", t.name) end
  end)

  it("hands out everything that one picture shows, in order", function()
    local w <close> = watch { topics = "first", every = 0.5 }
    lead(3)
    assert(mock:leader("first", 1, 3))
    assert.equal("first[0] leader 1 -> 3", line(w))
    assert.equal("first[1] leader 2 -> 3", line(w))
    assert(mock:leader("first", 1, 2))
  end)
end)

describe("a watcher of a cluster that dies", function()
  local small, client

  before_each(function()
    small = assert(kafka.mock { brokers = 2, topics = { first = 1, second = 1 } })
    client = assert(kafka.connect { brokers = small.brokers, on_log = quiet, on_error = quiet })
  end)
  after_each(function()
    client:close()
    small:close()
  end)

  local function kill()
    for id = 1, 2 do assert(small:broker(id):kill()) end
  end
  local function start()
    for id = 1, 2 do assert(small:broker(id):start()) end
  end

  it("says that it is unreachable, once, and that it came back, with what changed meanwhile", function()
    local w <close> = client:watch { every = 0.1, topics = { "first", "second" } }
    kill()
    local change = w:next(10)
    assert.matches("^cluster unreachable: no broker can be reached; last: Connection refused", tostring(change))
    assert.equal("_ALL_BROKERS_DOWN", change.err.name)
    assert.matches("unreachable", tostring(w))
    assert.is_nil(w:next(4)) -- longer than a picture may take
    assert(small.core:leader("first", 0, 2))
    start()
    change = w:next(20)
    assert.matches("^cluster reachable again after %d+%.%d s$", tostring(change))
    assert.is_true(change.seconds > 4)
    assert.equal("first[0] leader 1 -> 2", line(w))
    assert.is_nil(w:next(1.5)) -- nothing was deleted
  end)

  it("that was dead when it began takes the first answer for its first picture", function()
    kill()
    local seconds, w = try.time(client.watch, client, { every = 0.1, topics = "first", timeout = 1 })
    local held <close> = w
    assert.is_true(seconds < 3, "took " .. seconds)
    assert.matches("^cluster unreachable", line(held))
    start()
    assert.matches("^cluster reachable again", line(held, 20))
    assert.is_nil(held:next(1.5))
    assert(small:leader("first", 0, 2))
    assert.equal("first[0] leader 1 -> 2", line(held))
  end)

  it("does not take one answer that is late for the whole cluster", function()
    local w <close> = client:watch { every = 0.1, topics = "first", timeout = 0.5 }
    for id = 1, 2 do assert(small:delay("Metadata", id, 1)) end
    local change = w:next(1.2)
    assert.is_nil(change, tostring(change))
  end)

  it("is unreachable where brokers are there and do not answer", function()
    local w <close> = client:watch { every = 0.1, topics = "first", timeout = 0.3 }
    small:rtt(2)
    assert.equal("cluster unreachable: timed out after 0.3 s", line(w))
    small:rtt(0)
    assert.matches("^cluster reachable again", line(w))
  end)
end)

describe("the end of a watcher", function()
  it("comes when it is stopped, in the middle of a wait too", function()
    local w <close> = watch { topics = "first" }
    local seen = 0
    lead(2)
    for change in w do
      assert.equal("first[0] leader 1 -> 2", tostring(change))
      seen = seen + 1
      w:stop()
    end
    assert.equal(1, seen)
    assert.is_nil(w:next(5))
    assert.matches("ended", tostring(w))
  end)

  it("comes when its client is closed, or it is", function()
    local w = watch { topics = "first" }
    lead(2)
    local n = 0
    for _ in w do
      n = n + 1
      assert(k:close())
    end
    assert.equal(1, n)
    assert.is_nil(w:next(5))
    assert.is_true(w:close())
    assert.is_true(w:close())
    for _ in w do error "a closed one gives nothing" end
    try.misuse({ "next", "closed kafka.Watcher" }, function() w:next() end)
  end)

  it("comes after idle seconds without a change", function()
    local w <close> = watch { topics = "first", idle = 0.6 }
    lead(2)
    local last, n
    local seconds = try.time(function()
      for _ in w do
        n, last = (n or 0) + 1, kafka.now()
      end
    end)
    assert.equal(1, n)
    assert.is_true(seconds >= 0.6 and kafka.now() - last >= 0.6)
  end)

  it("gives back the connections that ask for coordinators, and so does collection", function()
    local function count()
      local n = 0
      for _ in pairs(k.group_handles) do n = n + 1 end
      return n
    end
    assert(mock:coordinator("g", 1))
    local w = watch { topics = {}, groups = "g" }
    assert.equal(1, count())
    assert(w:close())
    assert.equal(0, count())
    watch { topics = {}, groups = "g" }
    collectgarbage()
    collectgarbage()
    assert.equal(0, count())
  end)
end)

describe("the waits of a watcher", function()
  it("end with their timeout", function()
    local w <close> = watch { topics = "first", every = 5 }
    for _, timeout in ipairs { 0, 0.3 } do
      local seconds, change = try.time(w.next, w, timeout)
      assert.is_nil(change)
      assert.is_true(seconds >= timeout and seconds < timeout + 0.3, "took " .. seconds)
    end
  end)

  it("that are shorter than an answer takes come to see it all the same", function()
    local w <close> = watch { topics = "first" }
    local slowly <close> = slow(0.2)
    lead(2)
    local change = try.until_true(10, function() return w:next(0.02) end)
    assert.equal("first[0] leader 1 -> 2", tostring(change))
    assert.truthy(slowly)
  end)

  it("ask as often as was said, for one topic, several or all with one request each", function()
    local asked = 0
    local h = k.handles[1]
    local begin = h.begin
    h.begin = function(...)
      asked = asked + 1
      return begin(...)
    end
    for _, topics in ipairs { { "first" }, { "first", "second" }, {}, false } do
      local w <close> = watch { topics = topics or nil, every = 0.1 }
      asked = 0
      assert.is_nil(w:next(1))
      assert.is_true(asked >= 3 and asked <= 10, asked .. " requests")
    end
    h.begin = nil
  end)

  it("end within 0.1 s of Ctrl-C", function()
    local r = child.run [[
      local kafka = require "kafka"
      local process = require "spec.support.process"
      local mock = assert(kafka.mock { topics = { first = 1 } })
      local k = assert(kafka.connect { brokers = mock.brokers })
      local w = k:watch { topics = "first", every = 5 }
      for _, f in ipairs { function() w:next() end, function() for _ in w do end end } do
        process.interrupt_in(0.2)
        local ok, err = pcall(f)
        print(ok, err:match "interrupted!$", process.since_interrupt() < 0.3)
      end
      w.every, w.due = 0.1, 0
      mock:leader("first", 0, nil)
      print(w:next(5))
    ]]
    assert.same({ 0, "false\tinterrupted!\ttrue\nfalse\tinterrupted!\ttrue\nfirst[0] leader 1 -> none\n", "" },
      { r.code, r.out, r.err })
  end)

  it("yield inside cqueues", function()
    local there, cqueues = pcall(require, "cqueues")
    if not there then pending "cqueues is not installed" end
    local w = watch { topics = "first" }
    local loop, ticks, seen = cqueues.new(), 0, nil
    loop:wrap(function()
      seen = line(w)
      w:close()
    end)
    loop:wrap(function()
      cqueues.sleep(0.3)
      lead(2)
      while not w.closed do
        cqueues.sleep(0.01)
        ticks = ticks + 1
      end
    end)
    assert(loop:loop())
    assert.equal("first[0] leader 1 -> 2", seen)
    assert.is_true(ticks > 0)
  end)

  it("yield inside luv, where another coroutine may stop it", function()
    local uv = require "spec.support.luv"
    if not uv then pending "luv is not installed" end
    local client = open_client { loop = uv }
    local w = client:watch { topics = "first", every = 0.1 }
    local lines, ended = {}, false
    coroutine.wrap(function()
      for change in w do lines[#lines + 1] = tostring(change) end
      ended = true
    end)()
    local timer = uv.new_timer()
    timer:start(100, 0, function() lead(2) end)
    local stop = uv.new_timer()
    stop:start(100, 50, function()
      if #lines > 0 and not w.stopped then w:stop() end
      if ended then
        stop:close()
        timer:close()
      end
    end)
    uv.run()
    assert.same({ "first[0] leader 1 -> 2" }, lines)
    assert.is_true(ended)
    assert(client:close())
  end)
end)

describe("a misuse of watch", function()
  it("names the option and its value", function()
    try.misuse({ "watch: topics", "of 1 to 249", "5" }, function() k:watch { topics = 5 } end)
    try.misuse({ "watch: topics[2]", '"a b"' }, function() k:watch { topics = { "first", "a b" } } end)
    try.misuse({ "watch: groups must name each once", '"g"' }, function() k:watch { groups = { "g", "g" } } end)
    try.misuse({ "watch: every", "0.01 or more", "0" }, function() k:watch { every = 0 } end)
    try.misuse({ "watch: every", "inf" }, function() k:watch { every = math.huge } end)
    try.misuse({ 'watch: unknown option "topic"', '"topics"' }, function() k:watch { topic = "first" } end)
    local w <close> = watch { topics = "first" }
    try.misuse({ "next: timeout", "-1" }, function() w:next(-1) end)
    try.misuse({ "stop: the object must be a kafka.Watcher" }, function() w.stop {} end)
  end)
end)

describe("tostring of a watcher", function()
  it("says what it watches, and its state", function()
    local w = watch { topics = { "first", "second" }, groups = "g", every = 0.5 }
    assert.equal("kafka.Watcher (topics first, second, groups g, every 0.5 s)", tostring(w))
    w:close()
    assert.equal("kafka.Watcher (topics first, second, groups g, every 0.5 s, closed)", tostring(w))
    local all <close> = k:watch()
    assert.equal("kafka.Watcher (all topics, every 1 s)", tostring(all))
  end)
end)

describe("a call while no broker can be reached", function()
  it("names the cause, however long ago librdkafka told it", function()
    local own = assert(kafka.mock { topics = { first = 1 } })
    local client <close> = assert(kafka.connect { brokers = own.brokers, on_error = function() end, on_log = function() end })
    own:close()
    local h = client.handles[1]
    try.until_true(10, function()
      client:wait(0.1)
      return h.down
    end, "all brokers to be down")
    h.last_error_at = kafka.now() - 30
    local err = try.failure(nil, client:topic("first", 0.3))
    assert.truthy(err.cause, tostring(err))
    h:heard()
    h.last_error_at = kafka.now() - 30
    assert.is_nil(h:reason())
  end)
end)

describe("one picture", function()
  it("has the topics that were asked for, those that are unclear, and coordinators", function()
    assert(mock:coordinator("g", 3))
    assert(mock:create_topic("unclear", 1))
    assert(mock:topic_error("unclear", "LEADER_NOT_AVAILABLE"))
    local subject = picture.of(k, "spec", { topics = { "first", "unclear" }, groups = { "g" } }, 5)
    local seen = assert(picture.take(k, "spec", subject, 5))
    picture.release(k, subject)
    assert.equal(1, #seen.topics)
    assert.equal("first", seen.topics[1].name)
    assert.equal("LEADER_NOT_AVAILABLE", seen.unclear.unclear.name)
    assert.same({ g = 3 }, seen.coordinators)
    assert.equal(3, #seen.brokers)
  end)

  it("that nobody gives is an error", function()
    local subject = picture.of(k, "spec", { topics = { "first" } }, 1)
    local slowly <close> = slow(1)
    try.failure("_TIMED_OUT", picture.take(k, "spec", subject, 0.2))
    assert.truthy(slowly)
  end)
end)

-- k:watch on real brokers: what a person sees of each change of a cluster, line by line.

require "spec.support.luv"
local kafka = require "kafka"
local javahash = require "kafka.javahash"
local picture = require "kafka.picture"
local try = require "spec.support.try"

local cluster, k

local function quiet() end

-- A group whose coordinator is this broker.
local function group_at(broker)
  local offsets = assert(k:topic(javahash.TOPIC)).partitions
  for i = 1, 1000 do
    local name = "group " .. i
    local row = offsets[javahash.partition(name, #offsets) + 1]
    if row.leader == broker then return name, row end
  end
end

local function watch(options)
  options.every = options.every or 0.2
  return k:watch(options)
end

-- The lines that come until all of these have, or some seconds have passed.
local function lines(watcher, wanted, seconds)
  local list, left, deadline = {}, {}, kafka.now() + (seconds or 30)
  for _, line in ipairs(wanted) do left[line] = true end
  while next(left) and kafka.now() < deadline do
    local change = watcher:next(math.max(0, deadline - kafka.now()))
    if change then
      list[#list + 1] = tostring(change)
      left[list[#list]] = nil
    end
  end
  return list
end

-- These lines and no others, those of one picture in any order.
local function assert_tells(watcher, wanted, seconds)
  local list = lines(watcher, wanted, seconds)
  local sorted = table.move(wanted, 1, #wanted, 1, {})
  table.sort(sorted)
  local heard = table.move(list, 1, #list, 1, {})
  table.sort(heard)
  assert.same(sorted, heard)
  return list
end

local function address(id) return "127.0.0.1:" .. cluster:broker(id).port end

local function wait_in_sync(topic)
  try.until_true(60, function()
    local found = k:topic(topic)
    for _, p in ipairs(found and found.partitions or {}) do
      if #p.isr < #p.replicas then return false end
    end
    return found ~= nil
  end, "all in sync")
end

describe("watching real brokers", function()
  setup(function()
    -- A session that a busy machine keeps: a broker that is fenced by mistake would be told of, and rightly.
    cluster = assert(kafka.localcluster { version = "4.3.1", brokers = 3,
      settings = { ["broker.session.timeout.ms"] = "5000" } })
    k = assert(kafka.connect { brokers = cluster.brokers, timeout = 20, on_log = quiet, on_error = quiet })
    assert(k:create_topic { name = "first", replicas = { { 1, 2, 3 } } })
    assert(k:commit("any", { { topic = "first", partition = 0, offset = 0 } })) -- makes the topic of the groups' offsets
  end)
  teardown(function()
    k:close()
    cluster:close()
  end)
  before_each(function()
    for id = 1, 3 do
      if cluster:broker(id):state() == "stopped" then assert(cluster:broker(id):start()) end
    end
    wait_in_sync "first"
    wait_in_sync(javahash.TOPIC)
  end)

  it("reckons the coordinators that the brokers name, with one request a picture", function()
    local groups = { "g", "face-nord", "Groupe d'\u{e9}t\u{e9}", "\u{433}\u{440}\u{443}\u{43f}\u{43f}\u{430}", "a\u{1f600}b" }
    local subject = picture.of(k, "spec", { topics = { "first" }, groups = groups }, 10)
    assert(picture.take(k, "spec", subject, 10))
    local h, asked = k.handles[1], 0
    h.begin = function(...)
      asked = asked + 1
      return getmetatable(h).begin(...)
    end
    local seen = assert(picture.take(k, "spec", subject, 10))
    h.begin = nil
    assert.equal(1, asked)
    for _, name in ipairs(groups) do assert.equal(assert(k:coordinator(name)).id, seen.coordinators[name], name) end
  end)

  it("tells of partitions added, of a topic created, deleted, and made anew", function()
    local w <close> = watch { topics = { "second", "third" } }
    assert(k:create_topic { name = "second", partitions = 2 })
    assert_tells(w, { "second created, 2 partitions" })
    assert(k:add_partitions("second", 4))
    assert_tells(w, { "second partitions 2 -> 4" })
    assert(k:delete_topic "second")
    assert_tells(w, { "second deleted" })
    assert(k:create_topic { name = "second", partitions = 2 })
    assert_tells(w, { "second created, 2 partitions" })
    assert(k:delete_topic "second")
    assert(k:create_topic { name = "second", partitions = 1 })
    -- What is told depends on whether two pictures fell between the two.
    local list = lines(w, { "second created, 1 partitions", "second deleted and created again, 1 partitions" }, 4)
    if #list == 1 then list = { "second deleted", (list[1]:gsub("deleted and created again", "created")) } end
    assert.same({ "second deleted", "second created, 1 partitions" }, list)
    assert.is_nil(w:next(2))
    assert(k:delete_topic "second")
  end)

  it("tells of a leader and coordinator that is killed, and of its return", function()
    local group, offsets = group_at(1)
    local heir = offsets.replicas[2] -- the next in the order of its replicas that is alive
    local w <close> = watch { topics = { "first" }, groups = { group } }
    assert(cluster:broker(1):kill())
    local list = assert_tells(w, {
      "first[0] leader 1 -> 2",
      "first[0] isr 1,2,3 -> 2,3",
      ("group %s coordinator 1 -> %d"):format(group, heir),
      ("broker 1 at %s left"):format(address(1)),
    })
    assert.equal("first[0] leader 1 -> 2", list[1])
    assert(cluster:broker(1):start())
    assert_tells(w, { ("broker 1 joined at %s"):format(address(1)), "first[0] isr 2,3 -> 1,2,3" })
  end)

  it("tells of a leader that hands over when it is stopped", function()
    local leader = k:topic("first"):partition(0).leader
    local heir = leader == 2 and 1 or 2
    local rest = leader == 2 and "1,3" or "2,3"
    local w <close> = watch { topics = { "first" } }
    assert(cluster:broker(leader):stop()) -- returns when it is gone: one picture shows all of it
    assert_tells(w, { ("first[0] leader %d -> %d"):format(leader, heir), "first[0] isr 1,2,3 -> " .. rest,
      ("broker %d at %s left"):format(leader, address(leader)) })
  end)

  it("tells that all brokers are down, that they are back, and nothing that was not", function()
    local w <close> = watch { topics = { "first" }, groups = { (group_at(1)) } }
    for id = 1, 3 do assert(cluster:broker(id):kill()) end
    local began = kafka.now()
    local down
    repeat down = w:next(20) until not down or down.kind == "unreachable"
    assert.matches("^cluster unreachable: no broker can be reached; last: ", tostring(down))
    assert.is_true(kafka.now() - began < 10, "told after " .. kafka.now() - began)
    assert.is_nil(w:next(4))
    for id = 1, 3 do cluster:broker(id):start(0) end
    assert.matches("^cluster reachable again after %d+%.%d s$", tostring(w:next(60)))
    for id = 1, 3 do assert(cluster:broker(id):start()) end
    wait_in_sync "first"
    local leader = k:topic("first"):partition(0).leader
    try.until_true(30, function()
      local change = w:next(0.5)
      assert.is_nil(change and change.kind:find "^topic_", tostring(change))
      local row = w.state.picture.topics[1].partitions[1]
      return row.leader == leader and #row.isr == 3 and #w.state.picture.brokers == 3
    end)
  end)

  it("does not take a broker that hangs for a cluster that does", function()
    local leader = k:topic("first"):partition(0).leader
    local w <close> = watch { topics = { "first" }, timeout = 2 }
    assert(cluster:broker(leader):pause())
    local moved, left -- in any order: one picture may show both
    for change in function() return w:next(25) end do
      if change.kind == "leader" then moved = moved or change end
      left = left or change.kind == "broker_left"
      if moved and left then break end
    end
    assert.is_true(left)
    assert.equal(leader, moved.from)
    assert(cluster:broker(leader):resume())
    local joined
    repeat joined = assert(w:next(20)) until joined.kind ~= "isr" and joined.kind ~= "leader"
    assert.matches("^broker %d joined", tostring(joined))
  end)
end)

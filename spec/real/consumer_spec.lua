-- The consumer on real brokers: strategies, members that come, go and are killed, ends behind markers and compaction.

local uv = require "spec.support.luv"
local kafka = require "kafka"
local config = require "kafka.config"
local child = require "spec.support.child"
local page = require "spec.support.page"
local try = require "spec.support.try"

local cluster

local quiet = function() end

local function open(group, topics, options)
  options = options or {}
  options.brokers, options.group, options.topics = cluster.brokers, group, topics
  options.on_log, options.on_error = options.on_log or quiet, options.on_error or quiet
  options.heartbeat_interval_ms = 200
  return assert(kafka.consumer(options))
end

local function connect(options)
  options = options or {}
  options.brokers, options.on_log, options.on_error = cluster.brokers, quiet, quiet
  return assert(kafka.connect(options))
end

local names = 0
local function new_topic(partitions, settings)
  names = names + 1
  local name = "consumed-" .. names
  assert(cluster:create_topic(name, partitions, 1, settings))
  return name
end

local function fill(topic, n, partitions, options)
  options = options or {}
  local p <close> = assert(kafka.producer { brokers = cluster.brokers })
  for i = 1, n do
    assert(p:produce(topic, tostring(i), { partition = i % partitions, key = options.key and options.key(i),
      timestamp = options.timestamp and options.timestamp(i) }))
  end
  assert(p:flush(30))
end

-- Counts values: how many are missing of 1 .. n, how many came again.
local function judge(values, n)
  local seen, again, missing = {}, 0, 0
  for _, value in ipairs(values) do
    again = again + (seen[value] and 1 or 0)
    seen[value] = true
  end
  for i = 1, n do missing = missing + (seen[tostring(i)] and 0 or 1) end
  return missing, again
end

describe("a consumer of real brokers", function()
  setup(function()
    cluster = assert(kafka.localcluster { brokers = 2,
      settings = { ["group.min.session.timeout.ms"] = "1000", ["log.cleaner.backoff.ms"] = "200" } })
  end)
  teardown(function() cluster:close() end)

  for _, strategy in ipairs { "range", "roundrobin", "cooperative-sticky" } do
    it("shares partitions by " .. strategy .. " with one that comes, unequally fast: none skipped, none repeated", function()
      local N = 4000
      local topic, values, most = new_topic(4), {}, 0
      fill(topic, N, 4)
      local function member()
        return open(topic, topic, { partition_assignment_strategy = strategy, on_revoke = function(rows)
          most = math.max(most, #rows)
        end })
      end
      -- True where there is nothing more: the last one counts as handled then.
      local function take(c, n)
        for _ = 1, n do
          local m = c:poll(0.01)
          if not m then return true end
          values[#values + 1] = m.value
        end
      end
      local a = member()
      try.until_true(20, function()
        take(a, 50)
        return #values >= 500
      end)
      local b = member()
      try.until_true(20, function()
        take(a, 1)
        take(b, 5)
        return #a:assignment() == 2 and #b:assignment() == 2
      end)
      assert.equal(strategy == "cooperative-sticky" and 2 or 4, most)
      for _ = 1, 100 do
        take(a, 1)
        take(b, 7)
      end
      a:poll(0) -- what it holds is handled
      assert(a:commit())
      assert(a:unsubscribe())
      assert(a:close())
      try.until_true(20, function()
        return take(b, 100) and #b:assignment() == 4 and b:lag() == 0
      end)
      assert(b:close())
      local missing, again = judge(values, N)
      assert.same({ 0, 0 }, { missing, again })
      local k <close> = connect()
      assert.equal(0, (assert(k:lag(topic))))
    end)
  end

  it("joins by group.protocol=consumer where librdkafka has it, and names the one that is needed where not", function()
    local topic, values = new_topic(2), {}
    fill(topic, 100, 2)
    local function join()
      local options = { brokers = cluster.brokers, group = topic, topics = topic, group_protocol = "consumer" }
      return (assert(kafka.consumer(options)))
    end
    if not config.settings()["group.protocol"] then
      try.misuse({ "group_protocol", "needs librdkafka 2.4" }, function() join() end)
      return
    end
    local c <close> = join()
    for m in c:messages { to_end = true } do values[#values + 1] = m.value end
    local missing, again = judge(values, 100)
    assert.same({ 0, 0 }, { missing, again })
    assert(c:seek(topic, 1, 7))
    assert.equal(7, assert(c:poll(5)).offset)
  end)

  it("skips nothing where its process is killed with -9 again and again", function()
    local N = 3000
    local topic, out = new_topic(2), os.tmpname()
    fill(topic, N, 2)
    local program = out .. ".lua"
    local f = assert(io.open(program, "w"))
    f:write(([[
      local kafka = require "kafka"
      local c = assert(kafka.consumer { brokers = %q, group = %q, topics = %q, auto_commit_interval_ms = 20,
        session_timeout_ms = 1000, heartbeat_interval_ms = 200 })
      local out = io.open(%q, "a")
      out:setvbuf "line"
      for m in c:messages { to_end = true } do
        out:write(m.value, "\n")
        local t = kafka.now() + 0.0005
        repeat until kafka.now() > t
      end
      c:close()
    ]]):format(cluster.brokers, topic, topic, out))
    f:close()
    local function values()
      local list = {}
      for line in io.lines(out) do list[#list + 1] = line end
      return list
    end
    for _ = 1, 3 do
      local before = #values()
      local handle = assert(uv.spawn(os.getenv "LUA" or "lua5.4", { args = { program }, stdio = {} }, quiet))
      try.until_true(20, function() return #values() > before + 300 end)
      uv.process_kill(handle, "sigkill")
      uv.run "nowait"
    end
    assert.is_true(os.execute((os.getenv "LUA" or "lua5.4") .. " " .. program))
    local missing, again = judge(values(), N)
    assert.equal(0, missing)
    assert.is_true(again < N, again) -- killed between handling and commit
    os.remove(out)
    os.remove(program)
  end)

  -- The other one's coming asks for the partitions first, and librdkafka then calls them no more than revoked.
  it("that polls too seldom while another one comes is told so, loses its partitions, and goes on", function()
    local topic, told, lost, revoked = new_topic(2), {}, nil, 0
    fill(topic, 100, 2)
    local function member(options)
      options.session_timeout_ms = 1000
      return open(topic, topic, options)
    end
    local slow = member { max_poll_interval_ms = 1500, on_error = function(err) told[#told + 1] = err end,
      on_lost = function(rows) lost = rows end, on_revoke = function() revoked = revoked + 1 end }
    for _ = 1, 10 do assert(slow:poll(20)) end
    local heir, n = member {}, 0
    try.until_true(20, function()
      n = n + (heir:poll(0.1) and 1 or 0)
      return n == 100 -- nothing was committed
    end)
    local ok, err = slow:commit { topic = topic, partition = 0, offset = 3 }
    assert.is_nil(ok)
    assert.same({ "UNKNOWN_MEMBER_ID", "wait" }, { err.name, err.action })
    assert.matches("the group has given this member's partitions to others", err.message)
    try.until_true(5, function()
      slow:poll(0.1)
      return lost or revoked > 0
    end)
    assert.equal("_MAX_POLL_EXCEEDED", told[1].name)
    assert.matches("longer than max.poll.interval.ms", tostring(told[1]))
    assert.same({ 1, 2, 0 }, { #told, lost and #lost, revoked })
    heir:poll(0) -- the last one is handled
    assert(heir:close())
    local p <close> = assert(kafka.producer { brokers = cluster.brokers })
    assert(p:send(topic, "new", { partition = 0 }))
    assert.equal("new", assert(slow:poll(20)).value)
    assert(slow:close())
  end)

  it("keeps its partitions over a restart where it is a static member, and a second one of its name takes them", function()
    local topic, revoked = new_topic(2), 0
    fill(topic, 10, 2)
    local function static(id, on_revoke)
      return open(topic, topic, { group_instance_id = id, session_timeout_ms = 6000, on_revoke = on_revoke })
    end
    local a = static("a", function() revoked = revoked + 1 end)
    local b = static "b"
    try.until_true(20, function()
      a:poll(0.02)
      b:poll(0.02)
      return #a:assignment() == 1 and #b:assignment() == 1
    end)
    local before, had = revoked, b:assignment()[1].partition
    assert(b:close())
    b = static "b"
    try.until_true(20, function()
      a:poll(0.02)
      b:poll(0.02)
      return #b:assignment() == 1
    end)
    assert.same({ before, had }, { revoked, b:assignment()[1].partition })
    local heir = static "b"
    local err
    try.until_true(20, function()
      heir:poll(0.02)
      local _, problem = b:poll(0.02)
      err = problem or err
      return err
    end)
    assert.same({ "FENCED_INSTANCE_ID", true, "recreate" }, { err.name, err.fatal, err.action })
    for _, c in ipairs { a, b, heir } do c:close(5) end
  end)

  it("finds the end behind the markers of transactions: to_end, -n, batch.next and lag", function()
    local topic = new_topic(1)
    local t <close> = assert(kafka.producer { brokers = cluster.brokers, transactional_id = topic })
    for i = 1, 4 do
      assert(t:begin())
      assert(t:produce(topic, tostring(i)))
      assert(i % 2 == 0 and t:commit() or t:abort())
    end
    local k <close> = connect()
    local _, latest
    try.until_true(5, function() -- the last marker is written after the answer
      _, latest = assert(k:watermarks(topic, 0))
      return latest == 8
    end)
    local c = open(topic, topic, { isolation_level = "read_committed" })
    local values, moved = {}, nil
    for batch in c:batches { to_end = true } do
      for _, m in ipairs(batch) do values[#values + 1] = m.value end
      moved = batch.next[1].offset
    end
    assert.same({ "2", "4" }, values)
    assert.is_true(moved >= 7)
    assert.equal(8, c:position(topic, 0))
    assert.equal(0, (assert(c:lag())))
    assert(c:seek(topic, 0, -1)) -- the last offset holds a marker
    for _ in c:messages { to_end = true } do error "no message is there" end
    assert.equal(8, c:position(topic, 0))
    assert(c:close())
    assert.equal(0, (assert(k:lag(topic))))
  end)

  it("has all its offsets in a transaction that took more than one fetch", function()
    local topic = new_topic(2)
    local c <close> = open(topic, nil, { enable_auto_commit = false })
    local t <close> = assert(kafka.producer { brokers = cluster.brokers, transactional_id = topic })
    fill(topic, 600, 1)
    assert(c:assign { { topic = topic, partition = 0 } })
    assert(t:transaction(function()
      for _ = 1, 600 do assert(c:poll(30)) end
      assert(c:pause(topic, 0))
      assert(c:add { topic = topic, partition = 1, offset = 0 })
      local p <close> = assert(kafka.producer { brokers = cluster.brokers })
      assert(p:send(topic, "v", { partition = 1 }))
      assert(c:poll(30))
    end, { consumer = c }))
    local k <close> = connect { isolation_level = "read_uncommitted" }
    try.until_true(5, function()
      local rows = assert(k:committed(topic, { { topic = topic, partition = 0 }, { topic = topic, partition = 1 } }))
      return rows[1].offset == 600 and rows[2].offset == 1
    end)
  end)

  it("finds the end of a compacted topic", function()
    local topic = new_topic(1, { ["cleanup.policy"] = "compact", ["segment.ms"] = "100", ["min.cleanable.dirty.ratio"] = "0.01" })
    local k <close> = connect()
    fill(topic, 500, 1, { key = function(i) return i % 2 == 0 and "even" or "odd" end })
    local n
    try.until_true(30, function()
      fill(topic, 1, 1, { key = function() return "last" end }) -- rolls the segment
      local part <close> = assert(k:partition(topic, 0))
      n = #try.read_all(part)
      return n < 300
    end)
    local c <close> = open(topic, topic)
    local got = 0
    for _ in c:messages { to_end = true } do got = got + 1 end
    assert.is_true(got <= n + 1, got)
    assert.equal(0, (assert(c:lag())))
    assert(c:seek(topic, 0, -400)) -- gone: goes on at the next that is there
    assert.is_true(assert(c:poll(30)).offset >= 100)
  end)

  it("seeks by time", function()
    local topic = new_topic(1)
    local start = 1700000000000
    fill(topic, 10, 1, { timestamp = function(i) return start + i * 1000 end })
    local c <close> = open(topic, topic)
    assert(c:poll(30))
    assert(c:seek(topic, 0, { time = start + 4500 }))
    assert.equal("5", assert(c:poll(30)).value)
    assert(c:seek(topic, 0, { time = start + 999999 }))
    assert.equal(10, c:position(topic, 0))
  end)

  it("gets partitions that are added, and hears of a position that is gone", function()
    local topic, told = new_topic(1), nil
    fill(topic, 20, 1)
    local c <close> = open(topic, topic, { topic_metadata_refresh_interval_ms = 500, on_reset = function(row) told = row end })
    for _ in c:messages { to_end = true } do end
    local k <close> = connect()
    assert(k:add_partitions(topic, 2))
    try.until_true(20, function()
      c:poll(0.1)
      return #c:assignment() == 2
    end)
    assert(k:delete_records { { topic = topic, partition = 0, offset = 15 } })
    assert(c:seek(topic, 0, 3))
    assert.equal(15, assert(c:poll(30)).offset)
    assert.same({ 3, 15 }, { told.from, told.to })
    assert.matches("retention or deletion", told.reason)
  end)

  it("closes at once during a rebalance, and within its time with all brokers paused", function()
    local topic = new_topic(4)
    fill(topic, 100, 4)
    local a = open(topic, topic)
    assert(a:poll(20))
    local b = open(topic, topic) -- which makes the group assign anew
    b:poll(0)
    assert.is_true((try.time(function() assert(a:close()) end)) < 5)
    local m
    try.until_true(20, function()
      m = b:poll(0.1) or m
      return m
    end)
    b:poll(0)
    for id = 1, 2 do assert(cluster:broker(id):pause()) end
    local seconds, ok = try.time(b.close, b, 1)
    for id = 1, 2 do assert(cluster:broker(id):resume()) end
    assert.is_nil(ok)
    assert.is_true(seconds < 4, "took " .. seconds)
  end)

  -- librdkafka below 2.6.1 never ends where a subscribed topic was deleted.
  it("ends where its topic was deleted, closed or not", function()
    local topic = new_topic(1)
    fill(topic, 10, 1)
    for _, last in ipairs { "print((c:close(5)))", "c = nil collectgarbage() collectgarbage() print(true)" } do
      local deleted = new_topic(1)
      fill(deleted, 10, 1)
      local seconds, r = try.time(child.run, ([[
        local kafka = require "kafka"
        local k = assert(kafka.connect { brokers = %q })
        local told
        c = assert(kafka.consumer { brokers = %q, group = %q, topics = { %q, %q }, topic_metadata_refresh_interval_ms = 500,
          on_error = function(err) told = told or err.name == "UNKNOWN_TOPIC_OR_PART" end, on_log = function() end })
        while #c:assignment() < 2 do c:poll(0.1) end
        assert(k:delete_topics { %q })
        local late = kafka.now() + 20
        while (not told or #c:assignment() > 1) and kafka.now() < late do pcall(c.poll, c, 0.1) end
        assert(told, "the deletion was not told")
        k:close()
        %s
      ]]):format(cluster.brokers, cluster.brokers, deleted, topic, deleted, deleted, last), { timeout = 40 })
      assert.same({ 0, "true\n" }, { r.code, r.out }, r.err)
      assert.is_true(seconds < 25, "took " .. seconds)
    end
  end)

  it("waits in coroutines of a loop, two of one group side by side", function()
    local topic, n = new_topic(2), 0
    fill(topic, 200, 2)
    local a, b = open(topic, topic, { loop = uv }), open(topic, topic, { loop = uv })
    local finished, problem = 0, nil
    for _, c in ipairs { a, b } do
      coroutine.wrap(function()
        local ok, err = pcall(function()
          for _ in c:messages() do n = n + 1 end
          assert(c:close())
        end)
        problem = problem or not ok and err or nil
        finished = finished + 1
      end)()
    end
    local refused
    coroutine.wrap(function()
      refused = try.misuse("another coroutine waits", function() a:poll(0) end)
    end)()
    local deadline = kafka.now() + 30
    while finished < 2 and kafka.now() < deadline do
      if n >= 200 then
        if not a.closed then a:stop() end
        if not b.closed then b:stop() end
      end
      uv.run "once"
    end
    assert.is_nil(problem)
    assert.truthy(refused)
    assert.same({ 2, true }, { finished, n >= 200 })
  end)

  it("does what docs/consuming.md shows: reads what is there, commits it, and goes elsewhere", function()
    assert(cluster:create_topic("first", 1, 1))
    local p <close> = assert(kafka.producer { brokers = cluster.brokers })
    for i = 1, 10 do assert(p:send("first", tostring(i))) end
    local programs, want = page.programs(page.read "docs/consuming.md"), {
      { "0\t0\tnil\t1", "0\t9\tnil\t10" },
      { "10\tmessages\t11\tbytes" },
      { "first          0      10  by the careful one", "behind by\t0" },
      { "at the end of\t0", "gives back\t1", "9", "10" },
      { "7\n8\n9", "first          0       0" },
    }
    assert.equal(#want, #programs)
    for i, program in ipairs(programs) do
      local out = table.concat(page.run(program, cluster.brokers), "\n")
      for _, line in ipairs(want[i]) do assert.truthy(out:find(line, 1, true), ("program %d: %s"):format(i, out)) end
    end
  end)
end)

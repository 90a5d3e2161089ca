-- Transactions on real brokers: what readers of committed messages see, a consumer's offsets with them, and copies that are made
-- exactly once however often the copier and brokers are killed.

local uv = require "spec.support.luv"
local kafka = require "kafka"
local try = require "spec.support.try"

local cluster

local quiet = function() end

local function open(id)
  return assert(kafka.producer { brokers = cluster.brokers, transactional_id = id, on_log = quiet, on_error = quiet })
end

local function fill(topic, n, partitions)
  local p <close> = assert(kafka.producer { brokers = cluster.brokers })
  for i = 1, n do assert(p:produce(topic, tostring(i), { partition = i % partitions })) end
  assert(p:flush(30))
end

local function latest(k, topic)
  local list = {}
  for i, row in ipairs(assert(k:ends(topic))) do list[i] = tostring(row.latest) end
  return table.concat(list, " ")
end

-- Values that a reader of this isolation level finds, in order; once no transaction is undecided, where none is open: a
-- coordinator writes the markers of one after its answer.
local function read(topic, level, undecided)
  local k <close> = assert(kafka.connect { brokers = cluster.brokers, isolation_level = level, on_log = quiet, on_error = quiet })
  local whole <close> = assert(kafka.connect { brokers = cluster.brokers, isolation_level = "read_uncommitted", on_log = quiet,
    on_error = quiet })
  if not undecided then try.until_true(20, function() return latest(k, topic) == latest(whole, topic) end, "the markers") end
  local all <close> = assert(k:partitions(topic))
  local values, deadline = {}, kafka.now() + 10
  repeat
    local batch = assert(all:fetch { timeout = 1 })
    for _, m in ipairs(batch) do values[#values + 1] = m.value end
  until batch.eof or kafka.now() > deadline
  return values
end

local topics = 0
local function topic(partitions, replicas)
  topics = topics + 1
  local name = "txn-" .. topics
  assert(cluster:create_topic(name, partitions or 1, replicas or 3))
  return name
end

describe("transactions on real brokers", function()
  setup(function()
    cluster = assert(kafka.localcluster { version = "4.3.1", brokers = 3,
      settings = { ["group.min.session.timeout.ms"] = "1000" } })
  end)
  teardown(function() cluster:close() end)

  it("are seen whole by readers of committed messages, and not at all where aborted", function()
    local name = topic()
    local t <close> = open "seen"
    for i = 1, 20 do
      assert(t:begin())
      for j = 1, 5 do assert(t:produce(name, ("%d.%d"):format(i, j))) end
      if i % 2 == 0 then assert(t:commit()) else assert(t:abort()) end
    end
    local values = read(name, "read_committed")
    assert.equal(50, #values)
    for i, value in ipairs(values) do
      assert.equal(("%d.%d"):format((i - 1) // 5 * 2 + 2, (i - 1) % 5 + 1), value)
    end
    assert.equal(100, #read(name, "read_uncommitted"))
  end)

  it("are not seen before they are committed", function()
    local name = topic()
    local t <close> = open "unseen"
    assert(t:begin())
    assert(t:produce(name, "v"))
    assert(t:flush())
    assert.same({}, read(name, "read_committed", true))
    assert(t:commit())
    assert.same({ "v" }, read(name, "read_committed"))
  end)

  it("take a consumer's offsets with them, or not", function()
    local from, to = topic(), topic()
    fill(from, 100, 1)
    local c <close> = assert(kafka.consumer { brokers = cluster.brokers, group = "offsets", topics = { from },
      enable_auto_commit = false, isolation_level = "read_committed" })
    local t = open "offsets"
    -- Not of committed only: that would wait for the end of the transaction.
    local k <close> = assert(kafka.connect { brokers = cluster.brokers, isolation_level = "read_uncommitted" })
    local function committed()
      return assert(k:committed("offsets", { { topic = from, partition = 0 } }))[1].offset
    end
    local batch = assert(c:batch { max = 10 })
    assert(t:begin())
    assert(t:produce(to, "v"))
    assert(t:send_offsets(c, batch))
    assert.is_nil(committed())
    assert(t:commit())
    try.until_true(5, function() return committed() == 10 end) -- the broker writes the marker after its answer
    batch = assert(c:batch { max = 10 })
    assert(t:begin())
    assert(t:send_offsets(c, batch))
    assert(t:abort())
    assert.equal(10, committed())
    local m = assert(c:poll(5))
    assert(t:begin())
    assert(t:send_offsets(c)) -- what is in hand too
    assert(t:commit())
    try.until_true(5, function() return committed() == m.offset + 1 end)
    assert(t:close())
  end)

  it("take the consumer back to the last one that was committed", function()
    local from, to = topic(), topic()
    fill(from, 30, 1)
    local c <close> = assert(kafka.consumer { brokers = cluster.brokers, group = "back", topics = { from },
      enable_auto_commit = false })
    local t <close> = open "back"
    local refusals = 0
    for batch in c:batches { max = 10, to_end = true } do
      assert(t:transaction(function(tx)
        for _, m in ipairs(batch) do assert(tx:produce(to, m.value)) end
        if batch[1].offset == 10 and refusals < 2 then
          refusals = refusals + 1
          return nil, "not yet"
        end
      end, { consumer = c }) or refusals > 0)
    end
    assert.equal(2, refusals)
    local want = {}
    for i = 1, 30 do want[i] = tostring(i) end
    assert.same(want, read(to, "read_committed"))
  end)

  it("read what f itself polls again where f is called again", function()
    local from, to = topic(), topic()
    fill(from, 10, 1)
    local c <close> = assert(kafka.consumer { brokers = cluster.brokers, group = "again", topics = { from },
      enable_auto_commit = false })
    local t <close> = open "again"
    local calls = 0
    assert(t:transaction(function(tx)
      calls = calls + 1
      for _ = 1, 5 do assert(tx:produce(to, assert(c:poll(30)).value)) end
      if calls == 1 then error(kafka.errors.new { name = "INVALID_TXN_STATE", abortable = true }) end
    end, { consumer = c }))
    assert.equal(2, calls)
    assert.same({ "1", "2", "3", "4", "5" }, read(to, "read_committed"))
  end)

  it("refuse a consumer that commits by itself", function()
    local c <close> = assert(kafka.consumer { brokers = cluster.brokers, group = "itself", topics = { topic() } })
    local t = open "itself"
    assert(t:begin())
    local ok, message = pcall(t.send_offsets, t, c)
    assert.is_false(ok)
    assert.matches("enable_auto_commit = false", message)
    assert(t:abort())
    assert(t:close())
  end)

  it("leave no copy twice and none out where a commit is in doubt", function()
    local from, to = topic(), topic()
    fill(from, 30, 1)
    local c <close> = assert(kafka.consumer { brokers = cluster.brokers, group = "doubt", topics = { from },
      enable_auto_commit = false, on_error = quiet, on_log = quiet })
    local t, doubts = open "doubt", 0
    for batch in c:batches { max = 10, to_end = true } do
      local ok, err = t:transaction(function(tx)
        for _, m in ipairs(batch) do assert(tx:produce(to, m.value)) end
        assert(tx:send_offsets(c))
        assert(tx:flush())
        if batch[1].offset == 10 then -- nobody answers the commit
          for i = 1, 3 do cluster:broker(i):pause() end
        end
      end, { timeout = 2 })
      if not ok then
        doubts = doubts + 1
        assert.same({ true, true, nil }, { err.fatal, err.in_doubt, not err.fatal and tostring(err) or nil })
        for i = 1, 3 do cluster:broker(i):resume() end
        t:close(0)
        t = open "doubt"
        assert(t:begin(20)) -- decides what its predecessor has left
        assert(t:abort())
      end
    end
    assert.equal(1, doubts)
    assert(t:close())
    local want = {}
    for i = 1, 30 do want[i] = tostring(i) end
    assert.same(want, read(to, "read_committed"))
  end)

  it("fence an earlier producer of the same id, which is told so", function()
    local name = topic()
    local zombie, heir <close> = open "same", open "same"
    assert(zombie:begin())
    assert(zombie:produce(name, "zombie"))
    assert(zombie:flush())
    assert(heir:transaction(function(tx) assert(tx:produce(name, "heir")) end))
    local ok, err = zombie:commit()
    assert.is_nil(ok)
    assert.same({ true, "recreate" }, { err.fatal, err.action })
    assert.matches("another producer has taken over transactional.id \"same\"", tostring(err))
    ok, err = zombie:produce(name, "late")
    assert.is_nil(ok)
    assert.is_true(err.fatal)
    zombie:close(1)
    assert.same({ "heir" }, read(name, "read_committed"))
  end)

  it("survive a broker that is killed between and within them", function()
    local name = topic(3, 3)
    local t <close> = open "survivor"
    local done = 0
    for i = 1, 12 do
      if i == 4 then cluster:broker(2):kill() end
      if i == 9 then cluster:broker(2):start() end
      if t:transaction(function(tx)
        for j = 0, 2 do assert(tx:produce(name, ("%d.%d"):format(i, j), { partition = j })) end
      end) then done = done + 1 end
    end
    assert.equal(12, done)
    assert.equal(36, #read(name, "read_committed"))
  end)

  -- The copier of examples/copy.lua, in processes that end with this one.
  local function copiers(from, to, env)
    local list, environment = {}, { "BROKERS=" .. cluster.brokers, "FROM=" .. from, "TO=" .. to, "FOREVER=1", "MAX=200",
      "SESSION=1500" }
    for name, value in pairs(uv.os_environ()) do
      if not env[name] then environment[#environment + 1] = name .. "=" .. value end
    end
    local function start(id)
      local mine = table.move(environment, 1, #environment, 1, { "ID=copy-" .. id, "GROUP=copiers" })
      list[id] = assert(uv.spawn("setpriv", { args = { "--pdeathsig", "KILL", os.getenv "LUA" or "lua5.4", "examples/copy.lua" },
        env = mine, stdio = {} }, function() end))
    end
    local function kill(id)
      uv.process_kill(list[id], "sigkill")
      repeat uv.run "nowait" until not pcall(uv.kill, list[id]:get_pid(), 0) or not uv.kill(list[id]:get_pid(), 0)
    end
    return { start = start, kill = kill }
  end

  it("copy 20,000 messages exactly once while copiers and brokers are killed with -9", function()
    local N, PARTITIONS = 20000, 4
    local from, to = topic(PARTITIONS, 3), topic(PARTITIONS, 3)
    fill(from, N, PARTITIONS)
    local c = copiers(from, to, { BROKERS = true, FROM = true, TO = true, MAX = true })
    c.start(1)
    c.start(2)
    local k <close> = assert(kafka.connect { brokers = cluster.brokers, isolation_level = "read_committed", on_log = quiet,
      on_error = quiet })
    local all <close> = assert(k:partitions(to))
    local n, wrong, expected = 0, nil, {}
    local turn, killed, brokers_killed = 0, 0, 0
    local next_kill, down = 600, nil
    local deadline = kafka.now() + 120
    while n < N and kafka.now() < deadline do
      for _, m in ipairs(all:fetch { timeout = 0.5 } or {}) do
        n = n + 1
        local want = expected[m.partition] or (m.partition == 0 and PARTITIONS or m.partition)
        if tonumber(m.value) ~= want then wrong = wrong or ("%s where %d comes next"):format(m, want) end
        expected[m.partition] = tonumber(m.value) + PARTITIONS
      end
      if n >= next_kill then -- while they copy: every so many messages
        next_kill, turn = next_kill + 1300, turn + 1
        if down then
          cluster:broker(down):start()
          down = nil
        elseif turn % 4 == 0 then
          brokers_killed = brokers_killed + 1
          down = brokers_killed % 3 + 1
          cluster:broker(down):kill()
        else
          killed = killed + 1
          c.kill(turn % 2 + 1)
          c.start(turn % 2 + 1)
        end
      end
    end
    if down then cluster:broker(down):start() end
    c.kill(1)
    c.kill(2)
    assert.is_nil(wrong)
    assert.equal(N, n)
    assert.is_true(killed >= 8 and brokers_killed >= 3, killed .. " copiers, " .. brokers_killed .. " brokers")
    local rest = assert(all:fetch { timeout = 1 })
    assert.equal(0, rest.n)
  end)
end)

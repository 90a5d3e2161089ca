-- The reader while real clusters change, on each generation of Kafka: what it reads, what it commits, and what it tells.

require "spec.support.luv"
local kafka = require "kafka"
local generations = require "spec.support.generations"
local try = require "spec.support.try"

local kind, cluster

local topics = 0
local function topic(partitions, config)
  -- A broker that was paused may have lost its session, and not be back yet.
  local deadline = kafka.now() + 30
  while true do
    topics = topics + 1
    local name = "reader-" .. topics
    local ok, err = cluster:create_topic(name, partitions, 3, config)
    if ok then return name end
    assert(kafka.now() < deadline, err)
  end
end

-- A broker that is paused answers nothing, and an old one is connected to all the same.
local function producer(options)
  options = options or {}
  options.socket_timeout_ms = 2000
  return assert(kafka.producer(kind:with(cluster.brokers, options)))
end

local function fill(name, from, to, settings)
  local p <close> = producer(settings)
  local values = {}
  for i = from, to do values[#values + 1] = tostring(i) end
  assert(p:produce_many(name, values))
  assert(p:flush(30))
end

-- A reader that notes what it is told.
local function open(name, options)
  local told = {}
  options = options or {}
  options.topic, options.every, options.timeout = name, 0.5, 30
  options.on_change = function(change) told[#told + 1] = tostring(change) end
  options.on_reset = options.on_reset or function(row)
    told[#told + 1] = ("%s[%d] %d -> %d: %s"):format(row.topic, row.partition, row.from, row.to, row.reason)
  end
  return assert(kafka.reader(kind:with(cluster.brokers, options))), told
end

-- Whether a line was told, by a pattern.
local function heard(told, pattern)
  for _, line in ipairs(told) do
    if line:find(pattern) then return line end
  end
end

-- Polls until `done(values)` or the time is over; returns the values in the order they came.
local function read(r, seconds, done)
  local values, deadline = {}, kafka.now() + seconds
  while kafka.now() < deadline and not done(values) do
    local m = r:poll(0.1)
    if m then values[#values + 1] = m.value end
  end
  return values
end

local function count(n)
  return function(values) return #values >= n end
end

local function numbers(from, to)
  local list = {}
  for i = from, to do list[#list + 1] = tostring(i) end
  return list
end

local function quote(text) return (text:gsub("%p", "%%%0")) end

local function committed(group, name)
  return try.committed(kind:with(cluster.brokers, { timeout = 20 }), group, name)
end

local function leader_of(name)
  return try.until_true(30, function()
    local found = cluster:describe(name)
    return found and found.partitions[1].leader
  end, "a leader of " .. name)
end

-- Writes numbers while it reads, and does something meanwhile; every number comes once, in order.
local function through(name, r, seconds, during)
  local p <close> = producer { enable_idempotence = kind.can.idempotence, message_timeout_ms = 60000 }
  local sent, values, deadline = 0, {}, kafka.now() + seconds
  local doing = coroutine.wrap(function()
    during()
    return true
  end)
  local over
  while kafka.now() < deadline and not (over and #values >= sent) do
    if not over and sent < 5000 then
      sent = sent + 1
      assert(p:produce(name, tostring(sent)))
    end
    p:poll(0)
    local m = r:poll(0.02)
    if m then values[#values + 1] = m.value end
    over = over or doing()
  end
  assert.is_true(over, "not all was done")
  assert(p:flush(30))
  for _, v in ipairs(read(r, 30, count(sent - #values))) do values[#values + 1] = v end
  return sent, values
end

-- Yields for some seconds.
local function rest(seconds)
  local till = kafka.now() + seconds
  while kafka.now() < till do coroutine.yield() end
end

-- What came more than once is what a producer without idempotence wrote twice.
local function expect_all(sent, values)
  local seen, last = {}, 0
  for _, v in ipairs(values) do
    local n = math.tointeger(tonumber(v))
    if not seen[n] then
      assert.is_true(n == last + 1, ("%d behind %d"):format(n, last))
      last = n
    else
      assert.is_nil(kind.can.idempotence, "twice: " .. v)
    end
    seen[n] = true
  end
  assert.equal(sent, last)
end

generations.each(describe, "a reader", function(generation)
  setup(function()
    kind = generation
    cluster = generation:cluster { brokers = 3, settings = generation.expiring }
  end)
  teardown(function() cluster:close() end)

  it("goes on where the leader is killed, and where it comes back", function()
    local name = topic(1)
    local r <close>, told = open(name, { group = "kill " .. name, interval = 0.2 })
    local leader = leader_of(name)
    expect_all(through(name, r, 60, function()
      rest(1)
      assert(cluster:broker(leader):kill())
      while not heard(told, quote(name .. "[0] leader ") .. ".* %-> %d") do coroutine.yield() end -- maybe none in between
      rest(1)
      assert(cluster:broker(leader):start())
      rest(1)
    end))
    local position = r:positions()[1].offset
    assert(r:close(20))
    assert.equal(position, committed("kill " .. name, name))
  end)

  it("goes on where the leader is paused, within socket.timeout.ms where the others know of a new one", function()
    local name = topic(1)
    local r <close>, told = open(name, { socket_timeout_ms = 2000 })
    fill(name, 1, 10)
    assert.same(numbers(1, 10), read(r, 20, count(10)))
    local leader = leader_of(name)
    local more
    do
      assert(cluster:broker(leader):pause())
      local _ <close> = setmetatable({}, { __close = function() assert(cluster:broker(leader):resume()) end })
      if kind.can.admin then
        fill(name, 11, 20)
        more = read(r, 20, count(10))
      else -- the others tell of the old leader as long as it is paused
        assert.same({}, read(r, 3, count(1)))
      end
    end
    if not more then
      -- Until it knows that it leads no more, an old broker takes messages that it drops then.
      local k <close> = assert(kafka.connect(kind:with(cluster.brokers, { timeout = 30 })))
      try.until_true(30, function()
        local leads = assert(k:topic(name, 10)):partition(0).leader
        return leads ~= leader and leads == leader_of(name)
      end, "a new leader")
      fill(name, 11, 20)
      more = read(r, 20, count(10))
    end
    assert.same(numbers(11, 20), more)
    -- The old leader, which does not know of the new one for a moment, misleads nobody.
    assert.same({}, read(r, 3, count(1)), table.concat(told, "\n"))
  end)

  it("goes on where leaders are moved, by reassignment and by preferred election", function()
    local name = topic(1)
    local r <close>, told = open(name)
    local leader = leader_of(name)
    local others = {}
    for id = 1, 3 do
      if id ~= leader then others[#others + 1] = id end
    end
    expect_all(through(name, r, 60, function()
      assert(cluster:reassign(name, 0, { others[1], others[2] }, 30))
      assert(cluster:reassign(name, 0, { others[2], others[1], leader }, 30))
      assert(cluster:elect(name, 0, 30))
    end))
    assert.equal(others[2], leader_of(name))
    local function told_of() return heard(told, quote(name .. "[0] leader ") .. ".* %-> " .. others[2]) end
    read(r, 10, told_of)
    assert.is_string(told_of(), table.concat(told, "\n"))
  end)

  it("reads added partitions from their first offset, also where it began at the end", function()
    local name = topic(1)
    fill(name, 1, 5)
    local r <close>, told = open(name, { start = "latest" })
    assert.is_nil(r:poll(0.5))
    assert(cluster:add_partitions(name, 3))
    local wide = producer { topic_metadata_refresh_interval_ms = 200 }
    try.until_true(20, function() return wide:produce(name, "2", { partition = 2 }) end)
    assert(wide:produce(name, "1", { partition = 1 }))
    assert(wide:close(20))
    local values = read(r, 20, count(2))
    table.sort(values)
    assert.same({ "1", "2" }, values)
    assert.is_string(heard(told, quote(name .. " partitions 1 -> 3")))
  end)

  it("tells that its topic is deleted and created again, and reads the new one from its first offset", function()
    local name = topic(1)
    fill(name, 1, 20)
    local r <close>, told = open(name, { group = "anew " .. name, interval = 0.2 })
    assert.same(numbers(1, 20), read(r, 20, count(20)))
    assert(cluster:delete_topic(name))
    read(r, 20, function() return heard(told, quote(name .. " deleted")) end)
    assert.is_string(heard(told, quote(name .. " deleted")), table.concat(told, "\n"))
    assert(cluster:create_topic(name, 1, 3))
    fill(name, 101, 140)
    assert.same(numbers(101, 140), read(r, 30, count(40)))
    local line = heard(told, quote(name .. "[0] 20 -> 0: "))
    assert.matches("the topic was deleted and created again", line, 1, true)
    assert.is_nil(r:poll(0)) -- the last is handled
    assert(r:close(20))
    assert.equal(40, committed("anew " .. name, name))
  end)

  it("goes on committing where the group's coordinator is killed", function()
    local name = topic(1)
    fill(name, 1, 5)
    local group = "coordinator " .. name
    local r <close> = open(name, { group = group, interval = 0.2 })
    assert.same(numbers(1, 5), read(r, 40, count(5)))
    try.until_true(60, function()
      r:poll(0.1)
      return committed(group, name) == 5
    end)
    local k <close> = assert(kafka.connect(kind:with(cluster.brokers)))
    local coordinator = assert(k:coordinator(group, 20)).id
    assert(cluster:broker(coordinator):kill())
    local _ <close> = setmetatable({}, { __close = function() assert(cluster:broker(coordinator):start(60)) end })
    fill(name, 6, 10)
    assert.same(numbers(6, 10), read(r, 40, count(5)))
    try.until_true(60, function()
      r:poll(0.1)
      local offset = committed(group, name)
      -- What is written without idempotence may be there twice.
      return (offset or 0) >= 10 and offset == r:positions()[1].offset
    end)
  end)

  it("goes on where all brokers were down", function()
    local name = topic(1)
    fill(name, 1, 5)
    local r <close>, told = open(name, { group = "down " .. name, interval = 0.2 })
    assert.same(numbers(1, 5), read(r, 20, count(5)))
    for id = 1, 3 do assert(cluster:broker(id):kill()) end
    read(r, 20, function() return heard(told, "^cluster unreachable") end)
    assert.is_string(heard(told, "^cluster unreachable"), table.concat(told, "\n"))
    for id = 1, 3 do assert(cluster:broker(id):start(30)) end
    fill(name, 6, 10, { enable_idempotence = kind.can.idempotence }) -- they are counted
    assert.same(numbers(6, 10), read(r, 30, count(5)))
    read(r, 10, function() return heard(told, "^cluster reachable again") end)
    assert.is_string(heard(told, "^cluster reachable again"), table.concat(told, "\n"))
    assert.is_nil(r:poll(0))
    assert(r:close(20))
    assert.equal(10, committed("down " .. name, name))
  end)

  it("says that a group with live members takes no commit of its, and what to do", function()
    local name = topic(1)
    fill(name, 1, 5)
    local group = "live " .. name
    local c <close> = kind:allowed("groups", kafka.consumer(kind:with(cluster.brokers, { group = group, topics = { name } })))
    if not c then return end -- there are no members, as was asserted
    assert(c:poll(20))
    local r <close> = open(name, { group = group, commit = "manual" })
    assert.same(numbers(1, 5), read(r, 20, count(5)))
    local err = try.failure("UNKNOWN_MEMBER_ID", r:commit())
    assert.equal("fix", err.action)
    assert.matches("only they may commit for it: stop them, or give this reader a group of its own", err.message, 1, true)
    local auto = open(name, { group = group, interval = 0 })
    local refused
    try.until_true(20, function()
      local m
      m, refused = auto:poll(0.1)
      return not m and refused
    end)
    assert.equal("UNKNOWN_MEMBER_ID", refused.name)
    try.until_true(20, function()
      auto:poll(0.1)
      return auto:positions()[1].offset == 5
    end)
    assert.equal(5, select(2, auto:close(10)).uncommitted[1].offset)
  end)

  it("tells that records were deleted which it has not read, and goes on at the first there is", function()
    local name = topic(1)
    fill(name, 1, 100)
    do
      local r <close> = open(name, { group = "deleted " .. name })
      assert.equal(10, #read(r, 20, count(10)))
      assert(r:poll(1)) -- the tenth is handled
    end
    local k <close> = assert(kafka.connect(kind:with(cluster.brokers)))
    if not kind:allowed("admin", k:delete_records { { topic = name, partition = 0, offset = 50 } }) then return end
    local r <close>, told = open(name, { group = "deleted " .. name })
    assert.same(numbers(51, 100), read(r, 20, count(50)))
    assert.matches("10 -> 50: offset 10 is gone: retention took it, or its records were deleted; the partition holds 50 to 99",
      told[1], 1, true)
  end)

  it("tells that retention has taken what it has not read", function()
    local name = topic(1, { ["retention.ms"] = 1000, ["segment.ms"] = 1000, ["file.delete.delay.ms"] = 100 })
    fill(name, 1, 100)
    local k <close> = assert(kafka.connect(kind:with(cluster.brokers)))
    assert(k:commit("expired " .. name, { { topic = name, partition = 0, offset = 10 } }))
    try.until_true(60, function() return (k:watermarks(name, 0)) == 100 end, "retention")
    local r <close>, told = open(name, { group = "expired " .. name })
    assert.same({}, read(r, 20, function() return told[1] end))
    assert.matches("10 -> 100: offset 10 is gone: retention took it, or its records were deleted; the partition is empty",
      told[1], 1, true)
  end)

  for _, late in ipairs { false, true } do
    local when = late and ", also where it has grown past what was read" or ""
    it("tells that an unclean election has cut the log" .. when, function()
      local name = topic(1, { ["unclean.leader.election.enable"] = true, ["min.insync.replicas"] = 1 })
      fill(name, 1, 100)
      local leader = leader_of(name)
      local r <close>, told = open(name)
      assert.equal(100, #read(r, 20, count(100)))
      local followers = {}
      for id = 1, 3 do
        if id ~= leader then followers[#followers + 1] = cluster:broker(id) end
      end
      for _, f in ipairs(followers) do assert(f:kill()) end
      -- Old brokers show the replicas in sync late: what matters is that the leader takes messages alone.
      do
        local p <close> = producer { acks = 1 }
        try.until_true(30, function()
          local alone = cluster:describe(name)
          return alone and (#alone.partitions[1].isr == 1 or not kind.can.admin)
        end, "a leader alone")
        for i = 101, 150 do assert(p:produce(name, tostring(i))) end
        assert(p:flush(20))
      end
      assert.equal(50, #read(r, 20, count(50)))
      -- What is read is known again by what pictures showed: the followers are not in sync any more.
      read(r, 10, function() return heard(told, quote(name) .. "%[0%] isr .* %-> " .. leader .. "$") or not kind.can.admin end)
      if late then read(r, 2, count(1)) end
      assert(cluster:broker(leader):kill())
      for _, f in ipairs(followers) do assert(f:start(30)) end
      if late then fill(name, 1001, 1100) end
      local line
      local values = read(r, 30, function()
        line = heard(told, quote(name .. "[0] 150 -> 0: ")) or heard(told, quote(name .. "[0]") .. " %d+ %-> 0: ")
        return line
      end)
      assert.is_string(line, table.concat(told, "\n"))
      -- Old brokers go on telling of replicas as in sync that are not.
      assert.matches(kind.can.admin and "not in sync: an unclean election" or "unclean", line, 1, true)
      for _, v in ipairs(read(r, 20, count(late and 200 or 100))) do values[#values + 1] = v end
      assert.equal("1", values[#values - (late and 199 or 99)])
      assert(cluster:broker(leader):start(30))
    end)
  end
end)

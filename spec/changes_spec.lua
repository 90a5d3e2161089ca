-- What changed between two pictures: each kind by itself, then properties of random pairs.

local changes = require "kafka.changes"

local function picture(fields)
  local p = { brokers = { { id = 1, host = "a", port = 1 }, { id = 2, host = "b", port = 2 } }, controller = 1,
    topics = { { name = "first", partitions = {
      { partition = 0, leader = 1, replicas = { 1, 2 }, isr = { 1, 2 } },
      { partition = 1, leader = 2, replicas = { 2, 1 }, isr = { 2, 1 } },
    } } }, coordinators = { g = 1 } }
  for name, value in pairs(fields or {}) do p[name] = value end
  return p
end

-- The lines of what changed when f changed a copy of the picture.
local function lines(f)
  local old, new = picture(), picture()
  f(new)
  local list = {}
  for i, c in ipairs(changes.between(old, new)) do list[i] = tostring(c) end
  return list
end

describe("between two pictures", function()
  it("nothing changed gives nothing", function() assert.same({}, changes.between(picture(), picture())) end)

  local rows = {
    { "a broker that joined", "broker 3 joined at c:3", function(p) p.brokers[3] = { id = 3, host = "c", port = 3 } end },
    { "a broker that left", "broker 2 at b:2 left", function(p) p.brokers[2] = nil end },
    { "a broker that moved", "broker 2 b:2 -> b:9", function(p) p.brokers[2].port = 9 end },
    { "another controller", "controller 1 -> 2", function(p) p.controller = 2 end },
    { "no controller", "controller 1 -> none", function(p) p.controller = nil end },
    { "another leader", "first[0] leader 1 -> 2", function(p) p.topics[1].partitions[1].leader = 2 end },
    { "a leader lost", "first[0] leader 1 -> none", function(p) p.topics[1].partitions[1].leader = nil end },
    { "replicas reordered", "first[1] replicas 2,1 -> 1,2", function(p) p.topics[1].partitions[2].replicas = { 1, 2 } end },
    { "a replica out of sync", "first[0] isr 1,2 -> 1", function(p) p.topics[1].partitions[1].isr = { 1 } end },
    { "partitions added", "first partitions 2 -> 3", function(p)
      p.topics[1].partitions[3] = { partition = 2, leader = 1, replicas = { 1 }, isr = { 1 } }
    end },
    { "a topic created", "second created, 1 partitions", function(p)
      p.topics[2] = { name = "second", partitions = { { partition = 0, leader = 1, replicas = { 1 }, isr = { 1 } } } }
    end },
    { "a topic deleted", "first deleted", function(p) p.topics = {} end },
    { "a topic with fewer partitions", "first deleted and created again, 1 partitions", function(p)
      p.topics[1].partitions[2] = nil
    end },
    { "another coordinator", "group g coordinator 1 -> 2", function(p) p.coordinators.g = 2 end },
    { "a coordinator lost", "group g coordinator 1 -> none", function(p) p.coordinators = {} end },
  }
  for _, row in ipairs(rows) do
    it(row[1] .. " is one line", function() assert.same({ row[2] }, lines(row[3])) end)
  end

  it("the order in which in-sync replicas are told does not matter", function()
    assert.same({}, lines(function(p) p.topics[1].partitions[1].isr = { 2, 1 } end))
  end)

  it("another id means another topic, whatever else is the same", function()
    local old, new = picture(), picture()
    old.topics[1].id, new.topics[1].id = "x", "y"
    assert.equal("first deleted and created again, 2 partitions", tostring(changes.between(old, new)[1]))
  end)

  describe("where both know the ends of a partition", function()
    local function between(before, after)
      local old, new = picture(), picture()
      for name, value in pairs(before) do old.topics[1].partitions[2][name] = value end
      for name, value in pairs(after) do new.topics[1].partitions[2][name] = value end
      local list = {}
      for i, c in ipairs(changes.between(old, new)) do list[i] = tostring(c) end
      return list
    end
    local AGAIN = { "first deleted and created again, 2 partitions" }

    it("a first offset that is lower means another topic", function()
      assert.same(AGAIN, between({ earliest = 40, latest = 100 }, { earliest = 0, latest = 200 }))
    end)
    it("an end below the former first offset does too", function()
      assert.same(AGAIN, between({ earliest = 40, latest = 100 }, { earliest = 40, latest = 39 }))
    end)
    it("an end that is lower may be truncation", function()
      assert.same({}, between({ earliest = 0, latest = 100 }, { earliest = 0, latest = 60 }))
    end)
    it("offsets that one of them does not know say nothing", function()
      assert.same({}, between({ earliest = 40, latest = 100 }, {}))
      assert.same({}, between({}, { earliest = 0, latest = 0 }))
    end)
  end)

  it("that a cluster was silent changes no picture", function()
    local list = { changes.new { kind = "unreachable", err = { message = "nobody", cause = { message = "refused" } } },
      changes.new { kind = "unreachable", err = { message = "nobody" } }, changes.new { kind = "reachable", seconds = 1.26 } }
    assert.equal("cluster unreachable: nobody; last: refused", tostring(list[1]))
    assert.equal("cluster unreachable: nobody", tostring(list[2]))
    assert.equal("cluster reachable again after 1.3 s", tostring(list[3]))
    assert.same(changes.copy(picture()), changes.apply(picture(), list))
  end)

  it("a change keeps nothing of the pictures", function()
    local old, new = picture(), picture { topics = {} }
    local list = changes.between(new, old)
    old.topics[1].partitions[1].isr[1] = 77
    assert.same({ 1, 2 }, list[1].to.partitions[1].isr)
  end)
end)

describe("random pictures", function()
  local function some(n, f)
    local list = {}
    for i = 1, n do
      if math.random() < 0.7 then list[#list + 1] = f(i) end
    end
    return list
  end

  local function shuffled(list)
    for i = #list, 2, -1 do
      local j = math.random(i)
      list[i], list[j] = list[j], list[i]
    end
    return list
  end

  local function random_picture()
    local p = { coordinators = {}, controller = math.random() < 0.9 and math.random(3) or nil }
    p.brokers = some(5, function(id) return { id = id, host = "h" .. math.random(2), port = math.random(2) } end)
    p.topics = some(4, function(i)
      local t = { name = "t" .. i, id = math.random() < 0.3 and math.random(2) or nil, partitions = {} }
      for n = 0, math.random(0, 3) do
        t.partitions[n + 1] = { partition = n, leader = math.random() < 0.8 and math.random(3) or nil,
          replicas = shuffled { 1, 2, 3 }, isr = shuffled(some(3, function(id) return id end)) }
      end
      return t
    end)
    for _, group in ipairs { "g", "h" } do
      if math.random() < 0.7 then p.coordinators[group] = math.random(3) end
    end
    return p
  end

  -- In-sync replicas are a set, and an id that only one of two pictures knows is no change.
  local function normal(p)
    local copy = changes.copy(p)
    for _, t in ipairs(copy.topics) do
      t.id = nil
      for _, row in ipairs(t.partitions) do table.sort(row.isr) end
    end
    return copy
  end

  it("applying the changes to the first gives the second", function()
    local seed = os.time()
    math.randomseed(seed)
    for round = 1, 2000 do
      local a, b = random_picture(), random_picture()
      local before = normal(a)
      local list = changes.between(a, b)
      assert.same(normal(b), normal(changes.apply(a, list)), ("seed %d, round %d"):format(seed, round))
      assert.same(before, normal(a))
      assert.same({}, changes.between(b, b))
      for _, c in ipairs(list) do assert.is_string(tostring(c)) end
    end
  end)
end)

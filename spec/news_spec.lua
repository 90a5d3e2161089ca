-- Which differences between pictures are news: stories of what brokers answer, in order, and the lines that are told.

local changes = require "kafka.changes"
local news = require "kafka.news"

local function partition(number, leader)
  return { partition = number, leader = leader, replicas = { 1, 2, 3 }, isr = { 1, 2, 3 } }
end

-- The cluster as all know it at first: three brokers, one topic of two partitions, led by 1 and 2.
local function first()
  local p = { brokers = {}, topics = { { name = "first", partitions = { partition(0, 1), partition(1, 2) } } }, controller = 1,
    coordinators = { g = 1 } }
  for id = 1, 3 do p.brokers[id] = { id = id, host = "h", port = id } end
  return p
end

-- What may be different in a picture.
local views = {
  first = function() end,
  led_by_2 = function(p) p.topics[1].partitions[1].leader = 2 end,
  led_by_3 = function(p) p.topics[1].partitions[1].leader = 3 end,
  no_leader = function(p) p.topics[1].partitions[1].leader = nil end,
  grown = function(p) p.topics[1].partitions[3] = partition(2, 3) end,
  gone = function(p) p.topics = {} end,
  another = function(p) p.topics[1].partitions[2] = nil end,
  second = function(p) p.topics[2] = { name = "second", partitions = { partition(0, 1) } } end,
  without_3 = function(p) p.brokers[3] = nil end,
  unclear = function(p) p.topics, p.unclear = {}, { first = { name = "LEADER_NOT_AVAILABLE" } } end,
  fresh = function(p) p.topics, p.brokers = {}, { p.brokers[1] } end,
  coordinator_2 = function(p) p.coordinators.g = 2 end,
}

-- Each step of a story: seconds, broker, view, then the lines that it tells. "forget" in the place of a broker: nobody answered.
local function run(story)
  local state = news.new()
  for i, step in ipairs(story) do
    local at, by, view = step[1], step[2], step[3]
    if by == "forget" then
      news.forget(state)
    else
      local p = first()
      views[view](p)
      p.answered_by = by
      local told, lines = news.step(state, p, at), {}
      for n, c in ipairs(told) do lines[n] = tostring(c) end
      assert.same({ table.unpack(step, 4) }, lines, ("step %d: %s by %d"):format(i, view, by))
    end
  end
  return state
end

local LED_BY_2, BACK = "first[0] leader 1 -> 2", "first[0] leader 2 -> 1"
local GONE, LEFT = "first deleted", "broker 3 at h:3 left"

local stories = {
  ["what the broker that answers has not said before is told at once"] = {
    { 0, 1, "first" }, { 1, 1, "led_by_2", LED_BY_2 }, { 2, 1, "led_by_2" }, { 3, 1, "no_leader", "first[0] leader 2 -> none" },
    { 4, 1, "first", "first[0] leader none -> 1" },
  },
  ["a change that goes back is told where the same broker says it"] = {
    { 0, 1, "first" }, { 1, 1, "led_by_2", LED_BY_2 }, { 2, 1, "first", BACK },
  },
  ["a broker that is behind takes nothing back"] = {
    { 0, 1, "first" }, { 1, 2, "first" }, { 2, 1, "led_by_2", LED_BY_2 }, { 3, 2, "first" }, { 4, 1, "led_by_2" },
    { 5, 2, "first" }, { 6, 2, "led_by_2" },
  },
  ["two that are behind take nothing back"] = {
    { 0, 1, "first" }, { 0.1, 2, "first" }, { 0.2, 3, "first" }, { 1, 1, "led_by_2", LED_BY_2 }, { 1.1, 2, "first" },
    { 1.2, 3, "first" }, { 1.3, 2, "led_by_2" }, { 1.4, 3, "led_by_2" },
  },
  ["a broker that was behind and goes on is believed when another says the same"] = {
    { 0, 1, "first" }, { 1, 2, "first" }, { 2, 1, "led_by_2", LED_BY_2 }, { 3, 2, "first" }, { 4, 2, "led_by_3" },
    { 4.1, 1, "led_by_3", "first[0] leader 2 -> 3" },
  },
  ["a broker that was behind and goes on is believed after 1 s"] = {
    { 0, 1, "first" }, { 1, 2, "first" }, { 2, 1, "led_by_2", LED_BY_2 }, { 3, 2, "first" }, { 4, 2, "led_by_3" },
    { 5, 2, "led_by_3", "first[0] leader 2 -> 3" },
  },
  ["a broker that comes after by way of what another has skipped takes nothing back"] = {
    { 0, 1, "first" }, { 1, 2, "first" }, { 2, 1, "led_by_3", "first[0] leader 1 -> 3" }, { 3, 2, "led_by_2" },
    { 3.1, 1, "led_by_3" }, { 3.2, 2, "led_by_2" }, { 4.5, 2, "led_by_2" }, { 5, 2, "led_by_3" },
  },
  ["what all that answer go on saying for 10 s is believed"] = {
    { 0, 1, "first" }, { 1, 2, "first" }, { 2, 1, "led_by_2", LED_BY_2 }, { 3, 2, "first" }, { 8, 2, "first" },
    { 13, 2, "first", BACK },
  },
  ["the first word of a broker is believed after 1 s in which nobody contradicts"] = {
    { 0, 1, "first" }, { 1, 2, "led_by_2" }, { 1.5, 2, "led_by_2" }, { 2, 2, "led_by_2", LED_BY_2 },
  },
  ["the first word of a broker is believed when one that is known comes to say the same"] = {
    { 0, 1, "first" }, { 1, 2, "led_by_2" }, { 1.1, 1, "led_by_2", LED_BY_2 },
  },
  ["the first word of a broker is an old view where another contradicts"] = {
    { 0, 1, "led_by_2" }, { 1, 2, "first" }, { 1.1, 1, "led_by_2" }, { 1.2, 2, "first" }, { 3, 2, "first" }, { 4, 2, "led_by_2" },
  },
  ["a deletion takes two brokers"] = {
    { 0, 1, "first" }, { 1, 2, "first" }, { 2, 1, "gone" }, { 2.1, 1, "gone" }, { 2.2, 2, "gone", GONE },
  },
  ["a deletion that one broker tells is believed after 1 s"] = {
    { 0, 1, "first" }, { 1, 1, "gone" }, { 1.9, 1, "gone" }, { 2, 1, "gone", GONE },
  },
  ["a broker that knows nothing yet deletes nothing"] = {
    { 0, 1, "first" }, { 0.5, 2, "first" }, { 1, 1, "fresh" }, { 1.1, 2, "first" }, { 1.2, 1, "fresh" }, { 1.9, 2, "first" },
    { 2.9, 1, "first" },
  },
  ["a topic that one broker has not heard of yet is created once"] = {
    { 0, 1, "first" }, { 1, 2, "first" }, { 2, 1, "second", "second created, 1 partitions" }, { 2.1, 2, "first" },
    { 2.2, 1, "second" }, { 2.3, 2, "first" }, { 4, 2, "first" }, { 5, 2, "second" },
  },
  ["a topic that one broker still knows is deleted once"] = {
    { 0, 1, "second" }, { 0.1, 2, "second" }, { 0.2, 3, "second" }, { 1, 1, "first" }, { 1.1, 2, "first", "second deleted" },
    { 1.2, 3, "second" }, { 1.3, 3, "second" }, { 4, 3, "second" }, { 4.1, 3, "first" },
  },
  ["partitions are added once"] = {
    { 0, 1, "first" }, { 1, 2, "first" }, { 2, 1, "grown", "first partitions 2 -> 3" }, { 3, 2, "first" }, { 4, 2, "first" },
    { 5, 2, "grown" },
  },
  ["fewer partitions are another topic, when two brokers say so"] = {
    { 0, 1, "first" }, { 1, 2, "first" }, { 2, 1, "another" },
    { 2.1, 2, "another", "first deleted and created again, 1 partitions" }, { 3, 1, "another" },
  },
  ["deleted and created again between two pictures of a broker is told where the deletion was believed"] = {
    { 0, 1, "first" }, { 1, 1, "gone" }, { 2, 1, "gone", GONE }, { 3, 1, "first", "first created, 2 partitions" },
  },
  ["a topic of which a broker can say nothing is as it was"] = {
    { 0, 1, "first" }, { 1, 1, "unclear" }, { 5, 1, "unclear" }, { 6, 1, "led_by_2", LED_BY_2 },
  },
  ["a broker that left is told when two say so"] = {
    { 0, 1, "first" }, { 1, 2, "first" }, { 2, 1, "without_3" }, { 2.1, 2, "without_3", LEFT },
    { 3, 1, "first", "broker 3 joined at h:3" },
  },
  ["a coordinator is told at once"] = { { 0, 1, "first" }, { 1, 1, "coordinator_2", "group g coordinator 1 -> 2" } },
  ["after silence every word is a first one"] = {
    { 0, 1, "first" }, { 1, "forget" }, { 9, 1, "led_by_2" }, { 10, 1, "led_by_2", LED_BY_2 },
  },
  ["a broker that is not named is never known"] = {
    { 0, -1, "first" }, { 1, -1, "first" }, { 2, -1, "led_by_2" }, { 3, -1, "led_by_2", LED_BY_2 },
  },
}

describe("news", function()
  for what, story in pairs(stories) do
    it(what, function() run(story) end)
  end

  it("of a topic that only has another id are told at once, and not taken back by a broker that is behind", function()
    local state = news.new()
    local function say(at, by, id)
      local p = first()
      p.answered_by, p.topics[1].id = by, id
      local told = news.step(state, p, at)
      return told[1] and tostring(told[1]), #told
    end
    assert.same({ nil, 0 }, { say(0, 1, "a") })
    assert.same({ nil, 0 }, { say(1, 2, "a") })
    assert.same({ "first deleted and created again, 2 partitions", 1 }, { say(2, 1, "b") })
    assert.same({ nil, 0 }, { say(3, 2, "a") })
    assert.same({ nil, 0 }, { say(4, 2, "b") })
  end)

  it("ask for another picture soon where something is in doubt, and not for ever", function()
    local state = news.new()
    local p, gone = first(), first()
    p.answered_by, gone.answered_by, gone.topics = 1, 2, {}
    news.step(state, p, 0)
    local soon = 0
    for i = 1, 100 do
      gone.answered_by = 100 + i -- every one says it for the first time, and the first one contradicts
      if select(2, news.step(state, gone, 1)) then soon = soon + 1 end
    end
    assert.is_true(soon > 0 and soon < 50, soon .. " times")
    assert.is_false(select(2, news.step(state, p, 1)))
  end)
end)

-- A cluster of three brokers that learn of changes late, within 0.8 s, asked at random: whatever it goes through, no change is
-- told twice or after a later one, and in the end the picture is theirs.
describe("random clusters", function()
  local function shuffled(list)
    for i = #list, 2, -1 do
      local j = math.random(i)
      list[i], list[j] = list[j], list[i]
    end
    return list
  end

  it("are followed without going back", function()
    local seed = os.time()
    math.randomseed(seed)
    for round = 1, 300 do
      local about = ("seed %d, round %d"):format(seed, round)
      local history, known, waits, state = { "first" }, { 1, 1, 1 }, { 0, 0, 0 }, news.new()
      local views_left = shuffled { "led_by_2", "led_by_3", "no_leader" } -- none comes twice: what goes back shows
      local told_at, at, leaders = 1, 0, {}
      local function seen_by(id)
        local p = first()
        views[history[known[id]]](p)
        p.answered_by = id
        return p
      end
      local function look(seconds)
        at = at + seconds
        for _, c in ipairs(news.step(state, seen_by(math.random(3)), at)) do
          assert.equal("leader", c.kind, about)
          leaders[#leaders + 1] = c.to or "none"
        end
      end
      for _ = 1, 100 do
        if math.random() < 0.1 and views_left[#history] then history[#history + 1] = views_left[#history] end
        for id = 1, 3 do
          waits[id] = waits[id] + 1
          if known[id] < #history and (math.random() < 0.5 or waits[id] >= 4) then known[id], waits[id] = known[id] + 1, 0 end
        end
        look(0.2)
      end
      for id = 1, 3 do known[id] = #history end
      for _ = 1, 20 do look(1) end
      local order = {}
      for i, view in ipairs(history) do order[({ first = 1, led_by_2 = 2, led_by_3 = 3, no_leader = "none" })[view]] = i end
      for _, leader in ipairs(leaders) do
        assert.is_true(order[leader] > told_at, about .. ": told twice or backwards")
        told_at = order[leader]
      end
      assert.equal(#history, told_at, about)
      assert.same({}, changes.between(state.picture, seen_by(1)), about)
    end
  end)
end)

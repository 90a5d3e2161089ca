-- Producing: accepted = delivered + failed + pending at every moment, and one report for each.

local support = require "spec.memory.oom.support"

local NOW = 1700000000000
local headers = { { "a", "1" }, { "b" }, { "c", "" } }
local values, keys, partitions, stamps = { "1", "2", nil, "4" }, { "k", nil, "k" }, { 0, 0, 0, 0 }, { NOW, nil, NOW }
local many_headers = { headers, nil, headers }

-- The core accepts nothing while something waits to be drained: it says false.
local function produce(o, topic, value, ticket, ...)
  while true do
    local ok, err = o.c:produce(topic, value, ticket, ...)
    if ok ~= false then return ok, err end
    support.drain(o)
  end
end

local function check(o)
  support.check(o)
  local accepted, delivered, failed = o.c:counts()
  assert(accepted == o.asked, "the core's count of what it accepted is right")
  assert(accepted == delivered + failed, "all that was accepted was reported")
end

local function case(name, run)
  return { name = name, open = function() return support.open "producer" end, run = run, check = check, close = support.close }
end

-- Counts the messages that records tell of.
local function told(o)
  local list = o.list
  o.tail = o.c:drain(list, o.tail, 1000) or o.tail
  for i = 1, o.tail, 2 do
    if math.type(list[i]) == "integer" then o.told = o.told + (list[i + 1].count or 1) end
    list[i], list[i + 1] = nil, nil
  end
  o.tail = 0
end

return {
  case("one message", function(o)
    support.ask(o, function(_, ticket) return produce(o, "sink", "v", ticket, "k", 0) end)
    support.answers(o)
  end),
  case("one message with all it can have", function(o)
    support.ask(o, function(_, ticket) return produce(o, "sink", "v", ticket, "k", 0, NOW, headers) end)
    support.answers(o)
  end),
  {
    name = "the first message of a topic",
    open = function()
      local o = support.open "producer"
      o.n = 0
      return o
    end,
    prepare = function(o)
      o.n = o.n + 1
      o.topic = "topic-" .. o.n
    end,
    run = function(o)
      support.ask(o, function(_, ticket) return produce(o, o.topic, "v", ticket) end)
      support.answers(o)
    end,
    check = check,
    close = support.close,
  },
  case("a message that is refused", function(o)
    local ok, err = produce(o, "sink", ("x"):rep(2000000), 0, nil, 0)
    assert(not ok and err.name == "MSG_SIZE_TOO_LARGE")
  end),
  case("messages that are purged", function(o)
    support.ask(o, function(_, ticket) return produce(o, "sink", "v", ticket, "k", 7, NOW, headers) end)
    o.c:purge()
    support.answers(o)
    assert(o.error)
  end),
  {
    name = "many",
    open = function()
      local o = support.open "producer"
      o.many = 0
      return o
    end,
    run = function(o)
      o.c:check_many("sink", values, keys, partitions, stamps, many_headers, 4)
      o.c:produce_many("sink", values, keys, partitions, stamps, many_headers, 0, 1, 4)
      o.c:produce_many("sink", values, keys, nil, nil, nil, 0, 1, 4)
      o.c:counts()
    end,
    check = function(o)
      while true do
        o.c:wait(10)
        support.drain(o)
        local accepted, delivered, failed = o.c:counts()
        if accepted == delivered + failed then
          assert(failed == 0)
          break
        end
      end
    end,
    close = support.close,
  },
  {
    name = "many, told of as a whole",
    open = function()
      local o = support.open "producer"
      o.told = 0
      return o
    end,
    run = function(o)
      o.c:produce_many("sink", values, keys, partitions, stamps, many_headers, 5, 1, 4, "count")
      o.c:produce_many("sink", values, keys, nil, nil, nil, 6, 1, 4, "count")
      told(o)
    end,
    check = function(o)
      repeat
        o.c:wait(10)
        told(o)
        local accepted, delivered, failed = o.c:counts()
      until accepted == delivered + failed
      assert(o.told == o.c:counts(), "each message is told of once")
    end,
    close = support.close,
  },
}

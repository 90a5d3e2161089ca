-- The contestant on handmade.c.

local handmade = require "handmade"
local contest = require "bench.contest"

local function producer(work, on_delivery)
  handmade.producer(work.settings, work.topic, on_delivery)
  handmade.produce(work.first)
  handmade.flush()
end

local function produce_all(value, n)
  local produce = handmade.produce
  for i = 1, n do produce(value(i)) end
end

local function counted()
  local delivered, failed = handmade.flush()
  return delivered - failed, 0
end

local function consumer(work, call)
  work.settings["group.id"] = "bench"
  handmade.consumer(work.settings)
  return { start = function() handmade.assign(work.topic) end, call = call }
end

contest.run(handmade.now, {
  produce_many = function(work)
    producer(work)
    return { call = handmade.produce_many, finish = counted }
  end,
  produce = function(work)
    producer(work)
    return { call = produce_all, finish = counted }
  end,
  on_delivery = function(work)
    producer(work, function(err, _, offset) contest.report(err, offset) end)
    return { call = produce_all, finish = function()
      handmade.flush()
      return contest.reports, contest.offsets
    end }
  end,
  tables = function(work) return consumer(work, handmade.tables) end,
  columns = function(work) return consumer(work, handmade.columns) end,
})

os.exit(true, false) -- the client is not closed: it has nothing left to do

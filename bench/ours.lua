-- The contestant on lua-kafka.

local kafka = require "kafka"
local contest = require "bench.contest"

local function producer(work, on_delivery)
  work.settings.on_delivery = on_delivery
  local p = assert(kafka.producer(work.settings))
  assert(p:produce(work.topic, work.first))
  assert(p:flush())
  return p
end

local function produce_all(p, topic)
  return function(value, n)
    for i = 1, n do
      local ok, err = p:produce(topic, value(i))
      if not ok then error(err) end
    end
  end
end

local function counted(p)
  return function()
    assert(p:flush(60))
    return p:counts().delivered, 0
  end
end

local function consumer(work, options)
  local k = assert(kafka.connect(work.settings))
  local part
  assert(k:topic(work.topic))
  return {
    start = function() part = assert(k:partition(work.topic, 0)) end,
    call = function() return assert(part:fetch(options)) end,
    close = function() k:close() end,
  }
end

-- A group's consumer, with its partition assigned by hand: joining would be measured else.
local function member(work, loop)
  work.settings["group.id"] = "bench"
  local c = assert(kafka.consumer(work.settings))
  local get
  return {
    start = function()
      assert(c:assign { { topic = work.topic, partition = 0, offset = 0 } })
      get = loop(c)
    end,
    call = function() return get() end,
    close = function() c:close() end,
  }
end

contest.run(kafka.now, {
  produce_many = function(work)
    local p, topic = producer(work), work.topic
    return { call = function(values) assert(p:produce_many(topic, values)) end, finish = counted(p),
      close = function() p:close() end }
  end,
  produce = function(work)
    local p = producer(work)
    return { call = produce_all(p, work.topic), finish = counted(p), close = function() p:close() end }
  end,
  on_delivery = function(work)
    local p = producer(work, function(report, err) contest.report(err, report.offset) end)
    return { call = produce_all(p, work.topic), finish = function()
      assert(p:flush(60))
      return contest.reports, contest.offsets
    end, close = function() p:close() end }
  end,
  tables = function(work) return consumer(work, nil) end,
  columns = function(work) return consumer(work, { columns = { "value", "offset" } }) end,
  messages = function(work) return member(work, function(c) return c:messages() end) end,
  batches = function(work)
    return member(work, function(c) return c:batches { max = 10000, columns = { "value", "offset" } } end)
  end,
})

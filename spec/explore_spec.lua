-- What a person asks at a prompt: the last messages, one message, the messages that fit.

local kafka = require "kafka"
local moment = require "kafka.moment"
local try = require "spec.support.try"

local mock, k

setup(function()
  mock = assert(kafka.mock { brokers = 2, topics = { first = 3, second = 2, empty = 2, few = 2, big = 1 } })
  k = assert(kafka.connect { brokers = mock.brokers })
  -- message i of 60 has time i, whatever partition it is in; of "few" partition 1 has the only one
  local values, partitions, timestamps, keys = {}, {}, {}, {}
  for i = 1, 60 do
    values[i], partitions[i], timestamps[i], keys[i] = "m" .. i, i % 3, 1700000000000 + i, "k" .. i % 2
  end
  try.produce_together(mock.brokers, "first", values, { partitions = partitions, timestamps = timestamps, keys = keys })
  try.fill(mock.brokers, "few", 1, { "only" })
end)
teardown(function()
  k:close()
  mock:close()
end)

local function values(list)
  local words = {}
  for i, m in ipairs(list) do words[i] = m.value end
  return table.concat(words, " ")
end

-- Whether all that was opened is closed: a partition that is open is on its handle.
local function nothing_open()
  for _, h in ipairs(k.handles) do assert.is_nil(next(h.taken)) end
  assert.equal(1, #k.handles)
end

-- Runs f() where half of the offsets hold no message, as those of transaction markers.
local function with_half(f)
  local genuine = k.partitions
  k.partitions = function(_, topic, options)
    local reader = assert(genuine(k, topic, options))
    return setmetatable({
      fetch = function(_, o)
        local batch = assert(reader:fetch(o))
        local half = { eof = batch.eof }
        for _, m in ipairs(batch) do
          if m.offset % 2 == 0 then half[#half + 1] = m end
        end
        return half
      end,
      position = function(_, number) return reader:position(number) end,
      pause = function(_, number) return reader:pause(number) end,
    }, { __close = function() reader:close() end })
  end
  local results = table.pack(pcall(f))
  k.partitions = nil
  return table.unpack(results, 2)
end

describe("tail", function()
  it("gives the last n messages over all partitions in the order of time", function()
    assert.equal("m56 m57 m58 m59 m60", values(assert(k:tail("first", 5))))
    assert.equal("m60", values(assert(k:tail("first", 1))))
    nothing_open()
  end)

  it("gives ten where no number is given, and all where there are fewer", function()
    assert.equal(10, #assert(k:tail "first"))
    assert.equal(60, #assert(k:tail("first", 1000)))
    assert.equal("only", values(assert(k:tail("few", 3))))
    assert.same({}, assert(k:tail "empty"))
  end)

  it("looks at the partitions that are given only", function()
    assert.equal("m57 m60", values(assert(k:tail("first", 2, { partitions = { 0 } }))))
    assert.equal("m57 m59 m60", values(assert(k:tail("first", 3, { partitions = { 2, 0 } }))))
    local err = try.failure("_UNKNOWN_PARTITION", k:tail("first", 2, { partitions = { 7 } }))
    assert.equal(7, err.partition)
  end)

  it("goes further back where offsets hold no message", function()
    local list, err = with_half(function() return k:tail("first", 4, { partitions = { 0 } }) end)
    assert(list, err)
    local offsets = {}
    for i, m in ipairs(list) do offsets[i] = m.offset end
    assert.same({ 12, 14, 16, 18 }, offsets)
    nothing_open()
  end)

  it("ends at its timeout", function()
    assert(mock:rtt(0.5))
    local seconds, list, err = try.time(k.tail, k, "first", 5, { timeout = 0.2 })
    assert(mock:rtt(0))
    try.failure("_TIMED_OUT", list, err)
    assert.is_true(seconds < 2, seconds)
    try.until_true(10, function() return k:tail("first", 1, { timeout = 1 }) end)
    nothing_open()
  end)

  it("refuses what is no number of messages, and partitions that are none", function()
    for _, bad in ipairs { 0, -1, 1.5, "3" } do try.misuse({ "tail", "n must be" }, function() k:tail("first", bad) end) end
    try.misuse({ "tail", "partitions" }, function() k:tail("first", 1, { partitions = { 0, 0 } }) end)
    try.misuse({ "tail", "partitions" }, function() k:tail("first", 1, { partitions = {} }) end)
    try.misuse({ "tail", "partition" }, function() k:tail("first", 1, { partition = 0 }) end)
  end)
end)

describe("message", function()
  it("gives the message at an offset", function()
    local m = assert(k:message("first", 0, 2))
    assert.same({ "first", 0, 2, "m9" }, { m.topic, m.partition, m.offset, m.value })
    nothing_open()
  end)

  it("says which offsets there are where it does not exist", function()
    local err = try.failure("OFFSET_OUT_OF_RANGE", k:message("first", 0, 20))
    assert.same({ 20, 0, 20 }, { err.offset, err.earliest, err.latest })
    assert.equal("message first[0]: offset 20 does not exist: the partition holds 0 to 19 (the next is 20)"
      .. " (OFFSET_OUT_OF_RANGE; it will not pass by itself)", tostring(err))
    err = try.failure("OFFSET_OUT_OF_RANGE", k:message("empty", 0, 0))
    assert.matches("the partition is empty, its next offset is 0", tostring(err))
    try.failure("_UNKNOWN_PARTITION", k:message("first", 9, 0))
  end)

  it("says that an offset holds none", function()
    local m, e = with_half(function() return k:message("first", 0, 5) end)
    local err = try.failure("OFFSET_OUT_OF_RANGE", m, e)
    assert.matches("offset 5 holds no message %(compacted away, aborted, or the end of a transaction%): ", tostring(err))
    assert.equal("m15", assert(with_half(function() return k:message("first", 0, 4) end)).value)
  end)

  it("does not disturb who reads the same partition", function()
    local part <close> = assert(k:partition("first", 0))
    assert.equal("m3", assert(part:fetch { max_messages = 1 })[1].value)
    assert.equal("m60", assert(k:message("first", 0, 19)).value)
    assert.equal("m6", assert(part:fetch { max_messages = 1 })[1].value)
  end)
end)

describe("find", function()
  local client
  before_each(function() client = assert(kafka.connect { brokers = mock.brokers }) end)
  after_each(function() client:close() end)

  it("gives the messages that fit, the first in time", function()
    local list = assert(client:find("first", { where = function(m) return m.value:find "7$" end }))
    assert.equal("m7 m17 m27 m37 m47 m57", values(list))
    assert.same({ 60, nil }, { list.scanned, list.stopped })
    list = assert(client:find("first", { where = function(m) return m.value:find "7$" end, max = 2 }))
    assert.equal("m7 m17", values(list))
    assert.equal("max", list.stopped)
  end)

  it("starts at an offset, or n before the end, of each partition", function()
    assert.equal("m58 m59 m60", values(assert(client:find("first", { from = 19 }))))
    assert.equal("m55 m56 m57 m58 m59 m60", values(assert(client:find("first", { from = -2 }))))
    assert.equal(60, #assert(client:find("first", { from = "earliest" })))
    assert.same({}, { table.unpack(assert(client:find("first", { from = 20 }))) })
  end)

  it("looks for a key, in some partitions", function()
    assert.equal("m3 m9", values(assert(client:find("first", { key = "k1", partitions = { 0 }, max = 2 }))))
  end)

  it("looks at what was there when it was asked, and no further", function()
    local p <close> = assert(kafka.producer { brokers = mock.brokers })
    try.fill(mock.brokers, "second", 0, 100)
    local seen = 0
    local list = assert(client:find("second", { where = function()
      seen = seen + 1
      if seen == 1 then assert(p:send("second", "later", { partition = 0 })) end
      return false
    end }))
    assert.same({ 100, 0 }, { seen, #list })
  end)

  it("raises what where raises, and closes what it opened", function()
    local ok, err = pcall(client.find, client, "first", { where = function() error("mine", 0) end })
    assert.same({ false, "mine" }, { ok, err })
    for _, h in ipairs(client.handles) do assert.is_nil(next(h.taken)) end
  end)

  it("returns what was found where the timeout was reached before", function()
    local big = {}
    for i = 1, 60 do big[i] = i .. ("x"):rep(40000) end
    local p <close> = assert(kafka.producer { brokers = mock.brokers })
    assert(p:produce_many("big", big))
    assert(p:flush())
    -- The first batch, of 1 MiB at most, takes longer to look at than there is time.
    local asked, n = kafka.now(), 0
    local list = assert(client:find("big", { timeout = 1, where = function()
      n = n + 1
      if n == 1 then try.until_true(5, function() return kafka.now() > asked + 1 end) end
      return n == 1
    end }))
    assert.equal(1, #list)
    assert.is_true(list.scanned == n and n < 60)
    assert.equal("timeout", list.stopped)
    assert.matches("the timeout was reached before the end$", tostring(list))
  end)

  it("refuses what is no place to start", function()
    for _, bad in ipairs { "latest", "1h", "-1w", "2026-13-01", "", 1.5, true, {} } do
      try.misuse({ "find", "from must be" }, function() client:find("first", { from = bad }) end)
    end
    try.misuse({ "find", "where" }, function() client:find("first", { where = "x" }) end)
    try.misuse({ "find", "max" }, function() client:find("first", { max = 0 }) end)
  end)

  it("prints its messages in lines, and how many it looked at", function()
    local text = tostring(assert(client:find("first", { from = -1, where = function(m) return m.value ~= "m59" end })))
    assert.equal("  time                      partition  offset  key  value\n"
      .. "  2023-11-14T22:13:20.058Z          1      19  k0   m58\n"
      .. "  2023-11-14T22:13:20.060Z          0      19  k0   m60\n"
      .. "2 of the 3 messages looked at", text)
    text = tostring(assert(client:find("first", { max = 1 })))
    assert.matches("there may be more: max was reached$", text)
  end)
end)

describe("partitions from rows", function()
  it("opens these partitions only, each at its place", function()
    local all <close> = assert(k:partitions("first", {
      offsets = { { partition = 2, offset = -1 }, { partition = 0, offset = 18 } } }))
    assert.same({ { topic = "first", partition = 0, offset = 18 }, { topic = "first", partition = 2, offset = 19 } },
      all:positions())
    local list = try.read_all(all)
    assert.equal(3, #list)
  end)

  it("takes up where positions were", function()
    local before
    do
      local all <close> = assert(k:partitions("first", { offset = 3 }))
      before = all:positions()
    end
    local all <close> = assert(k:partitions("first", { offsets = before }))
    assert.same(before, all:positions())
  end)

  it("refuses rows that say nothing", function()
    try.failure("_UNKNOWN_PARTITION", k:partitions("first", { offsets = { { partition = 7, offset = 0 } } }))
    for _, bad in ipairs { {}, { 1 }, { { partition = 0 } }, { { offset = 0 } }, { { partition = 0, offset = "committed" } },
      { { partition = 0, offset = 0 }, { partition = 0, offset = 1 } } } do
      try.misuse({ "partitions", "offsets" }, function() k:partitions("first", { offsets = bad }) end)
    end
  end)
end)

describe("a moment", function()
  it("is so long ago, or a date", function()
    for text, seconds in pairs { ["-90s"] = 90, ["-30m"] = 1800, ["-1h"] = 3600, ["-1.5h"] = 5400, ["-2d"] = 172800 } do
      local ms = moment.of(text)
      assert.equal("integer", math.type(ms))
      assert.is_true(math.abs(os.time() * 1000 - ms - seconds * 1000) <= 2000, text)
    end
    for _, long in ipairs { "-99999999999999999d", "-" .. ("9"):rep(400) .. "s" } do
      assert.is_true(math.tointeger(moment.of(long)) < 0)
    end
    for text, ms in pairs {
      ["1970-01-01"] = 0,
      ["2023-11-14T22:13:20Z"] = 1700000000000,
      ["2023-11-14 22:13:20.123"] = 1700000000123,
      ["2023-11-14T23:13:20.5+01:00"] = 1700000000500,
      ["2023-11-14T16:43-0530"] = 1700000000000 - 20000,
      ["2024-02-29"] = 1709164800000,
      ["2000-03-01T00:00Z"] = 951868800000,
    } do
      assert.equal(ms, moment.of(text), text)
    end
    for _, bad in ipairs { "2023-02-29", "2023-00-10", "2023-11-14T24:00", "2023-11-14T10", "1h", "-1", "- 1h", "now", "",
      "2023-11-14T10:00+24:00", "2023-11-14T10:00+00:60" } do
      assert.is_nil(moment.of(bad), bad)
    end
  end)
end)

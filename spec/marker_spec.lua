-- Offsets that hold no message, such as the markers of transactions: librdkafka passes them by itself, so that it may be ahead of
-- our position when a broker, rightly or not, says that an offset does not exist.

local kafka = require "kafka"
local marker = require "spec.support.marker"
local try = require "spec.support.try"

local quiet = function() end
local mock

-- Five messages, a marker, three messages. The fetch behind the marker is refused.
before_each(function()
  mock = assert(kafka.mock { topics = { first = 1 } })
  try.fill(mock.brokers, "first", 0, 5)
  marker(mock.brokers, "first", 0)
  try.fill(mock.brokers, "first", 0, { "6", "7", "8" })
  mock:fail("Fetch", "NO_ERROR", "NO_ERROR", "OFFSET_OUT_OF_RANGE")
end)
after_each(function() mock:close() end)

local ALL = { 0, 1, 2, 3, 4, 6, 7, 8 }

-- Adds the offsets of messages to a list.
local function note(list, messages)
  for _, m in ipairs(messages) do list[#list + 1] = m.offset end
end

describe("an offset behind a marker that is said not to exist", function()
  it("ends the reading of no partition", function()
    local k <close> = assert(kafka.connect { brokers = mock.brokers, on_error = quiet })
    local part <close> = assert(k:partition("first", 0))
    local seen = {}
    try.until_true(10, function()
      note(seen, assert(part:fetch { timeout = 0.3 }))
      return #seen >= #ALL
    end)
    assert.same(ALL, seen)
    assert.equal(9, part:position())
  end)

  it("ends the reading of no reader", function()
    local r <close> = assert(kafka.reader { brokers = mock.brokers, topic = "first", on_error = quiet,
      on_reset = function(row) error(row.reason) end })
    local seen = {}
    for m in r:messages { idle = 3 } do
      seen[#seen + 1] = m.offset
      if #seen == #ALL then break end
    end
    assert.same(ALL, seen)
  end)

  local function read_all(options, assigned)
    options.brokers, options.on_error, options.on_reset = mock.brokers, quiet, function(row) error(row.reason) end
    local c <close> = assert(kafka.consumer(options))
    if assigned then assert(c:assign(assigned)) end
    local seen = {}
    try.until_true(20, function()
      note(seen, { assert(c:poll(10)) })
      return #seen == #ALL
    end)
    assert.same(ALL, seen)
  end

  it("ends the reading of no consumer", function() read_all({ group = "alone" }, { { topic = "first", partition = 0 } }) end)

  it("ends the reading of no member whose protocol is eager", function()
    read_all { group = "eager", topics = "first", partition_assignment_strategy = "range" }
  end)

  it("is told of our own position where that does not exist either", function()
    mock:fail("Fetch", "OFFSET_OUT_OF_RANGE")
    local k <close> = assert(kafka.connect { brokers = mock.brokers, on_error = quiet })
    local part <close> = assert(k:partition("first", 0))
    local seen = {}
    k.watermarks = function() return 0, 3 end -- the end of a log that was cut
    local err
    try.until_true(10, function()
      local batch
      batch, err = part:fetch { timeout = 0.3 }
      note(seen, batch or {})
      return err
    end)
    assert.same({ "OFFSET_OUT_OF_RANGE", 5, 0, 3 }, { err.name, err.offset, err.earliest, err.latest })
    assert.same({ 0, 1, 2, 3, 4 }, seen)
  end)
end)

describe("the word that an offset does not exist", function()
  it("does no harm where it comes after a seek has left that offset", function()
    mock:fail "Fetch"
    -- Of a member with an eager protocol, whose queue stays over a seek.
    local c <close> = assert(kafka.consumer { brokers = mock.brokers, group = "late", topics = "first", fetch_wait_max_ms = 10,
      partition_assignment_strategy = "range", on_reset = function(row) error(row.reason) end })
    assert(c:poll(10))
    assert(c:seek("first", 0, 500))
    local later = kafka.now() + 0.5
    try.until_true(5, function() return kafka.now() > later end) -- so long nobody asks for messages, and the word comes
    assert(c:seek("first", 0, 3))
    local renewed, renew = 0, c.parts.renew
    c.parts.renew = function(...)
      renewed = renewed + 1
      return renew(...)
    end
    local seen = {}
    for m in c:messages { to_end = true } do seen[#seen + 1] = m.offset end
    assert.same({ 3, 4, 6, 7, 8 }, seen)
    assert.equal(1, renewed)
  end)
end)

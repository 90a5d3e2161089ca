-- Two coroutines on one client: what one does while the other waits. The loop given here is the smallest there is: it yields,
-- and the spec resumes whom it likes.

local kafka = require "kafka"
local try = require "spec.support.try"

local mock

before_each(function()
  mock = assert(kafka.mock { brokers = 1, topics = { first = 1 } })
  try.fill(mock.brokers, "first", 0, 10)
end)
after_each(function() mock:close() end)

local function loop() coroutine.yield() end

local function connect()
  return assert(kafka.connect { brokers = mock.brokers, loop = loop, on_error = function() end, on_log = function() end })
end

-- Resumes until the coroutine has ended; returns what it returned.
local function finish(co)
  local results
  try.until_true(15, function()
    results = table.pack(coroutine.resume(co))
    assert(results[1], results[2])
    return coroutine.status(co) == "dead"
  end)
  return table.unpack(results, 2, results.n)
end

local function start(f)
  local co = coroutine.create(f)
  assert(coroutine.resume(co))
  assert.equal("suspended", coroutine.status(co))
  return co
end

describe("while one coroutine fetches, another may", function()
  it("close the partition: the fetch ends with an error, not a misuse", function()
    local k <close> = connect()
    local part = assert(k:partition("first", 0, { offset = "latest" }))
    local co = start(function() return part:fetch { timeout = 10 } end)
    part:close()
    try.failure("_DESTROY", finish(co))
  end)

  it("close the client: a request that waits ends with an error, not a misuse", function()
    local k = connect()
    mock:rtt(0.5)
    local co = start(function() return k:brokers() end)
    assert(k:close())
    try.failure("_DESTROY", finish(co))
  end)

  it("close the client just before a request is sent: an error, not a misuse", function()
    local k = connect()
    local h = k.handles[1]
    function h.dispatch(self) -- what a handler does that is due now
      self.dispatch = nil
      k:close(0)
      return 0
    end
    local sent = false
    local answer, err = h:request({ op = "watermarks" }, 1, function() sent = true end)
    try.failure("_DESTROY", answer, err)
    assert.is_false(sent)
  end)

  it("seek away from an offset that turns out not to exist: the seek stands", function()
    local k <close> = connect()
    local part <close> = assert(k:partition("first", 0, { offset = 500 }))
    local co = start(function() return part:fetch { timeout = 5 } end)
    -- The other coroutine is in the look-up of the ends once the partition has stopped.
    try.until_true(10, function()
      assert(coroutine.resume(co))
      return coroutine.status(co) == "dead" or part.feed.parts[0].stopped
    end)
    assert.is_true(part:seek(3))
    local batch, err
    if coroutine.status(co) == "dead" then batch, err = part:fetch { timeout = 5 } else batch, err = finish(co) end
    assert.equal(3, assert(batch, err)[1].offset)
    assert.equal(10, part:position())
  end)

  it("take over a partition whose seek is under way and which is closed meanwhile", function()
    local k <close> = connect()
    local part = assert(k:partition("first", 0))
    mock:rtt(0.3)
    local co = start(function() return part:seek "latest" end)
    part:close()
    mock:rtt(0)
    local other <close> = assert(k:partition("first", 0))
    try.failure("_DESTROY", finish(co))
    assert.equal(10, #assert(other:fetch { timeout = 5 }))
  end)
end)

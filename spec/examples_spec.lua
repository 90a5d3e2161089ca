-- The examples run as programs and check themselves.

local function run(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read "a"
  local ok, _, code = pipe:close()
  return ok and 0 or code, text
end

describe("examples/north_face.lua", function()
  it("climbs the north face on the mock cluster, a leader moving on the way", function()
    local code, text = run "BROKERS= KAFKA= lua5.4 examples/north_face.lua"
    assert.equal(0, code, text)
    assert.matches("first%[0%] leader 1 %-> 2", text)
    assert.matches("read 4000 of 4000, 0 lost, 0 repeated", text)
  end)

  it("exits 1 with a sentence where there is no cluster", function()
    local code, text = run [[BROKERS=127.0.0.1:1 lua5.4 -e 'local k = require "kafka"
      local connect = k.connect
      k.connect = function(o) o.timeout = 0.3; return connect(o) end' examples/north_face.lua]]
    assert.equal(1, code, text)
    assert.matches("no broker of 127.0.0.1:1 answered: timed out after 0.3 s", text)
  end)
end)

describe("examples/look.lua", function()
  it("shows the last messages of a topic, and those with a word as JSON", function()
    local code, text = run "BROKERS= lua5.4 examples/look.lua"
    assert.equal(0, code, text)
    assert.matches(" +1 +9 +%- +message 19\n", text)
    assert.matches('\n{"topic":"first","partition":1,"offset":3,"timestamp":%d+,"key":null,"value":"message 7",', text)
    assert.matches("\n2 of 20 messages looked at\n", text)
  end)
end)

describe("examples/producer.lua", function()
  it("has every message delivered through a small queue, and one refused", function()
    local code, text = run "BROKERS= N=5000 lua5.4 examples/producer.lua"
    assert.equal(0, code, text)
    assert.matches("^delivered to first%[%d%] at offset 0\n", text)
    assert.matches("the message is larger than the limit", text)
    assert.matches("the batch: 5000 delivered, 0 failed\n", text)
    assert.matches("accepted 10001, delivered 10001, failed 0, pending 0; 0 to be sent again\n$", text)
  end)
end)

describe("examples/consumer.lua", function()
  it("handles every message with two members", function()
    local code, text = run "BROKERS= lua5.4 examples/consumer.lua"
    assert.equal(0, code, text)
    assert.matches("second gets 2 partitions", text)
    assert.matches("handled 2000 messages, %d+ of them again; behind by 0", text)
  end)
end)

describe("examples/copy.lua", function()
  it("copies a topic on a cluster of its own", function()
    local code, text = run "BROKERS= lua5.4 examples/copy.lua"
    assert.equal(0, code, text)
    assert.matches("copied 100 messages\n$", text)
  end)
end)

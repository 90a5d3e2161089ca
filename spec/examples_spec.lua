-- The examples run as programs and check themselves.

local kafka = require "kafka"
local child = require "spec.support.child"
local process = require "spec.support.process"
local try = require "spec.support.try"

local function run(command)
  local text, code = child.shell(command)
  return code, text
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

-- The lines of an example, all counted.
local function lines_of(path)
  local list = {}
  for line in io.lines(path) do list[#list + 1] = line end
  return list
end

-- Two partitions of ten messages.
local function cluster()
  local mock = assert(kafka.mock { topics = { first = 2 } })
  try.fill(mock.brokers, "first", 0, 10)
  try.fill(mock.brokers, "first", 1, 10)
  return mock
end

for path, most in pairs { ["examples/survive.lua"] = 80, ["examples/reader.lua"] = 15 } do
  local name = path:match "(%w+).lua$"

  describe(path, function()
    it(("has less than %d lines"):format(most), function()
      assert.is_true(#lines_of(path) < most, "it has " .. #lines_of(path))
    end)

    it("resumes where its group has committed, and goes on where that does not exist", function()
      local mock <close> = cluster()
      local k <close> = assert(kafka.connect { brokers = mock.brokers })
      local rows = { { topic = "first", partition = 0, offset = 4 }, { topic = "first", partition = 1, offset = 9999 } }
      assert(k:commit(name, rows))
      local command = ("BROKERS=%s GROUP=%s IDLE=2 lua5.4 %s"):format(mock.brokers, name, path)
      local code, text = run(command)
      assert.equal(0, code, text)
      assert.matches("9999", text)
      rows = assert(k:committed(name, { { topic = "first", partition = 0 }, { topic = "first", partition = 1 } }))
      assert.same({ 10, name .. ".lua", 10, name .. ".lua" },
        { rows[1].offset, rows[1].metadata, rows[2].offset, rows[2].metadata }, text)
      try.fill(mock.brokers, "first", 1, { "new" })
      code, text = run(command)
      assert.equal(0, code, text)
      assert.equal(11, assert(k:committed(name, { { topic = "first", partition = 1 } }))[1].offset)
    end)
  end)
end

describe("examples/survive.lua", function()
  it("is made of the primitives of kafka.connect", function()
    for _, line in ipairs(lines_of "examples/survive.lua") do
      if not line:find "^%-%-" then assert.is_nil(line:find("kafka.reader", 1, true), line) end
    end
  end)

  it("reads a topic on a cluster of its own, a leader moving on the way", function()
    local code, text = run "BROKERS= lua5.4 examples/survive.lua"
    assert.equal(0, code, text)
    assert.matches("first%[0%] leader 1 %-> 2\n", text)
    assert.matches("read 4000 messages, 4000 of them committed\n$", text)
  end)
end)

describe("examples/reader.lua", function()
  it("reads a topic on a cluster of its own", function()
    local code, text = run "BROKERS= lua5.4 examples/reader.lua"
    assert.equal(0, code, text)
    assert.matches("^first%[0%]@0 hello\n", text)
  end)
end)

describe("examples/atomic.lua", function()
  it("counts on a cluster of its own", function()
    local code, text = run "BROKERS= lua5.4 examples/atomic.lua"
    assert.equal(0, code, text)
    assert.equal("1000 messages, 10893 bytes\n", text)
  end)

  it("counts no message twice and leaves none out, wherever it dies", function()
    local mock <close> = cluster()
    local file = process.folder .. "/count.txt"
    os.remove(file)
    local command = ("BROKERS=%s FILE=%s MAX=3 IDLE=1 lua5.4 %%s examples/atomic.lua"):format(mock.brokers, file)
    -- Dies before its file takes the old one's place, and after that.
    for _, when in ipairs { "if n == 3 then os.exit(9) end", "if n == 2 then rename(a, b) os.exit(9) end" } do
      local code, text = run(command:format(("-e 'local rename, n = os.rename, 0 " ..
        "os.rename = function(a, b) n = n + 1 %s return rename(a, b) end'"):format(when)))
      assert.equal(9, code, text)
    end
    local code, text = run(command:format "")
    assert.equal(0, code, text)
    assert.equal("20 messages, 22 bytes\n", text)
    try.fill(mock.brokers, "first", 1, { "new" })
    code, text = run(command:format "")
    assert.equal(0, code, text)
    assert.equal("21 messages, 25 bytes\n", text)
  end)
end)

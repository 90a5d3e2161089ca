-- A message comes back as it was sent, byte for byte: nil is not "".

local core = require "kafka.core"
local kafka = require "kafka"
local try = require "spec.support.try"

local mock, producer, k

setup(function()
  mock = assert(kafka.mock { topics = { first = 1 } })
  producer = assert(kafka.producer { brokers = mock.brokers, linger_ms = 0 })
  k = assert(kafka.connect { brokers = mock.brokers, fetch_wait_max_ms = 10 })
end)
teardown(function()
  producer:close()
  k:close()
  mock:close()
end)

-- Sends one message and reads it back.
local function round_trip(value, options)
  local report = assert(producer:send("first", value, options))
  local part <close> = assert(k:partition("first", 0, { offset = report.offset }))
  return assert(part:fetch { max_messages = 1, timeout = 5 })[1]
end

local all_bytes = {}
for i = 0, 255 do all_bytes[i + 1] = string.char(i) end
all_bytes = table.concat(all_bytes)

describe("a message", function()
  it("keeps nil and the empty string apart, in value and key", function()
    local values, keys = { nil, nil, nil, "", "", "", "v", "v", "v" }, { nil, "", "k", nil, "", "k", nil, "", "k" }
    local first
    assert(producer:produce_many("first", values, { keys = keys, n = 9,
      on_delivery = function(report) first = first or report.offset end }))
    assert(producer:flush())
    local part <close> = assert(k:partition("first", 0, { offset = first }))
    local batch = try.read_all(part)
    assert.equal(9, #batch)
    for i = 1, 9 do assert.same({ values[i], keys[i], 0 }, { batch[i].value, batch[i].key, 0 }) end
    local m = round_trip(nil, { key = "" })
    assert.is_nil(m.value)
    assert.equal("", m.key)
  end)

  it("keeps every byte", function()
    local m = round_trip(all_bytes, { key = "\0" .. all_bytes, headers = { { "h", all_bytes } } })
    assert.equal(all_bytes, m.value)
    assert.equal("\0" .. all_bytes, m.key)
    assert.equal(all_bytes, m.headers[1][2])
  end)

  it("may be 900 kB", function()
    local value = all_bytes:rep(3600)
    assert.equal(921600, #value)
    assert.is_true(round_trip(value).value == value)
  end)

  it("keeps the order and the duplicates of headers, and tells nil from empty", function()
    local headers = { { "b", "2" }, { "a", "1" }, { "b", "" }, { "c" }, { "", "no name" }, { "b", "4" }, { "d", "\0" } }
    local m = round_trip("v", { headers = headers })
    assert.same(headers, m.headers)
    assert.equal("4", m:header "b")
    assert.equal("1", m:header "a")
    assert.is_nil(m:header "c")
    assert.is_nil(m:header "none")
  end)

  it("has no headers where none were sent", function()
    local m = round_trip("v", { headers = {} })
    assert.is_nil(m.headers)
    assert.is_nil(m:header "x")
  end)

  it("keeps the timestamp it was given", function()
    assert.equal(1700000000123, round_trip("v", { timestamp = 1700000000123 }).timestamp)
    assert.equal(100000000000, round_trip("v", { timestamp = 1e11 }).timestamp)
    assert.equal(1700000000123, round_trip("v", { timestamp = 1700000000123, headers = { { "h", "1" } } }).timestamp)
  end)

  it("has the time it was produced where none was given", function()
    local m = round_trip("v")
    assert.is_true(math.abs(m.timestamp / 1000 - os.time()) < 5)
    assert.is_nil(m.timestamp_type)
  end)

  it("has at most eight fields, and no others", function()
    local m = round_trip("v", { key = "k", headers = { { "h", "1" } } })
    local known = { topic = 1, partition = 1, offset = 1, key = 1, value = 1, headers = 1, timestamp = 1, leader_epoch = 1 }
    for field in next, m do assert.truthy(known[field], field) end
    assert.same({ "first", 0 }, { m.topic, m.partition })
  end)

  it("may come as columns, headers and timestamps among them", function()
    local report = assert(producer:send("first", "v", { headers = { { "h", nil } }, timestamp = 1700000000123 }))
    local part <close> = assert(k:partition("first", 0, { offset = report.offset }))
    local b = assert(part:fetch { columns = { "headers", "timestamp", "offset" }, timeout = 5 })
    assert.same({ { { "h" } } }, b.headers)
    assert.same({ { 1700000000123 }, { report.offset } }, { b.timestamp, b.offset })
  end)

  it("prints itself in one short line, whatever it holds", function()
    assert.truthy(tostring(round_trip("hello", { key = "k" })):find "^first%[0%]@%d+ k = hello$")
    assert.truthy(tostring(round_trip(nil)):find "^first%[0%]@%d+ nil$")
    local text = tostring(round_trip(all_bytes:rep(100), { key = all_bytes }))
    assert.is_nil(text:find "[%c\128-\255]")
    assert.truthy(text:find("(25600 bytes)", 1, true))
    assert.is_true(#text < 700)
  end)
end)

describe("a message's headers", function()
  it("are shown behind its value", function()
    local m = { topic = "first", partition = 0, offset = 7, value = "v", headers = { { "a", "1" }, { "b" }, { "c", "\0" } } }
    assert.equal("first[0]@7 v (a: 1, b: nil, c: \\000)", tostring(setmetatable(m, core.message)))
  end)
end)

describe("m:json()", function()
  local dkjson = require "dkjson"

  local message = core.message
  local function json(fields)
    fields.topic, fields.partition, fields.offset = "first", 0, 7
    return setmetatable(fields, message):json()
  end

  it("is one line with the fields in this order, nil null", function()
    assert.equal('{"topic":"first","partition":0,"offset":7,"timestamp":null,"key":null,"value":null,"headers":null}', json {})
    assert.equal('{"topic":"first","partition":0,"offset":7,"timestamp":1700000000123,"key":"k","value":"","headers":[["a","1"],'
      .. '["a",null],["",""]]}', json { timestamp = 1700000000123, key = "k", value = "",
        headers = { { "a", "1" }, { "a" }, { "", "" } } })
  end)

  it("keeps a value that is JSON a string, and slashes as they are", function()
    assert.matches('"value":"{\\"a\\":\\"/\\"}"', json { value = '{"a":"/"}' })
  end)

  it("gives every text back", function()
    local all = {}
    for i = 0, 127 do all[#all + 1] = string.char(i) end
    for _, text in ipairs { table.concat(all), "Grüße, 世界 \u{10FFFF} \u{2028}", '"\\' } do
      local line = json { key = text, value = text }
      assert.is_nil(line:find "%c")
      assert.same({ text, text }, { dkjson.decode(line).key, dkjson.decode(line).value })
    end
  end)

  it("gives bytes that are no text in base64", function()
    local function value_of(bytes) return json({ value = bytes }):match '"value":(.-),"headers"' end
    for bytes, expected in pairs { ["\255"] = "/w==", ["\255\0"] = "/wA=", ["\255\0\1"] = "/wAB",
      ["\xff\xfe\xfd\xfc"] = "//79/A==",
      ["\xed\xa0\x80"] = "7aCA", ["\xc0\x80\n\n"] = "wIAKCg==" } do
      assert.equal(('{"base64":"%s"}'):format(expected), value_of(bytes))
    end
    assert.matches('"headers":%[%["a",{"base64":"/w=="}%]%]', json { headers = { { "a", "\255" } } })
  end)

  it("is of messages only", function()
    local m = setmetatable({ topic = "first", partition = 0, offset = 7 }, message)
    try.misuse({ "json", "kafka.message" }, function() m.json {} end)
  end)
end)

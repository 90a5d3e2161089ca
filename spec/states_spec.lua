-- Lua states that come and go, and objects that are collected in any order.

local kafka = require "kafka"
local child = require "spec.support.child"
local process = require "spec.support.process"
local try = require "spec.support.try"

local mock

setup(function() mock = assert(kafka.mock { topics = { first = 1 } }) end)
teardown(function() mock:close() end)

describe("a program that opens and closes Lua states", function()
  local STATES, WARM = try.many(200), try.many(100)
  local MORE = 4096 -- kilobytes that the second half may add; 100 states that each kept 100 KB would add 10000

  it(("holds no more after %d of them than after %d, though each left everything open"):format(STATES, WARM), function()
    local program = process.folder .. "/states"
    child.works("gcc -std=gnu11 -O1 -Wall -o " .. program ..
      " spec/memory/states.c $(pkg-config --cflags --libs lua5.4 2>/dev/null || echo -I/usr/include/lua5.4 -llua5.4)")
    local out = process.folder .. "/states.out"
    child.works(("%s spec/memory/state.lua %s %d %d 2>%s.err >%s || tail -n 5 %s.err"):format(program, mock.brokers,
      STATES, WARM, out, out, out), 300)
    local lines = {}
    for line in io.lines(out) do
      local threads, descriptors, resident = line:match "(%d+) (%d+) (%d+)"
      lines[#lines + 1] = { math.tointeger(threads), math.tointeger(descriptors), math.tointeger(resident) }
    end
    local before, after = lines[1], lines[2]
    assert.is_truthy(after, "the program did not come to its end")
    local own = os.getenv "WATCH" == "tsan" and 2 or 1 -- the sanitizer has a thread too
    assert.same({ own, before[2] }, { after[1], after[2] })
    -- A sanitizer keeps freed memory for a while.
    if (os.getenv "WATCH" or "") == "" then
      assert.is_true(after[3] - before[3] < MORE, ("from %d KB to %d KB"):format(before[3], after[3]))
    end
  end)
end)

-- One of everything, in use: messages in flight, a request under way.
local everything = [[
  local kafka = require "kafka"
  local function quiet() end
  function everything()
    local all = {}
    all.mock = assert(kafka.mock { topics = { first = 1 } })
    all.producer = assert(kafka.producer { brokers = all.mock.brokers, linger_ms = 1000, on_log = quiet, on_error = quiet })
    all.client = assert(kafka.connect { brokers = all.mock.brokers, on_log = quiet, on_error = quiet })
    all.partition = assert(all.client:partition("first", 0))
    for i = 1, 10 do assert(all.producer:produce("first", "v", { on_delivery = quiet })) end
    assert(all.client.handles[1].core:metadata(true, 5000, 1000000))
    return all
  end
]]
local kinds = { "mock", "producer", "client", "partition" }

local function orders(list)
  if #list == 0 then return { {} } end
  local all = {}
  for i, first in ipairs(list) do
    local rest = table.move(list, 1, #list, 1, {})
    table.remove(rest, i)
    for _, order in ipairs(orders(rest)) do all[#all + 1] = { first, table.unpack(order) } end
  end
  return all
end

describe("objects in use", function()
  it("may be collected in every order", function()
    local list = {}
    for _, order in ipairs(orders(kinds)) do list[#list + 1] = table.concat(order, " ") end
    assert.equal(24, #list)
    local r = child.run(everything .. [[
      for order in ([=[]] .. table.concat(list, "\n") .. [[]=]):gmatch "[^\n]+" do
        local all = everything()
        for kind in order:gmatch "%S+" do
          all[kind] = nil
          collectgarbage()
          collectgarbage()
        end
      end
    ]], { timeout = 120 })
    assert.equal(0, r.code, r.err)
  end)

  for _, how in ipairs { "os.exit(0, true)", "" } do
    for i, first in ipairs(kinds) do
      it(("may be left to %s once the %s was collected"):format(how == "" and "the end of the program" or how, first), function()
        local second = kinds[i % #kinds + 1]
        local seconds, r = try.time(child.run, everything .. ([[
          all = everything()
          all.%s = nil
          collectgarbage()
          all.%s = nil
          collectgarbage()
          %s
        ]]):format(first, second, how))
        assert.equal(0, r.code, r.err)
        assert.is_true(seconds < 8, "took " .. seconds)
      end)
    end
  end
end)

-- What a program loads: only what it uses, since Lua's collector goes through all of it in every cycle.

local child = require "spec.support.child"
local kafka = require "kafka"

-- Its log may say that there is no such broker.
local function said(program)
  local ran = child.run(program)
  assert.equal(0, ran.code, ran.err)
  return ran.out
end

-- The modules that the program's end finds loaded, of these.
local function loaded(program, names)
  return said(([[
    local kafka = require "kafka"
    %s
    for name in ("%s"):gmatch "%%S+" do
      if package.loaded[name] then print(name) end
    end]]):format(program, names))
end

describe("loading", function()
  it("leaves out what was not asked for", function()
    local all = "kafka.producer kafka.consumer kafka.client kafka.mock kafka.localcluster"
    assert.equal("", loaded("", all))
    assert.equal("kafka.producer\n", loaded('kafka.producer { brokers = "h:1", on_error = function() end }:close(0)', all))
  end)

  it("reads JSON's library for statistics only", function()
    local open = 'local p <close> = kafka.producer { brokers = "h:1", on_error = function() end, %s }'
    assert.equal("", loaded(open:format "", "cjson dkjson"))
    assert.not_equal("", loaded(open:format "on_stats = print", "cjson dkjson"))
  end)

  it("shows every public name before it is used", function()
    local names = {}
    for name in pairs(kafka) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "connect", "consumer", "default", "errors", "librdkafka", "localcluster", "log", "mock", "now", "producer",
      "reader", "version" }, names)
  end)

  it("keeps no settings of librdkafka when a client is open", function()
    assert.equal("true", said [[
      local kafka, config = require "kafka", require "kafka.config"
      local p <close> = kafka.producer { brokers = "h:1", on_error = function() end }
      local seen = setmetatable({ config.settings() }, { __mode = "v" })
      collectgarbage() collectgarbage()
      io.write(tostring(seen[1] == nil))]])
  end)

  it("finds every administrative method in its file", function()
    local there, here = {}, {}
    for name in pairs(require "kafka.admin") do there[#there + 1] = name end
    for _, file in ipairs { "acls", "cluster", "configs", "groups", "offsets", "topics", "users" } do
      local module = require("kafka.admin." .. file)
      for name in pairs(module.methods or module) do here[#here + 1] = name end
    end
    table.sort(there)
    table.sort(here)
    assert.same(here, there)
  end)
end)

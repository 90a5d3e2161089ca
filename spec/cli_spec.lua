local main = require "kafka.cli.main"

-- A file for the command to write to, which keeps what was written.
local function sink()
  return {
    text = "",
    write = function(self, ...)
      self.text = self.text .. table.concat({ ... })
      return self
    end,
  }
end

-- The command in this process: exit code, standard output, standard error.
local function lkafka(...)
  local out, err = sink(), sink()
  return main.run({ ... }, out, err), out.text, err.text
end

describe("lkafka", function()
  local path, cpath

  before_each(function() path, cpath = package.path, package.cpath end)
  after_each(function() package.path, package.cpath = path, cpath end)

  it("tells the versions", function()
    local kafka = require "kafka"
    for _, word in ipairs { "version", "--version", "-V" } do
      local code, out = lkafka(word)
      assert.equal(0, code)
      assert.truthy(out:find("lua-kafka   " .. kafka.version, 1, true))
      assert.truthy(out:find("librdkafka  " .. kafka.librdkafka, 1, true))
      assert.truthy(out:find(_VERSION:gsub(" ", "         "), 1, true))
    end
  end)

  it("lists its commands", function()
    for _, word in ipairs { "help", "--help", "-h" } do
      local code, out, err = lkafka(word)
      assert.equal(0, code)
      assert.equal("", err)
      for _, name in ipairs { "demo", "help", "version" } do assert.truthy(out:find("\n  " .. name .. " ")) end
    end
  end)

  it("answers no command with the list and exit code 2", function()
    local code, out, err = lkafka()
    assert.equal(2, code)
    assert.equal("", out)
    assert.truthy(err:find "Commands:")
  end)

  it("answers an unknown command with exit code 2", function()
    for _, words in ipairs { { "prodcue" }, { "help", "prodcue" } } do
      local code, _, err = lkafka(table.unpack(words))
      assert.equal(2, code)
      assert.truthy(err:find("no command 'prodcue'", 1, true))
    end
  end)

  it("answers wrong arguments with exit code 2", function()
    local code, _, err = lkafka("version", "now")
    assert.equal(2, code)
    assert.truthy(err:find("takes no arguments, got 'now'", 1, true))

    code, _, err = lkafka("demo", "--frobnicate")
    assert.equal(2, code)
    assert.truthy(err:find("Usage: lkafka demo", 1, true))
    assert.truthy(err:find("unknown option '--frobnicate'", 1, true))
  end)

  it("shows the help of one command", function()
    for _, words in ipairs { { "help", "demo" }, { "demo", "--help" }, { "demo", "-h" } } do
      local code, out = lkafka(table.unpack(words))
      assert.equal(0, code)
      assert.truthy(out:find("Usage: lkafka demo", 1, true))
    end
  end)

  it("refuses an example that is not there with exit code 1", function()
    local code, _, err = lkafka("demo", "no_such_example")
    assert.equal(1, code)
    assert.truthy(err:find("no example 'no_such_example'", 1, true))
    assert.equal(1, (lkafka("demo", "../../etc/passwd")))
  end)

  it("runs an example, installed or in a clone", function()
    local ran
    package.loaded["kafka.cli.demo"] = nil
    finally(function() package.loaded["kafka.cli.demo"] = nil end)
    stub(_G, "loadfile", function(name)
      ran = name
      return function() end
    end)
    finally(function() loadfile:revert() end) -- luacheck: ignore 143
    assert.equal(0, (lkafka("demo")))
    assert.truthy(ran:find "/examples/north_face%.lua$")
  end)

  it("says in one sentence that argparse is missing", function()
    local loaded, preload = package.loaded.argparse, package.preload.argparse
    finally(function() package.loaded.argparse, package.preload.argparse = loaded, preload end)
    package.loaded.argparse = nil
    package.preload.argparse = function() error "not here" end
    local code, _, err = lkafka("demo", "north_face")
    assert.equal(1, code)
    assert.equal("lkafka demo needs the Lua library argparse (Debian: lua-argparse; LuaRocks: argparse)\n", err)
    assert.equal(0, (lkafka("version")))
    assert.equal(0, (lkafka("help")))
  end)

  it("gives a raised error in one line and exit code 1", function()
    local object = setmetatable({}, { __tostring = function() return "the broker is gone" end })
    package.preload["kafka.cli.version"] = function() return { run = function() error(object) end } end
    package.loaded["kafka.cli.version"] = nil
    finally(function() package.preload["kafka.cli.version"], package.loaded["kafka.cli.version"] = nil, nil end)
    local code, _, err = lkafka("version")
    assert.equal(1, code)
    assert.equal("lkafka version: the broker is gone\n", err)
  end)

  it("loads nothing from the current folder", function()
    package.path, package.cpath = "./?.lua;lua/?.lua;" .. path, "./?.so;" .. cpath
    lkafka("help")
    for entry in (package.path .. ";" .. package.cpath):gmatch("[^;]+") do assert.equal("/", entry:sub(1, 1)) end
  end)
end)

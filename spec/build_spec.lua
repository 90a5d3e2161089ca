-- What the makefile and the rockspec promise, tried in folders of their own.

local child = require "spec.support.child"

local function shell(command)
  -- Without what the surrounding make has set: its variables, and the sanitizers' libraries.
  local names = "MAKEFLAGS MAKELEVEL MFLAGS B SAN CFLAGS LDFLAGS HARDEN RUNNER SETUP LUA_PATH LUA_CPATH LD_PRELOAD"
  local text, code = child.shell("unset " .. names .. "; " .. command)
  return code, text
end

local function works(command)
  local code, text = shell(command)
  assert(code == 0, command .. "\n" .. text)
  return text
end

describe("the build", function()
  local dir

  setup(function() dir = works "mktemp -d":gsub("\n", "") end)
  teardown(function() works("rm -rf " .. dir) end)

  it("installs the modules, the examples and lkafka", function()
    works("make install PREFIX=" .. dir .. "/prefix")
    local version = works("cd / && " .. dir .. "/prefix/bin/lkafka version")
    assert.truthy(version:find "librdkafka  %d")
    works("test -f " .. dir .. "/prefix/share/lua/5.4/kafka/examples/north_face.lua")
  end)

  it("installs where Lua looks by itself without writing the place into lkafka", function()
    works("make install DESTDIR=" .. dir .. "/stage PREFIX=/usr")
    assert.equal("#!/usr/bin/env lua5.4\n", works("head -n 1 " .. dir .. "/stage/usr/bin/lkafka"))
    assert.equal(works "wc -l <bin/lkafka", works("wc -l <" .. dir .. "/stage/usr/bin/lkafka"))
  end)

  it("exports one symbol, and stays loaded when a Lua state closes", function()
    local module = dir .. "/prefix/lib/lua/5.4/kafka/core.so"
    assert.truthy(works("nm -D --defined-only " .. module):find "^%x+ T luaopen_kafka_core\n$")
    assert.truthy(works("readelf -d " .. module):find "NODELETE")
  end)

  it("is a rock that LuaRocks builds from a clone without a network", function()
    local rocks = "luarocks --lua-version=5.4 "
    works(rocks .. "--tree=" .. dir .. "/tree make")
    assert.truthy(works("cd / && " .. dir .. "/tree/bin/lkafka version"):find "librdkafka  %d")
    works(("cd / && eval \"$(%s --tree=%s/tree path)\" && lua5.4 -e 'require \"kafka\"'"):format(rocks, dir))
  end)

  it("names the package of a header that is missing", function()
    -- a compiler that finds all headers but one
    local compiler = dir .. "/cc"
    local packages = { ["stdlib.h"] = "libc6-dev", ["lua.h"] = "liblua5.4-dev", ["rdkafka.h"] = "librdkafka-dev" }
    for header, package in pairs(packages) do
      works(("printf '#!/bin/sh\\n! grep -q %s' >%s; chmod +x %s"):format(header, compiler, compiler))
      local code, text = shell("make B=" .. dir .. "/none CC=" .. compiler)
      assert.equal(2, code)
      assert.truthy(text:find("package: " .. package .. "\n", 1, true))
    end
    local _, text = shell("make B=" .. dir .. "/none CC=no-such-compiler")
    assert.truthy(text:find("package: gcc\n", 1, true))
  end)

  it("refuses a version of Kafka that it cannot start, before anything is installed for it", function()
    for _, target in ipairs { "demo", "chaos", "bench" } do
      local code, text = shell("make " .. target .. " KAFKA=9.9")
      assert.equal(2, code)
      assert.matches("KAFKA must be one of 4%.3%.1 3%.9%.2 0%.8%.2%.1, got 9%.9", text)
      assert.falsy(text:find("Java", 1, true))
    end
  end)

  it("says which packages are needed where there is no apt", function()
    works("mkdir " .. dir .. "/bin")
    works("for p in sh awk grep tr cat id; do ln -s $(command -v $p) " .. dir .. "/bin; done")
    local code, text = shell("PATH=" .. dir .. "/bin tools/setup demo build real")
    assert.equal(1, code)
    for _, package in ipairs { "lua5.4", "librdkafka-dev", "maven" } do
      assert.truthy(text:find("\n  " .. package .. " ", 1, true))
    end
    assert.truthy(text:find("no apt", 1, true))
  end)
end)

describe("the summary of a run of the specs", function()
  local dir

  setup(function() dir = works "mktemp -d":gsub("\n", "") end)
  teardown(function() works("rm -rf " .. dir) end)

  -- The last line, and the exit code, of a run of one spec file with this text.
  local function run(text)
    local f <close> = assert(io.open(dir .. "/try_spec.lua", "w"))
    f:write(text)
    f:close()
    local code, output = shell("tools/specs -- " .. dir .. "/try_spec.lua")
    return output:match "([^\n]*)\n$", code, output
  end

  it("counts", function()
    local line, code = run [[it("a", function() end) it("b", function() end) ]]
    assert.equal("2 passed, 0 failed", line)
    assert.equal(0, code)
  end)

  it("names what was skipped", function()
    local line, code = run [[it("a", function() end) pending("b") it("c", function() pending("later") end)]]
    assert.equal("1 passed, 0 failed, 2 skipped", line)
    assert.equal(0, code)
  end)

  it("fails with failures and errors, both counted as failed", function()
    local line, code = run [[it("a", function() error("x") end) it("b", function() assert.equal(1, 2) end)]]
    assert.equal("0 passed, 2 failed", line)
    assert.equal(1, code)
    line, code = run "this is not Lua"
    assert.equal("0 passed, 1 failed", line)
    assert.equal(1, code)
  end)

  it("fails where there was nothing to run", function()
    local line, code = run ""
    assert.equal("0 passed, 0 failed", line)
    assert.equal(1, code)
    line, code = run [[pending("all of it")]]
    assert.equal("0 passed, 0 failed, 1 skipped", line)
    assert.equal(1, code)
  end)

  it("fails where the run died, and says in which spec", function()
    local line, code, output = run [[it("a", function() end) describe("b", function() it("dies", function()
      os.execute("kill -9 $PPID") end) end)]]
    assert.equal("1 passed, 1 failed", line)
    assert.equal(1, code)
    assert.truthy(output:find("in the middle of: b dies", 1, true))
    line = run [[it("a", function() end) os.exit(0)]]
    assert.equal("0 passed, 1 failed", line)
  end)
end)

-- The benchmark itself, small: that every contestant does every row, and that a wrong one is found out.

local child = require "spec.support.child"

local function bench(arguments)
  local names = "MAKEFLAGS MAKELEVEL MFLAGS B SAN CFLAGS LDFLAGS HARDEN SETUP LUA_PATH LUA_CPATH LD_PRELOAD"
  local text, code = child.shell("unset " .. names .. "; make -s bench SETUP=no ROUNDS=1 MESSAGES=3000 " .. arguments, 300)
  return code == 0, text
end

describe("make bench", function()
  it("ends with a table of all rows and contestants", function()
    local ok, text = bench "PYTHON=no-such-python"
    assert(ok, text)
    for _, title in ipairs { "produce_many", "produce one by one, reports counted", "produce one by one, a function per report",
      "fetch as message tables", "fetch as columns" } do
      local from = text:find("\n" .. title .. "  +C  +%d")
      assert(from, text)
      assert(text:find("^  +hand%-made[ %d.-]+\n  +lua%-kafka[ %d.]+\n", text:find("\n", from + 1) + 1), text)
    end
  end)

  it("stops where a contestant did not move what it should", function()
    local python = os.tmpname()
    local f <close> = assert(io.open(python, "w"))
    f:write "#!/bin/sh\ncase $1 in -c) echo 1 2 ;; *) echo 2999 0 1.0 1.0 ;; esac\n"
    f:close()
    assert(os.execute("chmod +x " .. python))
    local ok, text = bench("ROWS=produce PYTHON=" .. python)
    os.remove(python)
    assert.falsy(ok)
    assert(text:find("confluent-kafka-python moved 2999 messages (sum 0) of 3000 (sum 0) at produce", 1, true), text)
  end)
end)

-- What the fuzz targets have found stays found: their kept inputs run through the same checks, built with gcc and its
-- sanitizers, without libFuzzer.

local child = require "spec.support.child"

local targets = { "settings", "headers", "options", "calls", "messages" }
local unset = "env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u B -u SAN -u CFLAGS -u LDFLAGS -u HARDEN -u LD_PRELOAD "
  .. "-u ASAN_OPTIONS -u LSAN_OPTIONS -u UBSAN_OPTIONS "

describe("the kept inputs of the fuzz target", function()
  local folder = "build/5.4-replay"

  setup(function()
    child.works(unset .. "make -j2 fuzz-replay B=" .. folder, 300)
  end)

  for _, target in ipairs(targets) do
    it(target .. " are handled rightly", function()
      local text, code = child.shell(("%s %s/fuzz/%s fuzz/corpus/%s"):format(unset, folder, target, target))
      assert.equal(0, code, text:sub(-4000))
      assert.is_true(tonumber(text:match "(%d+) inputs\n$") > 20, text)
    end)
  end
end)

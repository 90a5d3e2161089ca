-- What the fuzz targets have found stays found: their kept inputs run through the same checks, built with gcc and its
-- sanitizers, without libFuzzer.

local targets = { "settings", "headers", "options", "calls", "messages" }
local unset = "env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u B -u SAN -u CFLAGS -u LDFLAGS -u HARDEN -u LD_PRELOAD "
  .. "-u ASAN_OPTIONS -u LSAN_OPTIONS -u UBSAN_OPTIONS "

local function shell(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read "a"
  return pipe:close() and true or false, text
end

describe("the kept inputs of the fuzz target", function()
  local folder = "build/5.4-replay"

  setup(function()
    local ok, text = shell(unset .. "make -j2 fuzz-replay B=" .. folder)
    assert(ok, text)
  end)

  for _, target in ipairs(targets) do
    it(target .. " are handled rightly", function()
      local ok, text = shell(("%s timeout 100 %s/fuzz/%s fuzz/corpus/%s"):format(unset, folder, target, target))
      assert.is_true(ok, text:sub(-4000))
      assert.is_true(tonumber(text:match "(%d+) inputs\n$") > 20, text)
    end)
  end
end)

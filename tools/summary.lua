-- An output handler for busted: its own terminal output, with the name and the time of each spec file; and the counts,
-- kept up to date in the file named by SPEC_COUNTS, so that a run which dies in the middle still has some.
-- tools/specs reads them.

local function now()
  return require("system").gettime()
end

return function(options)
  local busted = require "busted"
  local on_terminal = io.type(io.stdout) == "file" and require("term").isatty(io.stdout)
  local handler = require("busted.outputHandlers." .. (on_terminal and "utfTerminal" or "plainTerminal"))(options)
  local counts_file = os.getenv "SPEC_COUNTS"
  local started

  local function keep(running)
    if not counts_file then return end
    local f = assert(io.open(counts_file, "w"))
    f:write(handler.successesCount, " ", handler.failuresCount + handler.errorsCount, " ", handler.pendingsCount, "\n",
      running or "", "\n")
    f:close()
  end

  busted.subscribe({ "file", "start" }, function(file)
    started = now()
    io.write(file.name, " ")
    io.flush()
    return nil, true
  end)

  busted.subscribe({ "file", "end" }, function()
    io.write((" %.1f s\n"):format(now() - started))
    io.flush()
    return nil, true
  end)

  busted.subscribe({ "test", "start" }, function(test)
    keep(handler.getFullName(test))
    return nil, true
  end)

  busted.subscribe({ "suite", "end" }, function()
    keep()
    return nil, true
  end, { priority = 2 })

  return handler
end

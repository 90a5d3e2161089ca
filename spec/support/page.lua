-- Snippets of the documents: read from a page and run, or typed into a prompt.

local process = require "spec.support.process"

local page = {}

function page.read(path)
  local f <close> = assert(io.open(path))
  return f:read "a"
end

---The programs of a page, in order.
function page.programs(text)
  local blocks = {}
  for block in text:gmatch "```lua\n(.-)```" do blocks[#blocks + 1] = block end
  return blocks
end

---Runs a program with these brokers in the place of localhost:9092.
---@param names table<string, any>|nil globals for it
---@return string[] the lines that it printed
function page.run(text, brokers, names)
  local out = {}
  local env = setmetatable({
    print = function(...)
      local words = table.pack(...)
      for i = 1, words.n do words[i] = tostring(words[i]) end
      out[#out + 1] = table.concat(words, "\t")
    end,
  }, { __index = _G })
  for name, value in pairs(names or {}) do env[name] = value end
  assert(load(text:gsub("localhost:9092", brokers), "=snippet", "t", env))()
  return out
end

---The transcripts of a page, which a spec produces anew: blocks behind a comment `<!-- transcript: NAME -->`.
---@return table<string, string[]> name -> lines
function page.transcripts(text)
  local found = {}
  for name, block in text:gmatch "<!%-%- transcript: ([^\n]-) %-%->\n\n```\n(.-)```" do
    if found[name] then error("two transcripts of the name " .. name, 2) end
    found[name] = {}
    for line in block:gmatch "([^\n]+)\n" do table.insert(found[name], line) end
  end
  return found
end

---Lines without what differs from run to run: ports, seconds, who coordinates, what was the last trouble. Sorted, as what happens
---at the same moment may be told in any order.
---@param lines string[]
---@return string[]
function page.lasting(lines)
  local list = {}
  for i, line in ipairs(lines) do
    line = line:gsub("127%.0%.0%.1:%d+", "127.0.0.1:PORT"):gsub("%d+%.%d+ s%f[%W]", "N s")
    line = line:gsub("coordinator %d %-> %d", "coordinator A -> B"):gsub("; last: .- %(_", " (_"):gsub("; last: .*", "")
    list[i] = line
  end
  table.sort(list)
  return list
end

---Types lines into a real prompt, as wide as any of them: readline would scroll a longer one.
---@return string all that it shows, the lines that were typed included
function page.type_in(lines)
  local path = process.folder .. "/typed"
  local f = assert(io.open(path, "w"))
  f:write(lines)
  f:close()
  local pipe = assert(io.popen(("COLUMNS=1000 TERM=dumb timeout 100 %s -i <%s 2>&1"):format(os.getenv "LUA" or "lua5.4", path)))
  local shown = pipe:read "a"
  local ended, how, code = pipe:close()
  if not ended then error(("the prompt ended with %s %s:\n%s"):format(how, code, shown), 2) end
  return shown:gsub("^Lua [^\n]*\n", "", 1):gsub("> \n?$", "", 1)
end

---Fails where a prompt has shown an address instead of a value, or an error was raised.
function page.is_readable(shown)
  for _, bad in ipairs { "table: ", "userdata: ", "stack traceback" } do
    if shown:find(bad, 1, true) then error(("%q is in:\n%s"):format(bad, shown), 2) end
  end
end

return page

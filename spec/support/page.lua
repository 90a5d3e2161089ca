-- Snippets of the documents: read from a page and run.

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
---@return string[] the lines that it printed
function page.run(text, brokers)
  local out = {}
  local env = setmetatable({
    print = function(...)
      local words = table.pack(...)
      for i = 1, words.n do words[i] = tostring(words[i]) end
      out[#out + 1] = table.concat(words, "\t")
    end,
  }, { __index = _G })
  assert(load(text:gsub("localhost:9092", brokers), "=snippet", "t", env))()
  return out
end

return page

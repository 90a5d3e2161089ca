-- The format check. No formatter runs here: clang-format writes other things from one Debian to the next and is large,
-- and Debian has none for Lua. What is checked is what every editor can keep (.editorconfig):
--   every text file: no trailing white space, no carriage return, exactly one newline at the end
--   code: no tab (makefiles aside), at most 130 characters a line
--   C and Lua: a block is indented by two spaces (tables and wrapped lines stand as they read best)
-- usage: lua5.4 tools/format.lua [FILE...]   (default: all files of the project)

local MAX = 130
local CODE = { c = true, h = true, lua = true, rockspec = true, sh = true }
local TEXT = { md = true, yml = true, yaml = true, json = true, txt = true, LICENSE = true, Makefile = true }
local complaints = 0

local function complain(file, line, what)
  complaints = complaints + 1
  print(("%s:%d: %s"):format(file, line, what))
end

local function read(name)
  local f = io.open(name, "rb")
  local text = f and f:read("a")
  if f then f:close() end
  return text
end

-- "code", "text" or nil; a program without an ending in its name is known by its first line
local function kind(name, text)
  local ending = name:match("%.(%w+)$") or name:match("[^/]+$")
  if CODE[ending] or text:find("^#!") or name:find("/%.%w+rc$") or name:find("^%.%w+rc$") then return "code" end
  return TEXT[ending] and "text"
end

-- Does this line open a block on its own, so that the next one stands two further in?
local function opens(line, language)
  if language == "c" then
    local _, left = line:gsub("%(", "")
    local _, right = line:gsub("%)", "")
    return line:find("{$") and left == right and not line:find("= {$") and not line:find("^%s*[*/]")
  end
  return line:find("^%s*if .* then$") or line:find("^%s*for .* do$") or line:find("^%s*while .* do$")
    or line:find("^%s*else$") or line:find("^%s*repeat$") or line:find("^%s*do$")
    or line:find("^%s*local function .*%)$") or line:find("^%s*function .*%)$")
end

local function language_of(name, text)
  if name:find("%.[ch]$") then return "c" end
  if name:find("%.lua$") or name:find("%.rockspec$") or text:find("^#![^\n]*lua") then return "lua" end
end

local function check(name)
  local text = read(name)
  local is = text and kind(name, text)
  if not is or text == "" then return end
  local language = language_of(name, text)
  local number, want = 0, nil

  for line in text:gmatch("([^\n]*)\n?") do
    number = number + 1
    if line:find("\r") then complain(name, number, "carriage return") end
    if line:find("[ \t]$") then complain(name, number, "white space at the end of the line") end
    if is == "code" then
      if line:find("\t") then complain(name, number, "tab") end
      local length = utf8.len(line) or #line
      if length > MAX then complain(name, number, ("%d characters, at most %d"):format(length, MAX)) end
    end
    if language and line ~= "" then
      local indent = #line:match("^ *")
      local beside = line:find("^%s*case ") or line:find("^%s*default:") or line:find("^%s*[%w_]+:$") or line:find("^#")
      if want and indent ~= want and not beside and not line:find("^%s*[}%])]") and not line:find("^%s*end") then
        complain(name, number, ("indented by %d, not by %d"):format(indent, want))
      end
      want = opens(line, language) and indent + 2 or nil
    end
  end

  if text:sub(-1) ~= "\n" then complain(name, number, "no newline at the end") end
  if text:sub(-2) == "\n\n" then complain(name, number, "empty line at the end") end
end

local function project_files()
  local names = {}
  local list = assert(io.popen([[
    git ls-files --cached --others --exclude-standard 2>/dev/null ||
      find . -type f -not -path './build/*' -not -path './.git/*' | cut -c3-]]))
  for name in list:lines() do names[#names + 1] = name end
  list:close()
  return names
end

local names = #arg > 0 and arg or project_files()
for _, name in ipairs(names) do check(name) end
if complaints > 0 then
  print(("%d complaint(s) about format"):format(complaints))
  os.exit(1)
end

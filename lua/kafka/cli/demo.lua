-- lkafka demo: runs an example program, installed as the module kafka.examples.NAME or, in a clone, examples/NAME.lua.
-- What the program runs on is its own affair (BROKERS and KAFKA in the environment).

local M = {
  summary = "Run an example program on a cluster inside its own process, or on BROKERS=host:port.",
  runs_bare = true, -- without arguments it needs no library to parse them
}

function M.arguments(parser)
  parser:argument("name", "Which example; north_face where none is named."):args "?"
end

-- This file is DIR/lua/kafka/cli/demo.lua in a clone.
local function in_clone(name)
  local root = debug.getinfo(1, "S").source:match("^@(.*)/lua/kafka/cli/demo%.lua$")
  local path = root and root .. "/examples/" .. name .. ".lua"
  local f = path and io.open(path)
  if f then
    f:close()
    return path
  end
end

local function find(name)
  return package.searchpath("kafka.examples." .. name, package.path) or in_clone(name)
end

function M.run(options)
  local name = options.name or "north_face"
  if not name:find("^[%w_]+$") then return nil, ("'%s' is not a name of letters, digits and _"):format(name) end
  local path = find(name)
  if not path then return nil, ("there is no example '%s' where lua-kafka is installed"):format(name) end
  local program, why = loadfile(path)
  if not program then return nil, why end
  program()
  return true
end

return M

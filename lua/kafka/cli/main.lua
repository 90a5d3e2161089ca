-- The command lkafka: finds the subcommand, hands it its arguments, turns what comes back into text and an exit code.
-- Each subcommand is a module beside this one, loaded when it is asked for; this file knows their names and nothing of
-- what they do. Exit codes: 0 done, 1 it failed, 2 it was called wrongly.

local M = {}

local OK, FAILED, USAGE = 0, 1, 2

---Subcommands in the order of the help text; each is the module kafka.cli.NAME.
local COMMANDS = {
  { "demo", "run an example program; the first one reads every partition of a topic at its leader" },
  { "help", "this text, or the help of one command: lkafka help demo" },
  { "version", "the versions of lua-kafka, librdkafka and Lua" },
}

local function known(name)
  for _, row in ipairs(COMMANDS) do
    if row[1] == name then return true end
  end
  return false
end

local function overview()
  local lines = { "lkafka: Kafka from the command line", "", "Usage: lkafka COMMAND [ARGUMENT ...]", "", "Commands:" }
  for _, row in ipairs(COMMANDS) do lines[#lines + 1] = ("  %-9s %s"):format(row[1], row[2]) end
  lines[#lines + 1] = ""
  lines[#lines + 1] = "Exit codes: 0 done, 1 it failed, 2 it was called wrongly."
  return table.concat(lines, "\n") .. "\n"
end

-- A command is run in folders that belong to others: nothing may be loaded from the current one. Lua's default places
-- end with it ("./?.lua", "./?.so").
local function without_relative(path)
  local kept = {}
  for entry in path:gmatch("[^;]+") do
    if entry:sub(1, 1) == "/" then kept[#kept + 1] = entry end
  end
  return table.concat(kept, ";")
end

---A parser for one subcommand, or nil and a sentence where the library is not installed.
local function new_parser(command, name)
  local found, argparse = pcall(require, "argparse")
  if not found then
    return nil, ("lkafka %s needs the Lua library argparse (Debian: lua-argparse; LuaRocks: argparse)"):format(name)
  end
  local parser = argparse("lkafka " .. name, command.summary):add_help(false)
  parser:flag("-h --help", "Show this help.")
  command.arguments(parser)
  return parser
end

local function asks_for_help(args)
  for _, word in ipairs(args) do
    if word == "--" then return false end
    if word == "-h" or word == "--help" then return true end
  end
  return false
end

-- The arguments as the subcommand's run wants them; else nil, an exit code and what to say.
local function parse(command, name, args)
  if not command.arguments then
    if asks_for_help(args) then return nil, OK, command.summary .. "\n\nUsage: lkafka " .. name .. "\n" end
    if #args > 0 then return nil, USAGE, ("lkafka %s takes no arguments, got '%s'\n"):format(name, args[1]) end
    return {}
  end
  if #args == 0 and command.runs_bare then return {} end
  local parser, why = new_parser(command, name)
  if not parser then return nil, FAILED, why .. "\n" end
  if asks_for_help(args) then return nil, OK, parser:get_help() .. "\n" end
  local parsed, result = parser:pparse(args)
  if not parsed then return nil, USAGE, ("%s\n\nlkafka %s: %s\n"):format(parser:get_usage(), name, result) end
  return result
end

local function run_command(name, args, out, err)
  local command = require("kafka.cli." .. name)
  local options, code, text = parse(command, name, args)
  if not options then
    (code == OK and out or err):write(text)
    return code
  end
  local done, why = command.run(options, out, err)
  if done then return OK end
  err:write(("lkafka %s: %s\n"):format(name, tostring(why)))
  return FAILED
end

local function first_words(argv)
  local name, args = argv[1], { table.unpack(argv, 2) }
  if name == "-h" or name == "--help" then name = "help" end
  if name == "-V" or name == "--version" then name = "version" end
  if name == "help" and args[1] and args[1] ~= "help" then
    return args[1], { "--help" }
  end
  return name, args
end

---Runs one command line.
---@param argv string[] the words after `lkafka`
---@param out? file* standard output by default
---@param err? file* standard error by default
---@return integer code 0, 1 or 2
function M.run(argv, out, err)
  out, err = out or io.stdout, err or io.stderr
  package.path, package.cpath = without_relative(package.path), without_relative(package.cpath)

  local name, args = first_words(argv)
  if not name then
    err:write(overview())
    return USAGE
  end
  if name == "help" then
    out:write(overview())
    return OK
  end
  if not known(name) then
    err:write(("lkafka: there is no command '%s'; 'lkafka help' lists them\n"):format(name))
    return USAGE
  end

  local ran, code = xpcall(run_command, function(e)
    return type(e) == "string" and e or tostring(e)
  end, name, args, out, err)
  if ran then return code end
  err:write(("lkafka %s: %s\n"):format(name, code))
  return FAILED
end

return M

-- The administrative methods of kafka.connect: which file of admin/ has which. A file is loaded when one of its methods is first
-- called: few programs need any, and what is loaded costs each cycle of Lua's collector.

local args = require "kafka.args"

local files = {
  acls = "acls create_acls delete_acls",
  cluster = "describe_cluster elect_leaders list_offsets",
  configs = "alter_configs configs",
  groups = "delete_group delete_groups describe_group describe_groups groups",
  offsets = "alter_offsets delete_offsets reset_offsets",
  topics = "add_partitions create_topic create_topics delete_records delete_topic delete_topics describe_topic",
  users = "alter_users users",
}

local loaded = {}

local function methods_of(file)
  local found = loaded[file]
  if not found then
    local module = require("kafka.admin." .. file)
    found = args.public(module.methods or module)
    loaded[file] = found
  end
  return found
end

local admin = {}

for file, names in pairs(files) do
  for name in names:gmatch "%S+" do
    admin[name] = function(...) return methods_of(file)[name](...) end
  end
end

return admin

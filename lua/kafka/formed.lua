-- Settings whose values librdkafka takes as any string, and which mean something else then, or fail long after: what each must
-- look like. Pure.

local args = require "kafka.args"

-- Kafka's strings have lengths of 16 bits: a longer one makes every request unreadable. Numbers are taken as they are written.
local short = args.worded("a string of at most 32767 bytes", { fits = function(v)
  return type(v) == "number" or type(v) == "string" and #v <= 32767
end })

local known = { range = true, roundrobin = true, ["cooperative-sticky"] = true }

local strategies = args.worded('a list of "range", "roundrobin", "cooperative-sticky", separated by commas', { fits = function(v)
  if type(v) ~= "string" then return false end
  for word in (v .. ","):gmatch "%s*(.-)%s*," do
    if not known[word] then return false end
  end
  return true
end })

---@type table<string, table> librdkafka's name of a setting -> a validator of args
return {
  ["group.id"] = args.group,
  ["group.instance.id"] = args.group, -- "false" would be the name of a member, which another may have too
  ["transactional.id"] = args.group, -- and that of a producer, which it would fence
  ["client.id"] = short,
  ["client.rack"] = short,
  ["partition.assignment.strategy"] = strategies,
}

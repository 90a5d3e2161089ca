-- What is asked of a cluster: each accepted request has one record, however often memory fails.

local support = require "spec.memory.oom.support"

local rows = { { topic = "many", partition = 0, offset = 5, metadata = "m" }, { topic = "many", partition = 1, offset = 0 } }
local times = { { topic = "many", partition = 0, offset = 1700000000000 } }

local function case(name, start, kind)
  return {
    name = name,
    open = function() return support.open(kind or "consumer") end,
    run = function(o)
      support.ask(o, start)
      support.answers(o)
    end,
    check = support.check,
    close = support.close,
  }
end

return {
  case("metadata of a topic", function(c, ticket) return c:metadata("many", 5000, ticket) end),
  case("metadata of all", function(c, ticket) return c:metadata(true, 5000, ticket) end, "producer"),
  case("watermarks", function(c, ticket) return c:watermarks("many", 0, 5000, ticket) end),
  case("watermarks of no such partition", function(c, ticket) return c:watermarks("many", 7, 50, ticket) end),
  case("offsets_for_times", function(c, ticket) return c:offsets_for_times(times, 5000, ticket) end),
  case("commit", function(c, ticket) return c:commit(rows, ticket) end),
  case("committed", function(c, ticket) return c:committed(rows, 5000, ticket) end),
  case("flush", function(c, ticket) return c:flush(1000, ticket) end, "producer"),
}

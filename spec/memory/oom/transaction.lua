-- The steps of a transaction. A step that cannot be asked for leaves the next one an error, which is a record like any other.

local core = require "kafka.core"
local support = require "spec.memory.oom.support"

local opened = 0

local function open()
  opened = opened + 1
  local o = support.open("producer", { ["transactional.id"] = ("oom-%d-%d"):format(os.time(), opened) })
  o.consumer = assert(core.consumer(support.settings { ["group.id"] = "oom" }))
  support.ask(o, function(c, ticket) return c:txn_init(20000, ticket) end)
  support.answers(o)
  assert(not o.error, o.error)
  return o
end

local function close(o)
  support.close(o)
  o.c, o.consumer = o.consumer, nil
  support.close(o)
end

local function step(o, name)
  support.ask(o, function(c, ticket) return c[name](c, 20000, ticket) end)
  support.answers(o)
end

local rows = { { topic = "odd", partition = 0, offset = 1 } }

local function case(name, run) return { name = name, open = open, run = run, check = support.check, close = close } end

return {
  case("begin and commit", function(o)
    step(o, "txn_begin")
    step(o, "txn_commit")
  end),
  case("begin, offsets and abort", function(o)
    step(o, "txn_begin")
    support.ask(o, function(c, ticket) return c:txn_offsets(rows, o.consumer, 20000, ticket) end)
    support.answers(o)
    step(o, "txn_abort")
  end),
  case("init again", function(o)
    step(o, "txn_init")
    assert(o.error)
  end),
}

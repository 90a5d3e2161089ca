-- kafka.connect and what is read through it: no gap, no repetition, and every object can be closed.

local kafka = require "kafka"

local function quiet() end

local function connect()
  return assert(kafka.connect { brokers = _G.brokers, fetch_wait_max_ms = 10, on_error = quiet, on_log = quiet })
end

local function open()
  local k = connect()
  return { k = k, part = assert(k:partition("many", 0)), at = 0 }
end

-- Fetches a message with memory enough: the next one that no earlier fetch gave.
local function next_one(o)
  local batch, err
  local deadline = kafka.now() + 10
  repeat
    local ok
    ok, batch, err = pcall(o.part.fetch, o.part, { max_messages = 1, timeout = 5 })
    if not ok and not tostring(batch):find "memory" then error(batch, 0) end
  until ok or kafka.now() > deadline
  assert(batch and batch.n == 1, err)
  assert(batch[1].offset == o.at, ("offset %d after %d"):format(batch[1].offset, o.at - 1))
  o.at = o.at + 1
end

local function close(o)
  if o.part then assert(o.part:close()) end
  assert(o.k:close(10))
end

local columns = { "offset", "key", "value", "headers" }

local function fetching(name, options)
  return {
    name = name,
    open = open,
    prepare = next_one,
    run = function(o)
      local batch = assert(o.part:fetch(options))
      for i = 1, batch.n do
        assert((options.columns and batch.offset[i] or batch[i].offset) == o.at)
        o.at = o.at + 1
      end
    end,
    check = next_one,
    close = close,
  }
end

local function check(o)
  local ok, raised = pcall(o.k.brokers, o.k)
  if ok then return end
  assert(tostring(raised):find "memory", raised) -- what an earlier dispatch kept for the next
  assert(o.k:brokers())
end

local function case(name, run) return { name = name, open = open, run = run, check = check, close = close } end

return {
  fetching("fetch", { max_messages = 3, timeout = 5 }),
  fetching("fetch of columns", { max_messages = 3, timeout = 5, columns = columns }),
  case("commit and committed", function(o)
    assert(o.k:commit("g", { { topic = "many", partition = 0, offset = 1 } }))
    assert(o.k:committed("g", { { topic = "many", partition = 0 } }))
  end),
  {
    name = "commit that nobody waits for",
    open = open,
    run = function(o)
      local ok, err = o.k:commit("g", { { topic = "many", partition = 0, offset = 2 } }, { on_commit = function() end })
      assert(ok or err.name == "_PREV_IN_PROGRESS", err) -- one that was on its way when memory ran out
      o.k:brokers()
    end,
    check = function(o)
      check(o)
      assert(o.k:commit("g", { { topic = "many", partition = 0, offset = 1 } })) -- when it is its turn
    end,
    close = close,
  },
  case("questions", function(o)
    assert(o.k:brokers())
    assert(o.k:topic "odd")
    assert(o.k:watermarks("odd", 0))
  end),
  {
    name = "seek, pause and resume",
    open = open,
    run = function(o)
      assert(o.part:seek(5))
      assert(o.part:pause())
      assert(o.part:resume())
    end,
    check = function(o)
      local part = o.part
      assert(part:resume())
      assert(part:seek(7))
      local batch = assert(part:fetch { max_messages = 1, timeout = 5 })
      assert(batch.n == 1 and batch[1].offset == 7)
    end,
    close = close,
  },
  {
    name = "the life of a partition",
    open = function() return { k = connect() } end,
    run = function(o)
      local part = assert(o.k:partition("many", 1))
      local all = assert(o.k:partitions "odd")
      assert(part:close())
      assert(all:close())
    end,
    check = function(o)
      collectgarbage()
      collectgarbage()
      check(o)
    end,
    close = function(o) assert(o.k:close(10)) end,
  },
  {
    name = "the life of a client",
    open = function() return {} end,
    run = function()
      local k = connect()
      assert(k:close(10))
    end,
  },
}

-- Inboxes: what is fetched has neither a gap nor a repetition, whichever fetch found no memory.

local core = require "kafka.core"
local support = require "spec.memory.oom.support"

local function rows(partition, offset) return { { topic = "many", partition = partition, offset = offset } } end

local all_columns = { "topic", "partition", "offset", "key", "value", "headers", "timestamp", "leader_epoch" }

local function open(partition, offset)
  local o = support.open "consumer"
  o.inbox = o.c:inbox()
  o.inbox:open("many", partition, offset)
  assert(o.c:add(rows(partition, offset)))
  o.at = offset
  return o
end

local function wait_for_messages(o)
  local deadline = core.now() + 10
  local batch
  repeat
    assert(core.now() < deadline, "no message came")
    o.c:wait(100)
    support.drain(o)
    batch = assert(o.inbox:take(1 << 20, 1))
  until batch.n > 0
  assert(batch[1].offset == o.at)
  o.at = o.at + 1
end

local function close(o)
  o.inbox:close()
  support.close(o)
end

-- Has the partition read from there, whether or not it is assigned now.
local function go_to(o, offset)
  o.c:remove(rows(0))
  assert(o.c:add(rows(0, offset)))
  o.inbox:rewind("many", 0, offset)
  o.at = offset
end

local function taking(name, columns)
  return {
    name = name,
    open = function()
      local o = open(0, 0)
      wait_for_messages(o)
      return o
    end,
    prepare = wait_for_messages,
    run = function(o)
      local batch = o.inbox:take(1 << 20, 3, columns)
      for i = 1, batch.n do
        local at = columns and batch.offset[i] or batch[i].offset
        assert(at == o.at)
        o.at = o.at + 1
      end
    end,
    check = function(o) assert(o.inbox:position("many", 0) == o.at, "the position is what was handed out") end,
    close = close,
  }
end

-- Lets go of all that a run which failed half way has left.
local function tidy(o)
  local left = assert(o.c:assigned())
  for i = 1, #left do assert(o.c:remove { { topic = left[i].topic, partition = left[i].partition } }) end
  collectgarbage()
end

return {
  taking("taking tables"),
  taking("taking columns", all_columns),
  {
    name = "taking an error",
    open = function() return support.open "consumer" end,
    prepare = function(o)
      o.inbox = o.c:inbox()
      o.inbox:open("many", 1, 1000000)
      assert(o.c:add(rows(1, 1000000)))
      o.failed = false
    end,
    run = function(o)
      while not o.failed do
        o.c:wait(50)
        local batch, err = o.inbox:take(1, 1)
        o.failed = not batch and err ~= nil
      end
    end,
    check = function(o)
      local deadline = core.now() + 10
      while not o.failed do
        assert(core.now() < deadline, "the error was lost")
        o.c:wait(50)
        local batch, err = o.inbox:take(1, 1)
        o.failed = not batch and err.name == "_AUTO_OFFSET_RESET"
      end
      o.c:remove(rows(1))
      o.inbox:close()
    end,
    close = support.close,
  },
  {
    name = "going back",
    open = function() return open(0, 0) end,
    prepare = wait_for_messages, -- so that more are held
    run = function(o) go_to(o, 5) end,
    check = function(o)
      go_to(o, 9)
      wait_for_messages(o)
    end,
    close = close,
  },
  {
    name = "the life of an inbox",
    open = function() return support.open "consumer" end,
    run = function(o)
      local inbox = o.c:inbox()
      inbox:open("many", 0, 10)
      assert(inbox:position("many", 0) == 10)
      assert(o.c:add { { topic = "many", partition = 0, offset = 10 } })
      assert(#o.c:assigned() == 1)
      assert(o.c:remove { { topic = "many", partition = 0 } })
      inbox:rewind("many", 0, 5)
      inbox:drop("many", 0)
      assert(tostring(inbox):find "open")
      inbox:close()
    end,
    check = tidy,
    close = support.close,
  },
  {
    name = "adding twice",
    open = function() return open(0, 0) end,
    run = function(o)
      local ok, err = o.c:add(rows(0, 0))
      assert(not ok and err.message)
    end,
    close = close,
  },
}

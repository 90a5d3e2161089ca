-- What no cluster can be told to do: told before it is asked. And every public method, called with what is no object of it.

local kafka = require "kafka"
local misuse = require "spec.support.misuse"

local mock, k
setup(function()
  mock = assert(kafka.mock { topics = { first = 2 } })
  k = assert(kafka.connect { brokers = mock.brokers })
end)
teardown(function()
  k:close()
  mock:close()
end)

local nan = 0 / 0

describe("misuse of administration:", function()
  misuse.rows(it, {
    { "create_topic", "a setting's name of two lines", { [["a\010b"]] },
      function() k:create_topic { name = "x", config = { ["a\nb"] = {} } } end },
    { "create_topics", "no topic", { "topics", "at least one" }, function() k:create_topics {} end },
    { "create_topics", "a topic with NUL", { "topics[2].name", [["\000"]] }, function() k:create_topics { "a", "\0" } end },
    { "create_topics", "topics with a hole", { "topics" }, function() k:create_topics { "a", nil, "b" } end },
    { "delete_topic", "no name", { "topic", "nil" }, function() k:delete_topic() end },
    { "delete_topic", "a NaN for a timeout", { "timeout", "nan" }, function() k:delete_topic("x", nan) end },
    { "delete_topics", "a name by itself", { "topics", '"x"' }, function() k:delete_topics "x" end },
    { "delete_topics", "a number among names", { "topics[1]", "7" }, function() k:delete_topics { 7 } end },
    { "add_partitions", "no number", { "total", "nil" }, function() k:add_partitions "first" end },
    { "add_partitions", "partitions as a string", { "total", '"4"' }, function() k:add_partitions("first", "4") end },
    { "describe_topic", "a topic of 250 bytes", { "topic", "(250 bytes)" }, function() k:describe_topic(("t"):rep(250)) end },
    { "delete_records", "a negative offset", { "offset", "-5" },
      function() k:delete_records { { topic = "first", partition = 0, offset = -5 } } end },
    { "delete_records", "no rows", { "rows", "at least one" }, function() k:delete_records {} end },
    { "configs", "nothing", { "nil" }, function() k:configs() end },
    { "alter_configs", "a topic by itself", { "what", '"first"' }, function() k:alter_configs("first", { a = "b" }) end },
    { "alter_configs", "no changes", { "nil" }, function() k:alter_configs { topic = "first" } end },
    { "alter_configs", "a table for a value", { "retention.ms", "a table" },
      function() k:alter_configs({ topic = "first" }, { ["retention.ms"] = {} }) end },
    { "list_offsets", "a topic", { '"first"' }, function() k:list_offsets "first" end },
    { "elect_leaders", "a negative partition", { "partition", "-1" },
      function() k:elect_leaders { { topic = "first", partition = -1 } } end },
    { "groups", "a timeout as a string", { "timeout", '"1"' }, function() k:groups "1" end },
    { "describe_group", "an empty group", { "group", '""' }, function() k:describe_group "" end },
    { "describe_groups", "a group that is no UTF-8", { [["\255"]] }, function() k:describe_groups { "\xff" } end },
    { "delete_group", "no group", { "group", "nil" }, function() k:delete_group() end },
    { "delete_groups", "no groups", { "groups", "at least one" }, function() k:delete_groups {} end },
    { "alter_offsets", "a row without an offset", { "rows[1].offset", "nil" },
      function() k:alter_offsets("g", { { topic = "first", partition = 0 } }) end },
    { "delete_offsets", "the same partition twice", { "rows[2]", "first[0]" },
      function() k:delete_offsets("g", { { topic = "first", partition = 0 }, { topic = "first", partition = 0 } }) end },
    { "reset_offsets", "no options", { "give one of" }, function() k:reset_offsets "g" end },
    { "create_acls", "an ACL that is none", { "acls[1]", '"x"' }, function() k:create_acls { "x" } end },
    { "create_acls", "an unknown resource", { "acls[1].resource", '"topics"' }, function()
      k:create_acls { resource = "topics", name = "x", principal = "User:a", operation = "read" }
    end },
    { "acls", "an unknown field", { '"resourc"', '"resource"' }, function() k:acls { resourc = "topic" } end },
    { "delete_acls", "no filter", { "filter", "nil" }, function() k:delete_acls() end },
    { "users", "a name by itself", { '"alice"' }, function() k:users "alice" end },
    { "alter_users", "nothing", { "nil" }, function() k:alter_users() end },
    { "describe_cluster", "a negative timeout", { "timeout", "-1" }, function() k:describe_cluster(-1) end },
  })
end)

describe("every method", function()
  -- What the library's own files call of each other.
  local own = { ask = true, tell = true, serve = true, new_handle = true, free_handle = true, check = true, timeout_of = true,
    new = true, is_new = true, is_early = true, cannot = true, metadata_of = true, topic_for = true, ends_of = true }

  local function methods(class)
    local found = {}
    while class do
      for name, f in next, class do
        if type(f) == "function" and not name:find "^__" and not own[name] then found[name] = f end
      end
      local index = debug.getmetatable(class)
      class = index and rawget(index, "__index")
    end
    return found
  end

  it("refuses what is no object of its class, at the caller's line", function()
    local p <close> = assert(kafka.producer { brokers = mock.brokers })
    local c <close> = assert(kafka.consumer { brokers = mock.brokers, group = "g" })
    local part <close> = assert(k:partition("first", 0))
    local all <close> = assert(k:partitions "first")
    local picture = assert(k:metadata())
    local count = 0
    for _, object in ipairs { p, c, k, part, all, mock, mock:broker(1), picture, picture:topic "first" } do
      for name, method in pairs(methods(debug.getmetatable(object))) do
        for _, wrong in ipairs { 0, "x", {}, print, { handle = {} }, k == object and p or k } do
          local ok, message = pcall(function() method(wrong, "first", 0) end)
          assert.is_false(ok, name)
          assert.matches("^[^:]*admin_spec.lua:%d+: [%w_]+: the object must be an? kafka%.", message, nil, name)
        end
        count = count + 1
      end
    end
    assert.is_true(count > 100, tostring(count))
  end)
end)

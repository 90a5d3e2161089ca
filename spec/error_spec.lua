-- Error objects: what each code of librdkafka means for the caller.

local core = require "kafka.core"
local errors = require "kafka.error"
local child = require "spec.support.child"

local categories = { network = 1, timeout = 1, cluster = 1, group = 1, transaction = 1, security = 1, data = 1, config = 1,
  client = 1 }
local actions = { wait = 1, retry = 1, abort = 1, recreate = 1, fix = 1 }

describe("every error this librdkafka knows", function()
  local list = errors.list()

  it("is there: more than a hundred, each with its number", function()
    assert.is_true(#list > 100)
    assert.equal(#core.errors(), #list + 1) -- with "no error"
    for _, e in ipairs(list) do
      assert.equal("integer", math.type(e.code))
      assert.equal(e.code, errors.code(e.name))
    end
  end)

  it("has one of the categories, and one of five actions", function()
    for _, e in ipairs(list) do
      assert.truthy(categories[e.category], e.name .. ": " .. tostring(e.category))
      assert.truthy(actions[e.action], e.name .. ": " .. tostring(e.action))
    end
  end)

  it("has its own row in the table", function()
    for _, e in ipairs(list) do assert.is_true(errors.known(e.name), e.name) end
  end)

  it("says in words what it is", function()
    for _, e in ipairs(list) do
      assert.truthy(e.message:find "%l%l" and e.message ~= e.name, e.name)
    end
  end)

  it("has the three flags as booleans; what may pass is retriable, what needs a new client or a change is not", function()
    for _, e in ipairs(list) do
      assert.equal("boolean", type(e.retriable))
      assert.equal("boolean", type(e.abortable))
      assert.equal("boolean", type(e.fatal))
      assert.equal(e.action == "wait" or e.action == "retry", e.retriable, e.name)
    end
  end)

  it("prints itself in one line that ends with its name and what to do", function()
    for _, e in ipairs(list) do
      local text = tostring(e)
      assert.is_nil(text:find "[\r\n]", text)
      local ending = (" (%s; %s)"):format(e.name, errors.actions[e.action])
      assert.equal(ending, text:sub(-#ending))
    end
  end)
end)

describe("an error", function()
  it("tells what failed, of what, and what was last seen before", function()
    local cause = errors.new { name = "_TRANSPORT", message = "h:9092: connection refused" }
    local e = errors.from({ name = "_TIMED_OUT", code = -185, message = "Local: Timed out" },
      { op = "send", topic = "first", partition = 3, cause = cause })
    assert.same({ "_TIMED_OUT", -185, "send", "first", 3, "timeout", "retry" },
      { e.name, e.code, e.op, e.topic, e.partition, e.category, e.action })
    local text = tostring(e)
    assert.equal("send first[3]: ", text:sub(1, 15))
    assert.truthy(text:find("h:9092: connection refused", 1, true))
  end)

  it("has a sentence of its own where librdkafka's is a name, and librdkafka's where that tells more", function()
    local bare = errors.from({ name = "_TRANSPORT", message = "Local: Broker transport failure" }, { op = "metadata" })
    assert.equal("metadata: no connection to a broker, or it ended before the answer (_TRANSPORT; try again)", tostring(bare))
    for _, more in ipairs { "h:9092/1: something new", "Local: Broker transport failure: something new" } do
      assert.equal(more, errors.from({ name = "_TRANSPORT", message = more }, {}).message)
    end
  end)

  it("is known from other tables", function()
    assert.is_true(errors.is(errors.new { name = "_FAIL" }))
    assert.is_false(errors.is { name = "_FAIL" })
    assert.is_false(errors.is "an error")
    assert.is_false(errors.is(nil))
  end)

  it("of a name nobody knows asks to be mended, and prints itself", function()
    local e = errors.new { name = "NEVER_HEARD" }
    assert.same({ "client", "fix", false }, { e.category, e.action, e.retriable })
    assert.truthy(tostring(e):find "NEVER_HEARD")
  end)

  it("that is fatal asks for a new client, one to abort asks for that", function()
    assert.equal("recreate", errors.new { name = "_TIMED_OUT", fatal = true }.action)
    assert.equal("abort", errors.new { name = "_TIMED_OUT", abortable = true }.action)
    assert.is_false(errors.new { name = "_TIMED_OUT", fatal = true }.retriable)
  end)

  it("is raised by assert as itself", function()
    local e = errors.new { name = "_FAIL" }
    local ok, raised = pcall(_G.assert, nil, e)
    assert.is_false(ok)
    assert.is_true(rawequal(e, raised))
  end)
end)

describe("what a code means", function()
  for name, expected in pairs {
    _QUEUE_FULL = { "client", "wait" },
    _TRANSPORT = { "network", "retry" },
    _RESOLVE = { "network", "fix" },
    _MSG_TIMED_OUT = { "timeout", "retry" },
    NOT_LEADER_FOR_PARTITION = { "cluster", "wait" },
    UNKNOWN_TOPIC_OR_PART = { "cluster", "fix" },
    NOT_COORDINATOR = { "group", "wait" },
    UNKNOWN_MEMBER_ID = { "group", "fix" },
    TOPIC_AUTHORIZATION_FAILED = { "security", "fix" },
    _AUTHENTICATION = { "security", "fix" },
    OFFSET_OUT_OF_RANGE = { "data", "fix" },
    MSG_SIZE_TOO_LARGE = { "data", "fix" },
    _FATAL = { "client", "recreate" },
    PRODUCER_FENCED = { "transaction", "recreate" },
    _INVALID_ARG = { "config", "fix" },
  } do
    it(("of %s is: %s, %s"):format(name, expected[1], expected[2]), function()
      local e = errors.new { name = name }
      assert.same(expected, { e.category, e.action })
    end)
  end
end)

describe("docs/errors.md", function()
  local page
  do
    local file <close> = assert(io.open "docs/errors.md")
    page = file:read "a"
  end

  -- Of another librdkafka the list, and the words that are its own, may differ.
  it("is what make docs writes", function()
    local made = child.works "lua5.4 tools/errors.lua"
    if page:match "librdkafka ([%d.]+)" == core.librdkafka then assert.equal(made, page) end
    local first = "^(.-)Written by [^\n]*(.-)\n## "
    assert.same({ made:match(first) }, { page:match(first) })
  end)

  it("has every code once, under its category, with its action", function()
    local rows, category = {}, nil
    for line in page:gmatch "[^\n]+" do
      category = line:match "^## (%l+)" or category
      local name, code, action = line:match "^| ([%u_]+) | (%-?%d+) | (%l+) | .+ |$"
      if name then
        assert.is_nil(rows[name], name)
        rows[name] = { category, action, math.tointeger(code) }
      end
    end
    for _, e in ipairs(errors.list()) do
      if rows[e.name] or page:match "librdkafka ([%d.]+)" == core.librdkafka then
        assert.same({ e.category, e.action, e.code }, rows[e.name], e.name)
      end
    end
  end)
end)

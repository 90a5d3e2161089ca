-- What a consumer has fetched, and how far its caller has come: pure.

local backlog = require "kafka.backlog"

local function message(partition, offset, value)
  return { topic = "t", partition = partition, offset = offset, value = value or "v" }
end

local function row(partition, offset) return { topic = "t", partition = partition, offset = offset } end

-- Messages of two partitions, then a marker in each.
local function filled()
  local b = backlog.open()
  b:put({ message(0, 5), message(1, 8), message(0, 6), message(1, 9) }, { row(0, 8), row(1, 11) })
  return b
end

local function offsets(list)
  local found = {}
  for i, m in ipairs(list) do found[i] = m.partition .. "@" .. m.offset end
  return found
end

-- Handled rows as partition -> offset.
local function handled(b)
  local found = {}
  for _, r in ipairs(b:handled()) do found[r.partition] = r.offset end
  return found
end

describe("a backlog", function()
  it("hands out nothing where memory runs out while the rest is made", function()
    local list = {}
    for i = 0, 9 do list[i + 1] = { topic = "t", partition = 0, offset = i } end
    local b = backlog.open()
    b:put(list, { { topic = "t", partition = 0, offset = 10 } })
    assert.equal(0, b:next().offset)
    b:ask()
    local move = table.move
    table.move = function() error("not enough memory", 0) end -- luacheck: ignore 122
    local ok = pcall(b.rest, b, 5, math.huge)
    table.move = move -- luacheck: ignore 122
    assert.is_false(ok)
    b:ask()
    assert.equal(1, b:handled()[1].offset)
    assert.equal(1, b:next().offset)
  end)

  it("gives messages in order, then nothing", function()
    local b, list = filled(), {}
    for m in function() return b:next() end do list[#list + 1] = m end
    assert.same({ "0@5", "1@8", "0@6", "1@9" }, offsets(list))
    assert.is_nil(b:next())
    assert.is_true(b:is_empty())
  end)

  it("counts a message as handled only when the next is asked for", function()
    local b = filled()
    b:next()
    assert.same({}, handled(b))
    b:ask()
    assert.same({ [0] = 6 }, handled(b))
    b:next()
    assert.same({ [0] = 6 }, handled(b))
    b:ask()
    assert.same({ [0] = 6, [1] = 9 }, handled(b))
  end)

  it("passes what holds no message when all is handled", function()
    local b = filled()
    for _ = 1, 4 do b:next() end
    assert.same({}, handled(b))
    b:ask()
    assert.same({ [0] = 8, [1] = 11 }, handled(b))
  end)

  it("counts a whole batch as handled only when more is asked for", function()
    local b = backlog.open()
    b:put(nil, { row(0, 8) })
    assert.same({}, handled(b))
    b:ask()
    assert.same({ [0] = 8 }, handled(b))
  end)
end)

describe("the rest of a backlog", function()
  it("comes as a list with where the partitions stand behind it", function()
    local b = filled()
    b:next()
    local list, after, bytes = b:rest(100, 1000)
    assert.same({ "1@8", "0@6", "1@9" }, offsets(list))
    assert.same({ row(0, 8), row(1, 11) }, after)
    assert.equal(3, bytes)
    assert.is_true(b:is_empty())
  end)

  it("ends after so many messages, and then stands behind those", function()
    local b = filled()
    local list, after = b:rest(3, 1000)
    assert.same({ "0@5", "1@8", "0@6" }, offsets(list))
    assert.same({ row(0, 7), row(1, 9) }, after)
    assert.equal(9, b:first("t", 1))
    b:ask()
    assert.same({ [0] = 7, [1] = 9 }, handled(b))
  end)

  it("ends before more than so many bytes, but gives one message at least", function()
    local b = backlog.open()
    b:put({ message(0, 1, "12345"), message(0, 2, "1"), message(0, 3, "12") }, { row(0, 4) })
    assert.same({ "0@1" }, offsets((b:rest(10, 3))))
    assert.same({ "0@2", "0@3" }, offsets((b:rest(10, 3))))
  end)
end)

describe("a partition that is dropped", function()
  it("leaves nothing: not what is left, nor in hand, nor how far it had come", function()
    local b = filled()
    b:next()
    b:next()
    b:drop("t", 0)
    assert.is_nil(b:first("t", 0))
    b:ask()
    assert.same({ [1] = 9 }, handled(b))
    assert.equal(9, b:next().offset)
    b:ask()
    assert.same({ [1] = 11 }, handled(b))
  end)

  it("of a batch in hand leaves the others in it", function()
    local b = backlog.open()
    b:put(nil, { row(0, 8), row(1, 11) })
    b:drop("t", 0)
    assert.same({}, handled(b))
    b:ask()
    assert.same({ [1] = 11 }, handled(b))
  end)

  it("is not another topic's of the same number", function()
    local b = filled()
    b:drop("u", 0)
    assert.equal(5, b:first("t", 0))
  end)
end)

describe("a partition that is left", function()
  it("keeps what is in hand, and gives nothing more", function()
    local b = filled()
    b:next()
    b:leave("t", 0)
    assert.same({}, handled(b))
    b:ask()
    assert.same({ [0] = 6 }, handled(b))
    assert.same({ "1@8", "1@9" }, offsets((b:rest(10, 1000))))
    b:ask()
    assert.same({ [0] = 6, [1] = 11 }, handled(b))
  end)

  it("keeps how far it had come where all of it was handed out", function()
    local b = filled()
    for _ = 1, 3 do b:next() end
    b:leave("t", 0)
    b:next()
    b:ask()
    assert.same({ [0] = 8, [1] = 11 }, handled(b))
  end)

  it("is not counted where nothing of it was handed out", function()
    local b = filled()
    b:leave("t", 1)
    b:next()
    b:next()
    b:ask()
    assert.same({ [0] = 8 }, handled(b))
  end)
end)

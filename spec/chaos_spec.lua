-- What `make chaos` decides by: the plan that a seed draws, the verdict over messages and commits, the silence behind a fault,
-- the crew's ends, and the tasks of a run. All of it without brokers.

local uv = require "spec.support.luv" -- history.lua and crew.lua load it
local crew = require "chaos.crew"
local faults = require "chaos.faults"
local generation = require "kafka.generation"
local generations = require "chaos.generations"
local history = require "chaos.history"
local plan = require "chaos.plan"
local process = require "kafka.localcluster.process"
local show = require "chaos.show"
local silence = require "chaos.silence"
local stage = require "chaos.stage"
local verdict = require "chaos.verdict"

local rows = faults.chosen ""

describe("the plan of make chaos", function()
  local function draw(seed, n)
    local next_card, cards = plan.cards(seed, rows, 4, 3), {}
    for i = 1, n do cards[i] = next_card() end
    return cards
  end

  it("is the same for one seed, and another for another", function()
    assert.same(draw(7, 200), draw(7, 200))
    assert.not_same(draw(7, 20), draw(8, 20))
    assert.not_same(draw(0, 20), draw(-1, 20))
  end)

  it("has each fault as often as it has cards, in each deck", function()
    local size = 0
    for _, row in ipairs(rows) do size = size + row.cards end
    local cards = draw(1, 2 * size)
    for deck = 0, 1 do
      local count = {}
      for i = deck * size + 1, (deck + 1) * size do count[cards[i].fault] = (count[cards[i].fault] or 0) + 1 end
      for _, row in ipairs(rows) do assert.equal(row.cards, count[row.name], row.name) end
    end
  end)

  it("draws all else within its bounds, from one end to the other", function()
    local holds, seen = {}, { partition = {}, broker = {} }
    for _, row in ipairs(rows) do holds[row.name] = row.hold or { 0, 0 } end
    for _, card in ipairs(draw(42, 500)) do
      local hold = holds[card.fault]
      assert(card.hold >= hold[1] and card.hold <= hold[2], card.hold)
      assert(card.rest >= 0.5 and card.rest <= 2.5, card.rest)
      for field, set in pairs(seen) do set[card[field]] = true end
    end
    assert.same({ [0] = true, true, true, true }, seen.partition)
    assert.same({ true, true, true }, seen.broker)
  end)
end)

-- One partition: messages 1 to n at offsets 0 to n - 1, acknowledged, stored, read by one process, committed and heard of.
local function ledger(n)
  local l = { faults = 1, acked = {}, failed = 0, fatal = 0, log = { [0] = {} }, history = {}, witness = {} }
  local first = { opening = 0, opened = 0.5, read = {}, committed = {}, resets = 0, errors = 0 }
  l.readers = { first }
  for i = 1, n do
    l.acked[i] = { time = i, partition = 0, number = i, offset = i - 1 }
    l.log[0][i] = { offset = i - 1, number = i }
    first.read[i] = { time = i + 0.1, partition = 0, offset = i - 1, number = i }
    first.committed[i] = { time = i + 0.2, partition = 0, offset = i }
    l.history[i] = { time = i + 0.15, partition = 0, offset = i }
    l.witness[i] = { time = i + 0.4, asked = i + 0.3, partition = 0, offset = i }
  end
  return l, first
end

-- So that nothing is judged by what the witness heard while they read.
local function hears_late(l) l.witness = { { time = 99, asked = 98, partition = 0, offset = #l.log[0] } } end

local function another(l, opening, from, to)
  local reading = { opening = opening, opened = opening + 0.05, read = {}, committed = {}, resets = 0, errors = 0 }
  for offset = from, to do
    table.insert(reading.read, { time = opening + offset, partition = 0, offset = offset, number = offset + 1 })
  end
  table.insert(l.readers, reading)
  return reading
end

-- Figures that are not 0, of those that must be, and those that are 0 and must not be.
local function wrong(l)
  local figures, details = verdict.judge(l)
  local found = {}
  for _, name in ipairs(verdict.wrong(figures, false)) do found[name] = figures[name] end
  return found, details
end

describe("the verdict of make chaos", function()
  it("finds nothing where nothing is wrong", function()
    local l = ledger(5)
    local figures, details = verdict.judge(l)
    assert.same({ 5, 5, 5, 5, 5, 0, 0 }, { figures.acknowledged, figures.stored, figures.read, figures.commits, figures.heard,
      figures.read_again, figures.failed })
    assert.same({}, details)
    assert.same({}, (wrong(l)))
  end)

  it("finds a run wrong in which nothing happened, on each generation", function()
    local nothing = { faults = 0, acked = {}, failed = 9, fatal = 0, log = {}, history = {}, witness = {},
      readers = { { opening = 0, opened = 0, read = {}, committed = {}, resets = 0, errors = 0 } } }
    assert.same({ faults = 0, acknowledged = 0, stored = 0, read = 0, commits = 0, heard = 0 }, (wrong(nothing)))
    assert.equal(6, #verdict.wrong((verdict.judge(nothing)), true))
  end)

  it("finds a run wrong in which no fault came, nothing was committed, or the witness heard nothing", function()
    local l = ledger(3)
    l.faults = 0
    assert.same({ faults = 0 }, (wrong(l)))
    l = ledger(3)
    l.history = {}
    assert.equal(0, wrong(l).commits)
    l = ledger(3)
    l.witness = {}
    assert.same({ heard = 0 }, (wrong(l)))
  end)

  it("counts partitions of which nothing was acknowledged", function()
    local l = ledger(3)
    l.log[1] = {}
    local found, details = wrong(l)
    assert.same({ idle = 1 }, found)
    assert.same({ "idle: nothing of partition 1 was acknowledged" }, details)
  end)

  it("counts what was acknowledged and is not stored, or was never read", function()
    local l, first = ledger(5)
    table.remove(l.log[0])
    table.remove(first.read)
    table.remove(l.history)
    local found, details = wrong(l)
    assert.same({ lost = 1 }, found)
    assert.same({ "lost: message 5 of partition 0 was acknowledged at offset 4 and is not stored" }, details)
    l, first = ledger(5)
    table.remove(first.read)
    assert.same({ lost = 1 }, (wrong(l)))
    l = ledger(5)
    l.acked[6] = { time = 6, partition = 3, number = 1, offset = 0 } -- of a partition that nobody has seen
    assert.same({ lost = 1 }, (wrong(l)))
  end)

  it("counts what is stored twice, which another generation may do", function()
    local l, first = ledger(3)
    table.insert(l.log[0], { offset = 3, number = 2 })
    table.insert(first.read, { time = 9, partition = 0, offset = 3, number = 2 })
    table.insert(l.history, { time = 9, partition = 0, offset = 4 })
    assert.same({ duplicated = 1 }, (wrong(l)))
    assert.same({}, verdict.wrong((verdict.judge(l)), true))
  end)

  it("counts what is stored behind a later one", function()
    local l, first = ledger(3)
    l.log[0][2].number, l.log[0][3].number = 3, 2
    l.acked[2].offset, l.acked[3].offset = 2, 1
    first.read[2].number, first.read[3].number = 3, 2
    assert.same({ stored_out_of_order = 1 }, (wrong(l)))
    assert.same({}, verdict.wrong((verdict.judge(l)), true))
  end)

  it("counts what a reader hands out twice, backwards, or leaves out, even where another process reads it", function()
    local l, first = ledger(3)
    table.insert(first.read, { time = 9, partition = 0, offset = 1, number = 2 })
    assert.same({ out_of_order = 1 }, (wrong(l)))
    l, first = ledger(3)
    first.committed = {}
    hears_late(l)
    table.remove(first.read, 2)
    another(l, 20, 0, 2)
    assert.same({ skipped = 1 }, (wrong(l)))
  end)

  it("counts a message at another offset than was told", function()
    local l = ledger(3)
    l.acked[2].offset = 2
    assert.same({ misplaced = 1 }, (wrong(l)))
    l.acked[2].offset = -1 -- the report does not say
    assert.same({}, (wrong(l)))
    local _, first = ledger(3)
    l.readers[1] = first
    first.read[3].number = 7
    assert.equal(1, wrong(l).misplaced)
  end)

  it("lets a restarted reader read again what was not committed, and nothing else", function()
    local l, first = ledger(5)
    hears_late(l)
    for i = 5, 4, -1 do table.remove(first.committed, i) end
    another(l, 20, 3, 4)
    local figures = verdict.judge(l)
    assert.same({ 5, 2 }, { figures.read, figures.read_again })
    assert.same({}, (wrong(l)))
    another(l, 30, 2, 4)
    local found, details = wrong(l)
    assert.same({ read_again_though_committed = 1 }, found)
    assert.matches("offset 2 of partition 0 was read though 3 was committed before", details[1], 1, true)
  end)

  it("counts a process that begins behind what was committed, though another has read what it leaves out", function()
    local function begins(offset, commits)
      local l, first = ledger(5)
      hears_late(l)
      first.committed = {}
      for i, time in ipairs(commits) do l.history[i].time = time end
      another(l, 20, offset, 4)
      return wrong(l)
    end
    local before = { 1, 2, 3, 40, 50 } -- the first three: 3 is committed
    assert.same({}, (begins(3, before)))
    assert.same({}, (begins(2, before))) -- nobody had heard of it
    local found, details = begins(4, before)
    assert.same({ skipped = 1 }, found)
    assert.same({ "skipped: partition 0 was read from offset 4 on, though no more than 3 was committed" }, details)
    assert.same({ skipped = 1 }, (begins(1, { 40, 40, 40, 40, 40 }))) -- nothing is committed: from the first on
    assert.same({}, (begins(4, { 1, 2, 3, 20.02, 50 }))) -- one that was under way still came in time
    assert.same({ skipped = 1 }, (begins(4, { 1, 2, 3, 20.06, 50 }))) -- what it has committed itself excuses nothing
  end)

  it("believes what a reader was told of a commit, also where the cluster's history knows nothing of it by then", function()
    local l, first = ledger(5)
    hears_late(l)
    first.committed[5] = nil -- told of up to 4
    for _, c in ipairs(l.history) do c.time = 50 end
    another(l, 20, 4, 4)
    assert.same({}, (wrong(l)))
  end)

  it("takes the witness's word for a commit, if it was heard before the reader began", function()
    local l, first = ledger(5)
    first.committed = {}
    another(l, 4.45, 4, 4) -- at 4.4 the witness has heard 4
    assert.same({}, (wrong(l)))
    l.readers[2].read[1] = { time = 9, partition = 0, offset = 3, number = 4 }
    assert.same({ read_again_though_committed = 1 }, (wrong(l)))
  end)

  it("counts commits that went back, by the cluster's own history and by what the reader says", function()
    local l = ledger(5)
    hears_late(l)
    l.history[4].offset = 2
    local found, details = wrong(l)
    assert.same({ went_back = 1 }, found)
    assert.same({ "went back: taken by the cluster: 2 of partition 0, after 3" }, details)
    local first
    l, first = ledger(5)
    hears_late(l)
    first.committed[5].offset = 3
    assert.same({ went_back = 1 }, (wrong(l)))
    l = ledger(5)
    another(l, 20, 5, 4).committed[1] = { time = 21, partition = 0, offset = 4 }
    assert.same({ went_back = 1 }, (wrong(l)))
  end)

  it("counts partitions whose last commit is not their end", function()
    local l = ledger(5)
    for i = 5, 2, -1 do l.history[i] = nil end -- as of a reader that commits once and never again
    local found, details = wrong(l)
    assert.same({ uncommitted = 1 }, found)
    assert.same({ "uncommitted: the last commit of partition 0 was 1, and its end is 5" }, details)
    l = ledger(5)
    l.log[1], l.acked[6] = { { offset = 0, number = 1 } }, { time = 6, partition = 1, number = 1, offset = 0 }
    l.readers[1].read[6] = { time = 7, partition = 1, offset = 0, number = 1 }
    assert.same({ uncommitted = 1 }, (wrong(l))) -- nothing of partition 1 was ever committed
    table.insert(l.history, { time = 8, partition = 1, offset = 1 })
    assert.same({}, (wrong(l)))
  end)

  it("counts answers out of date: less than was told before the question, or heard before", function()
    local function out_of_date(change)
      local l = ledger(5)
      change(l)
      assert.same({}, (wrong(l)))
      return verdict.judge(l).out_of_date
    end
    assert.equal(0, out_of_date(function() end))
    assert.equal(1, out_of_date(function(l) l.witness[5].offset = 3 end))
    assert.equal(1, out_of_date(function(l) l.witness = { { time = 9, asked = 8, partition = 0, offset = 2 } } end))
    assert.equal(0, out_of_date(function(l) l.witness = { { time = 9, asked = 2.25, partition = 0, offset = 2 } } end))
  end)

  it("counts lost positions, errors that came to the caller, and a writer's end", function()
    local l, first = ledger(1)
    first.resets, first.errors, l.fatal = 1, 2, 1
    assert.same({ resets = 1, errors = 2, fatal = 1 }, (wrong(l)))
  end)
end)

describe("the history of commits", function()
  it("is read from the records of Kafka's own topic", function()
    local key = string.pack(">i2s2s2i4", 1, "group", "topic", 3)
    local commit = { group = "group", topic = "topic", partition = 3, offset = 42, stamp = 1.5 }
    assert.same(commit, history.commit(key, string.pack(">i2i8i4s2i8", 3, 42, -1, "metadata", 1500)))
    assert.same(commit, history.commit(key, string.pack(">i2i8s2i8i8", 1, 42, "", 1500, 99)))
    for _, length in ipairs { 0, 10, 300 } do -- the length and one, seven bits a byte
      local n = length + 1
      local head = n < 0x80 and string.char(n) or string.char(n & 0x7f | 0x80, n >> 7)
      assert.same(commit, history.commit(key, string.pack(">i2i8i4", 4, 42, -1) .. head .. ("m"):rep(length)
        .. string.pack(">i8", 1500) .. "\0"))
    end
    assert.same({ group = "group", topic = "topic", partition = 3 }, history.commit(key, nil))
    assert.is_nil(history.commit(string.pack(">i2s2", 2, "group"), "a member"))
  end)
end)

describe("the generations of make chaos", function()
  it("give clients of old brokers what a person gets who says nothing but broker_version", function()
    for version, row in pairs(generations) do
      local old = generation.is_old(version)
      assert.same(old and { broker_version = version } or {}, row.client)
      assert.same(old and {} or { enable_idempotence = true }, row.producer)
      assert.equal(old, row.duplicates)
    end
  end)
end)

describe("the faults of make chaos", function()
  it("are chosen by words of their names", function()
    local function names(words)
      local list = {}
      for i, row in ipairs(faults.chosen(words)) do list[i] = row.name end
      return list
    end
    assert.equal(#rows, #names "")
    assert.not_matches("hang", table.concat(names "", " "))
    assert.same({ "hang of a leader" }, names "hang")
    assert.equal(1, faults.chosen("hang")[1].cards)
    assert.same({ "kill -9 of a leader", "pause of a leader", "hang of a leader", "rolling restart" }, names "a leader,rolling")
    assert.has_error(function() names "nothing like that" end)
  end)
end)

describe("the silence behind a fault", function()
  local function events(...)
    local list = {}
    for i, time in ipairs { ... } do list[i] = { time = time, partition = 0 } end
    return list
  end

  -- An event each second.
  local function seconds(from, to)
    local list = {}
    for second = from, to do list[#list + 1] = second end
    return list
  end

  -- A run of one partition that ends at 30.
  local function measure(faults_of_it, acked, read, committed, partitions)
    return silence.measure(faults_of_it, acked, read, committed, { from = 0, till = 30, partitions = partitions or 1 })
  end

  it("lasts from the fault, and at most to the next one of the cluster", function()
    local acked, read = events(1, 9, 12, 13, 19, 24, 25, 30), events(9, 11, 17, 19, 21, 22, 30)
    local found = measure({ { at = 10 }, { at = 20 } }, acked, read, events(9, 18, 29, 31))
    assert.same({ acks = 6, messages = 6, commits = 8 }, found[1])
    assert.same({ acks = 5, messages = 8, commits = 9 }, found[2])
  end)

  it("lasts to the end of the run where nothing comes any more, and all the time where nothing ever came", function()
    local found = measure({ { at = 10 }, { at = 14 } }, events(9, 9.5), events(12), {})
    assert.same({ acks = 4, messages = 2, commits = 4 }, found[1])
    assert.same({ acks = 16, messages = 16, commits = 16 }, found[2])
    assert.same({ acks = 1, messages = 1, commits = 20 }, measure({ { at = 10 } }, events(table.unpack(seconds(1, 40))),
      events(table.unpack(seconds(1, 40))), events(9, 31))[1]) -- what comes when the reader ends shortens nothing
  end)

  it("is the longest of the partitions, of which one may be silent from the first on", function()
    local acked = events(9, 11, 12, 30)
    for _, time in ipairs { 9, 29, 30 } do table.insert(acked, { time = time, partition = 1 }) end
    assert.equal(19, measure({ { at = 10 } }, acked, {}, {}, 2)[1].acks)
    assert.equal(20, measure({ { at = 10 } }, events(table.unpack(seconds(1, 40))), {}, {}, 2)[1].acks)
  end)

  it("is not counted in messages and commits while no reader is there, whose return counts from its start", function()
    local found = measure({ { at = 10 }, { at = 11, restarted = 14 } }, events(9, 12, 20, 30), events(9, 10.5, 16, 17, 30),
      events(9, 10.25, 18, 20, 30))
    assert.same({ acks = 10, messages = 13, commits = 10 }, found[1])
    assert.same({ messages = 2, commits = 4 }, found[2])
    local often = seconds(17, 30)
    found = measure({ { at = 10 }, { at = 11, restarted = 14 } }, {}, events(9, 10.5, 16, table.unpack(often)),
      events(9, 10.25, table.unpack(often)))
    assert.same({ 1, 1 }, { found[1].messages, found[1].commits })
  end)

  it("is counted up to a reader's end, and from its return on: the end of a process excuses none that it caused", function()
    local read = events(9, table.unpack(seconds(24, 30)))
    local found = measure({ { at = 10 }, { at = 22, restarted = 23 } }, {}, read, events(9, 24))
    assert.same({ 12, 12 }, { found[1].messages, found[1].commits })
    assert.same({ messages = 1, commits = 1 }, found[2])
  end)

  it("of a reader's return lasts until the process is ended too, and to the end of the run where it never returns", function()
    local found = measure({ { at = 2, restarted = 3 }, { at = 12, restarted = 14 } }, {}, events(1, 4, 11, 13), events(1))
    assert.same({ messages = 1, commits = 9 }, found[1])
    assert.same({ messages = 16, commits = 16 }, found[2])
  end)
end)

describe("the table of make chaos", function()
  it("marks what must be 0 and what must not, and counts faults with too long a silence", function()
    local figures = verdict.judge(ledger(2))
    figures.lost, figures.commits = 1, 0
    local text = table.concat(show.figures(figures, verdict.wrong(figures, false)), "\n")
    assert.matches("acknowledged and lost, or never read +1  <%- must be 0", text)
    assert.matches("commits, by partition +0  <%- must not be 0", text)
    local kinds = { { name = "a", limit = true }, { name = "b" } }
    local struck = { { kind = "a", leads = { 0, 1 }, coordinates = true, words = "a crash" }, { kind = "a" }, { kind = "b" } }
    local measured = { { acks = 3, messages = 1 }, { acks = 1, commits = 3 }, { messages = 9 } }
    local function limit_of(row) return row and row.limit and 2.5 end
    local lines, over = show.faults(kinds, struck, measured, limit_of, 0.5)
    assert.same({ "longer than 2.50 s, commits 3.00 s: acks 3.00, messages 1.00, commits -: a crash" }, over)
    assert.matches("^a +2 +2 +1 +3.00 +1.00 +3.00 +2.50$", lines[3])
    assert.matches("^b +1 +0 +0 +%- +9.00 +%- +%-$", lines[4])
  end)

  it("counts a silence in commits as those in acknowledgements and messages, each longer by the time between two", function()
    local kinds, struck = { { name = "a", limit = true } }, { { kind = "a", words = "a crash" } }
    local function over(commits)
      local measured = { { acks = 1, messages = 1, commits = commits } }
      local _, list = show.faults(kinds, struck, measured, function() return 2.5 end, 0.5)
      return list
    end
    assert.same({}, over(3))
    assert.same({ "longer than 2.50 s, commits 3.00 s: acks 1.00, messages 1.00, commits 3.01: a crash" }, over(3.01))
  end)
end)

describe("the stage of make chaos", function()
  it("runs tasks beside each other, each to its end", function()
    local play, order, go = stage.new(), {}, false
    local function note(word) order[#order + 1] = word end
    local first = play:start(function()
      note "first waits"
      assert.is_true(stage.wait(10, function() return go end))
      note "first goes on"
    end)
    play:start(function(word)
      note(word)
      assert.is_nil(stage.wait(0.01))
      go = true
      note "second ends"
    end, "second")
    play:run()
    assert.same({ "first waits", "second", "second ends", "first goes on" }, order)
    assert.is_true(first.over)
  end)

  it("ends with an error that says what was waited for in vain", function()
    local play = stage.new()
    play:start(function() stage.await(0.01, "the moon", function() return false end) end)
    local ok, err = pcall(play.run, play)
    assert.is_false(ok)
    assert.matches("0.01 s were not enough for the moon", err, 1, true)
  end)
end)

describe("the crew of make chaos", function()
  local folder, programs

  before_each(function() folder, programs = assert(uv.fs_mkdtemp((os.getenv "TMPDIR" or "/tmp") .. "/crew-XXXXXX")), {} end)
  after_each(function()
    for _, program in ipairs(programs) do
      program:signal "sigkill"
      program:reach("ended", math.huge)
    end
    os.execute("rm -rf " .. folder)
  end)

  -- A reader whose program is these words of a shell, in a folder of its own.
  local function reader(words)
    local sandbox = { folder = folder }
    function sandbox.launch(_, name)
      local program = assert(process.start { name = name, path = "/bin/sh", args = { "-c", words }, folder = folder,
        log = ("%s/%s.log"):format(folder, name) })
      programs[#programs + 1] = program
      return program
    end
    local readers = crew.readers(sandbox, {})
    readers:start()
    return readers
  end

  -- Within a task, as faults do it.
  local function ends(readers, how)
    local play = stage.new()
    play:start(function() readers[how](readers) end)
    return pcall(play.run, play)
  end

  local function await_end(readers) assert(readers.process:reach("ended", math.huge)) end

  local UNTIL_ASKED = "while [ ! -e reader-1.stop ]; do sleep 0.01; done; "

  it("lets faults go on while a reader ends", function()
    local readers = reader(UNTIL_ASKED .. "while [ ! -e resumed ]; do sleep 0.01; done")
    local play = stage.new()
    play:start(function() readers:close("now", 10) end)
    play:start(function()
      stage.wait(0.05)
      io.open(folder .. "/resumed", "w"):close() -- as a fault that ends lets the coordinator answer
    end)
    play:run()
    assert.same({ 0, 0 }, { readers.process:exit() })
  end)

  it("takes a reader for killed, or closed, that ran until then", function()
    local readers = reader "exec sleep 60"
    assert.is_true(ends(readers, "kill"))
    assert.same({ 0, 9 }, { readers.process:exit() })
    assert.is_true(ends(reader(UNTIL_ASKED), "close"))
  end)

  it("fails for a reader that had ended by itself before, whatever its exit code, and says how", function()
    for _, how in ipairs { "kill", "close" } do
      local function told(program)
        local readers = reader(program)
        await_end(readers)
        local ok, err = ends(readers, how)
        assert.is_false(ok)
        assert.matches("ended by itself: reader-1, with ", err, 1, true)
        return err
      end
      assert.matches("exit code 3; its log ends: one | no memory", told "echo one; echo no memory; exit 3", 1, true)
      assert.matches("exit code 0; its log ends: it wrote nothing", told "exit 0", 1, true)
      -- A signal that no sanitizer takes for itself.
      assert.matches("signal 14; its log ends: reading", told "echo reading; kill -ALRM $$", 1, true)
    end
  end)

  it("fails for a reader that ended by itself in the moment before the signal", function()
    local readers = reader "exit 4"
    await_end(readers)
    function readers.process.state(self) -- once as it was a moment ago
      self.state = nil
      return "running"
    end
    local ok, err = ends(readers, "kill")
    assert.is_false(ok)
    assert.matches("ended by itself as it was to be killed: reader-1, with exit code 4", err, 1, true)
  end)

  it("fails for a reader that does not close in good order", function()
    local ok, err = ends(reader(UNTIL_ASKED .. "echo the end; exit 5"), "close")
    assert.is_false(ok)
    assert.matches("did not end in good order: reader-1, with exit code 5; its log ends: the end", err, 1, true)
  end)
end)

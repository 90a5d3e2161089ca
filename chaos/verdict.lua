-- What became of every message and of every commit: exact, from what the writer, the reader and the witness noted and from what
-- the partitions hold in the end. Pure.

local verdict = {}

---@class kafka.chaos.Ledger
---@field faults integer how many came
---@field acked { time: number, partition: integer, number: integer, offset: integer }[]
---@field failed integer reports of failure
---@field fatal integer how often the writer could do no more
---@field log table<integer, { offset: integer, number: integer }[]> by partition, to its end
---@field readers kafka.chaos.Reading[] one process after the other
---@field history { time: number, partition: integer, offset: integer }[] every commit that the cluster has taken, in order
---@field witness { time: number, asked: number, partition: integer, offset: integer }[] what it heard, and since when it asked

---@class kafka.chaos.Reading
---@field opening number when it began
---@field opened number when it knew where to begin in each partition; it has committed nothing before
---@field read { time: number, partition: integer, offset: integer, number: integer }[]
---@field committed { time: number, partition: integer, offset: integer }[] what it says it has committed
---@field resets integer how often it went on elsewhere
---@field errors integer that its caller got

-- Figures that must be 0, in the order of the table.
verdict.zeros = {
  "lost", "duplicated", "stored_out_of_order", "out_of_order", "skipped", "misplaced", "went_back", "uncommitted",
  "read_again_though_committed", "resets", "errors", "fatal", "idle",
}

-- Figures that must not be 0: a run without them has shown nothing.
verdict.some = { "faults", "acknowledged", "stored", "read", "commits", "heard" }

-- What brokers without idempotence cannot keep: a request to a broker that hangs is sent again, when it is given up, to
-- the new leader, behind what went there meanwhile.
local not_without_idempotence = { duplicated = true, stored_out_of_order = true }

local function counter(limit)
  local figures, details = {}, {}
  local function count(name, words, ...)
    figures[name] = (figures[name] or 0) + 1
    if words and figures[name] <= limit then details[#details + 1] = ("%s: " .. words):format(name:gsub("_", " "), ...) end
  end
  return figures, details, count
end

local function raise(highest, partition, offset) highest[partition] = math.max(highest[partition] or -1, offset) end

-- What the partitions hold: partition -> offset -> number, and partition -> number -> true.
local function stored(log, count)
  local at, there = {}, {}
  for partition, list in pairs(log) do
    local numbers, seen, highest = {}, {}, 0
    for _, m in ipairs(list) do
      count "stored"
      numbers[m.offset] = m.number
      if seen[m.number] then
        count("duplicated", "partition %d holds message %d once more at offset %d", partition, m.number, m.offset)
      elseif m.number < highest then
        count("stored_out_of_order", "partition %d holds message %d behind message %d", partition, m.number, highest)
      end
      seen[m.number], highest = true, math.max(highest, m.number)
    end
    at[partition], there[partition] = numbers, seen
  end
  return at, there
end

-- What one process read: from what was committed on, each message of a partition behind the one before, and none left out.
-- committed: the highest offsets that it must have known of; reach: that it may have known of.
local function follow(reading, at, committed, reach, was_read, count)
  local last = {}
  for _, m in ipairs(reading.read) do
    local p, before = m.partition, last[m.partition]
    if before and m.offset <= before then
      count("out_of_order", "offset %d of partition %d was read behind offset %d", m.offset, p, before)
    elseif before and m.offset > before + 1 then
      count("skipped", "offset %d of partition %d was read next after offset %d", m.offset, p, before)
    elseif not before and m.offset > (reach[p] or 0) then
      count("skipped", "partition %d was read from offset %d on, though no more than %d was committed", p, m.offset,
        reach[p] or 0)
    end
    if m.offset < (committed[p] or 0) then
      count("read_again_though_committed", "offset %d of partition %d was read though %d was committed before", m.offset, p,
        committed[p])
    end
    if at[p] and at[p][m.offset] ~= m.number then
      count("misplaced", "message %d was read at offset %d of partition %d, which holds message %s", m.number, m.offset, p,
        at[p][m.offset])
    end
    was_read[p] = was_read[p] or {}
    count(was_read[p][m.number] and "read_again" or "read")
    was_read[p][m.number], last[p] = true, m.offset
  end
end

local function by_time(a, b) return a.time < b.time end

local function append(list, more) return table.move(more, 1, #more, #list + 1, list) end

-- All that the readers said about commits, one process after the other.
local function told_by(readers)
  local list = {}
  for _, reading in ipairs(readers) do append(list, reading.committed) end
  return list
end

-- The highest offsets of commits before a moment.
local function highest_before(list, time)
  local highest = {}
  for _, c in ipairs(list) do
    if c.time < time then raise(highest, c.partition, c.offset) end
  end
  return highest
end

local function ascending(list, known, name, who, count)
  for _, c in ipairs(list) do
    if c.offset < (known[c.partition] or 0) then
      count(name, "%s: %d of partition %d, after %d", who, c.offset, c.partition, known[c.partition])
    end
    raise(known, c.partition, c.offset)
  end
end

-- The witness may hear what was true when it asked: compared with what the readers had told by then, and with what it heard
-- before. Where it hears less and the commits have not gone back, a coordinator that was paused told what it knew.
local function heard(ledger, count)
  local told = told_by(ledger.readers)
  table.sort(told, by_time)
  local known, i = {}, 1
  for _, c in ipairs(ledger.witness) do
    while told[i] and told[i].time < c.asked do
      raise(known, told[i].partition, told[i].offset)
      i = i + 1
    end
    ascending({ c }, known, "out_of_date", "heard by the witness", count)
  end
end

-- The last reader has read all and closed: each partition is committed to its end.
local function finished(ledger, count)
  local last = {}
  for _, c in ipairs(ledger.history) do last[c.partition] = c.offset end
  for p, list in pairs(ledger.log) do
    local done, ending = last[p] or 0, #list > 0 and list[#list].offset + 1 or 0
    if done ~= ending then
      count("uncommitted", "the last commit of partition %d was %d, and its end is %d", p, done, ending)
    end
  end
end

---@param ledger kafka.chaos.Ledger
---@return table<string, integer> figures
---@return string[] details of what should not be, the first few of each kind
function verdict.judge(ledger)
  local figures, details, count = counter(5)
  for _, names in ipairs { verdict.some, { "read_again", "out_of_date" }, verdict.zeros } do
    for _, name in ipairs(names) do figures[name] = 0 end
  end
  figures.faults, figures.failed, figures.fatal = ledger.faults, ledger.failed, ledger.fatal
  local at, there = stored(ledger.log, count)
  local said = append(told_by(ledger.readers), ledger.witness)
  -- The cluster may take a commit before anybody is told: one of a reader that was killed meanwhile.
  local taken = append(append({}, said), ledger.history)
  local was_read = {}
  for i, reading in ipairs(ledger.readers) do
    local known = highest_before(said, reading.opening)
    follow(reading, at, known, highest_before(taken, reading.opened), was_read, count)
    ascending(reading.committed, known, "went_back", ("told by reader %d"):format(i), count)
    figures.resets, figures.errors = figures.resets + reading.resets, figures.errors + reading.errors
  end
  ascending(ledger.history, {}, "went_back", "taken by the cluster", count)
  figures.commits, figures.heard = #ledger.history, #ledger.witness
  finished(ledger, count)
  heard(ledger, count)
  local served = {}
  for _, m in ipairs(ledger.acked) do
    count "acknowledged"
    local p = m.partition
    served[p] = true
    if not (there[p] and there[p][m.number]) then
      count("lost", "message %d of partition %d was acknowledged at offset %d and is not stored", m.number, p, m.offset)
    elseif not (was_read[p] and was_read[p][m.number]) then
      count("lost", "message %d of partition %d was acknowledged and never read", m.number, p)
    elseif m.offset >= 0 and at[p][m.offset] ~= m.number then
      count("misplaced", "message %d of partition %d was acknowledged at offset %d, which holds message %s", m.number, p,
        m.offset, at[p][m.offset])
    end
  end
  for p in pairs(ledger.log) do
    if not served[p] then count("idle", "nothing of partition %d was acknowledged", p) end
  end
  return figures, details
end

---@param figures table<string, integer>
---@param duplicates boolean whether the brokers know no idempotence
---@return string[] names of figures that should be 0, and of those that should not
function verdict.wrong(figures, duplicates)
  local list = {}
  for _, name in ipairs(verdict.zeros) do
    if figures[name] ~= 0 and not (duplicates and not_without_idempotence[name]) then list[#list + 1] = name end
  end
  for _, name in ipairs(verdict.some) do
    if figures[name] == 0 then list[#list + 1] = name end
  end
  return list
end

return verdict

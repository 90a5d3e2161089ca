-- How long nothing came behind each kind of fault: the longest pause between two events of a partition. Pure.

local silence = {}

-- The longest gap of one partition within from..till, what is outside cut off, and what is between without the spans in which the
-- reader was away. nil: it was away all the time.
local function longest(times, from, till, away)
  local found
  local function gap(a, b)
    if b > a then found = math.max(found or 0, b - a) end
  end
  for i = 2, #times do
    local a, b = math.max(times[i - 1], from), math.min(times[i], till)
    for _, span in ipairs(away) do
      if span.from < b and span.till > a then
        gap(a, span.from)
        a = span.till
      end
    end
    gap(a, b)
  end
  return found
end

-- The times of each partition's events, in order, from the beginning of the run to its end, which end what would never end.
local function by_partition(events, run)
  local lists = {}
  for partition = 0, run.partitions - 1 do lists[partition] = { run.from } end
  for _, e in ipairs(events) do table.insert(lists[e.partition], e.time) end
  for _, times in pairs(lists) do
    if times[#times] < run.till then times[#times + 1] = run.till end
  end
  return lists
end

local function over_all(lists, from, till, away)
  local found
  for _, times in pairs(lists) do
    local one = longest(times, from, till, away)
    if one then found = math.max(found or 0, one) end
  end
  return found
end

-- When the slowest partition had its first event after `from`, or `till` where that is earlier.
local function first_of_all(lists, from, till)
  local last = from
  for _, times in pairs(lists) do
    for _, time in ipairs(times) do
      if time > from then
        last = math.max(last, math.min(time, till))
        break
      end
    end
  end
  return last
end

-- From when a process of the reader was killed until the next had brought something of each partition, or was killed itself.
local function absences(faults, lists)
  local spans, till = {}, math.huge
  for i = #faults, 1, -1 do
    local fault = faults[i]
    if fault.restarted then
      table.insert(spans, 1, { from = fault.at, till = first_of_all(lists, fault.restarted, till), fault = fault })
      till = fault.at
    end
  end
  return spans
end

local function return_of(fault, spans)
  for _, span in ipairs(spans) do
    if span.fault == fault then return span.till - fault.restarted end
  end
end

---For each fault, up to the next one of the cluster or the end of the run: the longest pause between acknowledgements, between
---messages, between commits; of a restarted reader, from the start of its process to the first message and the first commit of
---the slowest partition, or until it was ended too.
---@param faults kafka.chaos.Fault[] in the order of their time
---@param acked { time: number, partition: integer }[]
---@param read { time: number, partition: integer }[]
---@param committed { time: number, partition: integer }[]
---@param run { from: number, till: number, partitions: integer } in which all three were to come without rest
---@return { acks: number|nil, messages: number|nil, commits: number|nil }[] one for each fault; nil: nothing can be said
function silence.measure(faults, acked, read, committed, run)
  local acks, messages, commits = by_partition(acked, run), by_partition(read, run), by_partition(committed, run)
  local reading, committing, found = absences(faults, messages), absences(faults, commits), {}
  local till = run.till
  for i = #faults, 1, -1 do
    local fault = faults[i]
    if fault.restarted then
      found[i] = { messages = return_of(fault, reading), commits = return_of(fault, committing) }
    else
      found[i] = {
        acks = over_all(acks, fault.at, till, {}),
        messages = over_all(messages, fault.at, till, reading),
        commits = over_all(commits, fault.at, till, committing),
      }
      till = fault.at
    end
  end
  return found
end

return silence

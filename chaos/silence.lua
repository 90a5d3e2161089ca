-- How long nothing came behind each kind of fault: the longest pause between two events of a partition. Pure.

local silence = {}

-- The longest gap of one partition within from..till, what is outside cut off; where the reader was away meanwhile, nothing is
-- said.
local function longest(times, from, till, away)
  local found
  for i = 2, #times do
    local a, b = times[i - 1], times[i]
    if a >= till then break end
    local counts = b > from
    for _, span in ipairs(counts and away or {}) do counts = counts and not (a < span.till and b > span.from) end
    if counts then found = math.max(found or 0, math.min(b, till) - math.max(a, from)) end
  end
  return found
end

local function by_partition(events)
  local lists = {}
  for _, e in ipairs(events) do
    lists[e.partition] = lists[e.partition] or {}
    table.insert(lists[e.partition], e.time)
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

-- When a process of the reader was killed, until the next had read from each partition.
local function absences(faults, read)
  local spans = {}
  for _, fault in ipairs(faults) do
    if fault.restarted then
      local last = fault.restarted
      for _, times in pairs(read) do
        for _, time in ipairs(times) do
          if time > fault.restarted then
            last = math.max(last, time)
            break
          end
        end
      end
      spans[#spans + 1] = { from = fault.at, till = last, fault = fault }
    end
  end
  return spans
end

---For each fault, up to the next one of the cluster: the longest pause between acknowledgements, between messages, between
---commits; of a restarted reader, from the start of its process to its first message of the slowest partition.
---@param faults kafka.chaos.Fault[] in the order of their time
---@param acked { time: number, partition: integer }[]
---@param read { time: number, partition: integer }[]
---@param committed { time: number, partition: integer }[]
---@return { acks: number|nil, messages: number|nil, commits: number|nil }[] one for each fault; nil: nothing can be said
function silence.measure(faults, acked, read, committed)
  local acks, messages, commits = by_partition(acked), by_partition(read), by_partition(committed)
  local away, found = absences(faults, messages), {}
  for i, fault in ipairs(faults) do
    local till = math.huge
    for j = #faults, i + 1, -1 do
      if not faults[j].restarted then till = faults[j].at end
    end
    if fault.restarted then
      for _, span in ipairs(away) do
        if span.fault == fault then found[i] = { messages = span.till - fault.restarted } end
      end
    else
      found[i] = {
        acks = over_all(acks, fault.at, till),
        messages = over_all(messages, fault.at, till, away),
        commits = over_all(commits, fault.at, till, away),
      }
    end
  end
  return found
end

return silence

-- The table that a run ends with, as lines. Pure.

local show = {}

local figures = {
  { "faults", "faults" },
  { "acknowledged", "messages acknowledged" },
  { "failed", "messages reported as failed" },
  { "stored", "messages stored" },
  { "read", "messages read" },
  { "read_again", "read again after a restart, not committed before" },
  { "lost", "acknowledged and lost, or never read" },
  { "duplicated", "stored more than once" },
  { "stored_out_of_order", "stored behind a later one" },
  { "out_of_order", "read behind a later one" },
  { "skipped", "skipped by a reader" },
  { "misplaced", "at another offset than was told" },
  { "commits", "commits, by partition" },
  { "uncommitted", "partitions not committed to their end" },
  { "went_back", "commits that went back" },
  { "heard", "answers to the witness about them" },
  { "out_of_date", "answers out of date" },
  { "read_again_though_committed", "committed and read again" },
  { "resets", "positions lost" },
  { "errors", "errors that the reader's caller got" },
  { "fatal", "errors after which the writer could do no more" },
  { "idle", "partitions of which nothing was acknowledged" },
}

local function seconds(value) return value and ("%.2f"):format(value) or "-" end

---@param values table<string, integer>
---@param wrong string[]
---@return string[]
function show.figures(values, wrong)
  local marked, lines = {}, {}
  for _, name in ipairs(wrong) do marked[name] = values[name] == 0 and "  <- must not be 0" or "  <- must be 0" end
  for i, row in ipairs(figures) do lines[i] = ("%-50s %8d%s"):format(row[2], values[row[1]], marked[row[1]] or "") end
  return lines
end

local columns = { "acks", "messages", "commits" }

-- Of all faults of one kind: how many, how many leaderships they struck, the longest of each silence.
local function summed(kind, faults, measured)
  local sum = { count = 0, leaders = 0, coordinators = 0 }
  for i, fault in ipairs(faults) do
    if fault.kind == kind then
      sum.count = sum.count + 1
      sum.leaders = sum.leaders + (fault.leads and #fault.leads or 0)
      sum.coordinators = sum.coordinators + (fault.coordinates and 1 or 0)
      for _, name in ipairs(columns) do
        local one = measured[i][name]
        sum[name] = one and math.max(sum[name] or 0, one) or sum[name]
      end
    end
  end
  return sum
end

local line = "%-26s %5s %8s %12s   %6s %8s %7s   %6s"

---@param rows { name: string, limit: nil|function }[] of faults.lua
---@param faults kafka.chaos.Fault[]
---@param measured { acks: number|nil, messages: number|nil, commits: number|nil }[]
---@param limit_of fun(row: table, fault: kafka.chaos.Fault): number|nil for acknowledgements and messages
---@param every number seconds between two commits, by which theirs may be longer
---@return string[] lines
---@return string[] over the faults that were followed by a longer silence than their limit
function show.faults(rows, faults, measured, limit_of, every)
  local lines, over, by_name = { line:format("", "", "", "", "longest", "silence,", "seconds", "") }, {}, {}
  lines[2] = line:format("fault", "count", "leaders", "coordinators", "acks", "messages", "commits", "limit")
  for _, row in ipairs(rows) do
    local sum, limit = summed(row.name, faults, measured), nil
    for _, fault in ipairs(faults) do
      if fault.kind == row.name then limit = math.max(limit or -1, limit_of(row, fault) or -1) end
    end
    by_name[row.name] = row
    lines[#lines + 1] = line:format(row.name, sum.count, sum.leaders, sum.coordinators, seconds(sum.acks), seconds(sum.messages),
      seconds(sum.commits), seconds(limit and limit >= 0 and limit or nil))
  end
  for i, fault in ipairs(faults) do
    local m, limit = measured[i], limit_of(by_name[fault.kind], fault)
    if limit and math.max(m.acks or 0, m.messages or 0, (m.commits or 0) - every) > limit then
      over[#over + 1] = ("longer than %s s, commits %s s: acks %s, messages %s, commits %s: %s"):format(seconds(limit),
        seconds(limit + every), seconds(m.acks), seconds(m.messages), seconds(m.commits), fault.words)
    end
  end
  return lines, over
end

return show

-- The table that a run ends with, as lines. Pure.

local show = {}

local figures = {
  { "acknowledged", "messages acknowledged" },
  { "failed", "messages reported as failed" },
  { "stored", "messages stored" },
  { "read", "messages read" },
  { "read_again", "read again after a restart, not committed before" },
  { "lost", "acknowledged and lost, or never read" },
  { "duplicated", "stored more than once" },
  { "out_of_order", "out of order" },
  { "skipped", "skipped by a reader" },
  { "misplaced", "at another offset than was told" },
  { "commits", "commits, by partition" },
  { "went_back", "commits that went back" },
  { "out_of_date", "answers out of date about them" },
  { "read_again_though_committed", "committed and read again" },
  { "resets", "positions lost" },
  { "errors", "errors that the reader's caller got" },
  { "fatal", "errors after which the writer could do no more" },
}

local function seconds(value) return value and ("%.2f"):format(value) or "-" end

---@param values table<string, integer>
---@param wrong string[]
---@return string[]
function show.figures(values, wrong)
  local marked, lines = {}, {}
  for _, name in ipairs(wrong) do marked[name] = "  <- must be 0" end
  for i, row in ipairs(figures) do lines[i] = ("%-50s %8d%s"):format(row[2], values[row[1]], marked[row[1]] or "") end
  return lines
end

---@param rows { name: string, limit: nil|function }[] of faults.lua
---@param faults kafka.chaos.Fault[]
---@param measured { acks: number|nil, messages: number|nil }[]
---@param limit_of fun(row: table): number|nil
---@return string[] lines
---@return string[] over the faults that were followed by a longer silence than their limit
function show.faults(rows, faults, measured, limit_of)
  local lines = { (" "):rep(43) .. "longest silence, seconds" }
  lines[2] = ("%-28s %5s %8s %8s %8s %6s"):format("fault", "count", "leaders", "acks", "messages", "limit")
  local over = {}
  for _, row in ipairs(rows) do
    local count, leaders, limit, acks, messages = 0, 0, limit_of(row), nil, nil
    for i, fault in ipairs(faults) do
      if fault.kind == row.name then
        count, leaders = count + 1, leaders + (fault.leads and #fault.leads or 0)
        local m = measured[i]
        acks = m.acks and math.max(acks or 0, m.acks) or acks
        messages = m.messages and math.max(messages or 0, m.messages) or messages
        if limit and math.max(m.acks or 0, m.messages or 0) > limit then
          over[#over + 1] = ("longer than %s s: acks %s, messages %s: %s"):format(seconds(limit), seconds(m.acks),
            seconds(m.messages), fault.words)
        end
      end
    end
    lines[#lines + 1] = ("%-28s %5d %8d %8s %8s %6s"):format(row.name, count, leaders, seconds(acks), seconds(messages),
      seconds(limit))
  end
  return lines, over
end

return show

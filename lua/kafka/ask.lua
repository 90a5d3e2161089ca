-- Questions to the cluster through one handle: the ends of a partition, what a group has committed, the offsets at a time.
-- Each waits for its answer. Knows no face.

local errors = require "kafka.error"

local ask = {}

---@param h table a handle
---@param timeout number seconds
---@return integer|nil earliest
---@return integer|kafka.Error latest, or the error
---rd_kafka_query_watermark_offsets
function ask.watermarks(h, op, topic, partition, timeout)
  local about = { op = op, topic = topic, partition = partition }
  local answer, err = h:request(about, timeout, function(ticket, ms)
    return h.core:watermarks(topic, partition, ms, ticket)
  end)
  if not answer then return nil, err end
  return answer.earliest, answer.latest
end

local function first_error(op, rows)
  for _, row in ipairs(rows) do
    if row.err then return errors.from(row.err, { op = op, topic = row.topic, partition = row.partition }) end
  end
end

local function about_rows(h, op, rows, timeout, start)
  local answer, err = h:request({ op = op, topic = #rows == 1 and rows[1].topic or nil }, timeout, start)
  if not answer then return nil, err end
  err = first_error(op, answer.rows)
  if err then return nil, err end
  return answer.rows
end

---What the handle's group has committed for these rows; no offset: nothing.
---rd_kafka_committed
function ask.committed(h, op, rows, timeout)
  return about_rows(h, op, rows, timeout, function(ticket, ms) return h.core:committed(rows, ms, ticket) end)
end

---The first offsets at or after the timestamps (ms) that stand as the rows' offsets; no offset: nothing as late as that.
---rd_kafka_offsets_for_times
function ask.times(h, op, rows, timeout)
  return about_rows(h, op, rows, timeout, function(ticket, ms) return h.core:offsets_for_times(rows, ms, ticket) end)
end

return ask

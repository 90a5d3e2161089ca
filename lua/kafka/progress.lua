-- How far a consumer has come: what it has stored and commits, what its group has committed, where it stands, how far it is
-- behind. Knows the consumer's parts, not how they came to it.

local args = require "kafka.args"
local ask = require "kafka.ask"
local errors = require "kafka.error"
local polling = require "kafka.polling"
local rows_of = require "kafka.rows"
local show = require "kafka.show"

local progress = {}

local DEFAULT_TIMEOUT = 10 -- seconds
local LATEST = -1 -- librdkafka's number

local committed_list = show.list({ "topic", "partition", "offset", show.maybe "metadata" }, { none = "nothing committed" })
local lag_list = show.list { "topic", "partition", "position", "latest", "lag" }

---The error of a partition that is not this consumer's.
function progress.foreign(op, row)
  return errors.new { name = "_STATE", op = op, topic = row.topic, partition = row.partition, category = "group",
    message = "the partition is not assigned to this consumer (any more)" }
end

local function store_rows(c, rows)
  local foreign
  for _, row in ipairs(rows) do
    if not c.commits:store(row.topic, row.partition, row.offset, row.metadata) then foreign = foreign or row end
  end
  if foreign then return nil, progress.foreign("store", foreign) end
  return true
end

function progress.store(c, what) return store_rows(c, rows_of.next("store", what)) end

local commit_options = { metadata = args.metadata, timeout = args.seconds, on_commit = args.func }

function progress.commit(c, what, options)
  local o = args.fields("commit", options, commit_options)
  local rows = what ~= nil and rows_of.next("commit", what)
  c.handle:dispatch()
  if not rows then
    polling.settle(c)
    rows = c.commits:pending()
  end
  for _, row in ipairs(rows) do row.metadata = row.metadata or o.metadata end
  store_rows(c, rows)
  if #rows == 0 then
    if o.on_commit then o.on_commit(rows_of.shown(rows)) end
    return true
  end
  if o.on_commit then return c.commits:send(rows, o.on_commit) end
  return c.commits:wait(rows, o.timeout or DEFAULT_TIMEOUT)
end

-- The partitions of a question: given, or all that are assigned.
local function which(c, op, rows)
  if rows ~= nil then return rows_of.copy(op, rows, false) end
  rows = {}
  for i, part in ipairs(c.parts.list) do rows[i] = { topic = part.topic, partition = part.partition } end
  return rows
end

function progress.committed(c, rows, timeout)
  args.optional("committed", "timeout", timeout, args.seconds)
  rows = which(c, "committed", rows)
  if #rows == 0 then return committed_list {} end
  local found, err = ask.committed(c.handle, "committed", rows, timeout or DEFAULT_TIMEOUT)
  if not found then return nil, err end
  return committed_list(found)
end

---The next offset of a part that will be handed out, or nil where it is not known yet.
function progress.position(c, part)
  return c.backlog:first(part.topic, part.partition) or c.parts:position(part)
end

function progress.lag(c, timeout)
  args.optional("lag", "timeout", timeout, args.seconds)
  local rows, total, list = {}, 0, { table.unpack(c.parts.list) }
  local ends = ask.ends(c.handle, "lag", list, timeout or DEFAULT_TIMEOUT)
  for i, part in ipairs(list) do
    if ends[i].err then return nil, ends[i].err end
    local earliest, latest = ends[i].earliest, ends[i].latest
    local at = not c.closed and progress.position(c, part)
    if not at then at = part.start == LATEST and latest or earliest end
    local lag = math.max(0, latest - math.max(at, earliest))
    total = total + lag
    rows[i] = { topic = part.topic, partition = part.partition, position = at, latest = latest, lag = lag }
  end
  return total, lag_list(rows)
end

return progress

-- What people pass to a local cluster: checked, with the defaults filled in. What is wrong with it raises.
-- Must not know: what is done with it.

local core = require "kafka.core"
local args = require "kafka.args"
local machine = require "kafka.localcluster.machine"

local M = {}

local OP = "kafka.localcluster"

-- Support processes get ids from here on, so broker ids stop before it.
M.FIRST_SUPPORT_ID = 100

local brokers = args.integer(1, M.FIRST_SUPPORT_ID - 1)
local partitions = args.integer(1, 10000)
local port = args.integer(1, 65535)

local KNOWN = {
  version = args.string,
  brokers = brokers,
  topics = args.table,
  settings = args.table,
  ports = args.table,
  home = args.name,
  security = args.boolean,
  timeout = args.seconds,
}

---Raises at the caller's line.
---@param sentence string
---@param op string? the method
function M.misuse(sentence, op)
  args.misuse(op or OP, sentence)
end

---@param timeout any seconds
---@param op string? the method
function M.check_timeout(timeout, op)
  args.optional(op or OP, "timeout", timeout, args.seconds)
end

---@param timeout number? seconds from now
---@param default number seconds where none is given
---@return number deadline on the cluster's clock
function M.deadline(timeout, default)
  M.check_timeout(timeout)
  return machine.now() + (timeout or default)
end

---@param id any
---@param last integer
---@return integer id
function M.broker_id(id, last)
  return math.tointeger(args.check("broker", "broker", id, args.integer(1, last)))
end

---@param name any
---@param count any partitions
---@param copies any replication factor
---@param config any
---@param known integer brokers that there are
---@param op string? the method
---@param total string? what the number of partitions is called there, where it must be given
---@return table topic for the client
function M.topic(name, count, copies, config, known, op, total)
  op = op or OP
  args.topic(op, name)
  if total then
    args.check(op, total, count, partitions)
  end
  args.optional(op, "partitions", count, partitions)
  args.optional(op, "replication_factor", copies, args.integer(1, known))
  args.optional(op, "config", config, args.table)
  return {
    name = name,
    partitions = math.tointeger(count or 1),
    replication_factor = math.tointeger(copies or math.min(known, 3)),
    config = config,
  }
end

---@param name any
---@param op string the method
function M.topic_name(name, op)
  args.topic(op, name)
end

---@param name any
---@param number any
---@param op string the method
---@return integer partition
function M.partition(name, number, op)
  args.topic(op, name)
  return math.tointeger(args.check(op, "partition", number, args.partition))
end

---@param list any
---@param last integer id of the last broker
---@param op string the method
---@return integer[] ids, each there once
function M.replicas(list, last, op)
  local ids, seen = args.list(op, "replicas", list, "a list of broker ids"), {}
  if #ids == 0 then
    args.fail(op, "replicas", "a list of at least one broker id", list)
  end
  for i, id in ipairs(ids) do
    ids[i] = math.tointeger(args.check(op, ("replicas[%d]"):format(i), id, args.integer(1, last)))
    if seen[ids[i]] then
      args.fail(op, "replicas", "ids different from each other", ids[i])
    end
    seen[ids[i]] = true
  end
  return ids
end

---@param what string
---@param list any
---@return string[] its copy
function M.words(what, list)
  local copy = args.list(what, "arguments", list, "a list of words")
  for i, word in ipairs(copy) do
    args.check(what, ("arguments[%d]"):format(i), word, args.name)
  end
  return copy
end

local setting = {
  wanted = "a string of one line, a number, true or false",
  fits = function(value)
    local kind = type(value)
    return (kind == "string" or kind == "number" or kind == "boolean") and not tostring(value):find("[\r\n]")
  end,
}

local function settings(given, row)
  local found = {}
  for name, value in next, core.copy(given or {}) do
    args.check(OP, "the name of a setting", name, args.name)
    args.check(OP, ("settings[%s]"):format(core.show(name)), value, setting)
    if row.own[name] then
      M.misuse(("settings[%s] cannot be given: the cluster sets it itself"):format(core.show(name)))
    end
    found[name] = value
  end
  return found
end

local function ports(given, count)
  if not given then
    return {}
  end
  given = args.list(OP, "ports", given, ("a list of %d, one for each broker"):format(count))
  if #given ~= count then
    args.fail(OP, "ports", ("a list of %d, one for each broker"):format(count), #given)
  end
  local found, seen = {}, {}
  for i = 1, count do
    found[i] = math.tointeger(args.check(OP, ("ports[%d]"):format(i), given[i], port))
    if seen[found[i]] then
      args.fail(OP, "ports", "different from each other", found[i])
    end
    seen[found[i]] = true
  end
  return found
end

local function topics(given, count)
  local found = {}
  for name, number in next, core.copy(given or {}) do
    found[#found + 1] = M.topic(name, number, nil, nil, count)
  end
  table.sort(found, function(a, b)
    return a.name < b.name
  end)
  return found
end

local function generation(version, rows)
  if rows[version] then
    return rows[version]
  end
  local known = {}
  for name in pairs(rows) do
    known[#known + 1] = ("%q"):format(name)
  end
  table.sort(known)
  args.fail(OP, "version", "one of " .. table.concat(known, ", "), version)
end

---@param given any
---@param rows table<string, kafka.localcluster.Generation>
---@return kafka.localcluster.Plan
function M.check(given, rows)
  local o = args.fields(OP, given, KNOWN)
  local row = generation(o.version or "4.3.1", rows)
  for name, why in pairs(row.cannot) do
    if o[name] then
      M.misuse(("%s cannot be given: %s"):format(name, why))
    end
  end
  local count = math.tointeger(o.brokers or 1)
  ---@class kafka.localcluster.Plan
  return {
    row = row,
    count = count,
    topics = topics(o.topics, count),
    settings = settings(o.settings, row),
    ports = ports(o.ports, count),
    home = o.home,
    secure = o.security or false,
    timeout = o.timeout or 60,
  }
end

return M

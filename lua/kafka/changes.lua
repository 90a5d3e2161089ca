-- What changed between two pictures of a cluster, as a list of changes that print themselves, and the way back: a picture with
-- changes applied. Pure: nothing here asks anybody.
--
-- A picture is what `k:metadata()` gives; `coordinators`, a table group -> broker id, may stand beside it. A topic may have its
-- `id`, a partition its `earliest` and `latest` offsets.

local changes = {}

---@class kafka.Change
---@field kind string
---@field topic string|nil
---@field partition integer|nil
---@field group string|nil
---@field err kafka.Error|nil of "unreachable": why
---@field seconds number|nil of "reachable": how long nobody answered
---@field from any what it was
---@field to any what it is
local Change = { __name = "kafka.Change" }
Change.__index = Change

local function place(c) return c.partition and ("%s[%d]"):format(c.topic, c.partition) or c.topic end

local function ids(list) return #list == 0 and "none" or table.concat(list, ",") end

local function address(b) return ("%s:%d"):format(b.host, b.port) end

-- kind -> the line that a person reads
local lines = {
  broker_joined = function(c) return ("broker %d joined at %s"):format(c.to.id, address(c.to)) end,
  broker_left = function(c) return ("broker %d at %s left"):format(c.from.id, address(c.from)) end,
  broker_moved = function(c) return ("broker %d %s -> %s"):format(c.to.id, address(c.from), address(c.to)) end,
  controller = function(c) return ("controller %s -> %s"):format(c.from or "none", c.to or "none") end,
  coordinator = function(c) return ("group %s coordinator %s -> %s"):format(c.group, c.from or "none", c.to or "none") end,
  topic_created = function(c) return ("%s created, %d partitions"):format(c.topic, #c.to.partitions) end,
  topic_deleted = function(c) return ("%s deleted"):format(c.topic) end,
  topic_recreated = function(c) return ("%s deleted and created again, %d partitions"):format(c.topic, #c.to.partitions) end,
  partitions_added = function(c) return ("%s partitions %d -> %d"):format(c.topic, c.from, c.from + #c.to) end,
  leader = function(c) return ("%s leader %s -> %s"):format(place(c), c.from or "none", c.to or "none") end,
  replicas = function(c) return ("%s replicas %s -> %s"):format(place(c), ids(c.from), ids(c.to)) end,
  isr = function(c) return ("%s isr %s -> %s"):format(place(c), ids(c.from), ids(c.to)) end,
  unreachable = function(c)
    local cause = c.err.cause
    return "cluster unreachable: " .. c.err.message .. (cause and "; last: " .. cause.message or "")
  end,
  reachable = function(c) return ("cluster reachable again after %.1f s"):format(c.seconds) end,
}

function Change:__tostring() return lines[self.kind](self) end

---One change, of what no two pictures show.
---@param fields table
---@return kafka.Change
function changes.new(fields) return setmetatable(fields, Change) end

local function change(list, fields)
  list[#list + 1] = changes.new(fields)
end

-- Copies, so that a change keeps nothing of the pictures it was made of.

local function copy_list(list) return table.move(list or {}, 1, #(list or {}), 1, {}) end

local function copy_broker(b) return { id = b.id, host = b.host, port = b.port, rack = b.rack } end

local function copy_partition(p)
  return { partition = p.partition, leader = p.leader, replicas = copy_list(p.replicas), isr = copy_list(p.isr),
    earliest = p.earliest, latest = p.latest }
end

local function copy_topic(t)
  local copy = { name = t.name, id = t.id, partitions = {} }
  for i, p in ipairs(t.partitions) do copy.partitions[i] = copy_partition(p) end
  return copy
end

-- Comparing ----------------------------------------------------------------------------------------------------------

local function index(list, field)
  local found = {}
  for _, item in ipairs(list or {}) do found[item[field]] = item end
  return found
end

-- Whether both lists hold the same numbers, in whatever order: brokers tell in-sync replicas in different ones.
local function same_set(a, b)
  if #a ~= #b then return false end
  local seen = {}
  for _, id in ipairs(a) do seen[id] = true end
  for _, id in ipairs(b) do
    if not seen[id] then return false end
  end
  return true
end

local function same_order(a, b)
  if #a ~= #b then return false end
  for i, id in ipairs(a) do
    if id ~= b[i] then return false end
  end
  return true
end

local function brokers(list, old, new)
  local before, after = index(old.brokers, "id"), index(new.brokers, "id")
  for _, b in ipairs(old.brokers) do
    if not after[b.id] then change(list, { kind = "broker_left", from = copy_broker(b) }) end
  end
  for _, b in ipairs(new.brokers) do
    local was = before[b.id]
    if not was then
      change(list, { kind = "broker_joined", to = copy_broker(b) })
    elseif was.host ~= b.host or was.port ~= b.port or was.rack ~= b.rack then
      change(list, { kind = "broker_moved", from = copy_broker(was), to = copy_broker(b) })
    end
  end
  if old.controller ~= new.controller then
    change(list, { kind = "controller", from = old.controller, to = new.controller })
  end
end

local function partition(list, topic, old, new)
  local function note(kind, from, to)
    change(list, { kind = kind, topic = topic, partition = new.partition, from = from, to = to })
  end
  if old.leader ~= new.leader then note("leader", old.leader, new.leader) end
  if not same_order(old.replicas, new.replicas) then note("replicas", copy_list(old.replicas), copy_list(new.replicas)) end
  if not same_set(old.isr, new.isr) then note("isr", copy_list(old.isr), copy_list(new.isr)) end
end

-- Offsets that no partition comes back to, where both pictures know them: the first one only ever rises, and truncation leaves
-- what is below it alone.
local function begins_anew(old, new)
  if not (old.earliest and new.earliest) then return false end
  return new.earliest < old.earliest or (new.latest or math.huge) < old.earliest
end

-- A topic that another one has taken the place of: its id is another, where the picture knows ids, it has lost partitions, or a
-- partition begins where it cannot.
local function is_another(old, new)
  if #new.partitions < #old.partitions or old.id and new.id and old.id ~= new.id then return true end
  for i, p in ipairs(old.partitions) do
    if begins_anew(p, new.partitions[i]) then return true end
  end
  return false
end

local function topic(list, old, new)
  if is_another(old, new) then
    change(list, { kind = "topic_recreated", topic = new.name, from = copy_topic(old), to = copy_topic(new) })
    return
  end
  local had = #old.partitions
  for i = 1, had do partition(list, new.name, old.partitions[i], new.partitions[i]) end
  if #new.partitions > had then
    local added = {}
    for i = had + 1, #new.partitions do added[#added + 1] = copy_partition(new.partitions[i]) end
    change(list, { kind = "partitions_added", topic = new.name, from = had, to = added })
  end
end

local function topics(list, old, new)
  local before, after = index(old.topics, "name"), index(new.topics, "name")
  for _, t in ipairs(old.topics or {}) do
    if not after[t.name] then change(list, { kind = "topic_deleted", topic = t.name, from = copy_topic(t) }) end
  end
  for _, t in ipairs(new.topics or {}) do
    if before[t.name] then
      topic(list, before[t.name], t)
    else
      change(list, { kind = "topic_created", topic = t.name, to = copy_topic(t) })
    end
  end
end

local function coordinators(list, old, new)
  local groups, before, after = {}, old.coordinators or {}, new.coordinators or {}
  for group in next, before do groups[group] = true end
  for group in next, after do groups[group] = true end
  local names = {}
  for group in next, groups do names[#names + 1] = group end
  table.sort(names)
  for _, group in ipairs(names) do
    if before[group] ~= after[group] then
      change(list, { kind = "coordinator", group = group, from = before[group], to = after[group] })
    end
  end
end

---What changed from one picture to the other, brokers first.
---@param old table
---@param new table
---@return kafka.Change[] empty where nothing did
function changes.between(old, new)
  local list = {}
  brokers(list, old, new)
  topics(list, old, new)
  coordinators(list, old, new)
  return list
end

-- Applying -----------------------------------------------------------------------------------------------------------

local function by(field)
  return function(a, b) return a[field] < b[field] end
end

local function put(list, field, item)
  for i, there in ipairs(list) do
    if there[field] == item[field] then
      list[i] = item
      return
    end
  end
  list[#list + 1] = item
  table.sort(list, by(field))
end

local function drop(list, field, value)
  for i = #list, 1, -1 do
    if list[i][field] == value then table.remove(list, i) end
  end
end

local function of_partition(field)
  return function(picture, c)
    local t = index(picture.topics, "name")[c.topic]
    local to = c.to
    if type(to) == "table" then to = copy_list(to) end
    index(t.partitions, "partition")[c.partition][field] = to
  end
end

local apply = {
  broker_joined = function(picture, c) put(picture.brokers, "id", copy_broker(c.to)) end,
  broker_moved = function(picture, c) put(picture.brokers, "id", copy_broker(c.to)) end,
  broker_left = function(picture, c) drop(picture.brokers, "id", c.from.id) end,
  controller = function(picture, c) picture.controller = c.to end,
  coordinator = function(picture, c) picture.coordinators[c.group] = c.to end,
  topic_created = function(picture, c) put(picture.topics, "name", copy_topic(c.to)) end,
  topic_recreated = function(picture, c) put(picture.topics, "name", copy_topic(c.to)) end,
  topic_deleted = function(picture, c) drop(picture.topics, "name", c.topic) end,
  partitions_added = function(picture, c)
    local t = index(picture.topics, "name")[c.topic]
    for _, p in ipairs(c.to) do t.partitions[#t.partitions + 1] = copy_partition(p) end
  end,
  leader = of_partition "leader",
  replicas = of_partition "replicas",
  isr = of_partition "isr",
  unreachable = function() end,
  reachable = function() end,
}

---A copy of a picture, of plain tables.
---@return table
function changes.copy(picture)
  local copy = { brokers = {}, topics = {}, controller = picture.controller, coordinators = {} }
  for i, b in ipairs(picture.brokers) do copy.brokers[i] = copy_broker(b) end
  for i, t in ipairs(picture.topics or {}) do copy.topics[i] = copy_topic(t) end
  for group, id in next, picture.coordinators or {} do copy.coordinators[group] = id end
  return copy
end

---The picture that the changes lead to.
---@param picture table is left as it is
---@param list kafka.Change[]
---@return table
function changes.apply(picture, list)
  local copy = changes.copy(picture)
  for _, c in ipairs(list) do apply[c.kind](copy, c) end
  return copy
end

return changes

-- The places of a cluster's processes: an id, a port, a folder, and the files that a process finds there.
-- Must not know: what is in those files, nor how processes are started.

local uv = require "luv"
local fault = require "kafka.localcluster.fault"
local machine = require "kafka.localcluster.machine"
local nodes = require "kafka.localcluster.node"
local ports = require "kafka.localcluster.ports"
local security = require "kafka.localcluster.security"

local M = {}

---@return string id as Kafka writes one: 16 bytes in base64, whose 22nd letter carries two bits only
function M.cluster_id()
  local letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
  local id = uv.random(21):gsub(".", function(char)
    local at = char:byte() % #letters + 1
    return letters:sub(at, at)
  end)
  return id .. "A"
end

local function add(cluster, part, id, name, wanted_port)
  local port, hold = ports.hold(wanted_port)
  if not port then
    return nil, hold
  end
  cluster.holds[#cluster.holds + 1] = hold
  return nodes.new(cluster, { id = id, name = name, port = port, part = part })
end

---@param cluster kafka.localcluster.Cluster
---@param part kafka.localcluster.Part
---@param id integer
---@return kafka.localcluster.Node? node
---@return table? err
function M.add_support(cluster, part, id)
  local node, err = add(cluster, part, id, part.name)
  cluster.support[part.name] = node
  return node, err
end

-- What clients are given for one listener of all brokers.
local function addresses(cluster, listener)
  local found = {}
  for i, member in ipairs(cluster.members) do
    found[i] = ("%s:%d"):format(member.host, listener == "port" and member.port or member.listeners[listener])
  end
  return table.concat(found, ",")
end

---@param cluster kafka.localcluster.Cluster
---@param port integer? one that is free unless told
---@return kafka.localcluster.Node? broker
---@return table? err
function M.add_broker(cluster, port)
  local id = #cluster.members + 1
  local broker, err = add(cluster, cluster.row.broker, id, "broker " .. id, port)
  if not broker then
    return nil, err
  end
  cluster.members[id] = broker
  cluster.brokers = addresses(cluster, "port")
  if not cluster.secure then
    return broker
  end
  broker.listeners = {}
  cluster.listeners.plaintext = cluster.brokers
  for name in security.names() do
    local more, hold = ports.hold()
    if not more then
      return nil, hold
    end
    cluster.holds[#cluster.holds + 1] = hold
    broker.listeners[name] = more
    cluster.listeners[name] = addresses(cluster, name)
  end
  return broker
end

local function text(properties)
  local lines = {}
  for name, value in pairs(properties) do
    lines[#lines + 1] = ("%s=%s\n"):format(name, tostring(value):gsub("\\", "\\\\"))
  end
  table.sort(lines)
  return table.concat(lines)
end

---Writes what a process finds when it is started for the first time.
---@param node kafka.localcluster.Node
---@param deadline number
---@return true? ok
---@return table? err
function M.furnish(node, deadline)
  local part, cluster = node.part, node.cluster
  local files = { [node.file] = text(part.properties(cluster, node)) }
  for name, content in pairs(part.files(cluster, node)) do
    files[node.folder .. "/" .. name] = content
  end
  local ok, why = machine.make_folder(node.folder)
  for path, content in pairs(files) do
    if ok then
      ok, why = machine.write(path, content)
    end
  end
  if not ok then
    return nil, fault.new(("cannot write the files of %s: %s"):format(node.name, why))
  end
  if part.prepare then
    return part.prepare(cluster, node, deadline)
  end
  return true
end

---@param cluster kafka.localcluster.Cluster
---@return userdata[] holds on its ports, for release
function M.give_up(cluster)
  local holds = cluster.holds
  cluster.holds = {}
  return holds
end

return M

-- From options to a cluster that answers.
-- Must not know: what a generation of Kafka needs beyond the order that its row gives.

local uv = require "luv"
local certificates = require "kafka.localcluster.certificates"
local clusters = require "kafka.localcluster.cluster"
local java = require "kafka.localcluster.java"
local jars = require "kafka.localcluster.jars"
local options = require "kafka.localcluster.options"
local places = require "kafka.localcluster.places"
local ready = require "kafka.localcluster.ready"
local sandboxes = require "kafka.localcluster.sandbox"
local training = require "kafka.localcluster.training"

-- Every port is known before the first file is written, because the files name each other's ports.
local function populate(cluster, plan)
  for i, part in ipairs(plan.row.support) do
    local node, err = places.add_support(cluster, part, options.FIRST_SUPPORT_ID + i - 1)
    if not node then
      return nil, err
    end
  end
  for i = 1, plan.count do
    local broker, err = places.add_broker(cluster, plan.ports[i])
    if not broker then
      return nil, err
    end
  end
  return true
end

local function launch(node, deadline)
  local ok, err = places.furnish(node, deadline)
  if ok then
    ok, err = node:launch()
  end
  if ok and node.part.first then
    ok, err = ready.listening({ node }, deadline)
  end
  return ok, err
end

local function any_again(nodes)
  for _, node in ipairs(nodes) do
    if node:launch_again() then
      return true
    end
  end
  return false
end

local function launch_all(cluster, plan, deadline)
  local started = {}
  for _, part in ipairs(plan.row.support) do
    started[#started + 1] = cluster.support[part.name]
  end
  table.move(cluster.members, 1, #cluster.members, #started + 1, started)
  for _, node in ipairs(started) do
    local ok, err = launch(node, deadline)
    if not ok then
      return nil, err
    end
  end
  local ok, err
  repeat
    ok, err = ready.answering(cluster, started, deadline)
  until ok or not any_again(started)
  return ok, err
end

local function make_topics(cluster, plan, deadline)
  for _, topic in ipairs(plan.topics) do
    local ok, err = cluster:make_topic(topic, deadline)
    if not ok then
      return nil, err
    end
  end
  return true
end

-- Whatever ends the start early, Ctrl-C among it, ends what was started.
local function guarded(cluster)
  return setmetatable({ cluster = cluster }, {
    __close = function(guard)
      if guard.cluster then
        guard.cluster:close()
      end
    end,
  })
end

local function start(plan, program)
  local deadline = options.deadline(plan.timeout, 60)
  local sandbox, err = sandboxes.new(uv.os_tmpdir(), "lua-kafka")
  if not sandbox then
    return nil, err
  end
  local cluster = clusters.new(plan, program, sandbox)
  local guard <close> = guarded(cluster)
  local ok
  ok, err = populate(cluster, plan)
  if ok and plan.secure then
    ok, err = certificates.make(sandbox, deadline)
    cluster.certificates = ok
  end
  if ok then
    ok, err = launch_all(cluster, plan, deadline)
  end
  if ok and plan.secure and plan.row.security.add_users then
    ok, err = plan.row.security.add_users(cluster, deadline)
  end
  if ok then
    ok, err = make_topics(cluster, plan, deadline)
  end
  if not ok then
    return nil, err
  end
  guard.cluster = nil
  return cluster
end

---@param plan kafka.localcluster.Plan
---@return kafka.localcluster.Cluster? cluster
---@return table? err
return function(plan)
  local path, err = java.find()
  if not path then
    return nil, err
  end
  local libs, keep = jars.find(plan.row, plan.home)
  if not libs then
    return nil, keep
  end
  local program = { path = path, libs = libs, flags = plan.row.flags, keep = keep }
  if keep then
    program.archive = training.archive(program, plan.row, start)
  end
  return start(plan, program)
end

-- Which requests a cluster's brokers serve. librdkafka knows it of each broker but has no call that tells; its log does. A
-- request that a broker does not serve is refused here, since librdkafka aborts the process (requests to a coordinator) or
-- waits for what never comes (the mock cluster, which has no controller).

local core = require "kafka.core"
local errors = require "kafka.error"
local generation = require "kafka.generation"
local handle = require "kafka.handle"
local log = require "kafka.log"

local support = {}

-- Requests by their numbers in Kafka's protocol, with the first Kafka that serves them.
local names = {
  [2] = { "ListOffsets", "0.8" },
  [8] = { "OffsetCommit", "0.8.2" },
  [9] = { "OffsetFetch", "0.8.2" },
  [15] = { "DescribeGroups", "0.9" },
  [16] = { "ListGroups", "0.9" },
  [19] = { "CreateTopics", "0.10.1" },
  [20] = { "DeleteTopics", "0.10.1" },
  [21] = { "DeleteRecords", "0.11" },
  [29] = { "DescribeAcls", "0.11" },
  [30] = { "CreateAcls", "0.11" },
  [31] = { "DeleteAcls", "0.11" },
  [32] = { "DescribeConfigs", "0.11" },
  [33] = { "AlterConfigs", "0.11" },
  [37] = { "CreatePartitions", "1.0" },
  [42] = { "DeleteGroups", "1.1" },
  [43] = { "ElectLeaders", "2.2" },
  [44] = { "IncrementalAlterConfigs", "2.3" },
  [47] = { "OffsetDelete", "2.4" },
  [50] = { "DescribeUserScramCredentials", "2.7" },
  [51] = { "AlterUserScramCredentials", "2.7" },
  [60] = { "DescribeCluster", "2.8" },
}

-- One connection that logs what its broker says of itself.
local function look(client, op, deadline)
  local serves, settings, options = {}, {}, {}
  for k, v in pairs(client.settings) do settings[k] = v end
  for k, v in pairs(client.options) do options[k] = v end
  settings.debug = settings.debug and settings.debug .. ",feature" or "feature"
  local h, err
  function options.on_log(line)
    local number = line.text:match "ApiKey %S+ %((%d+)%) Versions"
    if number then serves[tonumber(number)] = true end
    if line.level >= 7 then return end
    if client.options.on_log then return client.options.on_log(line) end
    log.line(h.title, line.level, line.text)
  end
  h, err = handle.open("consumer", op, settings, options)
  if not h then return nil, err end
  local timeout = math.max(0, deadline - core.now())
  local ok, answer, why = pcall(h.request, h, { op = op }, timeout, function(ticket, ms)
    return h.core:metadata(false, ms, ticket)
  end)
  h:close(core.now()) -- ends in the background
  if not ok then error(answer, 0) end
  if not answer then return nil, why end
  local cluster = answer.cluster_id
  return { serves = next(serves) and serves or nil, mock = cluster ~= nil and cluster:find "^mockCluster" ~= nil }
end

-- Of brokers that do not tell, by their version.
local function by_version(version)
  local serves = {}
  for number, row in pairs(names) do serves[number] = generation.reaches(version, row[2]) end
  return { serves = serves, mock = false }
end

local function known(client, op, deadline)
  if client.support then return client.support end
  local version = client.options.broker_version
  if generation.is_old(version) then
    client.support = by_version(version)
    return client.support
  end
  local found, err = look(client, op, deadline)
  client.support = found
  return found, err
end

---Whether the brokers serve a request; where nothing tells, they do.
---@param client table
---@param op string
---@param number integer the request's in Kafka's protocol
---@param deadline number
---@return boolean|nil
---@return kafka.Error|nil where no broker could be asked
function support.has(client, op, number, deadline)
  local found, err = known(client, op, deadline)
  if not found then return nil, err end
  if found.serves then return found.serves[number] == true end
  return not found.mock and client.settings["api.version.request"] ~= "false"
end

---Whether this is the mock cluster; nil where it could not be asked.
function support.is_mock(client, op, deadline)
  local found = known(client, op, deadline)
  return found and found.mock
end

---nil where the brokers serve the request, else the error that refuses it.
---@return kafka.Error|nil
function support.refusal(client, op, number, deadline)
  local has, err = support.has(client, op, number, deadline)
  if has then return nil end
  if err then return err end
  local name, since = names[number][1], names[number][2]
  local who = client.support.mock and "the mock cluster does not serve " .. name
    or ("its brokers do not serve %s, which Kafka %s and newer do"):format(name, since)
  return errors.new { name = "_UNSUPPORTED_FEATURE", op = op, message = who }
end

return support

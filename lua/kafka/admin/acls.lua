-- ACLs: who may do what. Methods of kafka.connect.

local core = require "kafka.core"
local args = require "kafka.args"
local errors = require "kafka.error"
local show = require "kafka.show"
local call = require "kafka.admin.call"
local configs = require "kafka.admin.configs"

---@class kafka.Client
local Acls = {}

local COLUMNS = { "resource", "name", "pattern", "principal", "host", "operation", "permission" }
local acls_list = show.list(COLUMNS, { none = "no ACLs" })

---@class kafka.Acl
---@field resource string "topic", "group", "cluster", "transactional_id" (with a librdkafka that has it)
---@field name string
---@field pattern string "literal" or "prefixed"
---@field principal string "User:alice"
---@field host string "*" for any
---@field operation string "all", "read", "write", "create", "delete", "alter", "describe", "cluster_action",
---  "describe_configs", "alter_configs", "idempotent_write"
---@field permission string "allow" or "deny"
---@field err kafka.Error|nil

local operation = { "all", "read", "write", "create", "delete", "alter", "describe", "cluster_action", "describe_configs",
  "alter_configs", "idempotent_write" }

local acl_fields = {
  resource = args.word("topic", "group", "cluster", "transactional_id"),
  name = args.name,
  pattern = args.word("literal", "prefixed"),
  principal = args.worded('a principal such as "User:alice"', { fits = function(v)
    return args.name.fits(v) and v:find "^[^:]+:."
  end }),
  host = args.name,
  operation = args.word(table.unpack(operation)),
  permission = args.word("allow", "deny"),
  err = args.any, -- a row of a result may be given back
}

local filter_fields = {
  resource = args.word("any", "topic", "group", "cluster", "transactional_id"),
  name = args.name,
  pattern = args.word("any", "match", "literal", "prefixed"),
  principal = acl_fields.principal,
  host = args.name,
  operation = args.word("any", table.unpack(operation)),
  permission = args.word("any", "allow", "deny"),
  err = args.any,
}

-- librdkafka calls the cluster a broker.
local function to_core(acl)
  local raw = {}
  for k, v in pairs(acl) do raw[k] = v end
  raw.resource = raw.resource == "cluster" and "broker" or raw.resource
  raw.err = nil
  return raw
end

local function from_core(raw)
  for _, k in ipairs { "resource", "pattern", "operation", "permission" } do raw[k] = raw[k] and raw[k]:lower() end
  if raw.resource == "broker" then raw.resource = "cluster" end
  return raw
end

local function sorted(list)
  for _, acl in ipairs(list) do from_core(acl) end
  table.sort(list, function(a, b)
    for _, k in ipairs(COLUMNS) do
      local x, y = a[k] or "", b[k] or ""
      if x ~= y then return x < y end
    end
    return false
  end)
  return acls_list(list)
end

local function binding(op, acl, label)
  if type(acl) ~= "table" then args.fail(op, label, "a table {resource, name, principal, operation}", acl) end
  local a = args.fields(op, acl, acl_fields, label)
  if a.resource == "cluster" then a.name = a.name or "kafka-cluster" end
  for _, k in ipairs { "resource", "name", "principal", "operation" } do
    args.check(op, label .. "." .. k, a[k], acl_fields[k])
  end
  a.pattern, a.host, a.permission = a.pattern or "literal", a.host or "*", a.permission or "allow"
  a.err = nil
  return a
end

local function filter_of(op, filter)
  local f = args.fields(op, filter, filter_fields, "filter")
  for _, k in ipairs { "resource", "pattern", "operation", "permission" } do f[k] = f[k] or "any" end
  return f
end

---Creates ACLs; one that is there already is no error.
---@param acls kafka.Acl[]|kafka.Acl pattern is "literal" where not given, host "*", permission "allow", name of the cluster
---  "kafka-cluster"
---@param timeout number|nil seconds (default 10)
---@return kafka.Acl[]|nil in the same order, each with `err` where it was not created
---@return kafka.Error|nil where the request as a whole failed: SECURITY_DISABLED where the brokers have no authorizer
---rd_kafka_CreateAcls
function Acls:create_acls(acls, timeout)
  local op = "create_acls"
  call.client(self, op)
  if type(acls) == "table" and rawget(acls, "resource") ~= nil then acls = { acls } end
  local list, raw = args.list(op, "acls", acls, "a list of ACLs"), {}
  if #list == 0 then args.fail(op, "acls", "a list of at least one", acls) end
  for i, acl in ipairs(list) do
    list[i] = binding(op, acl, ("acls[%d]"):format(i))
    raw[i] = to_core(list[i])
  end
  local answer, err = call.send(self, "create_acls", { op = op }, call.deadline(op, timeout), function(c, ms, ticket)
    return c:create_acls(raw, ms, ticket)
  end)
  if not answer then return nil, err end
  call.judge(op, answer.rows)
  for i, row in ipairs(answer.rows) do list[i].err = row.err end
  return acls_list(list)
end

-- librdkafka drops the error of a whole answer to this question: where nothing was found, is there an authorizer at all?
local function disabled(client, op, deadline)
  local brokers = client:brokers(math.max(0, deadline - core.now()))
  local entries = brokers and brokers[1] and configs.read(client, op, "broker", ("%d"):format(brokers[1].id), deadline)
  local authorizer = entries and entries["authorizer.class.name"]
  if authorizer and authorizer.value == "" then
    return errors.new { name = "SECURITY_DISABLED", op = op, message = "the brokers have no authorizer" }
  end
end

---The ACLs that a filter matches. librdkafka does not tell where this client may not see them: the list is empty then.
---@param filter table|nil fields as of an ACL, any of them; "any" for the words; pattern "match": all that apply to that name
---@param timeout number|nil seconds (default 10)
---@return kafka.Acl[]|nil
---@return kafka.Error|nil SECURITY_DISABLED where the brokers have no authorizer
---rd_kafka_DescribeAcls
function Acls:acls(filter, timeout)
  local op = "acls"
  call.client(self, op)
  local raw = to_core(filter_of(op, filter))
  local deadline = call.deadline(op, timeout)
  local answer, err = call.send(self, "describe_acls", { op = op }, deadline, function(c, ms, ticket)
    return c:describe_acls({ raw }, ms, ticket)
  end)
  if not answer then return nil, err end
  if #answer.rows == 0 then err = disabled(self, op, deadline) end
  if err then return nil, err end
  return sorted(call.judge(op, answer.rows))
end

---Deletes the ACLs that a filter matches.
---@param filter table as for `acls`, with one field at least: {resource = "any"} is all there are
---@param timeout number|nil seconds (default 10)
---@return kafka.Acl[]|nil those deleted, each with `err` where it was not
---@return kafka.Error|nil
---rd_kafka_DeleteAcls
function Acls:delete_acls(filter, timeout)
  local op = "delete_acls"
  call.client(self, op)
  if type(filter) ~= "table" or next(filter) == nil then
    args.fail(op, "filter", 'a table of at least one field ({resource = "any"} is all)', filter)
  end
  local raw = to_core(filter_of(op, filter))
  local answer, err = call.send(self, "delete_acls", { op = op }, call.deadline(op, timeout), function(c, ms, ticket)
    return c:delete_acls({ raw }, ms, ticket)
  end)
  if not answer then return nil, err end
  local row = call.judge(op, answer.rows)[1]
  if row.err then return nil, row.err end
  return sorted(call.judge(op, row.acls))
end

return Acls

-- SCRAM users, which brokers keep themselves. Methods of kafka.connect; they need librdkafka 2.2.

local args = require "kafka.args"
local show = require "kafka.show"
local call = require "kafka.admin.call"

---@class kafka.Client
local Users = {}

local users_list = show.list({ "user", "credentials" }, { key = "user", none = "no users" })
local results_list = show.list({ "user" }, { key = "user" })

local ITERATIONS = 4096 -- what brokers ask for at least

local Credential = { __name = "kafka.Credential", __tostring = function(c)
  return ("%s (%d iterations)"):format(c.mechanism, c.iterations)
end }

---Users and the mechanisms they have a password for.
---@param names string[]|nil nil: all
---@param timeout number|nil seconds (default 10)
---@return {user: string, credentials: {mechanism: string, iterations: integer}[], err: kafka.Error|nil}[]|nil
---@return kafka.Error|nil where the request as a whole failed
---rd_kafka_DescribeUserScramCredentials
function Users:users(names, timeout)
  local op = "users"
  call.client(self, op)
  if names ~= nil then names = call.names(op, "users", names, args.name) end
  local answer, err = call.send(self, "describe_users", { op = op }, call.deadline(op, timeout), function(c, ms, ticket)
    return c:describe_users(names, ms, ticket)
  end)
  if not answer then return nil, err end
  for _, row in ipairs(answer.rows) do
    for _, credential in ipairs(row.credentials) do setmetatable(credential, Credential) end
  end
  table.sort(answer.rows, function(a, b) return a.user < b.user end)
  return users_list(call.judge(op, answer.rows))
end

local user_fields = {
  user = args.name,
  mechanism = args.word("SCRAM-SHA-256", "SCRAM-SHA-512"),
  password = args.any,
  iterations = args.integer(1, 2 ^ 31 - 1 | 0),
  delete = args.boolean,
}

local function alteration(op, row, label)
  if type(row) ~= "table" then args.fail(op, label, "a table {user, mechanism, password}", row) end
  local u = args.fields(op, row, user_fields, label)
  for _, k in ipairs { "user", "mechanism" } do args.check(op, label .. "." .. k, u[k], user_fields[k]) end
  if (u.password ~= nil) == (u.delete == true) then args.misuse(op, label .. " must have a password, or delete = true") end
  -- No message may repeat what somebody meant to be a password.
  if u.password ~= nil and (type(u.password) ~= "string" or u.password == "") then
    args.misuse(op, label .. ".password must be a string of at least one byte")
  end
  return { user = u.user, mechanism = u.mechanism, password = u.password, iterations = u.iterations or ITERATIONS }
end

---Gives users passwords, or takes them away.
---@param list table[] rows {user, mechanism = "SCRAM-SHA-256" or "SCRAM-SHA-512", password, iterations (default 4096)}, or
---  {user, mechanism, delete = true}; or one such row
---@param timeout number|nil seconds (default 10)
---@return {user: string, err: kafka.Error|nil}[]|nil
---@return kafka.Error|nil where the request as a whole failed
---rd_kafka_AlterUserScramCredentials
function Users:alter_users(list, timeout)
  local op = "alter_users"
  call.client(self, op)
  if type(list) == "table" and rawget(list, "user") ~= nil then list = { list } end
  local raw = args.list(op, "users", list, "a list of users")
  if #raw == 0 then args.fail(op, "users", "a list of at least one", list) end
  for i, row in ipairs(raw) do raw[i] = alteration(op, row, ("users[%d]"):format(i)) end
  local answer, err = call.send(self, "alter_users", { op = op }, call.deadline(op, timeout), function(c, ms, ticket)
    return c:alter_users(raw, ms, ticket)
  end)
  if not answer then return nil, err end
  return results_list(call.judge(op, answer.rows))
end

return Users

-- The generations of Kafka that specs run on, and what each can do: a spec file runs its blocks once for each, with the cluster
-- as the parameter. What a generation cannot do is asserted as refused by the same spec, not left out.

local kafka = require "kafka"
local try = require "spec.support.try"

local generations = {}

-- What a client may do on each; where a word is missing it is refused.
local NEW = "admin all_offsets groups headers idempotence offsets_at timestamps transactions zstd"

-- Settings by which brokers look each second at what retention is to take.
local EXPIRING = { ["log.retention.check.interval.ms"] = 1000, ["log.initial.task.delay.ms"] = 1000 }

local ALL = {
  { version = "4.3.1", can = NEW, expiring = EXPIRING },
  { version = "3.9.2", can = NEW, expiring = EXPIRING },
  { version = "0.8.2.1", can = "", options = { broker_version = "0.8.2.1" },
    expiring = { ["log.retention.check.interval.ms"] = 1000 } },
}

---@class spec.Generation
---@field version string
---@field can table<string, boolean>
---@field options table what constructors of clients are given
---@field expiring table settings of a cluster whose retention acts soon
local Generation = {}
Generation.__index = Generation

local function set(words)
  local found = {}
  for word in words:gmatch "%S+" do found[word] = true end
  return found
end

for _, row in ipairs(ALL) do
  row.can, row.options = set(row.can), row.options or {}
  setmetatable(row, Generation)
end

local function quiet() end

---Starts a cluster of it.
---@param options table|nil
function Generation:cluster(options)
  local all = { version = self.version, brokers = 2 }
  for name, value in pairs(options or {}) do all[name] = value end
  return assert(kafka.localcluster(all))
end

---A constructor's options: what this generation needs, and silence where nothing else is said.
---@param brokers string
---@param options table|nil
---@return table
function Generation:with(brokers, options)
  local all = { brokers = brokers, on_log = quiet, on_error = quiet }
  for _, more in ipairs { self.options, options or {} } do
    for name, value in pairs(more) do all[name] = value end
  end
  return all
end

---What a call returned, where the generation can do it; else nothing, after asserting that it was refused with its reason.
---@param feature string one of the words above
---@param value any what the call returned
---@param err kafka.Error|nil
---@return any
function Generation:allowed(feature, value, err)
  if self.can[feature] then return assert(value, err) end
  local refused = try.failure("_UNSUPPORTED_FEATURE", value, err)
  assert(refused.action == "fix", refused.action)
  assert(refused.message:find "Kafka %d+%.%d", refused.message)
end

---Defines the blocks once for each generation.
---@param describe function busted's, which only spec files see
---@param name string what is described
---@param define fun(generation: spec.Generation)
function generations.each(describe, name, define)
  for _, generation in ipairs(ALL) do
    describe(("%s, Kafka %s,"):format(name, generation.version), function() define(generation) end)
  end
end

return generations

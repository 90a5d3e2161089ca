-- The administrative methods of kafka.connect, each in the file of its subject.

local acls = require "kafka.admin.acls"
local cluster = require "kafka.admin.cluster"
local configs = require "kafka.admin.configs"
local groups = require "kafka.admin.groups"
local offsets = require "kafka.admin.offsets"
local topics = require "kafka.admin.topics"
local users = require "kafka.admin.users"

local admin = {}

for _, methods in ipairs { topics, configs.methods, groups, offsets, acls, users, cluster } do
  for name, method in pairs(methods) do admin[name] = method end
end

return admin

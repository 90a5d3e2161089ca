-- Quick starts: an archive of the classes that a broker loads, made once for each Java and kept beside the jars. The
-- JVM maps it instead of reading and checking thousands of classes, which takes a third off each start.
-- It is made by a broker that is started for it, asked something, and stopped in good order.
-- Must not know: how clusters are started, nor what a generation of Kafka needs.

local uv = require "luv"
local machine = require "kafka.localcluster.machine"

local M = {}

-- Java refuses an archive of another Java or of other jars, so the name tells them apart.
local function key(java)
  local path = uv.fs_realpath(java.path)
  local stat = uv.fs_stat(path)
  local sum = 0xcbf29ce484222325 -- FNV-1a
  for char in ("%s|%d|%d|%s"):format(path, stat.size, stat.mtime.sec, java.libs):gmatch(".") do
    sum = (sum ~ char:byte()) * 0x100000001b3
  end
  return ("%016x"):format(sum)
end

-- In the cluster's own folder, which is gone after it, whatever happens; the name counts from there.
local DUMP = "classes.jsa"

local function train(java, row, start, path)
  local trainee = setmetatable({ dump = DUMP }, { __index = java })
  local plan = { row = row, count = 1, topics = {}, settings = {}, ports = {}, timeout = 60 }
  local cluster <close> = start(plan, trainee)
  if not cluster then
    return
  end
  cluster:create_topic("training")
  if not cluster:broker(1):stop(60) then
    return
  end
  local beside = ("%s.%d"):format(path, uv.os_getpid())
  if not uv.fs_copyfile(cluster.sandbox.folder .. "/" .. DUMP, beside) then
    machine.write(beside, "") -- this Java cannot: an empty file says so next time
  end
  os.rename(beside, path)
end

---The archive for this Java and these jars; made first where it is missing.
---@param java kafka.localcluster.Java
---@param row kafka.localcluster.Generation
---@param start fun(plan: table, java: kafka.localcluster.Java): kafka.localcluster.Cluster?, table?
---@return string? path nil where there is none, and everything works without it
function M.archive(java, row, start)
  local path = ("%s/classes-%s.jsa"):format(java.keep, key(java))
  local stat = uv.fs_stat(path)
  if not stat then
    io.stderr:write(("kafka.localcluster: preparing Kafka %s for quick starts, once\n"):format(row.version))
    train(java, row, start, path)
    stat = uv.fs_stat(path)
  end
  return stat and stat.size > 0 and path or nil
end

return M

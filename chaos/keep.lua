-- Keeps what a run has written beyond its end: logs, events, properties; not the brokers' data.

local machine = require "kafka.localcluster.machine"
local uv = require "luv"

local kept = { log = true, events = true, properties = true }

---@param folder string of the run
---@param parent string where to make a folder
---@param seed integer
---@return string folder the new one
return function(folder, parent, seed)
  local to = assert(uv.fs_mkdtemp(("%s/chaos-%d-XXXXXX"):format(parent, seed)))
  local scan = assert(uv.fs_scandir(folder))
  for name, kind in uv.fs_scandir_next, scan do
    if kind == "file" and kept[name:match "%.(%w+)$"] then
      assert(machine.write(to .. "/" .. name, assert(machine.read(folder .. "/" .. name))))
    end
  end
  return to
end

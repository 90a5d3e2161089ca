-- luv for the specs, or false where it is not installed. busted forgets modules between files, and a luv that was collected
-- crashes when it is loaded again (its loop is gone): so the first one is kept for the whole run. Every spec file that needs
-- luv, or loads something that does, begins with this.

local registry = debug.getregistry()

if registry["spec.luv"] == nil then
  local there, uv = pcall(require, "luv")
  registry["spec.luv"] = there and uv
end
return registry["spec.luv"]

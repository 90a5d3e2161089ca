-- lkafka version: what runs here. Where the C module does not load it says so in one line, and fails.

local M = { summary = "The versions of lua-kafka, librdkafka and Lua." }

function M.run(_, out)
  local loaded, kafka = pcall(require, "kafka")
  if not loaded then
    out:write(("Lua         %s\n"):format(_VERSION:match("[%d.]+")))
    return nil, "kafka could not be loaded: " .. tostring(kafka):match("^[^\n]*")
  end
  out:write(("lua-kafka   %s\nlibrdkafka  %s\nLua         %s\n"):format(
    kafka.version, kafka.librdkafka, _VERSION:match("[%d.]+")))
  return true
end

return M

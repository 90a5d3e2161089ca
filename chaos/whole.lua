-- A partition from its first message to its last.

local whole = {}

local PATIENCE = 30 -- seconds for what comes next

---@param k kafka.Client
---@param topic string
---@param partition integer
---@param f fun(m: kafka.Message)
function whole.each(k, topic, partition, f)
  local part <close> = assert(k:partition(topic, partition, { offset = "earliest", timeout = PATIENCE }))
  local _, latest = assert(k:watermarks(topic, partition, PATIENCE))
  while part:position() < latest do
    local batch = assert(part:fetch { timeout = PATIENCE })
    if batch.n == 0 and part:position() < latest then
      error(("%s[%d] could be read to offset %d only, of %d"):format(topic, partition, part:position(), latest), 0)
    end
    for _, m in ipairs(batch) do f(m) end
  end
end

return whole

-- Words for the specs: wait for a condition, expect misuse, expect a failure of the world, read what a partition holds.

local process = require "spec.support.process"
local kafka = require "kafka"

local try = {}

---Looks until `condition()` is true, at most `seconds`; then fails.
function try.until_true(seconds, condition, what)
  local deadline = kafka.now() + seconds
  while true do
    local result = condition()
    if result then return result end
    if kafka.now() > deadline then
      error(("%s: not within %g s"):format(what or "the condition", seconds), 2)
    end
    process.nap()
  end
end

---How many of something to make: a tenth where the run is slow (sanitizers, valgrind, GC=1), so that its times hold.
function try.many(n) return os.getenv "SPEC_SLOW" and n // 10 or n end

---How long a call took, then what it returned.
function try.time(f, ...)
  local start = kafka.now()
  local results = table.pack(f(...))
  return kafka.now() - start, table.unpack(results, 1, results.n)
end

---Expects f(...) to raise one line at the caller's own file that contains every one of `words`.
---@return string the message
function try.misuse(words, f, ...)
  local ok, message = pcall(f, ...)
  local caller = debug.getinfo(2, "S").short_src
  if ok then error("no error was raised: " .. tostring(message), 2) end
  if type(message) ~= "string" then error("not a string was raised: " .. tostring(message), 2) end
  if message:find "\n" then error("more than one line: " .. message, 2) end
  if not message:find("^[^:]+:%d+: ") then error("no line in front: " .. message, 2) end
  if not message:find(caller, 1, true) then error("not at the caller's line: " .. message, 2) end
  for _, word in ipairs(type(words) == "table" and words or { words }) do
    if not message:find(word, 1, true) then error(("%q is not in: %s"):format(word, message), 2) end
  end
  return message
end

---Expects (nil, err) with an error object, whose name is `name` where given.
---@return kafka.Error
function try.failure(name, value, err, ...)
  if value ~= nil then error("no failure: " .. tostring(value), 2) end
  if not kafka.errors.is(err) then error("not an error object: " .. tostring(err), 2) end
  if name and err.name ~= name then error(("%s expected: %s"):format(name, tostring(err)), 2) end
  return err, ...
end

---Everything a partition or partitions reader gives until its end: a list of messages.
function try.read_all(reader, options)
  local all, deadline = {}, kafka.now() + 10
  repeat
    local batch = assert(reader:fetch(options or { timeout = 0.2 }))
    for _, m in ipairs(batch) do all[#all + 1] = m end
  until batch.eof or kafka.now() > deadline
  return all
end

---Produces values as one batch a partition, as far as they fit, and waits for their reports: the mock of some versions answers a
---fetch with one batch, so messages sent apart may also come apart. (flush would send at once what is there.)
function try.produce_together(brokers, topic, values, options)
  local p = assert(kafka.producer { brokers = brokers, linger_ms = 30 })
  assert(p:produce_many(topic, values, options))
  try.until_true(10, function()
    p:poll(0.1)
    return p:pending() == 0
  end)
  assert(p:close())
end

---Produces values to one partition and waits for their reports.
---@param values (string|nil)[]|integer a list, or how many: "1", "2" ...
function try.fill(brokers, topic, partition, values)
  if type(values) == "number" then
    local list = {}
    for i = 1, values do list[i] = tostring(i) end
    values = list
  end
  local partitions = {}
  for i = 1, #values do partitions[i] = partition end
  try.produce_together(brokers, topic, values, { partitions = partitions })
end

---What a group has committed of a partition, as another client sees it.
---@param options table|string of that client, or its brokers
---@param partition integer|nil default 0
---@return integer|nil
function try.committed(options, group, topic, partition)
  if type(options) == "string" then options = { brokers = options } end
  local k <close> = assert(kafka.connect(options))
  return assert(k:committed(group, { { topic = topic, partition = partition or 0 } }, 20))[1].offset
end

---Takes the log for the time of f(): returns the lines, then what f returned.
function try.logged(f)
  local lines, write = {}, kafka.log.write
  kafka.log.write = function(line) lines[#lines + 1] = line end
  local results = table.pack(pcall(f, lines))
  kafka.log.write = write
  if not results[1] then error(results[2], 0) end
  return lines, table.unpack(results, 2, results.n)
end

return try

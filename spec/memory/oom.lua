-- Runs scenarios while allocations fail: every case once for each allocation that it makes, and for each of two ways to fail.
-- After each: no crash, the case's own check passes, and in the end no thread and no descriptor is left. Leaks are for the
-- address sanitizer to find. Run by tools/oom; the files are its arguments. See oom.c.
--   OOM_PART  which part of the points to try, by OOM_SEED (default 1: all)
--   OOM_ALL   also tell whether every function of kafka.core was called by the `run` of some case, which is what has failures

local kafka = require "kafka"
local oom = _G.oom

local seed = math.tointeger(os.getenv "OOM_SEED") or 1
local part = tonumber(os.getenv "OOM_PART") or 1
local passed, failed, tried = 0, 0, 0
local functions = {}

-- Lua tries a failed allocation once more after a full collection: so one failure takes two.
local ways = { { "from allocation %d on", math.maxinteger }, { "allocation %d alone", 2 } }

local function fail(fmt, ...)
  failed = failed + 1
  print("FAILED " .. fmt:format(...))
end

local function chosen(key, n)
  if part >= 1 then return true end
  local h = 0x811c9dc5
  for _, b in ipairs { (seed .. key .. n):byte(1, -1) } do h = (h ~ b) * 0x01000193 & 0xffffffff end
  return (h >> 8) % 10000 < part * 10000
end

local function wait_for(seconds, condition)
  local deadline = kafka.now() + seconds
  repeat
    if condition() then return true end
    oom.nap()
  until kafka.now() > deadline
end

local mock = assert(kafka.mock { brokers = 1, topics = { many = 2, sink = 1, odd = 1 } })

local function fill()
  local p = assert(kafka.producer { brokers = mock.brokers, linger_ms = 50 })
  for i = 0, 19999 do
    local headers = { { "h", tostring(i) }, { "n" } }
    assert(p:produce("many", "value " .. i, { key = "k" .. i, partition = 0, headers = headers }))
  end
  assert(p:flush(20))
  p:close()
end

-- One run of a case that fails so; nil, what is wrong, or how many allocations failed.
local function try(state, i, at, times)
  local ok, err = state:call(i, "prepare")
  if not ok then return nil, "prepare: " .. err end
  state:collect()
  local done, raised, _, lost = state:call(i, "run", at, times)
  -- luaL_checkstack says "stack overflow" where it finds no memory.
  if not done and (lost == 0 or not (raised:find "memory" or raised:find "stack overflow")) then
    return nil, "raised: " .. raised
  end
  ok, err = state:call(i, "check")
  if not ok then return nil, "check: " .. err end
  return lost
end

-- state_for(): the state to try the next point in.
local function all_points(what, i, asked, state_for)
  for _, way in ipairs(ways) do
    local at, points, wrong = 0, 0, false
    repeat
      at = at + 1
      local lost = 1
      if chosen(what .. way[1], at) then
        local err
        lost, err = try(state_for(), i, at, way[2])
        if lost ~= 0 then points = points + 1 end
        if not lost then
          fail("%s, %s: %s", what, way[1]:format(at), err)
          wrong, lost = true, 1
        end
      end
    until lost == 0 or at > 2 * asked + 50 or wrong
    if not wrong then passed = passed + 1 end
    tried = tried + points
    print(("%s: %d of %d points, %s"):format(what, points, at - 1, way[2] == 2 and "one fails" or "all fail from there"))
  end
end

local function one_case(file, state, i, name)
  local what = file:match "([^/]*)%.lua$" .. ": " .. name
  local ok, err = state:call(i, "open")
  if not ok then return fail("%s: open: %s", what, err) end
  ok, err = state:call(i, "prepare")
  local asked
  if ok then ok, err, asked = state:call(i, "run", 0, 0, true) end
  if ok then ok, err = state:call(i, "check") end
  if not ok then return fail("%s, with memory enough: %s", what, err) end
  if name:find("new state", 1, true) then
    local last
    all_points(what, i, asked, function()
      if last then last:close() end
      last = oom.state()
      last:load(file, mock.brokers)
      assert(last:call(i, "open"))
      return last
    end)
    if last then last:close() end
  else
    all_points(what, i, asked, function() return state end)
  end
  ok, err = state:call(i, "close")
  if not ok then fail("%s: close: %s", what, err) end
end

local function one_file(file)
  local before
  wait_for(5, function() -- what the last one left is ending
    local now = table.pack(oom.held())
    local same = before and now[1] == before[1] and now[2] == before[2] and now[3] == before[3]
    before = now
    return same
  end)
  local state = oom.state()
  local names = table.pack(state:load(file, mock.brokers))
  for i, name in ipairs(names) do one_case(file, state, i, name) end
  for name, called in pairs(state:functions()) do functions[name] = functions[name] or called end
  state:close()
  local now
  local flat = wait_for(10, function()
    now = table.pack(oom.held())
    return now[1] <= before[1] and now[2] <= before[2] and now[3] <= before[3]
  end)
  if flat then
    passed = passed + 1
  else
    fail("%s leaves %d threads of librdkafka, %d threads, %d descriptors", file, now[1] - before[1], now[2] - before[2],
      now[3] - before[3])
  end
end

fill()
for _, file in ipairs(arg) do one_file(file) end

if os.getenv "OOM_ALL" then
  local missing = {}
  for name, called in pairs(functions) do
    if not called then missing[#missing + 1] = name end
  end
  table.sort(missing)
  if #missing == 0 then
    passed = passed + 1
  else
    fail("no scenario calls %s", table.concat(missing, ", "))
  end
end

mock:close()
print(tried .. " points at which memory ran out")
local f = assert(io.open(assert(os.getenv "OOM_COUNTS"), "w"))
f:write(passed, " ", failed, "\n")
f:close()
return failed == 0

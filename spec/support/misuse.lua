-- Tables of misuse: each row is one call, which raises one line at its own place in the spec, beginning with the name of the call
-- and naming the argument and its value.

local misuse = {}

---Expects f() to raise "FILE:LINE: OP: ..." where FILE and LINE are f's own, with every one of `words` in it.
---@return string message
function misuse.raises(op, words, f)
  local ok, message = pcall(f)
  if ok then error("nothing was raised", 2) end
  if type(message) ~= "string" then error("not a string was raised: " .. tostring(message), 2) end
  if message:find "[%c]" then error(("more than one line, or not printable: %q"):format(message), 2) end
  local here = debug.getinfo(f, "S")
  local file, line, rest = message:match "^([^:]+):(%d+): (.*)$"
  line = tonumber(line)
  if file ~= here.short_src or line < here.linedefined or line > here.lastlinedefined then
    error("not at the caller's line: " .. message, 2)
  end
  if rest:sub(1, #op + 2) ~= op .. ": " then error(("does not begin with %q: %s"):format(op .. ": ", message), 2) end
  for _, word in ipairs(words) do
    if not rest:find(word, #op + 3, true) then error(("%q is not in: %s"):format(word, message), 2) end
  end
  return message
end

---One spec for each row {name of the call, what is wrong, words of the message, the call}.
---@param it function busted's
function misuse.rows(it, rows)
  for _, row in ipairs(rows) do
    it(("%s of %s"):format(row[1], row[2]), function() misuse.raises(row[1], row[3], row[4]) end)
  end
end

return misuse

-- Loading kafka.core, and the functions that it has itself.

local function case(name, run, check) return { name = name, run = run, check = check } end

local function loaded() assert(require("kafka.core").errors()[1].name) end

return {
  case("loading, in a new state", function() return require "kafka.core" end, loaded),
  case("errors", function() return require("kafka.core").errors() end, loaded),
  case("properties", function() return #require("kafka.core").properties() end, loaded),
  case("words", function()
    local core = require "kafka.core"
    core.home "@nowhere/"
    local ok, raised = pcall(core.misuse, "a sentence")
    assert(not ok)
    if raised:find "not enough memory" then error(raised, 0) end
    assert(core.show(("\0x"):rep(100)):find "200 bytes")
    assert(core.is_topic "first" and not core.is_topic "no topic")
    assert(core.copy({ a = 1 }).a == 1)
    assert(core.refusal("linger.ms", "x") and not core.refusal("linger.ms", "1"))
    core.public(function() end, "a name")
    assert(core.quick(function(_, n) return n end)(nil, 7) == 7)
    return core.now()
  end),
  case("misuse of each kind", function()
    local core = require "kafka.core"
    for i = 1, 3 do
      local ok, raised
      if i == 1 then
        ok, raised = pcall(core.copy, "not a table")
      elseif i == 2 then
        ok, raised = pcall(core.producer, { ["no.such"] = "setting" })
      else
        ok, raised = pcall(core.mock, 1000)
      end
      assert(not ok)
      if raised:find "not enough memory" then error(raised, 0) end
    end
  end),
}

-- Logins by token: the question for one, the answers.

local core = require "kafka.core"
local support = require "spec.memory.oom.support"

local LATER = 4102444800000 -- in the year 2100

local settings = { ["security.protocol"] = "sasl_plaintext", ["sasl.mechanism"] = "OAUTHBEARER" }

return {
  {
    name = "a question for a token",
    open = function() return { settings = support.settings(settings), list = {} } end,
    run = function(o)
      local list = o.list
      list[1], list[2], list[3], list[4] = nil, nil, nil, nil
      local c = core.producer(o.settings)
      while list[1] ~= "oauth" do
        list[1], list[2] = nil, nil
        c:wait(100)
        c:drain(list, 0, 1)
      end
      c:oauth_failure "none"
      c:close()
      c:release()
    end,
  },
  {
    name = "a token, and one that is refused",
    open = function() return support.open("producer", settings) end,
    run = function(o)
      assert(o.c:oauth_token("token", LATER, "somebody", { "a", "1", "b", "2" }))
      local ok, err = o.c:oauth_token("token", 0, "somebody", {})
      assert(not ok and err.message)
      assert(o.c:certificate() == nil)
    end,
    check = support.check,
    close = support.close,
  },
}

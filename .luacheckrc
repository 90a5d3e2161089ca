std = "lua54"
max_line_length = 130
files["spec"] = { std = "+busted" }
files["rockspec"] = { std = "rockspec" }
-- what a fuzz target has open, for its C side
files["fuzz"] = { globals = { "support", "things", "reenter", "producer", "consumer", "inbox", "mock_client", "columns", "config",
  "own_options", "P", "K", "M", "part", "core" } }

-- Settings that no client could be opened with.

local kafka = require "kafka"
local misuse = require "spec.support.misuse"

local nan = 0 / 0

-- The constructors with brokers that nobody asks.
local function producer(options)
  options.brokers = options.brokers or "h:1"
  return kafka.producer(options)
end

local function connect(options)
  options.brokers = options.brokers or "h:1"
  options.timeout = options.timeout or 0
  return kafka.connect(options)
end

local function member(options)
  options.brokers, options.group = "h:1", "g"
  return kafka.consumer(options)
end

local P, C, M = "kafka.producer", "kafka.connect", "kafka.consumer"

describe("misuse of settings:", function()
  misuse.rows(it, {
    -- the table
    { P, "nothing", { "a table", "nil" }, function() kafka.producer() end },
    { C, "a string", { "a table", '"localhost:9092"' }, function() kafka.connect "localhost:9092" end },
    { P, "a number", { "a table", "9092" }, function() kafka.producer(9092) end },
    { P, "itself", { "a table", "a function" }, function() kafka.producer(kafka.producer) end },
    { P, "a table that holds itself", { "client_id", "a table" }, function()
      local t = {}
      t.client_id = t
      producer(t)
    end },
    { P, "a table of which brokers are itself", { "brokers", "a table" }, function()
      local t = {}
      t.brokers = t
      kafka.producer(t)
    end },
    -- names
    { P, "an unknown name", { '"linger_mss"', "linger.ms" }, function() producer { linger_mss = 1 } end },
    { P, "an unknown name of our own options", { '"on_delivry"', '"on_delivery"' },
      function() producer { on_delivry = print } end },
    { C, "another constructor's option", { '"on_delivery"' }, function() connect { on_delivery = print } end },
    { P, "the beginning of a name", { '"linger"', '"linger.ms"' }, function() producer { linger = 1 } end },
    { P, "no number of acks", { "acks", '"all"', '"some"' }, function() producer { acks = "some" } end },
    { P, "a name in capitals", { '"LINGER.MS"', '"linger.ms"' }, function() producer { ["LINGER.MS"] = 1 } end },
    { P, "an empty name", { "setting", '""' }, function() producer { [""] = 1 } end },
    { P, "a name with NUL", { "setting", [["linger.ms\000"]] }, function() producer { ["linger.ms\0"] = 1 } end },
    { P, "a name that is no UTF-8", { "setting", [["\255"]] }, function() producer { ["\xff"] = 1 } end },
    { P, "a name of a megabyte", { "setting", "(1000000 bytes)" }, function() producer { [("x"):rep(1000000)] = 1 } end },
    { P, "a number as a name", { "setting", "42" }, function() producer { [42] = 1 } end },
    { P, "a list", { "setting", "1" }, function() producer { "linger_ms" } end },
    { P, "a boolean as a name", { "setting", "true" }, function() producer { [true] = 1 } end },
    { P, "a name under which librdkafka hides", { '"client.software.version"' },
      function() producer { ["client.software.version"] = "x" } end },
    -- the same setting twice
    { P, "two spellings", { "linger_ms", "linger.ms", "the same setting", "1", "2" },
      function() producer { linger_ms = 1, ["linger.ms"] = 2 } end },
    { P, "an alias and its setting", { "linger_ms", "queue_buffering_max_ms", "the same setting" },
      function() producer { linger_ms = 1, queue_buffering_max_ms = 2 } end },
    { P, "two names of the brokers", { "brokers", "bootstrap.servers", '"a:1"', '"b:1"' },
      function() producer { brokers = "a:1", ["bootstrap.servers"] = "b:1" } end },
    { P, "brokers and their old name", { "brokers", "metadata.broker.list", '"a:1"', '"b:1"' },
      function() producer { brokers = "a:1", ["metadata.broker.list"] = "b:1" } end },
    { C, "group and group.id", { "group", "group_id", "the same setting" },
      function() connect { group = "a", group_id = "b" } end },
    { P, "two secrets", { "sasl_password", "sasl.password", "not shown" },
      function() producer { sasl_password = "a", ["sasl.password"] = "b" } end },
    { P, "three names of one", { "the same setting" },
      function() producer { message_timeout_ms = 1, delivery_timeout_ms = 1, ["delivery.timeout.ms"] = 1 } end },
    -- types
    { P, "a table for a string", { "client_id", "a table" }, function() producer { client_id = {} } end },
    { P, "a function for a string", { "client_id", "a function" }, function() producer { client_id = print } end },
    { P, "a coroutine for a string", { "client_id", "a thread" },
      function() producer { client_id = coroutine.create(print) } end },
    { P, "a file for a string", { "client_id", "a userdata" }, function() producer { client_id = io.stdout } end },
    { P, "true for a string", { "sasl_username", "a string", "true" }, function() producer { sasl_username = true } end },
    { P, "false for a string", { "ssl_ca_location", "a string", "false" }, function() producer { ssl_ca_location = false } end },
    { P, "false for a secret", { "sasl_password", "not shown" }, function() producer { sasl_password = false } end },
    { P, "a NaN for a string", { "client_id", "nan" }, function() producer { client_id = nan } end },
    { P, "an infinite string", { "client_id", "inf" }, function() producer { client_id = math.huge } end },
    { P, "a string with NUL", { "client_id", [["a\000b"]] }, function() producer { client_id = "a\0b" } end },
    { P, "a number with NUL", { "message_max_bytes", [["2000\000"]] }, function() producer { message_max_bytes = "2000\0" } end },
    { P, "a string for a boolean", { "enable_idempotence", '"yes"' }, function() producer { enable_idempotence = "yes" } end },
    { P, "2 for a boolean", { "enable_idempotence", "2" }, function() producer { enable_idempotence = 2 } end },
    { P, "half a boolean", { "enable_idempotence", "0.5" }, function() producer { enable_idempotence = 0.5 } end },
    { P, "an empty boolean", { "enable_idempotence", '""' }, function() producer { enable_idempotence = "" } end },
    { P, "a boolean for a number", { "message_max_bytes", "true" }, function() producer { message_max_bytes = true } end },
    { P, "a boolean for a word", { "security_protocol", "plaintext", "true" },
      function() producer { security_protocol = true } end },
    { P, "a number for a word", { "compression_type", "lz4", "4" }, function() producer { compression_type = 4 } end },
    -- numbers
    { P, "rubbish behind a number", { "message_max_bytes", "an integer", '"100abc"' },
      function() producer { message_max_bytes = "100abc" } end },
    { P, "rubbish before a number", { "message_max_bytes", '" 100"' }, function() producer { message_max_bytes = " 100" } end },
    { P, "a hexadecimal string", { "message_max_bytes", '"0x1000"' }, function() producer { message_max_bytes = "0x1000" } end },
    { P, "an exponent in a string", { "message_max_bytes", '"1e6"' }, function() producer { message_max_bytes = "1e6" } end },
    { P, "a fraction", { "message_max_bytes", "an integer", "1000.5" }, function() producer { message_max_bytes = 1000.5 } end },
    { P, "a NaN for an integer", { "retries", "an integer", "nan" }, function() producer { retries = nan } end },
    { P, "an infinite integer", { "retries", "an integer", "inf" }, function() producer { retries = math.huge } end },
    { P, "a NaN for a fraction", { "linger_ms", "a number", "nan" }, function() producer { linger_ms = nan } end },
    { P, "an infinite fraction", { "linger_ms", "0 to 900000", "inf" }, function() producer { linger_ms = math.huge } end },
    { P, "an empty number", { "retries", '""' }, function() producer { retries = "" } end },
    { P, "too small a number", { "message_max_bytes", "1000 to 1000000000", "999" },
      function() producer { message_max_bytes = 999 } end },
    { P, "too large a number", { "message_max_bytes", "1000 to 1000000000", "1000000001" },
      function() producer { message_max_bytes = 1000000001 } end },
    { P, "a number that wraps around at 32 bits", { "message_max_bytes", "1000000000", "4294967396" },
      function() producer { message_max_bytes = 4294967396 } end },
    { P, "the same as a string", { "message_max_bytes", "1000000000", '"4294967396"' },
      function() producer { message_max_bytes = "4294967396" } end },
    { P, "2^53", { "retries", "0 to 2147483647", "9.007199254741e+15" }, function() producer { retries = 2 ^ 53 } end },
    { P, "the smallest integer", { "retries", "0 to 2147483647", "-9223372036854775808" },
      function() producer { retries = math.mininteger } end },
    { P, "digits without end", { "retries", "an integer" }, function() producer { retries = ("9"):rep(400) } end },
    { P, "a negative number", { "queue_buffering_max_messages", "0 to 2147483647", "-1" },
      function() producer { queue_buffering_max_messages = -1 } end },
    { P, "a negative timeout of messages", { "message_timeout_ms", "-1" }, function() producer { message_timeout_ms = -1 } end },
    { P, "a fraction out of range", { "linger_ms", "0 to 900000", "-0.5" }, function() producer { linger_ms = -0.5 } end },
    { P, "a log level that is none", { "log_level", "0 to 7", "8" }, function() producer { log_level = 8 } end },
    { P, "acks that are none", { "acks", "-1 to 1000", "-2" }, function() producer { acks = -2 } end },
    { P, "acks in a word", { "acks", '"some"' }, function() producer { acks = "some" } end },
    { C, "a negative timeout", { "timeout", "-1" }, function() connect { timeout = -1 } end },
    { C, "a NaN for a timeout", { "timeout", "nan" }, function() connect { timeout = nan } end },
    { C, "a timeout as a string", { "timeout", '"1"' }, function() connect { timeout = "1" } end },
    { C, "a boolean timeout", { "timeout", "true" }, function() connect { timeout = true } end },
    -- words
    { P, "a word that is none", { "compression_type", "none, gzip, snappy, lz4, zstd", '"lz5"' },
      function() producer { compression_type = "lz5" } end },
    { P, "a security protocol that is none", { "security_protocol", "sasl_ssl", '"tls"' },
      function() producer { security_protocol = "tls" } end },
    { C, "an isolation that is none", { "isolation_level", "read_committed", '"serializable"' },
      function() connect { isolation_level = "serializable" } end },
    { P, "a flag that is none", { "debug", '"everything"' }, function() producer { debug = "everything" } end },
    { P, "no flag", { "debug", '""' }, function() producer { debug = "" } end },
    { P, "a partitioner that is none", { "partitioner", '"round_robin"' },
      function() producer { partitioner = "round_robin" } end },
    { P, "a partitioner of two lines", { "partitioner", [["a\010b"]] }, function() producer { partitioner = "a\nb" } end },
    { P, "a pattern that is none", { "topic_blacklist", '"^("' }, function() producer { topic_blacklist = "^(" } end },
    { P, "what may only be read", { "builtin_features", '"none"' }, function() producer { builtin_features = "none" } end },
    { P, "a plugin that is not there", { "plugin_library_paths", "/no/such.so" },
      function() producer { plugin_library_paths = "/no/such.so" } end },
    -- what may not be set
    { P, "a callback for reports", { "dr_cb", "a function", "on_delivery" }, function() producer { dr_cb = print } end },
    { P, "another callback for reports", { "dr_msg_cb", "on_delivery" }, function() producer { dr_msg_cb = print } end },
    { C, "a callback for errors", { "error_cb", "on_error" }, function() connect { error_cb = print } end },
    { C, "a callback for statistics", { "stats_cb", "on_stats" }, function() connect { stats_cb = print } end },
    { C, "a callback for log lines", { "log_cb", "on_log" }, function() connect { log_cb = print } end },
    { C, "a callback for rebalances", { "rebalance_cb", "a function" }, function() connect { rebalance_cb = print } end },
    { P, "an opaque pointer", { "opaque", "42" }, function() producer { opaque = 42 } end },
    { P, "settings within settings", { "default_topic_conf", "a table" }, function() producer { default_topic_conf = {} } end },
    { P, "a certificate as a value", { "ssl_key", "not shown" }, function() producer { ssl_key = "k" } end },
    { P, "another set of events", { "enabled_events" }, function() producer { enabled_events = 1 } end },
    { P, "log lines from a thread", { "log_queue" }, function() producer { log_queue = false } end },
    { P, "reports of failures only", { "delivery_report_only_error" },
      function() producer { delivery_report_only_error = true } end },
    { C, "another reset", { "auto_offset_reset" }, function() connect { auto_offset_reset = "latest" } end },
    { C, "commits by themselves", { "enable_auto_commit" }, function() connect { enable_auto_commit = true } end },
    -- our own options
    { P, "a handler of reports that is none", { "on_delivery", "a function", "true" },
      function() producer { on_delivery = true } end },
    { C, "a handler of errors that is none", { "on_error", '"print"' }, function() connect { on_error = "print" } end },
    { C, "a handler of log lines that is none", { "on_log", "a table" }, function() connect { on_log = {} } end },
    { C, "a handler of statistics that is none", { "on_stats", "1" }, function() connect { on_stats = 1 } end },
    { C, "a loop by name", { "loop", '"luv"' }, function() connect { loop = "luv" } end },
    { P, "a loop that is any table", { "loop", "luv", "a table" }, function() producer { loop = {} } end },
    { P, "a loop that raises when it is looked at", { "loop", "a table" },
      function() producer { loop = setmetatable({}, { __index = function() error "no" end }) } end },
    -- brokers
    { P, "no brokers", { "brokers", "nil" }, function() kafka.producer {} end },
    { P, "brokers as a list", { "brokers", "a table" }, function() producer { brokers = { "h:9092" } } end },
    { P, "brokers as a port", { "brokers", "9092" }, function() producer { brokers = 9092 } end },
    { P, "no broker at all", { "brokers", "false" }, function() kafka.producer { brokers = false } end },
    { P, "empty brokers", { "brokers", '""' }, function() producer { brokers = "" } end },
    { P, "blank brokers", { "brokers", '" "' }, function() producer { brokers = " " } end },
    { P, "a comma for brokers", { "brokers", '","' }, function() producer { brokers = "," } end },
    { P, "a hole among brokers", { "brokers", '"a:1,,b:1"' }, function() producer { brokers = "a:1,,b:1" } end },
    { P, "a broker without a port", { "brokers", "port", '"localhost"' }, function() producer { brokers = "localhost" } end },
    { P, "a broker of two without a port", { "brokers", "port", '"a:1,b"' }, function() producer { brokers = "a:1,b" } end },
    { C, "port 99999", { "brokers", "1 to 65535", '"99999"' }, function() connect { brokers = "localhost:99999" } end },
    { C, "port 0", { "brokers", "1 to 65535", '"0"' }, function() connect { brokers = "localhost:0" } end },
    { C, "a negative port", { "brokers", "1 to 65535", '"-1"' }, function() connect { brokers = "localhost:-1" } end },
    { C, "an empty port", { "brokers", "1 to 65535", '""' }, function() connect { brokers = "localhost:" } end },
    { C, "a port with rubbish", { "brokers", '"9092abc"' }, function() connect { brokers = "localhost:9092abc" } end },
    { C, "a port by name", { "brokers", '"kafka"' }, function() connect { brokers = "localhost:kafka" } end },
    { C, "a path behind the port", { "brokers", '"9092/"' }, function() connect { brokers = "localhost:9092/" } end },
    { C, "a port of 400 digits", { "brokers", "1 to 65535" },
      function() connect { brokers = "localhost:" .. ("9"):rep(400) } end },
    { C, "no host", { "brokers", '":9092"' }, function() connect { brokers = ":9092" } end },
    { C, "a host with a blank", { "brokers", '"a b:1"' }, function() connect { brokers = "a b:1" } end },
    { C, "a host of two lines", { "brokers", [["a\010b:1"]] }, function() connect { brokers = "a\nb:1" } end },
    { C, "a host with NUL", { "brokers", [["a\000b:1"]] }, function() connect { brokers = "a\0b:1" } end },
    { C, "a host that is no ASCII", { "brokers", [["\255:1"]] }, function() connect { brokers = "\xff:1" } end },
    { C, "an address of version 6 without a port", { "brokers", "port", '"[::1]"' },
      function() connect { brokers = "[::1]" } end },
    { C, "the web", { "brokers", "protocol", '"http://h:80"' }, function() connect { brokers = "http://h:80" } end },
    { C, "another protocol than the security's", { "brokers", "protocol", "plaintext", '"SSL://h:1"' },
      function() connect { brokers = "SSL://h:1" } end },
    { C, "brokers without end", { "brokers", "(30003 bytes)" },
      function() connect { brokers = ("a:1,"):rep(7500) .. "b:x" } end },
    { P, "the old name of brokers without a port", { "metadata.broker.list", "port", '"h"' },
      function() kafka.producer { ["metadata.broker.list"] = "h" } end },
    -- groups
    { C, "an empty group", { "group", '""' }, function() connect { group = "" } end },
    { C, "a group with NUL", { "group", [["a\000"]] }, function() connect { group = "a\0" } end },
    { C, "a group that is no UTF-8", { "group", [["\255"]] }, function() connect { group = "\xff" } end },
    { C, "a group of 32768 bytes", { "group", "(32768 bytes)" }, function() connect { group = ("g"):rep(32768) } end },
    { C, "a number for a group", { "group", "7" }, function() connect { group = 7 } end },
    { C, "the same under its own name", { "group_id", '""' }, function() connect { group_id = "" } end },
    -- other names
    { P, "an empty transactional id", { "transactional_id", '""' }, function() producer { transactional_id = "" } end },
    { P, "false for a transactional id", { "transactional_id", "false" }, function() producer { transactional_id = false } end },
    { P, "a number for a transactional id", { "transactional_id", "7" }, function() producer { transactional_id = 7 } end },
    { P, "a transactional id that is no UTF-8", { "transactional.id", [["\255"]] },
      function() producer { ["transactional.id"] = "\xff" } end },
    { P, "a transactional id of 32768 bytes", { "transactional_id", "(32768 bytes)" },
      function() producer { transactional_id = ("t"):rep(32768) } end },
    { M, "an empty name of a member", { "group_instance_id", '""' }, function() member { group_instance_id = "" } end },
    { M, "false for a member's name", { "group_instance_id", "false" }, function() member { group_instance_id = false } end },
    { M, "a member's name with NUL", { "group_instance_id", [["a\000"]] }, function() member { group_instance_id = "a\0" } end },
    { P, "a client's name of 32768 bytes", { "client_id", "32767", "(32768 bytes)" },
      function() producer { client_id = ("c"):rep(32768) } end },
    { C, "a rack of 32768 bytes", { "client_rack", "(32768 bytes)" }, function() connect { client_rack = ("r"):rep(32768) } end },
    { C, "a rack that is false", { "client_rack", "false" }, function() connect { client_rack = false } end },
    { M, "a strategy that is none", { "partition_assignment_strategy", "roundrobin", '"sticky"' },
      function() member { partition_assignment_strategy = "sticky" } end },
    { M, "a strategy among others that is none", { "partition_assignment_strategy", [["range,a\010b"]] },
      function() member { partition_assignment_strategy = "range,a\nb" } end },
    { M, "no strategy", { "partition_assignment_strategy", '""' }, function() member { partition_assignment_strategy = "" } end },
    { M, "a hole among strategies", { "partition_assignment_strategy", '"range,"' },
      function() member { partition_assignment_strategy = "range," } end },
  })
end)

describe("misuse of settings", function()
  it("never shows a secret", function()
    for _, name in ipairs { "sasl_password", "ssl_key_password", "ssl_key_pem", "sasl_oauthbearer_client_secret" } do
      for _, value in ipairs { "CANARY\0", { "CANARY" } } do
        local message = misuse.raises(P, { name }, function() producer { [name] = value } end)
        assert.is_nil(message:find("CANARY", 1, true), message)
      end
    end
  end)

  it("opens nothing", function()
    local before = assert(kafka.producer { brokers = "127.0.0.1:1", on_error = function() end, on_log = function() end })
    local first = tonumber(tostring(before):match "#producer%-(%d+)")
    pcall(producer, { linger_ms = "x" })
    pcall(producer, { on_delivery = 1 })
    local after = assert(kafka.producer { brokers = "127.0.0.1:1", on_error = function() end, on_log = function() end })
    assert.equal(first + 1, tonumber(tostring(after):match "#producer%-(%d+)"))
    before:close()
    after:close()
  end)

  it("lets pass what only looks like it", function()
    local p <close> = assert(kafka.producer { brokers = "PLAINTEXT://h:1, [::1]:65535,h-2.x_y:01", linger_ms = 5.0, retries = "3",
      ["message.max.bytes"] = 2e3, acks = "all", compression_type = "LZ4", enable_idempotence = "true", client_id = 7,
      security_protocol = "Plaintext", log_level = 0, on_error = function() end })
    assert.equal(0, p:pending())
  end)
end)

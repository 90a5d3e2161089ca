-- Prints docs/errors.md: what each error means, from the table in lua/kafka/error.lua and librdkafka's own list. `make docs`
-- writes the page anew.

local core = require "kafka.core"
local errors = require "kafka.error"

local INTRODUCTION = [[
# Errors

Written by `make docs` from the table in [error.lua](../lua/kafka/error.lua) and the list of librdkafka %s.

What the world does wrong comes as `nil, err`. `tostring(err)` is a sentence; to decide by there are the fields

| field | what |
|---|---|
| `name`, `code` | Kafka's or librdkafka's; librdkafka's own begin with `_` and are negative |
| `category` | what it is about: the headings below |
| `action` | what to do: the table below |
| `retriable` | true where the action is `wait` or `retry` |
| `fatal` | this client can do nothing more: the action is `recreate`, whatever stands below |
| `original` | librdkafka's or the broker's own text, where `message` is another |
| `abortable` | the transaction must be aborted: the action is `abort`, whatever stands below |
| `message` | in words; below where librdkafka or the broker says no more |
| `op`, `topic`, `partition`, `offset` | what failed, where that is known |
| `cause` | the last trouble that the client met before, such as a connection refused |

| action | what to do |
|---|---|
]]

local ORDER = { "wait", "retry", "abort", "recreate", "fix" }

local CATEGORIES = {
  { "network", "The broker was not reached, or the connection broke." },
  { "timeout", "No answer came in time; what was asked for may have happened." },
  { "cluster", "What the cluster is like now: leaders that move, topics that do not exist." },
  { "group", "A consumer group: its coordinator, its members, its offsets." },
  { "transaction", "A transaction, or the sequence of an idempotent producer." },
  { "security", "Who may connect, and do what." },
  { "data", "The messages themselves, and the offsets they lie at." },
  { "config", "A setting, or something that this broker or librdkafka cannot do." },
  { "client", "This client's own state." },
}

local function cell(text) return (text:gsub("|", "\\|")) end

local lines = { (INTRODUCTION:format(core.librdkafka):gsub("\n$", "")) }
local function add(text, ...) lines[#lines + 1] = text:format(...) end

for _, action in ipairs(ORDER) do add("| `%s` | %s |", action, errors.actions[action]) end
add("\nAn error that a later librdkafka knows and this table does not is of the category `client`, its action `fix`.")

for _, category in ipairs(CATEGORIES) do
  add("\n## %s\n\n%s\n\n| name | code | action | message |\n|---|---|---|---|", category[1], category[2])
  for _, e in ipairs(errors.list()) do
    if e.category == category[1] then add("| %s | %d | %s | %s |", e.name, e.code, e.action, cell(e.message)) end
  end
end

print(table.concat(lines, "\n"))

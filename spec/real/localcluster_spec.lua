-- Real brokers on this machine: started, hurt, and gone when they should be. Needs Java, Maven and lua-luv.

require "spec.support.luv"
local uv = require "luv"
local kafka = require "kafka"
local machine = require "kafka.localcluster.machine"
local probe = require "kafka.localcluster.probe"
local proc = require "kafka.localcluster.proc"
local processes = require "kafka.localcluster.process"
local sandboxes = require "kafka.localcluster.sandbox"

local ROOT = uv.cwd()

local scratch

local function eventually(seconds, what, look)
  return assert(machine.wait(machine.now() + seconds, look), "never seen: " .. what)
end

local function new_folder(name)
  return assert(uv.fs_mkdtemp(("%s/%s-XXXXXX"):format(scratch, name)))
end

local function entries(folder)
  local found = {}
  for name in uv.fs_scandir_next, assert(uv.fs_scandir(folder)) do
    found[#found + 1] = name
  end
  table.sort(found)
  return found
end

-- Pids of the living whose command line speaks of a folder.
local function working_in(folder)
  local found = {}
  for _, name in ipairs(entries("/proc")) do
    local pid = math.tointeger(name)
    if pid and (machine.read("/proc/" .. name .. "/cmdline") or ""):find(folder, 1, true) then
      found[#found + 1] = pid
    end
  end
  return found
end

-- Runs Lua code in a process of its own; what it prints is in the file `log`.
local function lua(code, environment)
  local args = { "TMPDIR=" .. environment.TMPDIR }
  for name, value in pairs(environment) do
    args[#args + 1] = name .. "=" .. value
  end
  for _, more in ipairs { uv.exepath(), "-e", code } do
    args[#args + 1] = more
  end
  local log = ("%s/out"):format(new_folder "child")
  return assert(processes.start { name = "child", path = "/usr/bin/env", args = args, folder = ROOT, log = log })
end

local function says(child, pattern, seconds)
  local found
  eventually(seconds, pattern .. " in " .. child.log, function()
    found = machine.read(child.log):match(pattern)
    return found or (child:state() == "ended" and error(machine.read(child.log), 0)) or nil
  end)
  return found
end

local function ends(child, seconds)
  assert(child:reach("ended", machine.now() + seconds), "the child goes on")
end

-- Nothing of what was started below this folder is left: neither a process nor a file.
local function nothing_left(folder, seconds)
  eventually(seconds, "nothing left of " .. folder, function()
    return #working_in(folder .. "/") == 0 and #entries(folder) == 0 or nil
  end)
end

setup(function()
  scratch = assert(uv.fs_mkdtemp(uv.os_tmpdir() .. "/lua-kafka-spec-XXXXXX"))
end)

teardown(function()
  for _, pid in ipairs(working_in(scratch .. "/")) do -- after a failure only
    uv.kill(pid, "sigkill")
  end
  os.execute("rm -rf '" .. scratch .. "'")
end)

describe("a sandbox", function()
  local BUSY = "while :; do sleep 0.05; done"

  local START = [[
    local uv = require "luv"
    local sandbox = assert(require("kafka.localcluster.sandbox").new(os.getenv "TMPDIR", "box"))
    local function launch(name)
      return assert(sandbox:launch(name, { "/bin/sh", "-c", "while :; do sleep 0.05; done", sandbox.folder .. "/" }))
    end
    local first, second = launch "first", launch "second"
    local machine = require "kafka.localcluster.machine"
    for _, program in ipairs { first, second } do
      machine.wait(machine.now() + 5, function() -- until the kernel knows when to end it
        local words = machine.read("/proc/" .. program.pid .. "/cmdline")
        return words:find("sleep", 1, true) and not words:find("setpriv", 1, true) or nil
      end)
    end
  ]]

  local endings = {
    ["comes to its end"] = "",
    ["fails"] = "error 'on purpose'",
    ["calls os.exit"] = "os.exit(3)",
    ["closes its state and exits"] = "os.exit(3, true)",
    ["is killed"] = "uv.kill(uv.os_getpid(), 'sigkill')",
    ["is terminated"] = "uv.kill(uv.os_getpid(), 'sigterm')",
    ["is killed while a program is paused"] = "first:signal 'sigstop' uv.kill(uv.os_getpid(), 'sigkill')",
    ["is killed in the middle of a launch"] = "launch 'third' uv.kill(uv.os_getpid(), 'sigkill')",
    ["is killed after its watchdog was"] = "sandbox.watchdog:signal 'sigkill' uv.kill(uv.os_getpid(), 'sigkill')",
    ["closes it"] = "assert(sandbox:close(machine.now() + 5))",
    ["closes it without a watchdog"] = "sandbox.watchdog:signal 'sigkill' assert(sandbox:close(1 / 0))",
  }
  local codes = { ["fails"] = 1, ["calls os.exit"] = 3, ["closes its state and exits"] = 3 }
  local without_watchdog = "is killed after its watchdog was"

  for how, code in pairs(endings) do
    it("ends its programs when the process " .. how, function()
      local folder = new_folder "box"
      local child = lua(START .. code, { TMPDIR = folder })
      ends(child, 5)
      local status, signal = child:exit()
      if signal == 0 then
        assert.equal(codes[how] or 0, status)
      end
      if how == without_watchdog then -- the kernel does it; nobody is left to remove the folder
        eventually(2, "no process", function()
          return #working_in(folder .. "/") == 0 or nil
        end)
        return
      end
      nothing_left(folder, 2)
    end)
  end

  it("lets a program inherit nothing", function()
    local file <close> = assert(io.open(scratch .. "/open", "w"))
    local sandbox <close> = assert(sandboxes.new(scratch, "box"))
    local program = assert(sandbox:launch("one", { "/bin/sh", "-c", BUSY, sandbox.folder .. "/" }))
    eventually(2, "the program itself", function()
      return (machine.read(("/proc/%d/cmdline"):format(program.pid)) or ""):find(BUSY, 1, true)
    end)
    local function targets(pid)
      local found = {}
      for _, fd in ipairs(entries(("/proc/%d/fd"):format(pid))) do
        local target = uv.fs_readlink(("/proc/%d/fd/%s"):format(pid, fd))
        if target and target ~= "/dev/null" then
          found[#found + 1] = target
        end
      end
      return found
    end
    -- The shell that became the program may just be closing the file where it has noted its number.
    eventually(2, "nothing but the log", function()
      local open = targets(program.pid)
      return #open == 2 and open[1] == program.log and open[2] == program.log
    end)
    local watching = targets(sandbox.watchdog.pid)
    assert.equal(1, #watching)
    assert.truthy(watching[1]:find("^pipe:"))
    file:write "still ours"
  end)

  it("goes with the cluster that is collected", function()
    local sandbox = assert(sandboxes.new(scratch, "box"))
    local program = assert(sandbox:launch("one", { "/bin/sh", "-c", BUSY, sandbox.folder .. "/" }))
    local row = { version = "none" }
    require("kafka.localcluster.cluster").new({ row = row, count = 0, settings = {} }, {}, sandbox)
    collectgarbage()
    collectgarbage()
    assert(program:reach("ended", machine.now() + 2))
    eventually(2, "no folder", function()
      return not machine.exists(sandbox.folder) or nil
    end)
  end)

  it("leaves a stranger alone who got the pid of a program", function()
    local stranger = assert(processes.start { name = "s", path = "/bin/sleep", args = { "100" }, folder = "/" })
    local sandbox = assert(sandboxes.new(scratch, "box"))
    assert(machine.write(sandbox.folder .. "/old.pid", stranger.pid .. "\n"))
    assert(sandbox:close(machine.now() + 5))
    assert.equal("running", stranger:state())
    stranger:signal "sigkill"
    ends(stranger, 2)
  end)
end)

describe("the jars", function()
  local FIND = [[
    local row = require("kafka.localcluster.generations")["4.3.1"]
    print("found", require("kafka.localcluster.jars").find(row))
  ]]

  -- Stands for Maven: notes that it ran, and takes its time.
  local function with_mvn(script)
    local folder = new_folder "mvn"
    assert(machine.write(folder .. "/mvn", "#!/bin/sh\necho run >>" .. folder .. "/runs\n" .. script))
    assert(uv.fs_chmod(folder .. "/mvn", 493))
    return {
      PATH = folder .. ":/usr/bin:/bin",
      LUA_KAFKA_CACHE = folder .. "/cache",
      TMPDIR = folder,
    }
  end

  local GIVE = [[
    for word; do case $word in -DoutputDirectory=*) out=${word#*=} ;; esac; done
    sleep 0.3; mkdir -p "$out"; : >"$out/kafka_2.13-4.3.1.jar"
  ]]

  it("are fetched once by two processes at a time", function()
    local environment = with_mvn(GIVE)
    local one, two = lua(FIND, environment), lua(FIND, environment)
    local libs = environment.LUA_KAFKA_CACHE .. "/kafka-4.3.1/libs"
    assert.equal(libs, says(one, "found%s+(%S+)", 5))
    assert.equal(libs, says(two, "found%s+(%S+)", 5))
    ends(one, 2)
    ends(two, 2)
    assert.same({ "kafka-4.3.1", "kafka-4.3.1.lock" }, entries(environment.LUA_KAFKA_CACHE))
    assert.equal("run\n", machine.read(environment.TMPDIR .. "/runs"))
    assert.truthy(machine.read(one.log):find "fetching Kafka 4.3.1")
    local again = lua(FIND, environment)
    says(again, "found", 5)
    assert.falsy(machine.read(again.log):find "fetching")
  end)

  it("leave nothing behind when the process is killed meanwhile", function()
    local environment = with_mvn "sleep 10"
    local child = lua(FIND, environment)
    eventually(5, "Maven", function()
      return machine.exists(environment.TMPDIR .. "/runs") or nil
    end)
    child:signal "sigkill"
    ends(child, 2)
    eventually(2, "only the lock", function()
      return #entries(environment.LUA_KAFKA_CACHE) == 1 or nil
    end)
  end)

  it("give Maven's own words when it fails", function()
    local child = lua(FIND, with_mvn "echo '[ERROR] no route to it'; exit 1")
    assert.truthy(says(child, "found%s+nil%s+([^\n]+)", 5):find "failed: %[ERROR%] no route to it")
  end)

  it("give of Maven's words the first, which say what is wrong", function()
    local child = lua(FIND, with_mvn [[
      for line in 'no plugin found' '' 'To see the full stack trace' 'Re-run Maven' '' 'For more' '[Help 1] elsewhere'; do
        echo "[ERROR] $line"
      done
      exit 1]])
    assert.truthy(says(child, "found%s+nil%s+([^\n]+)", 5):find "failed: no plugin found %(")
  end)
end)

describe("what is missing", function()
  local NEW = [[print("new", require("kafka").localcluster {})]]

  it("is named with its package when it is Java", function()
    local child = lua(NEW, { TMPDIR = scratch, PATH = "", JAVA_HOME = "" })
    assert.truthy(says(child, "new%s+nil%s+([^\n]+)", 5):find "java is missing.*default%-jre%-headless")
  end)

  it("is named with its package when it is Maven", function()
    local folder = new_folder "java"
    assert(uv.fs_symlink(machine.program "java", folder .. "/java"))
    local child = lua(NEW, { TMPDIR = scratch, PATH = folder, LUA_KAFKA_CACHE = folder .. "/cache" })
    assert.truthy(says(child, "new%s+nil%s+([^\n]+)", 5):find "mvn is missing.*apt%-get install maven")
  end)

  it("is named with its package when it is luv", function()
    local child = lua("package.preload.luv = error " .. NEW, { TMPDIR = scratch })
    assert.truthy(says(child, "new%s+nil%s+([^\n]+)", 5):find "luv is missing.*lua%-luv")
  end)

  it("is refused at the caller's line when it is an option or a value", function()
    local function refused(options, words)
      local ok, err = pcall(kafka.localcluster, options)
      assert.falsy(ok)
      assert.truthy(err:find("^%S*localcluster_spec%.lua:%d+: .*" .. words), err)
    end
    refused({ version = "0.1" }, 'version must be one of .*"4.3.1".*, got "0.1"')
    refused({ brokrs = 2 }, 'unknown option "brokrs", did you mean "brokers"')
    refused({ brokers = 0 }, "brokers must be an integer from 1")
    refused({ brokers = 2, ports = { 1 } }, "ports must be a list of 2")
    refused({ settings = { ["node.id"] = 7 } }, 'settings%["node.id"%] cannot be given')
    refused({ topics = { ["a b"] = 1 } }, "topic name")
    refused({ timeout = -1 }, "timeout must be")
  end)
end)

describe("a local cluster", function()
  local real

  setup(function()
    real = assert(kafka.localcluster { brokers = 2, topics = { first = 2 } })
  end)

  teardown(function()
    assert(real:close())
  end)

  local function asked(id)
    return probe.brokers(real:broker(id), real.row.probe, 1) or {}
  end

  local function all_known()
    for id = 1, 2 do
      assert.same({ real:broker(1).port, real:broker(2).port }, asked(id))
    end
  end

  it("answers on each of its ports, and has its topics", function()
    local one, two = real:broker(1), real:broker(2)
    assert.equal(("127.0.0.1:%d,127.0.0.1:%d"):format(one.port, two.port), real.brokers)
    all_known()
    assert.equal(2, probe.leaders(one, real.row.probe, "first", 5))
  end)

  it("shows its brokers and their states", function()
    assert.truthy(tostring(real):find "^localcluster 4.3.1: broker 1 %(127.0.0.1:%d+, running%), broker 2 ")
  end)

  it("creates a topic with settings", function()
    assert(real:create_topic("second", 3, 1, { ["retention.ms"] = 100000 }))
    assert.equal(3, probe.leaders(real:broker(2), real.row.probe, "second", 5))
    local ok, err = real:create_topic "second"
    assert.falsy(ok)
    assert.truthy(tostring(err):find "exists")
  end)

  it("loses a broker that is killed, and has it back when it is started", function()
    local one = real:broker(1)
    local pid = one.process.pid
    assert(one:kill())
    assert.is_true(proc.ended(proc.stat(pid)))
    assert.equal("stopped", one:state())
    assert.truthy(one:kill()) -- as dead as before
    assert.same({}, asked(1))
    eventually(10, "broker 2 alone", function()
      return not asked(2)[1] or nil
    end)
    assert(one:start())
    assert.equal("running", one:state())
    all_known()
  end)

  it("gets no answer from a paused broker until it is resumed", function()
    local two = real:broker(2)
    assert(two:pause())
    assert.truthy(tostring(two):find "paused")
    assert.same({}, asked(2))
    local ok, err = two:stop()
    assert.falsy(ok)
    assert.truthy(tostring(err):find "resume%(%) it first")
    assert(two:resume())
    eventually(10, "broker 2 again", function()
      return asked(2)[2]
    end)
  end)

  it("stops a broker in good order", function()
    local two = real:broker(2)
    assert(two:stop())
    assert.equal("stopped", two:state())
    local ok, err = two:pause()
    assert.falsy(ok)
    assert.equal("_STATE", err.name)
    local late
    ok, late = two:start(0)
    assert.falsy(ok)
    assert.equal("_TIMED_OUT", late.name)
    assert(two:start())
    all_known()
  end)

  it("works inside a callback of luv's loop, and turns nobody's loop", function()
    local early, done = 0, nil
    local other = uv.new_timer()
    other:start(0, 1, function()
      early = early + 1
    end)
    local timer = uv.new_timer()
    assert(real:broker(1):kill())
    assert.equal(0, early)
    timer:start(20, 0, function()
      timer:close()
      done = { pcall(function()
        local before = early
        assert(real:broker(1):start())
        assert.equal(before, early)
      end) }
      other:close()
    end)
    uv.run()
    assert.same({ true }, done)
    assert(early > 0)
  end)

  it("leaves no dead process behind while nobody uses the loop", function()
    local one = real:broker(1)
    local pid = one.process.pid
    assert(one:kill())
    assert.equal("stopped", one:state())
    assert.is_nil(proc.stat(pid))
    assert(one:start())
  end)

  it("says what a broker said that could not start", function()
    local cluster, err = kafka.localcluster { settings = { ["log.segment.bytes"] = "many" } }
    assert.is_nil(cluster)
    assert.truthy(tostring(err):find "ended while it started: .*many for configuration log.segment.bytes")
  end)

  it("refuses a port where another server listens", function()
    local cluster, err = kafka.localcluster { ports = { real:broker(1).port } }
    assert.is_nil(cluster)
    assert.truthy(tostring(err):find(("port %d is in use"):format(real:broker(1).port)))
  end)

  it("is not taken in by another server on a broker's port", function()
    local one = real:broker(1)
    assert(one:kill())
    local server = uv.new_tcp()
    assert(server:bind(one.host, one.port))
    assert(server:listen(1, function() end))
    local ok, err = one:start()
    server:close()
    uv.run("nowait")
    assert.falsy(ok)
    assert.truthy(tostring(err):find(("another server listens on port %d of broker 1"):format(one.port)))
    assert.equal("stopped", one:state())
    assert(one:start())
  end)

  it("runs beside another one, on given ports and from a distribution's folder", function()
    local home = new_folder "home"
    local wrong, err = kafka.localcluster { home = home }
    assert.is_nil(wrong)
    assert.truthy(tostring(err):find "it has no libs/kafka_2.13%-4.3.1.jar")
    assert(uv.fs_symlink(real.java.libs, home .. "/libs"))
    local port = 20000 + math.random(9999)
    local other <close> = assert(kafka.localcluster { home = home, ports = { port } })
    assert.equal("127.0.0.1:" .. port, other.brokers)
    all_known()
    assert.same({ port }, probe.brokers(other:broker(1), other.row.probe, 2))
  end)

  it("takes in one more broker", function()
    local three = assert(real:add_broker())
    assert.equal(3, three.id)
    assert.truthy(real.brokers:find(three.port, 1, true))
    assert.equal(three.port, asked(1)[3])
    assert(real:create_topic("third", 1, 3))
  end)

  it("refuses everything after it was closed, and has nothing left", function()
    local folder = new_folder "closed"
    local child = lua([[
      local real = assert(require("kafka").localcluster {})
      local one = real:broker(1)
      print("folder", real.sandbox.folder)
      assert(real:close()); assert(real:close())
      print("shown", real)
      print(pcall(real.broker, real, 1))
      print(pcall(one.kill, one))
    ]], { TMPDIR = folder })
    ends(child, 40)
    local text = machine.read(child.log)
    assert.truthy(text:find "localcluster 4.3.1 %(closed%)")
    assert.truthy(text:find "false.*broker: attempt to use a closed cluster.*false.*kill: attempt to use")
    assert.same({}, entries(folder))
  end)

  it("is gone after its process was killed, a paused broker too", function()
    local folder = new_folder "killed"
    local child = lua([[
      local real = assert(require("kafka").localcluster { brokers = 2 })
      real:broker(2):pause()
      print "ready"
      require("luv").sleep(60000)
    ]], { TMPDIR = folder })
    says(child, "ready", 60)
    assert.equal(4, #working_in(folder .. "/")) -- controller, brokers and watchdog
    child:signal "sigkill"
    ends(child, 2)
    nothing_left(folder, 3)
  end)

  it("is gone after Ctrl-C while it starts", function()
    local folder = new_folder "interrupted"
    local child = lua([[
      local kafka = require "kafka"
      print(pcall(kafka.localcluster, { brokers = 2 }))
    ]], { TMPDIR = folder })
    eventually(60, "java at work", function()
      return #working_in(folder .. "/") >= 4 or nil
    end)
    child:signal "sigint"
    ends(child, 5)
    assert.truthy(machine.read(child.log):find "interrupted!")
    nothing_left(folder, 3)
  end)
end)

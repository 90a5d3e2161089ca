-- Java on this machine: where it is, and how Kafka's classes are run with it.
-- Must not know: which classes, nor what they do.

local fault = require "kafka.localcluster.fault"
local machine = require "kafka.localcluster.machine"

local M = {}

-- Made for a start in little time and memory. UsePerfData is off because a JVM that is killed leaves its file behind.
local FLAGS = {
  "-Xms64m",
  "-Xmx384m",
  "-XX:+UseSerialGC",
  "-XX:TieredStopAtLevel=1",
  "-Xshare:auto",
  "-XX:-UsePerfData",
}

---@return string? path of java: JAVA_HOME's, else the first in PATH
---@return table? err
function M.find()
  local home = os.getenv("JAVA_HOME")
  local path = home and home ~= "" and home .. "/bin/java"
  if not path or not machine.exists(path) then
    path = machine.program("java")
  end
  if path then
    return path
  end
  return nil, fault.new("java is missing: install a Java runtime (on Debian: apt-get install default-jre-headless)")
end

---@class kafka.localcluster.Java
---@field path string of the program java
---@field libs string folder with the jars
---@field flags string[] of this generation
---@field keep string? folder where things may be kept between runs
---@field archive string? file of classes made ready to be loaded, see training.lua
---@field dump string? file to make such an archive in; a name alone is one in the folder that programs run in

---@param java kafka.localcluster.Java
---@param folder string for the JVM's temporary files, such as unpacked native libraries
---@param main string class
---@param args string[]
---@param dump string? archive to write as it ends
---@return string[] command
function M.command(java, folder, main, args, dump)
  local command = { java.path }
  table.move(FLAGS, 1, #FLAGS, 2, command)
  table.move(java.flags, 1, #java.flags, #command + 1, command)
  if dump then
    command[#command + 1] = "-XX:ArchiveClassesAtExit=" .. dump
  elseif java.archive then
    command[#command + 1] = "-XX:SharedArchiveFile=" .. java.archive
  end
  command[#command + 1] = "-Djava.io.tmpdir=" .. folder .. "/"
  command[#command + 1] = "-cp"
  command[#command + 1] = java.libs .. "/*"
  command[#command + 1] = main
  return table.move(args, 1, #args, #command + 1, command)
end

---Runs a program of Kafka's to its end.
---@param java kafka.localcluster.Java
---@param sandbox kafka.localcluster.Sandbox
---@param name string
---@param main string class
---@param args string[]
---@param deadline number
---@return true? ok
---@return string|table text what it wrote; an error without ok
function M.run(java, sandbox, name, main, args, deadline)
  return sandbox:run(name, M.command(java, sandbox.folder, main, args), deadline)
end

return M

-- Kafka's jars on this machine: those of an unpacked distribution, or fetched once by Maven into a cache folder.
-- Two processes that need them at the same moment do not disturb each other: each downloads into a folder of its own
-- and renames it when it is complete; where flock is present, the second waits for the first instead.
-- Must not know: how Kafka is run.

local uv = require "luv"
local fault = require "kafka.localcluster.fault"
local machine = require "kafka.localcluster.machine"
local sandboxes = require "kafka.localcluster.sandbox"

local M = {}

-- A slow line may need minutes for 50 MB, and it is needed once: not counted in the caller's timeout.
local DOWNLOAD_TIMEOUT = 900

-- Maven keeps the lock to its end, because it inherits the descriptor; what it fetched gets its place a moment later.
local DOWNLOAD = [[
exec 9>"$1"
if command -v flock >/dev/null && ! flock -n 9; then
  until flock -n 9; do sleep 0.2; done
  [ -e "$2" ] || sleep 0.5
fi
[ -e "$2" ] && exit 0
shift 2
exec "$@"
]]

local POM = [[
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>lua-kafka</groupId>
  <artifactId>localcluster</artifactId>
  <version>1</version>
  <dependencies>
%s
  </dependencies>
</project>
]]

local DEPENDENCY = "    <dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></dependency>"

---@return string folder where jars are kept between runs
function M.cache()
  local function named(name)
    local value = os.getenv(name)
    return value ~= "" and value or nil
  end
  local own = named("LUA_KAFKA_CACHE")
  if own then
    return own
  end
  return (named("XDG_CACHE_HOME") or uv.os_homedir() .. "/.cache") .. "/lua-kafka"
end

local function pom(artifacts)
  local lines = {}
  for i, artifact in ipairs(artifacts) do
    lines[i] = DEPENDENCY:format(artifact:match("^([^:]+):([^:]+):([^:]+)$"))
  end
  return POM:format(table.concat(lines, "\n"))
end

-- What went wrong stands in the first of Maven's lines; those after it say how to learn more.
local function words_of(run)
  return run:last_words(50):match "%[ERROR%] (.-) | %[ERROR%] |" or run:last_words()
end

local function maven(sandbox, mvn, row, final)
  local proof = ("%s/libs/%s"):format(final, row.proof)
  local file = sandbox.folder .. "/pom.xml"
  local ok, why = machine.write(file, pom(row.artifacts))
  if not ok then
    return nil, fault.new(why)
  end
  local run, err = sandbox:launch("maven", {
    "/bin/sh", "-c", DOWNLOAD, "lua-kafka-download", final .. ".lock", proof,
    mvn, "-B", "-q", "-f", file, "dependency:copy-dependencies", "-DoutputDirectory=" .. sandbox.folder .. "/new/libs",
  })
  if not run then
    return nil, err
  end
  if not run:reach("ended", machine.now() + DOWNLOAD_TIMEOUT) then
    return nil, fault.timed_out("Maven's download")
  end
  local code = run:exit()
  if code ~= 0 then
    return nil, fault.new(("Maven's download failed: %s"):format(words_of(run)), nil, "retry")
  end
  uv.fs_rename(sandbox.folder .. "/new", final) -- refused when another process was faster, which is as good
  if not machine.exists(proof) then
    return nil, fault.new(("Maven's download ended without %s; if its folder is there, remove it"):format(proof))
  end
  return true
end

local function download(row, final)
  local mvn = machine.program("mvn")
  if not mvn then
    return nil, fault.new(
      "mvn is missing, which fetches Kafka's jars: install Maven (on Debian: apt-get install maven), "
        .. "or name an unpacked Kafka distribution by home"
    )
  end
  local cache = final:match("^(.*)/")
  local sandbox <close>, err = sandboxes.new(cache, "download")
  if not sandbox then
    return nil, err
  end
  io.stderr:write(("kafka.localcluster: fetching Kafka %s by Maven into %s, once\n"):format(row.version, final))
  local started = machine.now()
  local ok
  ok, err = maven(sandbox, mvn, row, final)
  if not ok then
    return nil, err
  end
  io.stderr:write(("kafka.localcluster: fetched in %.0f s\n"):format(machine.now() - started))
  return true
end

---@param row kafka.localcluster.Generation
---@param home string? an unpacked Kafka distribution to use instead of the cache
---@return string? libs folder with the jars
---@return string|table|nil keep folder for what else may be kept between runs; nil beside home; an error without libs
function M.find(row, home)
  if home then
    local libs = (uv.fs_realpath(home) or home) .. "/libs"
    if machine.exists(libs .. "/" .. row.proof) then
      return libs
    end
    return nil, fault.new(("home %s is no Kafka %s: it has no libs/%s"):format(home, row.version, row.proof))
  end
  local cache = M.cache()
  local made, why = machine.make_folder(cache)
  if not made then
    return nil, fault.new(("cannot make the cache folder %s: %s"):format(cache, why))
  end
  local final = ("%s/kafka-%s"):format(uv.fs_realpath(cache), row.version)
  if not machine.exists(("%s/libs/%s"):format(final, row.proof)) then
    local ok, err = download(row, final)
    if not ok then
      return nil, err
    end
  end
  return final .. "/libs", final
end

return M

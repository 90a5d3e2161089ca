rockspec_format = "3.0"
package = "lua-kafka"
version = "dev-1"
-- `luarocks make` builds the clone it stands in and never reads this address.
source = { url = "git+https://example.org/lua-kafka.git" }
description = {
  summary = "Kafka client for Lua, over librdkafka",
  detailed = "Producer, consumer, partition reader and administration of Kafka. Needs librdkafka and its headers "
    .. "(Debian: librdkafka-dev).",
  license = "MIT",
}
supported_platforms = { "unix" }
-- Lua alone: all other Lua libraries are optional, and those of the system's packages are not seen here. librdkafka is
-- looked for by the makefile, whose message names the package to install.
dependencies = { "lua >= 5.4" }
build = {
  type = "make",
  build_target = "all",
  install_target = "install-modules",
  build_variables = {
    LUA_INCDIR = "$(LUA_INCDIR)",
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
    B = "build/rocks$(LUA_INCDIR)", -- one folder for each Lua
  },
  install_variables = {
    LUA_INCDIR = "$(LUA_INCDIR)",
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
    B = "build/rocks$(LUA_INCDIR)",
    INST_LUADIR = "$(LUADIR)",
    INST_LIBDIR = "$(LIBDIR)",
  },
  install = { bin = { lkafka = "bin/lkafka" } },
}
test = { type = "command", command = "make test" }

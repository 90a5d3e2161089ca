# One makefile for who tries lua-kafka (make demo), who works on it (make test, make check), who installs or packages it
# (make install), and LuaRocks (the rockspec calls all and install-modules). `make help` shows the lines marked ## and #:.

LUA_VERSION ?= 5.4
LUA         ?= lua$(LUA_VERSION)
PKG_CONFIG  ?= pkg-config
PREFIX      ?= /usr/local
INST_LUADIR ?= $(PREFIX)/share/lua/$(LUA_VERSION)
INST_LIBDIR ?= $(PREFIX)/lib/lua/$(LUA_VERSION)
INST_BINDIR ?= $(PREFIX)/bin
B           ?= build/$(LUA_VERSION)$(if $(SAN)$(OOM),-san,$(if $(TSAN),-tsan))

#: BROKERS=host:port  make demo: use this cluster (default: one inside the demo's own process)
#: KAFKA=4.3.1        make demo: start real brokers of this version, 3.9.2 or 0.8.2.1 (needs Java and Maven, installed first)
#: YES=1              install without asking, as is done where nobody sits at a terminal
#: SETUP=no           do not look at packages at all (a system without apt, or your own librdkafka)
#: SPECS=FILES        make test: only these spec files
#: MOCK=1             make test: only what needs no real brokers (no Java, no Maven)
#: SAN=1              make test: on the mock, with the address and undefined-behaviour sanitizers
#: TSAN=1             make test: on the mock, with the thread sanitizer
#: VALGRIND=1         make test: under valgrind, the specs that use the C module most (or SPECS)
#: OOM=1              make test: not the specs, but scenarios in which Lua's memory runs out, at every allocation (OOM=0.1: at
#:                    a tenth of them, chosen by OOM_SEED)
#: GC=1               make test: on the mock, with a collector that never rests; GC=generational: of that kind
#: MESSAGES=1000000   make bench: messages in each run; ROUNDS=5; ROWS="produce_many columns", see bench/README.md
#: PYTHON=python3     make bench: one that knows confluent_kafka takes part
#: LANES=3            make test: how many spec files run beside one another
#: LIMIT=600          make test: seconds that a spec file on real brokers, or a group of others, may take before it is ended
#: BUSTED_FLAGS=...   make test: more arguments for busted, e.g. --filter=reader
#: MINUTES=3          make chaos: how long; SEED=7: which faults in which order (default: another each time); KAFKA=4.3.1; more in
#:                    chaos/README.md
#: SECONDS=60         make fuzz: how long; all targets run at the same time
#: KEEP=1             make fuzz: add what reaches new code to fuzz/corpus
#: INPUT=FILE         make fuzz: run this one input, of fuzz/corpus or a finding
#: PREFIX=/usr/local  make install: where to; DESTDIR stands in front of it
#: V=1                show the compiler's command lines
#: B=build/5.4        where to build; CFLAGS, LDFLAGS, HARDEN, WARN may be replaced too

# What the caller may replace is kept apart from what the module cannot do without (COMPILE and LINK, below).
ifneq ($(SAN)$(OOM),)
CFLAGS      ?= -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
HARDEN      ?=
else ifdef TSAN
CFLAGS      ?= -O1 -g -fno-omit-frame-pointer -fsanitize=thread
HARDEN      ?=
else
CFLAGS      ?= -O2 -g
HARDEN      ?= -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
WARN        ?= -Wall -Wextra
LIBFLAG     ?= -shared
# nodelete: librdkafka's threads may still run this code when lua_close unloads its modules.
HARDEN_LINK ?= -Wl,-z,nodelete -Wl,-z,relro,-z,now

# Where the headers are, in this order: what the caller says (LuaRocks knows Lua's), what pkg-config knows, Debian's places.
ifdef LUA_INCDIR
LUA_CPPFLAGS     := -I$(LUA_INCDIR)
else
LUA_CPPFLAGS     := $(or $(shell $(PKG_CONFIG) --cflags lua$(LUA_VERSION) 2>/dev/null),-I/usr/include/lua$(LUA_VERSION))
endif
ifdef RDKAFKA_INCDIR
RDKAFKA_CPPFLAGS := -I$(RDKAFKA_INCDIR)
else
RDKAFKA_CPPFLAGS := $(shell $(PKG_CONFIG) --cflags rdkafka 2>/dev/null)
endif
ifdef RDKAFKA_LIBDIR
RDKAFKA_LIBS     := -L$(RDKAFKA_LIBDIR) -lrdkafka
else
RDKAFKA_LIBS     := $(or $(shell $(PKG_CONFIG) --libs rdkafka 2>/dev/null),-lrdkafka)
endif

SOURCES  := $(sort $(wildcard csrc/*.c))
OBJECTS  := $(SOURCES:csrc/%.c=$(B)/%.o)
MODULE   := $(B)/kafka/core.so
LUAFILES  = $(shell find lua -name '*.lua' -printf '%P\n')
ALLSPECS  = $(sort $(shell find spec -name '*_spec.lua'))
MOCKSPECS = $(filter-out spec/real/% $(if $(TSAN),$(NOT_TSAN)),$(ALLSPECS))
SPECFILES = $(if $(VALGRIND),$(CORESPECS),$(MOCKSPECS) $(if $(ON_MOCK),,$(filter spec/real/%,$(ALLSPECS))))
REAL      = $(if $(ON_MOCK),,$(if $(SPECS),$(if $(findstring spec/real,$(SPECS)),real),real))

# Brokers in another process would show no more of memory and threads here.
ON_MOCK   = $(MOCK)$(WATCH)$(GC)$(OOM)
WATCH     = $(if $(SAN),asan,$(if $(TSAN),tsan,$(if $(VALGRIND),valgrind)))
CORESPECS = $(patsubst %,spec/%_spec.lua,error finalizer group handlers interleave message partition partitions position \
            produce_many producer queue reports tostring)
# The build has no threads; the bound of a queue is measured by the process's memory, of which the sanitizer takes its share.
NOT_TSAN  = $(patsubst %,spec/%_spec.lua,build queue)

COMPILE   = $(CC) -std=gnu11 -fPIC -pthread -fvisibility=hidden $(WARN) $(HARDEN) $(LUA_CPPFLAGS) $(RDKAFKA_CPPFLAGS) \
            $(CPPFLAGS) $(CFLAGS)
LINK      = $(CC) $(LIBFLAG) -pthread $(HARDEN_LINK) $(CFLAGS) $(LDFLAGS)

# Absolute, because a program may change its folder and lkafka leaves relative places out; the project's own folder is
# there for spec.support. The two semicolons at the end stand for Lua's default places.
RUN_ENV   = LUA_PATH='$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;$(CURDIR)/?.lua;;' LUA_CPATH='$(abspath $(B))/?.so;;'

# A sub-make asks pkg-config again after the set-up; the build uses every core unless the caller gave a -j.
SUBMAKE   = $(MAKE) --no-print-directory
BUILD     = $(SUBMAKE) $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc 2>/dev/null || echo 1)) all
TYPED     = $(strip make $@ $(subst ','\'',$(MAKEOVERRIDES)))
SETUP_FOR = LUA_VERSION='$(LUA_VERSION)' tools/setup '$(TYPED)'

# Before anything is installed for it.
VERSIONS     = $(shell sed -n 's/^  \["\(.*\)"\] = require .*/\1/p' lua/kafka/localcluster/generations.lua)
CHECK_KAFKA  = $(if $(filter-out $(VERSIONS),$(KAFKA))$(word 2,$(KAFKA)),$(error KAFKA must be one of $(VERSIONS), got $(KAFKA)))

# The long command lines are shown with V=1 only.
Q   = $(if $(V),,@)
say = $(if $(V),,@echo '$(1)')

all: $(MODULE)  ## build the C module; installs nothing

$(B)/%.o: csrc/%.c $(B)/command
	$(call say,compiling $<)
	$(Q)$(COMPILE) -MD -MP -c $< -o $@

$(MODULE): $(OBJECTS) $(B)/command
	@mkdir -p $(@D)
	$(call say,linking $@)
	$(Q)$(LINK) -o $@ $(OBJECTS) $(RDKAFKA_LIBS)

# Holds the commands and the list of sources, so another flag, or a source that came or went, builds anew.
$(B)/command: FORCE
	@mkdir -p $(@D)
	@echo '$(COMPILE) $(LINK) $(RDKAFKA_LIBS) $(SOURCES)' >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else tools/headers '$(LUA_VERSION)' $(COMPILE) && mv $@.new $@; fi

-include $(OBJECTS:.o=.d)
include fuzz/fuzz.mk

demo:  ## install what is missing (asks first), build, run the demo on a cluster in its own process; see BROKERS, KAFKA
	$(CHECK_KAFKA)
	@$(SETUP_FOR) build $(if $(KAFKA),real)
	@$(BUILD)
	@$(SUBMAKE) run SCRIPT=examples/north_face.lua

run: all  ## run SCRIPT with this clone's kafka: make run SCRIPT=examples/north_face.lua
	@$(RUN_ENV) $(LUA) $(SCRIPT)

env:  ## print what lets any program use this clone: eval "$(make -s env)"
	@$(SUBMAKE) all >&2
	@echo "export $(RUN_ENV)"

test:  ## install what is missing (asks first), build, run every spec; see SPECS, MOCK, SAN and so on
	@$(SETUP_FOR) build test $(REAL) $(if $(VALGRIND),valgrind)
	@$(BUILD)
	@$(SUBMAKE) $(if $(OOM),oom,specs)

specs: all  ## run the specs without looking at packages
	@$(RUN_ENV) LUA='$(LUA)' RUNNER='$(RUNNER)' WATCH='$(WATCH)' REPORTS='$(abspath $(B))/reports' GC='$(GC)' \
	  LANES='$(LANES)' LIMIT='$(LIMIT)' tools/lanes $(BUSTED_FLAGS) -- $(or $(SPECS),$(SPECFILES))

# OOM=1 tries all points, OOM=0.1 a tenth of them.
oom: all
	@$(RUN_ENV) OOM_PART='$(OOM)' LUA_VERSION='$(LUA_VERSION)' tools/oom '$(abspath $(B))' $(SPECS)

# What the benchmark compares with; not part of the library.
$(B)/bench/baseline: bench/baseline.c $(B)/command
	@mkdir -p $(@D)
	$(call say,compiling $<)
	$(Q)$(COMPILE) $< -o $@ $(LDFLAGS) $(RDKAFKA_LIBS)

$(B)/bench/handmade.so: bench/handmade.c $(B)/command
	@mkdir -p $(@D)
	$(call say,compiling $<)
	$(Q)$(COMPILE) $< $(LIBFLAG) -o $@ $(LDFLAGS) $(RDKAFKA_LIBS)

contestants: $(B)/bench/baseline $(B)/bench/handmade.so

contest: all contestants
	@$(RUN_ENV) LUA_CPATH='$(abspath $(B))/?.so;$(abspath $(B))/bench/?.so;;' LUA='$(LUA)' BUILT='$(B)/bench' \
	  $(foreach name,MESSAGES ROUNDS ROWS KAFKA PYTHON,$(if $($(name)),$(name)='$($(name))')) $(LUA) bench/run.lua

bench:  ## install what is missing (asks first), build, compare with C and a hand-made module; see MESSAGES
	$(CHECK_KAFKA)
	@$(SETUP_FOR) build real
	@$(BUILD)
	@$(SUBMAKE) contest

chaos:  ## install what is missing (asks first), build, kill and pause brokers under a writer and a reader; see MINUTES, SEED
	$(CHECK_KAFKA)
	@$(SETUP_FOR) build real
	@$(BUILD)
	@$(SUBMAKE) havoc

havoc: all
	@$(RUN_ENV) LUA='$(LUA)' $(foreach name,MINUTES SEED KAFKA FAULTS STRICT KEEP SETTINGS,$(if $($(name)),$(name)='$($(name))')) \
	  $(LUA) chaos/run.lua

fuzz:  ## install what is missing (asks first), run libFuzzer on what callers pass; see SECONDS, KEEP, INPUT
	@$(SETUP_FOR) build fuzz
	@$(SUBMAKE) B=build/$(LUA_VERSION)-fuzz CC=clang HARDEN= CFLAGS='$(FUZZ_CFLAGS)' fuzz-programs
	@$(RUN_ENV) KEEP='$(KEEP)' INPUT='$(INPUT)' tools/fuzz build/$(LUA_VERSION)-fuzz $(or $(SECONDS),60) $(FUZZ_TARGETS)

check:  ## install what is missing (asks first), then luacheck, strict C warnings, cppcheck, format, rockspec
	@$(SETUP_FOR) build check
	@$(SUBMAKE) -k check-lua check-c check-format check-rockspec

docs: all  ## write the pages that are made from the sources: docs/errors.md
	@$(RUN_ENV) $(LUA) tools/errors.lua >docs/errors.md

# Not -Wcast-qual: librdkafka takes values which it only reads as void *.
STRICT_C = -Wall -Wextra -Werror -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
         -Wpointer-arith -Wwrite-strings -Wformat=2 -Wundef -Wvla

check-lua:
	@echo luacheck
	@luacheck --no-color -q $(wildcard lua spec fuzz examples bench chaos tools bin/lkafka rockspec/*.rockspec)

check-c:
	@$(SUBMAKE) B=build/$(LUA_VERSION)-check WARN='$(STRICT_C)' all contestants
	@echo cppcheck
	@cppcheck -q --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	  --suppress=missingIncludeSystem --library=tools/cppcheck.cfg csrc

check-format:
	@echo format
	@$(LUA) tools/format.lua

check-rockspec:
	@for f in rockspec/*.rockspec; do echo "luarocks lint $$f"; luarocks --lua-version=$(LUA_VERSION) lint "$$f" || exit 1; done

# lkafka gets the name of the Lua it is for and, where that Lua would not look there by itself, the places of the modules.
LUA_LOOKS = $(filter /usr /usr/local,$(PREFIX))
install: install-modules  ## install the modules, the examples and lkafka
	@mkdir -p '$(DESTDIR)$(INST_BINDIR)'
	@sed -e '1s|.*|#!/usr/bin/env $(LUA)|' $(if $(LUA_LOOKS),,\
	  -e '1a package.path = "$(INST_LUADIR)/?.lua;$(INST_LUADIR)/?/init.lua;" .. package.path' \
	  -e '1a package.cpath = "$(INST_LIBDIR)/?.so;" .. package.cpath') bin/lkafka >'$(DESTDIR)$(INST_BINDIR)/lkafka'
	@chmod 755 '$(DESTDIR)$(INST_BINDIR)/lkafka'
	@echo 'installed $(DESTDIR)$(INST_BINDIR)/lkafka, and modules in $(DESTDIR)$(INST_LUADIR) and $(DESTDIR)$(INST_LIBDIR)'

# The examples become modules, kafka.examples.NAME, for `lkafka demo NAME`.
install-modules: all
	@mkdir -p '$(DESTDIR)$(INST_LIBDIR)/kafka' '$(DESTDIR)$(INST_LUADIR)/kafka/examples'
	@install -m 755 $(MODULE) '$(DESTDIR)$(INST_LIBDIR)/kafka/core.so'
	@for f in $(LUAFILES); do install -D -m 644 "lua/$$f" '$(DESTDIR)$(INST_LUADIR)'/"$$f" || exit 1; done
	@for f in $(wildcard examples/*.lua); do install -m 644 "$$f" '$(DESTDIR)$(INST_LUADIR)/kafka/examples/' || exit 1; done

clean:  ## remove all that was built
	@rm -rf build

help:  ## this list
	@echo Targets:
	@sed -n 's/^\([a-z-]*\):.*  ## /\1 /p' Makefile | while read -r name text; do printf '  make %-8s %s\n' "$$name" "$$text"; done
	@echo Variables:
	@sed -n 's/^#: /  /p' Makefile

FORCE:
.PHONY: all demo run env test specs oom fuzz bench contest contestants chaos havoc docs check check-lua check-c check-format \
        check-rockspec install install-modules clean help FORCE

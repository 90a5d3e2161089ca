# The fuzz targets: csrc's own objects, the helpers of this folder, and one C file for each target. The variable MAIN=1
# links a main that runs files instead of libFuzzer's.

FUZZ_CFLAGS   = -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
FUZZ_TARGETS  = settings headers options calls messages
FUZZ_PROGRAMS = $(FUZZ_TARGETS:%=$(B)/fuzz/%)
FUZZ_HELPERS  = $(B)/fuzz/run.o $(B)/fuzz/value.o $(if $(MAIN),$(B)/fuzz/main.o)
LUA_LIBS      = $(or $(shell $(PKG_CONFIG) --libs lua$(LUA_VERSION) 2>/dev/null),-llua$(LUA_VERSION))

$(B)/fuzz/%.o: fuzz/%.c $(B)/command
	@mkdir -p $(@D)
	$(call say,compiling $<)
	$(Q)$(COMPILE) -MD -MP -c $< -o $@

$(FUZZ_PROGRAMS): $(B)/fuzz/%: $(B)/fuzz/%.o $(FUZZ_HELPERS) $(OBJECTS)
	$(call say,linking $@)
	$(Q)$(CC) -pthread $(CFLAGS) $(if $(MAIN),,-fsanitize=fuzzer) -o $@ $^ $(LDFLAGS) $(RDKAFKA_LIBS) $(LUA_LIBS)

fuzz-programs: $(FUZZ_PROGRAMS)

# Without libFuzzer, and with gcc: for the specs.
fuzz-replay:
	@$(SUBMAKE) MAIN=1 SAN=1 fuzz-programs

.SECONDARY: $(FUZZ_PROGRAMS:=.o)
.PHONY: fuzz-programs fuzz-replay

-include $(wildcard $(B)/fuzz/*.d)

/* The Lua state under test, libFuzzer's entry points, and the rules for every call; see fuzz.h. */
#include <lualib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

int luaopen_kafka_core(lua_State *L);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NEVER SIZE_MAX

static lua_State *state;
static size_t refuse = NEVER;   /* of this input: which piece of memory a call is refused */
static size_t pieces = NEVER;   /* left in the call under way */
static char error_text[2048];

unsigned fz_byte(fz_bytes *in) {
  if (in->left == 0) return 0;
  in->left--;
  return *in->p++;
}

unsigned fz_below(fz_bytes *in, unsigned n) { return fz_byte(in) % n; }

void fz_finding(const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  fputs("finding: ", stderr);
  vfprintf(stderr, fmt, args);
  fputc('\n', stderr);
  abort();
}

/* ---- memory that runs out ---- */

static void *allocate(void *ud, void *p, size_t old, size_t size) {
  (void)ud;
  if (size == 0) {
    free(p);
    return NULL;
  }
  if (pieces != NEVER && (!p || size > old)) {
    if (pieces == 0) return NULL;
    pieces--;
  }
  return realloc(p, size);
}

void fz_plenty(void) { refuse = NEVER; }

/* ---- lines of Lua code count as coverage ---- */

#define LINES 65536
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t lines[LINES];

static void on_line(lua_State *L, lua_Debug *ar) {
  lua_getinfo(L, "S", ar);
  uintptr_t h = (uintptr_t)ar->linedefined * 31 + (uintptr_t)ar->currentline;
  for (const char *s = ar->short_src; *s; s++) h = h * 33 + (unsigned char)*s;
  lines[h % LINES]++;
}

/* ---- calls ---- */

const char *fz_error(void) { return error_text; }

/* Whether the text says so itself, in front of what it repeats of the input. */
static bool is(const char *text, const char *part) {
  const char *found = strstr(text, part), *input = strchr(text, '"');
  return found && (!input || found < input);
}

static void check_error(lua_State *L, int status) {
  snprintf(error_text, sizeof error_text, "not enough memory");
  if (status == LUA_ERRMEM && refuse != NEVER) return;
  FZ_CHECK(lua_type(L, -1) == LUA_TSTRING, "raised a %s", luaL_typename(L, -1));
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  snprintf(error_text, sizeof error_text, "%s", text);
  if (refuse != NEVER && (is(text, "not enough memory") || is(text, "out of memory"))) return;
  FZ_CHECK(strlen(text) == len && !strchr(text, '\n'), "not one line: %s", text);
  FZ_CHECK(len < 1000, "an error of %zu bytes: %.200s", len, text);
  if (is(text, "fuzz raised")) return;
  static const char *const own[] = {"lua/kafka/", "bad argument", "attempt to index", "attempt to call",
                                    "attempt to perform", "attempt to compare", "attempt to concatenate", "attempt to get",
                                    "stack overflow", "invalid key", "invalid value", "'for' ", "out of memory",
                                    "not enough memory", "no integer representation"};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) FZ_CHECK(!is(text, own[i]), "not a misuse: %s", text);
}

bool fz_call(lua_State *L, int nargs, int nresults) {
  int base = lua_gettop(L) - nargs - 1;
  fz_metamethods = 0;
  lua_gc(L, LUA_GCRESTART); /* the next allocation collects, and runs the input's finalizers */
  pieces = refuse;
  int status = lua_pcall(L, nargs, nresults, 0);
  pieces = NEVER;
  lua_gc(L, LUA_GCSTOP);
  FZ_CHECK(fz_metamethods == 0, "a metamethod of the caller's ran");
  if (status == LUA_OK) return true;
  FZ_CHECK(lua_gettop(L) == base + 1, "the stack holds %d values more", lua_gettop(L) - base - 1);
  check_error(L, status);
  lua_settop(L, base);
  return false;
}

bool fz_method(lua_State *L, int idx, const char *name, int nargs, int nresults) {
  idx = lua_absindex(L, idx);
  lua_getfield(L, idx, name);
  lua_insert(L, -nargs - 1);
  lua_pushvalue(L, idx);
  lua_insert(L, -nargs - 1);
  return fz_call(L, nargs + 1, nresults);
}

void fz_lua(lua_State *L, const char *name, int nargs, int nresults) {
  lua_getglobal(L, "support");
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
  lua_insert(L, -nargs - 1);
  if (lua_pcall(L, nargs, nresults, 0) != LUA_OK) fz_finding("%s", luaL_tolstring(L, -1, NULL));
}

/* ---- the process ---- */

static void end(void) {
  lua_gc(state, LUA_GCRESTART);
  fz_values_reset(state);
  fz_lua(state, "close", 0, 0);
  lua_close(state);
  state = NULL;
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc;
  (void)argv;
  lua_State *L = state = lua_newstate(allocate, NULL);
  if (!L) abort();
  luaL_openlibs(L);
  luaL_requiref(L, "kafka.core", luaopen_kafka_core, 0);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "fuzz.support");
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) fz_finding("%s", lua_tostring(L, -1));
  lua_setglobal(L, "support");
  lua_settop(L, 0);
  lua_pushstring(L, fz_target);
  fz_lua(L, "start", 1, 0);
  lua_sethook(L, on_line, LUA_MASKLINE, 0);
  lua_gc(L, LUA_GCGEN, 1, 50);
  lua_gc(L, LUA_GCSTOP);
  atexit(end); /* before the check for leaks */
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fz_bytes in = {data, size};
  int top = lua_gettop(state);
  unsigned short_of = fz_byte(&in);
  refuse = size > 0 && short_of < FZ_PLENTY ? short_of : NEVER;
  fz_values_reset(state);
  lua_pushboolean(state, refuse != NEVER);
  fz_lua(state, "revive", 1, 0);
  fz_one(state, &in);
  fz_plenty();
  FZ_CHECK(lua_gettop(state) == top, "the stack holds %d values more", lua_gettop(state) - top);
  fz_values_reset(state);
  static unsigned inputs;
  if (++inputs % 1000 == 0) {
    lua_gc(state, LUA_GCCOLLECT);
  } else {
    lua_gc(state, LUA_GCSTEP, 0);
  }
  lua_gc(state, LUA_GCSTOP);
  return 0;
}

/* A program that runs Lua with an allocator which fails when it is told to. It runs oom.lua in a state of its own, with the
 * functions below; what is tried runs in further states.
 *   oom.state() -> state
 *   state:load(file, brokers) -> the cases' names: runs the file there and keeps the list of cases that it returns
 *   state:call(case, name, at, times, note) -> ok, error, how many allocations it asked for, how many of them failed
 *       runs a function of a case on a new coroutine, and fails the allocation number `at` and those after it, `times` in all
 *   state:functions() -> which functions kafka.core has, and whether each was called there (calls with `note` set)
 *   state:collect(), state:close()
 *   oom.held() -> librdkafka's threads, all threads, descriptors; oom.nap() */
#include <dirent.h>
#include <lauxlib.h>
#include <librdkafka/rdkafka.h>
#include <limits.h>
#include <lua.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct memory {
  bool armed;
  long long asked, at, times, failed;
} memory;

typedef struct state {
  lua_State *L;
  memory memory;
} state;

static void *allocate(void *ud, void *p, size_t old, size_t new) {
  memory *m = ud;
  if (new == 0) {
    free(p);
    return NULL;
  }
  if (m->armed && (!p || new > old)) {
    m->asked++;
    if (m->at > 0 && m->asked >= m->at && m->asked - m->at < m->times) {
      m->failed++;
      return NULL;
    }
  }
  return realloc(p, new);
}

/* Notes the C functions that are called: registry.called[function] = true. */
static void note_call(lua_State *L, lua_Debug *ar) {
  lua_getinfo(L, "f", ar);
  if (lua_iscfunction(L, -1) && lua_getfield(L, LUA_REGISTRYINDEX, "called") == LUA_TTABLE) {
    lua_pushvalue(L, -2);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
  }
  lua_settop(L, 0);
}

static state *check(lua_State *H) {
  state *s = luaL_checkudata(H, 1, "state");
  if (!s->L) luaL_error(H, "the state is closed");
  return s;
}

static int state_close(lua_State *H) {
  state *s = luaL_checkudata(H, 1, "state");
  if (s->L) lua_close(s->L);
  s->L = NULL;
  return 0;
}

static int oom_state(lua_State *H) {
  state *s = lua_newuserdatauv(H, sizeof *s, 0);
  memset(s, 0, sizeof *s);
  luaL_setmetatable(H, "state");
  s->L = lua_newstate(allocate, &s->memory);
  if (!s->L) return luaL_error(H, "no state");
  luaL_openlibs(s->L);
  lua_newtable(s->L);
  lua_setfield(s->L, LUA_REGISTRYINDEX, "called");
  return 1;
}

/* load(file, brokers): the file sees `brokers` as a global */
static int state_load(lua_State *H) {
  state *s = check(H);
  lua_State *L = s->L;
  lua_pushstring(L, luaL_checkstring(H, 3));
  lua_setglobal(L, "brokers");
  if (luaL_dofile(L, luaL_checkstring(H, 2)) != LUA_OK) return luaL_error(H, "%s", lua_tostring(L, -1));
  for (lua_Integer i = 1; lua_rawgeti(L, -1, i) == LUA_TTABLE; i++) {
    lua_getfield(L, -1, "name");
    lua_pushstring(H, lua_tostring(L, -1));
    lua_pop(L, 2);
  }
  lua_pop(L, 1);
  lua_setfield(L, LUA_REGISTRYINDEX, "cases");
  return lua_gettop(H) - 3; /* the names */
}

/* Its argument is the case's `object`, which `open` returns. */
static int state_call(lua_State *H) {
  state *s = check(H);
  lua_State *L = s->L;
  memory *m = &s->memory;
  bool opens = strcmp(luaL_checkstring(H, 3), "open") == 0;
  lua_settop(L, 0);
  lua_getfield(L, LUA_REGISTRYINDEX, "cases");
  lua_rawgeti(L, 1, luaL_checkinteger(H, 2));
  lua_State *T = lua_newthread(L);
  luaL_checkstack(L, 10, NULL);
  luaL_checkstack(T, 3, NULL);
  if (lua_getfield(L, 2, lua_tostring(H, 3)) != LUA_TFUNCTION) {
    lua_pushboolean(H, 1);
    return 1;
  }
  lua_getfield(L, 2, "object");
  lua_xmove(L, T, 2);
  *m = (memory){true, 0, luaL_optinteger(H, 4, 0), luaL_optinteger(H, 5, LLONG_MAX), 0};
  if (lua_toboolean(H, 6)) lua_sethook(T, note_call, LUA_MASKCALL, 0);
  int status = lua_pcall(T, 1, 1, 0);
  m->armed = false;
  lua_sethook(T, NULL, 0, 0);
  lua_pushboolean(H, status == LUA_OK);
  if (status == LUA_OK) {
    lua_pushnil(H);
  } else {
    lua_pushstring(H, luaL_tolstring(T, -1, NULL));
    lua_pop(T, 1);
  }
  lua_pushinteger(H, m->asked);
  lua_pushinteger(H, m->failed);
  if (opens && status == LUA_OK) {
    lua_xmove(T, L, 1);
    lua_setfield(L, 2, "object");
  }
  return 4;
}

static int state_collect(lua_State *H) {
  lua_gc(check(H)->L, LUA_GCCOLLECT);
  return 0;
}

/* Puts names[name] = whether the function at the top was called; pops it. */
static void tell(lua_State *H, lua_State *L, const char *class, const char *name) {
  lua_getfield(L, LUA_REGISTRYINDEX, "called");
  lua_pushvalue(L, -2);
  lua_pushfstring(H, "%s.%s", class, name);
  lua_pushboolean(H, lua_rawget(L, -2) == LUA_TBOOLEAN);
  lua_rawset(H, -3);
  lua_pop(L, 3);
}

static void tell_all(lua_State *H, lua_State *L, const char *class) {
  int table = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, table);) {
    if (!lua_iscfunction(L, -1)) {
      lua_pop(L, 1);
      continue;
    }
    tell(H, L, class, lua_tostring(L, -2));
  }
}

/* functions() -> {["kafka.client.drain"] = whether it was called}: all that kafka.core exports, but the finalizers. */
static int state_functions(lua_State *H) {
  lua_State *L = check(H)->L;
  lua_newtable(H);
  lua_settop(L, 0);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, 1, "kafka.core");
  tell_all(H, L, "kafka.core");
  lua_settop(L, 0);
  lua_pushvalue(L, LUA_REGISTRYINDEX);
  for (lua_pushnil(L); lua_next(L, 1); lua_settop(L, 2)) {
    if (!lua_islightuserdata(L, 2) || !lua_istable(L, 3)) continue;
    if (lua_getfield(L, 3, "__name") != LUA_TSTRING) continue;
    char class[64];
    snprintf(class, sizeof class, "%s", lua_tostring(L, -1));
    if (lua_getfield(L, 3, "__index") == LUA_TTABLE) tell_all(H, L, class);
    lua_settop(L, 3);
    if (lua_getfield(L, 3, "__tostring") == LUA_TFUNCTION && lua_iscfunction(L, -1)) tell(H, L, class, "__tostring");
  }
  return 1;
}

static lua_Integer entries(const char *path) {
  lua_Integer n = 0;
  DIR *d = opendir(path);
  if (!d) return -1;
  for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
  closedir(d);
  return n;
}

static int oom_held(lua_State *H) {
  lua_pushinteger(H, rd_kafka_thread_cnt());
  lua_pushinteger(H, entries("/proc/self/task"));
  lua_pushinteger(H, entries("/proc/self/fd"));
  return 3;
}

static const luaL_Reg methods[] = {{"load", state_load},       {"call", state_call},           {"close", state_close},
                                   {"collect", state_collect}, {"functions", state_functions}, {"__gc", state_close},
                                   {NULL, NULL}};
/* nap(): a moment between two looks at a condition */
static int oom_nap(lua_State *H) {
  struct timespec t = {0, 5000000};
  (void)H;
  nanosleep(&t, NULL);
  return 0;
}

static const luaL_Reg functions[] = {{"state", oom_state}, {"held", oom_held}, {"nap", oom_nap}, {NULL, NULL}};

int main(int argc, char **argv) {
  lua_State *H = luaL_newstate();
  if (!H || argc < 2) return 2;
  luaL_openlibs(H);
  luaL_newmetatable(H, "state");
  luaL_setfuncs(H, methods, 0);
  lua_pushvalue(H, -1);
  lua_setfield(H, -2, "__index");
  luaL_newlib(H, functions);
  lua_setglobal(H, "oom");
  lua_createtable(H, argc, 0);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(H, argv[i]);
    lua_rawseti(H, -2, i - 1);
  }
  lua_setglobal(H, "arg");
  int failed = luaL_dofile(H, argv[1]) != LUA_OK;
  if (failed) fprintf(stderr, "%s\n", lua_tostring(H, -1));
  failed = failed || !lua_toboolean(H, -1);
  lua_close(H);
  return failed;
}

#include "state.h"

#include <pthread.h>
#include <stdatomic.h>

#include "class.h"

#define YARD_PATIENCE_MS 2000 /* at lua_close: how long the threads that are ending may take */

/* ---- fork ---- */

static atomic_uint generation;

static void in_child(void) { atomic_fetch_add(&generation, 1); }

void lk_state_init_process(void) { pthread_atfork(NULL, NULL, in_child); }

unsigned lk_state_generation(void) { return atomic_load(&generation); }

/* ---- the yard of a Lua state ---- */

static const char yard_key;

typedef struct yard_ref {
  lk_yard *yard;
  unsigned generation;
} yard_ref;

static int yard_gc(lua_State *L);
static const luaL_Reg yard_meta[] = {{"__gc", yard_gc}, {NULL, NULL}};
static const lk_class yard_class = {"kafka.yard", yard_meta};

static int yard_gc(lua_State *L) {
  yard_ref *r = lk_class_test(L, 1, &yard_class);
  if (!r || !r->yard) return 0;
  if (r->generation == atomic_load(&generation)) lk_yard_wait(r->yard, YARD_PATIENCE_MS);
  lk_yard_release(r->yard);
  r->yard = NULL;
  return 0;
}

void lk_state_init(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &yard_key) == LUA_TUSERDATA) {
    lua_pop(L, 1);
    return;
  }
  lua_pop(L, 1);
  static const luaL_Reg *const none[] = {NULL};
  lk_class_open(L, &yard_class, none);
  yard_ref *r = lk_class_new(L, &yard_class, sizeof *r, 0);
  r->generation = atomic_load(&generation);
  /* Made first, so collected last by lua_close: after the handles whose threads it waits for. */
  r->yard = lk_yard_new();
  if (!r->yard) luaL_error(L, "out of memory");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &yard_key);
}

lk_yard *lk_state_yard(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &yard_key);
  yard_ref *r = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (!r->yard) luaL_error(L, "the Lua state is closing: no kafka client can be opened any more");
  return r->yard;
}

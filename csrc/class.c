#include "class.h"

#include <stdio.h>
#include <string.h>

#include "misuse.h"

void lk_class_push(lua_State *L, const lk_class *c) { lua_rawgetp(L, LUA_REGISTRYINDEX, c); }

void lk_class_open(lua_State *L, const lk_class *c, const luaL_Reg *const *groups) {
  /* Opened before in this state, and objects of it may live: package.loaded was cleared, say. */
  int known = lua_rawgetp(L, LUA_REGISTRYINDEX, c);
  lua_pop(L, 1);
  if (known == LUA_TTABLE) return;
  lua_newtable(L);
  luaL_setfuncs(L, c->meta, 0);
  lua_pushstring(L, c->name);
  lua_setfield(L, -2, "__name");
  lua_newtable(L);
  for (; *groups; groups++) luaL_setfuncs(L, *groups, 0);
  lua_setfield(L, -2, "__index");
  lua_rawsetp(L, LUA_REGISTRYINDEX, c);
}

void *lk_class_new(lua_State *L, const lk_class *c, size_t size, int uservalues) {
  void *p = lua_newuserdatauv(L, size, uservalues);
  memset(p, 0, size);
  lk_class_push(L, c);
  lua_setmetatable(L, -2);
  return p;
}

void *lk_class_test(lua_State *L, int idx, const lk_class *c) {
  void *p = lua_type(L, idx) == LUA_TUSERDATA ? lua_touserdata(L, idx) : NULL;
  if (!p || !lua_getmetatable(L, idx)) return NULL;
  lk_class_push(L, c);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same ? p : NULL;
}

void *lk_class_check(lua_State *L, int idx, const lk_class *c) {
  void *p = lk_class_test(L, idx, c);
  if (!p) {
    char wanted[32];
    snprintf(wanted, sizeof wanted, "a %s", c->name);
    lk_misuse(L, idx, "the object", wanted);
  }
  return p;
}

static int box_free(lua_State *L);
static const luaL_Reg box_meta[] = {{"__gc", box_free}, {"__close", box_free}, {NULL, NULL}};
static const lk_class box_class = {"kafka.box", box_meta};

static int box_free(lua_State *L) {
  lk_box *b = lk_class_test(L, 1, &box_class);
  if (b && b->p) b->free(lk_box_take(b));
  return 0;
}

void lk_box_open(lua_State *L) {
  static const luaL_Reg *const none[] = {NULL};
  lk_class_open(L, &box_class, none);
}

static int nothing(lua_State *L) {
  (void)L;
  return 0;
}

lk_box *lk_box_push(lua_State *L, void (*free_)(void *)) {
  /* Closing it will be a call, which needs room on the stack and a place in Lua's list of calls: made now and kept, so
   * that no function raises, for want of memory, after it has done its work. */
  luaL_checkstack(L, 2 * LUA_MINSTACK, NULL);
  lua_pushcfunction(L, nothing);
  lua_call(L, 0, 0);
  lk_box *b = lk_class_new(L, &box_class, sizeof *b, 0);
  b->free = free_;
  lua_toclose(L, -1);
  return b;
}

void *lk_box_take(lk_box *b) {
  void *p = b->p;
  b->p = NULL;
  return p;
}

/* Classes: userdata with methods, type checks that no field of the object can fool, and the box that frees a temporary
 * on every way out of a C function. Knows Lua only. */
#ifndef LK_CLASS_H
#define LK_CLASS_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

/* One per kind of object; its address is its key in the registry. */
typedef struct lk_class {
  const char *name;     /* "kafka.client": the metatable's __name */
  const luaL_Reg *meta; /* metamethods, kept apart from methods so that nobody calls x:__gc() */
} lk_class;

/* Creates the metatable. `groups` ends with NULL: arrays of methods, all put into the one __index table. */
void lk_class_open(lua_State *L, const lk_class *c, const luaL_Reg *const *groups);

/* Pushes the metatable. */
void lk_class_push(lua_State *L, const lk_class *c);

/* A zeroed userdata of the class with `uservalues` user values. */
void *lk_class_new(lua_State *L, const lk_class *c, size_t size, int uservalues);

/* The userdata where the value is of the class, else NULL. */
void *lk_class_test(lua_State *L, int idx, const lk_class *c);

/* The same, raising misuse where it is not. */
void *lk_class_check(lua_State *L, int idx, const lk_class *c);

/* A box owns one C pointer until the calling C function ends, however it ends. Create it (which may raise), then fill
 * it; a result that leaves the function is taken out with lk_box_take. */
typedef struct lk_box {
  void *p;
  void (*free)(void *);
} lk_box;

void lk_box_open(lua_State *L);
lk_box *lk_box_push(lua_State *L, void (*free_)(void *));
void *lk_box_take(lk_box *b);

#endif

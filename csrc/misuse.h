/* Misuse: the caller passed something no call could mean. One line, at the caller's own place in the program: the first
 * Lua frame outside the library, whose folder Lua announces once with lk_misuse_home. Knows Lua only. */
#ifndef LK_MISUSE_H
#define LK_MISUSE_H

#include <lauxlib.h>
#include <lua.h>

/* Remembers the string at `idx` as the prefix of every chunk name that belongs to the library ("@.../kafka/"). */
void lk_misuse_home(lua_State *L, int idx);

/* Remembers the function at `f` as the public one called by the string at `name`: misuse that C finds within it begins
 * with that name. */
void lk_misuse_name(lua_State *L, int f, int name);

/* Pushes "file:line: " of the first frame outside the library, or "" where there is none. */
void lk_misuse_where(lua_State *L);

/* Pushes a short picture of the value at `idx`; calls no metamethod. */
void lk_misuse_show(lua_State *L, int idx);

/* Raises "WHERE: OP: ARG must be WANTED, got VALUE" for the value at `idx`. */
int lk_misuse(lua_State *L, int idx, const char *arg, const char *wanted);

/* Raises "WHERE: OP: " and the formatted sentence, as lua_pushfstring formats. */
int lk_misuse_error(lua_State *L, const char *fmt, ...);

#endif

#include "misuse.h"

#include <stdbool.h>
#include <string.h>

#define SHOWN 40 /* bytes of a string that a message repeats */

static const char home_key, names_key;

void lk_misuse_home(lua_State *L, int idx) {
  luaL_checkstring(L, idx);
  lua_pushvalue(L, idx);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &home_key);
}

void lk_misuse_name(lua_State *L, int f, int name) {
  luaL_checktype(L, f, LUA_TFUNCTION);
  luaL_checkstring(L, name);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key) != LUA_TTABLE) {
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k"); /* a library that was loaded again leaves nothing here */
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);
  }
  lua_pushvalue(L, f);
  lua_pushvalue(L, name);
  lua_rawset(L, -3);
}

/* Replaces the string at `op` with the public name of the function at this level of the stack, if it has one. */
static void note_name(lua_State *L, lua_Debug *ar, int names, int op) {
  lua_getinfo(L, "f", ar);
  if (lua_istable(L, names) && lua_rawget(L, names) == LUA_TSTRING) lua_copy(L, -1, op);
  lua_pop(L, 1);
}

/* The first line of `of`, from `level` outwards, that is outside the library. On the stack of L: home, names, op. */
static bool outside(lua_State *L, lua_State *of, int level, int home, lua_Debug *ar) {
  size_t len = 0;
  const char *prefix = lua_isstring(L, home) ? lua_tolstring(L, home, &len) : "";
  for (; lua_getstack(of, level, ar); level++) {
    lua_getinfo(of, "Sl", ar);
    if (ar->currentline <= 0) continue;
    if (len == 0 || strncmp(ar->source, prefix, len) != 0) return true;
    if (of == L) note_name(L, ar, home + 1, home + 2);
  }
  return false;
}

/* Pushes "file:line: ", and with `named` also "op: ": the public function called there, or the core's own. */
static void push_where(lua_State *L, bool named) {
  lua_Debug ar;
  luaL_checkstack(L, 8, NULL);
  int home = lua_gettop(L) + 1;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &home_key);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key);
  bool known = lua_getstack(L, 0, &ar) && lua_getinfo(L, "n", &ar) && ar.name;
  lua_pushstring(L, known ? ar.name : "kafka.core");
  bool found = outside(L, L, 1, home, &ar);
  if (!found) {
    /* A coroutine whose body is the library's function: who resumed it is not on its stack, the main thread is known. */
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    lua_State *main = lua_tothread(L, -1);
    found = main != L && outside(L, main, 0, home, &ar);
    lua_pop(L, 1);
  }
  const char *op = lua_tostring(L, home + 2);
  if (found) {
    lua_pushfstring(L, "%s:%d: %s%s", ar.short_src, ar.currentline, named ? op : "", named ? ": " : "");
  } else {
    lua_pushfstring(L, "%s%s", named ? op : "", named ? ": " : "");
  }
  lua_replace(L, home);
  lua_settop(L, home);
}

void lk_misuse_where(lua_State *L) { push_where(L, false); }

/* A string as a Lua literal, cut to SHOWN bytes: what is not printable ASCII is shown as \ddd. */
static void show_string(lua_State *L, int idx) {
  size_t len;
  const char *s = lua_tolstring(L, idx, &len);
  char out[SHOWN * 4 + 8];
  size_t n = 0;
  out[n++] = '"';
  for (size_t i = 0; i < len && i < SHOWN; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c == '"' || c == '\\') {
      out[n++] = '\\';
      out[n++] = (char)c;
    } else if (c < 32 || c > 126) {
      out[n++] = '\\';
      out[n++] = (char)('0' + c / 100);
      out[n++] = (char)('0' + c / 10 % 10);
      out[n++] = (char)('0' + c % 10);
    } else {
      out[n++] = (char)c;
    }
  }
  out[n++] = '"';
  lua_pushlstring(L, out, n);
  if (len > SHOWN) {
    lua_pushfstring(L, "%s... (%I bytes)", lua_tostring(L, -1), (LUAI_UACINT)len);
    lua_remove(L, -2);
  }
}

void lk_misuse_show(lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  switch (lua_type(L, idx)) {
  case LUA_TNONE:
  case LUA_TNIL: lua_pushliteral(L, "nil"); break;
  case LUA_TBOOLEAN: lua_pushstring(L, lua_toboolean(L, idx) ? "true" : "false"); break;
  case LUA_TNUMBER:
    lua_pushvalue(L, idx); /* a copy: lua_tolstring changes a number in place */
    lua_tostring(L, -1);
    break;
  case LUA_TSTRING: show_string(L, idx); break;
  default: lua_pushfstring(L, "a %s", luaL_typename(L, idx)); break;
  }
}

int lk_misuse(lua_State *L, int idx, const char *arg, const char *wanted) {
  idx = lua_absindex(L, idx);
  if (idx > lua_gettop(L)) lua_settop(L, idx); /* an argument that was not given */
  push_where(L, true);
  lk_misuse_show(L, idx);
  lua_pushfstring(L, "%s%s must be %s, got %s", lua_tostring(L, -2), arg, wanted, lua_tostring(L, -1));
  return lua_error(L);
}

int lk_misuse_error(lua_State *L, const char *fmt, ...) {
  va_list args;
  push_where(L, true);
  va_start(args, fmt);
  lua_pushvfstring(L, fmt, args);
  va_end(args);
  lua_concat(L, 2);
  return lua_error(L);
}

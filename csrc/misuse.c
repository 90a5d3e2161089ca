#include "misuse.h"

#include <string.h>

#define SHOWN 40 /* bytes of a string that a message repeats */

static const char home_key;

void lk_misuse_home(lua_State *L, int idx) {
  luaL_checkstring(L, idx);
  lua_pushvalue(L, idx);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &home_key);
}

void lk_misuse_where(lua_State *L) {
  lua_Debug ar;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &home_key);
  size_t len = 0;
  const char *home = lua_isstring(L, -1) ? lua_tolstring(L, -1, &len) : "";
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0) continue;
    if (len > 0 && strncmp(ar.source, home, len) == 0) continue;
    lua_pop(L, 1);
    lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
    return;
  }
  lua_pop(L, 1);
  lua_pushliteral(L, "");
}

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
  luaL_checkstack(L, 4, NULL);
  lk_misuse_where(L);
  lk_misuse_show(L, idx);
  lua_pushfstring(L, "%s%s must be %s, got %s", lua_tostring(L, -2), arg, wanted, lua_tostring(L, -1));
  return lua_error(L);
}

int lk_misuse_error(lua_State *L, const char *fmt, ...) {
  va_list args;
  luaL_checkstack(L, 4, NULL);
  lk_misuse_where(L);
  va_start(args, fmt);
  lua_pushvfstring(L, fmt, args);
  va_end(args);
  lua_concat(L, 2);
  return lua_error(L);
}

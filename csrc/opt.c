#include "opt.h"

#include <limits.h>
#include <string.h>

#include "misuse.h"

#define TOPIC_MAX 249 /* what Kafka's brokers accept */

/* The place of an argument, which is nil from now on where it was not given: what is pushed must not stand there. */
static int given(lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  if (idx > lua_gettop(L)) lua_settop(L, idx);
  return idx;
}

static int out_of_range(lua_State *L, int idx, const char *arg, lua_Integer min, lua_Integer max) {
  char wanted[96];
  idx = given(L, idx);
  if (max == LUA_MAXINTEGER) {
    lua_pushfstring(L, "an integer of at least %I", (LUAI_UACINT)min);
  } else {
    lua_pushfstring(L, "an integer from %I to %I", (LUAI_UACINT)min, (LUAI_UACINT)max);
  }
  strncpy(wanted, lua_tostring(L, -1), sizeof wanted - 1);
  wanted[sizeof wanted - 1] = '\0';
  return lk_misuse(L, idx, arg, wanted);
}

static bool read_int(lua_State *L, int idx, lua_Integer min, lua_Integer max, lua_Integer *n) {
  int whole = 0;
  *n = lua_type(L, idx) == LUA_TNUMBER ? lua_tointegerx(L, idx, &whole) : 0;
  return whole && *n >= min && *n <= max;
}

bool lk_opt_is_int(lua_State *L, int idx, lua_Integer min, lua_Integer max) {
  lua_Integer n;
  return read_int(L, idx, min, max, &n);
}

lua_Integer lk_opt_int(lua_State *L, int idx, const char *arg, lua_Integer min, lua_Integer max) {
  lua_Integer n;
  if (!read_int(L, idx, min, max, &n)) out_of_range(L, idx, arg, min, max);
  return n;
}

lua_Integer lk_opt_int_or(lua_State *L, int idx, const char *arg, lua_Integer min, lua_Integer max, lua_Integer none) {
  return lua_isnoneornil(L, idx) ? none : lk_opt_int(L, idx, arg, min, max);
}

int32_t lk_opt_partition(lua_State *L, int idx) { return (int32_t)lk_opt_int(L, idx, "partition", 0, INT32_MAX); }

bool lk_opt_is_topic(lua_State *L, int idx) {
  static const char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  if (lua_type(L, idx) != LUA_TSTRING) return false;
  size_t len;
  const char *s = lua_tolstring(L, idx, &len);
  bool dots = strcmp(s, ".") == 0 || strcmp(s, "..") == 0;
  return len > 0 && len <= TOPIC_MAX && strspn(s, legal) == len && !dots;
}

const char *lk_opt_topic(lua_State *L, int idx) {
  if (!lk_opt_is_topic(L, idx)) {
    lk_misuse(L, idx, "topic", "a topic name of 1 to 249 letters, digits, '.', '_' or '-'");
  }
  return lua_tostring(L, idx);
}

const char *lk_opt_name(lua_State *L, int idx, const char *arg, size_t max) {
  size_t len = 0;
  const char *s = lua_type(L, idx) == LUA_TSTRING ? lua_tolstring(L, idx, &len) : NULL;
  if (!s || len == 0 || len > max || strlen(s) != len) {
    char wanted[64];
    idx = given(L, idx);
    lua_pushfstring(L, "a string of 1 to %I bytes without NUL", (LUAI_UACINT)max);
    strncpy(wanted, lua_tostring(L, -1), sizeof wanted - 1);
    wanted[sizeof wanted - 1] = '\0';
    lk_misuse(L, idx, arg, wanted);
  }
  return s;
}

const char *lk_opt_bytes(lua_State *L, int idx, const char *arg, size_t *len) {
  int type = lua_type(L, idx);
  if (type == LUA_TSTRING) return lua_tolstring(L, idx, len);
  if (type != LUA_TNIL && type != LUA_TNONE) lk_misuse(L, idx, arg, "a string or nil");
  *len = 0;
  return NULL;
}

int lk_opt_ms(lua_State *L, int idx) {
  lua_Number ms = lua_type(L, idx) == LUA_TNUMBER ? lua_tonumber(L, idx) : -1;
  if (!(ms >= 0)) lk_misuse(L, idx, "timeout", "a number of milliseconds, 0 or more");
  if (ms >= (lua_Number)INT_MAX) return INT_MAX;
  int whole = (int)ms;
  return (lua_Number)whole < ms ? whole + 1 : whole;
}

void lk_opt_table(lua_State *L, int idx, const char *arg) {
  if (!lua_istable(L, idx)) lk_misuse(L, idx, arg, "a table");
}

/* No step allocates but the one that makes the table, and a finalizer runs only where something allocates: what is copied
 * is what was there at one moment, unless that step changed the number of entries. */
void lk_opt_copy(lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  luaL_checkstack(L, 6, NULL);
  for (;;) {
    int n = 0, left;
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) n++;
    lua_createtable(L, 0, left = n);
    lua_pushnil(L);
    while (lua_next(L, idx) && left-- > 0) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, -4);
    }
    if (left >= 0) return;
    lua_settop(L, -4);
  }
}

int lk_opt_field(lua_State *L, int t, const char *name) {
  t = lua_absindex(L, t);
  lua_pushstring(L, name);
  lua_rawget(L, t);
  return lua_gettop(L);
}

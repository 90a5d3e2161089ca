/* Lua values from bytes; see fuzz.h. Every byte string makes some value, and bytes that run out make nil. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "fuzz.h"

#define DEPTH 4
#define LIST_MAX 24

bool fz_changed;
unsigned fz_metamethods;

static void any(lua_State *L, fz_bytes *in, int depth);

/* The table that functions and finalizers of the input change. */
static const char victim_key, recent_key;

void fz_values_reset(lua_State *L) {
  fz_changed = false;
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &victim_key);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &recent_key);
}

/* ---- scalars ---- */

static lua_Integer raw_integer(fz_bytes *in) {
  uint64_t n = 0;
  for (int i = 0; i < 8; i++) n = n << 8 | fz_byte(in);
  return (lua_Integer)n;
}

static void edge_integer(lua_State *L, fz_bytes *in) {
  static const lua_Integer edges[] = {LUA_MININTEGER, LUA_MININTEGER + 1, -2147483649LL, -2147483648LL, -2001, -1001, -1000,
                                      -2, -1, 0, 1, 127, 128, 255, 256, 1000, 32767, 65536, 1000000, 2147483647,
                                      2147483648LL, 4294967295LL, 4294967296LL, 99999999999LL, 100000000000LL,
                                      1700000000123LL, 253402300799999LL, 9007199254740993LL, LUA_MAXINTEGER - 1,
                                      LUA_MAXINTEGER};
  lua_pushinteger(L, edges[fz_below(in, sizeof edges / sizeof *edges)]);
}

static void edge_float(lua_State *L, fz_bytes *in) {
  const lua_Number edges[] = {NAN, INFINITY, -INFINITY, 0.0, -0.0, 0.5, -0.5, 3.0, 1e3, 1e11, 1e15, 9007199254740992.0,
                              9223372036854775808.0, -9223372036854775808.0, 1e300, DBL_MIN, 5e-324, 2147483648.0, 1.5};
  lua_pushnumber(L, edges[fz_below(in, sizeof edges / sizeof *edges)]);
}

static void raw_float(lua_State *L, fz_bytes *in) {
  lua_Integer bits = raw_integer(in);
  lua_Number n;
  memcpy(&n, &bits, sizeof n);
  lua_pushnumber(L, n);
}

static const char *const words[] = {
    "", "0", "1", "-1", "100", "100abc", "1e3", "0x10", " 5", "nan", "inf", "1.5", "99999999999", "true", "false", "TRUE",
    "all", "none", "gzip", "lz4", "earliest", "latest", "committed", "error", "localhost:9092", "a:1,b:2", "[::1]:9092",
    "PLAINTEXT://h:1", "h", ":1", "h:0", "h:99999", "a\nb", "%s%n%d", "\xff\xfe", "a\0b", "topic", "partition", "offset",
    "value", "key", "headers", "timestamp", "leader_epoch", "metadata", "n", "next", "place", ".", "..", "t"};

void fz_string(lua_State *L, fz_bytes *in) {
  unsigned how = fz_byte(in);
  if (how < 64) {
    const char *word = words[how % (sizeof words / sizeof *words)];
    lua_pushlstring(L, word, strcmp(word, "a") == 0 ? 3 : strlen(word)); /* "a\0b" */
  } else if (how < 72) { /* one byte, many times */
    luaL_Buffer b;
    size_t len = (size_t)fz_byte(in) << (how - 64);
    char *p = luaL_buffinitsize(L, &b, len);
    memset(p, (int)fz_byte(in), len);
    luaL_pushresultsize(&b, len);
  } else {
    size_t len = how % 40;
    if (len > in->left) len = in->left;
    lua_pushlstring(L, (const char *)in->p, len);
    in->p += len;
    in->left -= len;
  }
}

/* ---- functions ---- */

/* Changes the victim: takes entries away, puts others in, or empties it. */
static void change(lua_State *L, unsigned how) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &victim_key) == LUA_TTABLE) {
    fz_changed = true;
    static const char *const names[] = {"topic", "offset", "partition", "key", "headers", "n"};
    lua_pushstring(L, names[how % 6]);
    if (how & 8) {
      lua_pushnil(L);
    } else {
      lua_pushinteger(L, how);
    }
    lua_rawset(L, -3);
    for (int i = how & 16 ? 1 : 4; i <= 4; i++) {
      lua_pushnil(L);
      lua_rawseti(L, -2, i);
    }
    for (int i = how & 32 ? 1 : 40; i <= 40; i++) {
      lua_pushinteger(L, i);
      lua_rawseti(L, -2, i + 4);
    }
  }
  lua_pop(L, 1);
}

static int act(lua_State *L) {
  unsigned how = (unsigned)lua_tointeger(L, lua_upvalueindex(1));
  luaL_checkstack(L, 20, NULL);
  lua_settop(L, 0);
  switch (how >> 6) {
  case 0: break;
  case 1: return luaL_error(L, "fuzz raised");
  case 2: change(L, how); break;
  default: /* calls what the target has open */
    lua_getglobal(L, "reenter");
    lua_pushinteger(L, how & 63);
    lua_pcall(L, 1, 0, 0);
  }
  return 0;
}

static void function(lua_State *L, fz_bytes *in) {
  lua_pushinteger(L, fz_byte(in));
  lua_pushcclosure(L, act, 1);
}

static int meta(lua_State *L) {
  fz_metamethods++;
  return luaL_error(L, "fuzz raised");
}

/* A table that nobody refers to; its finalizer acts when the collector comes by. */
static void garbage(lua_State *L, fz_bytes *in) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  function(L, in);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

/* ---- tables ---- */

static void metatable(lua_State *L, fz_bytes *in) {
  static const char *const events[] = {"__index", "__newindex", "__len", "__pairs", "__call", "__eq", "__lt", "__concat",
                                       "__tostring", "__close", "__name", "__metatable", "__unm", "__add"};
  unsigned which = fz_byte(in);
  lua_newtable(L);
  for (unsigned i = 0; i < sizeof events / sizeof *events; i++) {
    if (which < 128 && i % 8 != which % 8) continue;
    if (i == 11) {
      lua_pushboolean(L, 0);
    } else {
      lua_pushcfunction(L, meta);
    }
    lua_setfield(L, -2, events[i]);
  }
  lua_setmetatable(L, -2);
}

static void list(lua_State *L, fz_bytes *in, int depth, const char *kind) {
  unsigned n = fz_below(in, LIST_MAX + 1);
  lua_newtable(L);
  for (unsigned i = 1; i <= n && in->left > 0; i++) {
    if (kind) {
      fz_kind(L, in, kind);
    } else {
      any(L, in, depth - 1);
    }
    lua_rawseti(L, -2, i);
  }
}

static void keep(lua_State *L) {
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &recent_key);
  if (lua_istable(L, -1)) {
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &victim_key);
  }
}

static void table(lua_State *L, fz_bytes *in, int depth) {
  unsigned how = fz_byte(in);
  list(L, in, depth, NULL);
  for (unsigned n = how % 6; n > 0; n--) {
    any(L, in, depth - 1);
    if (lua_isnil(L, -1) || (lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) != lua_tonumber(L, -1))) {
      lua_pop(L, 1);
      fz_string(L, in);
    }
    any(L, in, depth - 1);
    lua_rawset(L, -3);
  }
  if (how & 64) { /* holds itself */
    lua_pushvalue(L, -1);
    lua_rawseti(L, -2, 1 + how % 4);
  }
  if (how & 128) metatable(L, in);
  keep(L);
}

/* One of the objects that the target has open. */
static void thing(lua_State *L, fz_bytes *in) {
  unsigned which = fz_byte(in);
  if (lua_getglobal(L, "things") != LUA_TTABLE || lua_rawlen(L, -1) == 0) return;
  lua_rawgeti(L, -1, 1 + (lua_Integer)(which % lua_rawlen(L, -1)));
  lua_remove(L, -2);
}

/* ---- any value ---- */

static void any(lua_State *L, fz_bytes *in, int depth) {
  luaL_checkstack(L, 12, NULL);
  unsigned kind = fz_below(in, 24);
  switch (kind) {
  case 0: lua_pushnil(L); break;
  case 1:
  case 2: lua_pushboolean(L, (int)kind - 1); break;
  case 3: lua_pushinteger(L, fz_byte(in)); break;
  case 4: edge_integer(L, in); break;
  case 5: edge_float(L, in); break;
  case 6: lua_pushinteger(L, raw_integer(in)); break;
  case 7: raw_float(L, in); break;
  case 8:
  case 9:
  case 10:
  case 11: fz_string(L, in); break;
  case 12: function(L, in); break;
  case 13: lua_pushlightuserdata(L, (void *)&victim_key); break;
  case 14: lua_newuserdatauv(L, 8, 0); break;
  case 15: lua_newthread(L); break;
  case 16: thing(L, in); break;
  case 17: lua_rawgetp(L, LUA_REGISTRYINDEX, &recent_key); break;
  case 18:
    garbage(L, in);
    any(L, in, depth);
    break;
  default:
    if (depth > 0) {
      table(L, in, depth);
    } else {
      lua_pushnil(L);
    }
  }
}

void fz_value(lua_State *L, fz_bytes *in) { any(L, in, DEPTH); }

/* ---- values of a kind ---- */

static void header(lua_State *L, fz_bytes *in, bool well_formed) {
  unsigned how = well_formed ? fz_below(in, 8) : fz_below(in, 12);
  if (how > 8) {
    fz_value(L, in);
    return;
  }
  lua_newtable(L);
  fz_string(L, in);
  if (well_formed || how < 8) {
    lua_pushstring(L, lua_tostring(L, -1)); /* without NUL */
    lua_remove(L, -2);
  }
  lua_rawseti(L, -2, 1);
  if (how > 1) {
    fz_string(L, in);
    lua_rawseti(L, -2, 2);
  }
}

static void headers(lua_State *L, fz_bytes *in, bool well_formed) {
  unsigned n = fz_below(in, LIST_MAX);
  lua_newtable(L);
  for (unsigned i = 1; i <= n && in->left > 0; i++) {
    header(L, in, well_formed);
    lua_rawseti(L, -2, i);
  }
  keep(L);
}

static const fz_field row_fields[] = {{"topic", "t"}, {"partition", "p"}, {"offset", "o"}, {"metadata", "s"}, {NULL, NULL}};

void fz_fields(lua_State *L, fz_bytes *in, const fz_field *fields) {
  lua_newtable(L);
  unsigned skip = fz_byte(in);
  for (unsigned i = 0; fields[i].name; i++) {
    if (skip & 1u << (i % 8)) continue;
    lua_pushstring(L, fields[i].name);
    fz_kind(L, in, fields[i].kind);
    lua_rawset(L, -3);
  }
  if (fz_below(in, 16) == 15) { /* one more */
    fz_string(L, in);
    fz_value(L, in);
    lua_rawset(L, -3);
  }
  if (fz_below(in, 32) == 31) metatable(L, in);
  if (fz_below(in, 4) == 3) garbage(L, in);
  keep(L);
}

static void right(lua_State *L, fz_bytes *in, char kind) {
  static const char *const topics[] = {"t", "u", "a.b-c_D"};
  static const char *const columns[] = {"topic", "partition", "offset", "key", "value", "headers", "timestamp",
                                        "leader_epoch"};
  switch (kind) {
  case 's':
    if (fz_below(in, 4) == 3) {
      lua_pushnil(L);
    } else {
      fz_string(L, in);
    }
    break;
  case 't': lua_pushstring(L, topics[fz_below(in, 3)]); break;
  case 'p': lua_pushinteger(L, fz_below(in, 3)); break;
  case 'o': lua_pushinteger(L, raw_integer(in) & LUA_MAXINTEGER); break;
  case 'T':
    if (fz_below(in, 2)) {
      lua_pushinteger(L, 100000000000LL + (raw_integer(in) & 0xffffffffffff));
    } else {
      lua_pushnil(L);
    }
    break;
  case 'n': lua_pushinteger(L, fz_below(in, 40)); break;
  case 'S': lua_pushinteger(L, 0); break;
  case 'f': function(L, in); break;
  case 'h': headers(L, in, false); break;
  case 'H': headers(L, in, true); break;
  case 'c': lua_pushstring(L, columns[fz_below(in, 8)]); break;
  case 'm':
    if (fz_below(in, 3) == 0) {
      thing(L, in);
      break;
    } /* fall through */
  default: fz_fields(L, in, row_fields);
  }
}

void fz_kind(lua_State *L, fz_bytes *in, const char *kind) {
  luaL_checkstack(L, 12, NULL);
  if (fz_byte(in) >= 232) {
    fz_value(L, in);
  } else if (*kind == 'L') {
    list(L, in, DEPTH, kind + 1);
    keep(L);
  } else {
    right(L, in, *kind);
  }
}

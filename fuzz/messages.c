/* Messages through the mock cluster: what produce_many accepts, take gives back byte for byte, as tables or as columns, also
 * where memory runs out half way and take is called again. */
#include "fuzz.h"

const char *const fz_target = "messages";

#define MANY 30

static const char *const columns[] = {"Ls", "Ls", NULL, "LT", "LH"}; /* values, keys, partitions, timestamps, headers */

void fz_one(lua_State *L, fz_bytes *in) {
  int top = lua_gettop(L), first = top + 1;
  unsigned how = fz_byte(in);
  lua_Integer n = 1 + fz_below(in, MANY);
  for (int i = 0; i < 5; i++) {
    if (columns[i] && (i == 0 || how & 1u << i)) {
      fz_kind(L, in, columns[i]);
    } else {
      lua_pushnil(L);
    }
  }
  lua_getglobal(L, "producer");
  int p = lua_gettop(L);
  lua_pushliteral(L, "t");
  for (int i = 0; i < 5; i++) lua_pushvalue(L, first + i);
  lua_pushinteger(L, 0);
  lua_pushinteger(L, 1);
  lua_pushinteger(L, n);
  bool ok = fz_method(L, p, "produce_many", 9, 2);
  int batch = p + 1;
  if (ok) {
    lua_settop(L, batch); /* the index of the first that was not accepted */
  } else {
    fz_lua(L, "accepted", 0, 1); /* those before it are */
  }
  lua_getglobal(L, "inbox");
  /* Memory may be short for this one: it takes nothing then. */
  lua_pushinteger(L, 1 << 20);
  lua_pushinteger(L, MANY);
  if (how & 1) {
    lua_getglobal(L, "columns");
  } else {
    lua_pushnil(L);
  }
  bool took = fz_method(L, batch + 1, "take", 3, 1);
  if (!took) lua_pushnil(L);
  fz_plenty();
  int taken = lua_gettop(L);
  lua_pushvalue(L, batch);
  lua_pushboolean(L, (how & 1) != 0);
  lua_pushboolean(L, fz_changed);
  lua_pushvalue(L, taken);
  for (int i = 0; i < 5; i++) lua_pushvalue(L, first + i);
  fz_lua(L, "check_taken", 9, 0);
  lua_settop(L, top);
}

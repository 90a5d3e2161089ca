/* Headers both ways: a Lua list into rd_kafka_headers_t, and back in the report of a message that was given up. */
#include "../csrc/class.h"
#include "../csrc/message.h"
#include "fuzz.h"

const char *const fz_target = "headers";

#define TICKET 7

static int read_list(lua_State *L) {
  lk_box *box = lk_box_push(L, lk_message_headers_free);
  int top = lua_gettop(L);
  lk_message_headers(L, 1, box);
  FZ_CHECK(lua_gettop(L) == top, "the stack is not balanced");
  lua_pushboolean(L, box->p != NULL);
  return 1;
}

/* produce("t", "v", TICKET, nil, nil, nil, list) */
static bool produce(lua_State *L, int list) {
  lua_getglobal(L, "producer");
  lua_pushliteral(L, "t");
  lua_pushliteral(L, "v");
  lua_pushinteger(L, TICKET);
  for (int i = 0; i < 3; i++) lua_pushnil(L);
  lua_pushvalue(L, list);
  bool ok = fz_method(L, list + 1, "produce", 7, 1);
  if (ok) ok = lua_toboolean(L, -1);
  lua_settop(L, list);
  return ok;
}

/* Drains, memory perhaps being short, into the list at `records`. */
static void drain(lua_State *L, int records) {
  lua_getglobal(L, "producer");
  lua_pushvalue(L, records);
  lua_pushinteger(L, 0);
  lua_pushinteger(L, 1000);
  fz_method(L, records + 1, "drain", 3, 0);
  lua_settop(L, records);
}

void fz_one(lua_State *L, fz_bytes *in) {
  static const char *const kinds[] = {"h", "H", "Ls", "h"};
  int top = lua_gettop(L), list = top + 1;
  fz_kind(L, in, kinds[fz_below(in, 4)]);
  lua_pushcfunction(L, read_list);
  lua_pushvalue(L, list);
  bool good = fz_call(L, 1, 1);
  bool some = good && lua_toboolean(L, -1);
  lua_settop(L, list);
  bool accepted = produce(L, list);
  lua_newtable(L);
  drain(L, list + 1);
  fz_plenty();
  lua_pushvalue(L, list + 1);
  fz_lua(L, "settle", 1, 1);
  if (accepted && lua_istable(L, -1)) {
    lua_pushinteger(L, TICKET);
    fz_lua(L, "one", 2, 1);
    lua_getfield(L, -1, "headers");
    FZ_CHECK(fz_changed || !good || lua_istable(L, -1) == some, "headers came or went");
    lua_pushvalue(L, list);
    lua_insert(L, -2);
    if (!fz_changed) fz_lua(L, "same_headers", 2, 0);
  }
  lua_settop(L, top);
}

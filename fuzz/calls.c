/* The Lua layer's option tables: produce, produce_many and send of a producer without a broker, whose messages are given up at
 * the end of each input; fetch, commit and committed of a client of the mock cluster. */
#include "fuzz.h"

const char *const fz_target = "calls";

#define STEPS 5

static const fz_field produce_fields[] = {{"key", "s"}, {"partition", "p"}, {"timestamp", "T"}, {"headers", "h"},
                                          {"tag", "s"}, {"on_delivery", "f"}, {"timeout", "S"}, {NULL, NULL}};
static const fz_field many_fields[] = {{"keys", "Ls"}, {"partitions", "Lp"}, {"timestamps", "LT"}, {"headers", "Lh"},
                                       {"n", "n"}, {"on_delivery", "f"}, {"timeout", "S"}, {NULL, NULL}};
static const fz_field fetch_fields[] = {{"max_bytes", "n"}, {"max_messages", "n"}, {"timeout", "S"}, {"columns", "Lc"},
                                        {NULL, NULL}};
static const fz_field commit_fields[] = {{"metadata", "s"}, {"timeout", "S"}, {NULL, NULL}};

/* Fields as the method takes them, or any value; numbers that would only take long are made small. */
static void options(lua_State *L, fz_bytes *in, const fz_field *fields) {
  unsigned how = fz_byte(in);
  if (how >= 248) {
    lua_pushnil(L);
  } else if (how >= 240) {
    fz_value(L, in);
  } else {
    fz_fields(L, in, fields);
  }
  fz_lua(L, "soon", 1, 1);
}

/* produce, produce_many or send; its reports are counted. */
static void produce(lua_State *L, fz_bytes *in, const char *method, const char *value, const fz_field *fields) {
  lua_getglobal(L, "P");
  int p = lua_gettop(L);
  options(L, in, fields);
  lua_pushboolean(L, fz_below(in, 2) == 1);
  fz_lua(L, "counted", 2, 2);
  int entry = p + 1;
  lua_insert(L, entry);
  int given = lua_gettop(L);
  fz_kind(L, in, "t");
  fz_kind(L, in, value);
  lua_pushvalue(L, given);
  bool ok = fz_method(L, p, method, 3, 2);
  lua_pushvalue(L, entry);
  lua_pushboolean(L, ok);
  lua_pushstring(L, method);
  if (ok) {
    lua_pushvalue(L, -5);
    lua_pushvalue(L, -5);
  } else {
    lua_pushstring(L, fz_error());
  }
  fz_lua(L, "expect", ok ? 5 : 4, 0);
}

static void fetch(lua_State *L, fz_bytes *in) {
  lua_getglobal(L, "part");
  int part = lua_gettop(L);
  options(L, in, fetch_fields);
  fz_method(L, part, "fetch", 1, 2);
}

static void group(lua_State *L, fz_bytes *in) {
  fz_kind(L, in, "s");
  fz_lua(L, "group", 1, 1);
}

static void commit(lua_State *L, fz_bytes *in) {
  lua_getglobal(L, "K");
  int k = lua_gettop(L);
  group(L, in);
  fz_kind(L, in, fz_below(in, 2) ? "Lr" : "m");
  options(L, in, commit_fields);
  fz_method(L, k, "commit", 3, 2);
}

static void committed(lua_State *L, fz_bytes *in) {
  lua_getglobal(L, "K");
  int k = lua_gettop(L);
  group(L, in);
  fz_kind(L, in, "Lr");
  fz_kind(L, in, "S");
  fz_lua(L, "at_once", 1, 1);
  fz_method(L, k, "committed", 3, 2);
}

static void part_commit(lua_State *L, fz_bytes *in) {
  lua_getglobal(L, "part");
  int part = lua_gettop(L);
  group(L, in);
  fz_kind(L, in, "s");
  fz_kind(L, in, "S");
  fz_lua(L, "at_once", 1, 1);
  fz_method(L, part, "commit", 3, 2);
}

static void serve(lua_State *L, fz_bytes *in) {
  static const char *const methods[] = {"poll", "flush", "purge", "pending", "counts"};
  const char *method = methods[fz_below(in, 5)];
  lua_getglobal(L, "P");
  int p = lua_gettop(L);
  fz_kind(L, in, "S");
  fz_lua(L, "at_once", 1, 1);
  fz_method(L, p, method, 1, 2);
}

void fz_one(lua_State *L, fz_bytes *in) {
  int top = lua_gettop(L);
  for (int i = 0; i < STEPS && in->left > 0; i++) {
    luaL_checkstack(L, 40, NULL);
    switch (fz_below(in, 12)) {
    case 0:
    case 1: produce(L, in, "produce", "s", produce_fields); break;
    case 2:
    case 3: produce(L, in, "produce_many", "Ls", many_fields); break;
    case 4: produce(L, in, "send", "s", produce_fields); break;
    case 5: commit(L, in); break;
    case 6: committed(L, in); break;
    case 7: part_commit(L, in); break;
    case 8:
    case 9: fetch(L, in); break;
    default: serve(L, in);
    }
    lua_settop(L, top);
  }
  fz_plenty();
  lua_pushboolean(L, fz_changed);
  fz_lua(L, "finish", 1, 0);
}

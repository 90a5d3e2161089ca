/* What the core's methods take: the arguments of produce, check_many and produce_many, the columns of take, rows of commit,
 * add, remove and of an inbox's partitions. Producer and consumer have no brokers; messages are given up at the end of each
 * input, and each accepted one must have exactly one report. */
#include "../csrc/tpl.h"
#include "fuzz.h"

const char *const fz_target = "options";

#define FIRST_TICKET 10
#define STEPS 6

static void kinds(lua_State *L, fz_bytes *in, const char *const *kind) {
  for (; *kind; kind++) fz_kind(L, in, *kind);
}

static void thing(lua_State *L, const char *global) { lua_getglobal(L, global); }

/* Notes for support.check_reports how many messages were accepted under a ticket. */
static void note(lua_State *L, int notes, lua_Integer ticket, lua_Integer accepted) {
  lua_pushinteger(L, accepted);
  lua_rawseti(L, notes, ticket);
}

static void produce(lua_State *L, fz_bytes *in, int notes, lua_Integer ticket) {
  static const char *const arguments[] = {"t", "s", "s", "p", "T", "h", NULL};
  thing(L, "producer");
  int p = lua_gettop(L);
  kinds(L, in, arguments);
  lua_pushinteger(L, ticket);
  bool ok = fz_method(L, p, "produce", 7, 2) && lua_toboolean(L, -2);
  note(L, notes, ticket, ok);
}

/* Where check_many agrees, produce_many raises nothing. */
static void produce_many(lua_State *L, fz_bytes *in, int notes, lua_Integer ticket) {
  static const char *const columns[] = {"t", "Ls", "Ls", "Lp", "LT", "Lh", NULL};
  thing(L, "producer");
  int p = lua_gettop(L);
  unsigned nils = fz_byte(in);
  kinds(L, in, columns);
  for (int i = 0; i < 5; i++) {
    if (!(nils & 1u << i)) continue;
    lua_pushnil(L);
    lua_replace(L, p + 2 + i);
  }
  lua_Integer n = fz_below(in, 40);
  for (int i = p + 1; i <= p + 6; i++) lua_pushvalue(L, i);
  lua_pushinteger(L, n);
  bool good = fz_method(L, p, "check_many", 7, 0);
  lua_settop(L, p + 6);
  fz_plenty();
  lua_pushinteger(L, ticket);
  lua_pushinteger(L, 1);
  lua_pushinteger(L, n);
  bool ok = fz_method(L, p, "produce_many", 9, 3); /* next, err, raised */
  if (!ok) return;
  int next = lua_gettop(L) - 2;
  bool raised = !lua_isnil(L, next + 2), all = lua_isnil(L, next + 1) && !raised;
  FZ_CHECK(!raised || !good || fz_changed, "what check_many lets pass raised: %s", lua_tostring(L, next + 2));
  FZ_CHECK(!all || lua_tointeger(L, next) == n + 1, "not all accepted, and no error");
  note(L, notes, ticket, lua_tointeger(L, next) - 1);
}

/* Any arguments to any method that does not wait. */
static void anything(lua_State *L, fz_bytes *in) {
  static const char *const methods[] = {"counts", "drain", "check_many", "add", "remove", "assigned", "name", "fatal", "gone",
                                        "wait", "busy", "forked", "fd", "take", "position", "open", "drop"};
  static const char *const objects[] = {"producer", "consumer", "inbox"};
  thing(L, objects[fz_below(in, 3)]);
  int object = lua_gettop(L);
  const char *method = methods[fz_below(in, sizeof methods / sizeof *methods)];
  bool drains = method[0] == 'd' && method[2] == 'a';
  lua_getglobal(L, "producer");
  if (drains && lua_rawequal(L, object, -1)) return; /* would take reports away */
  lua_getfield(L, object, method);
  if (lua_isnil(L, -1)) return;
  int n = (int)fz_below(in, 8);
  for (int i = 0; i < n; i++) fz_value(L, in);
  fz_lua(L, "limit", n, n);
  fz_method(L, object, method, n, 1);
}

static int round_trip(lua_State *L) {
  lk_tpl_offsets kind = (lk_tpl_offsets)lua_tointeger(L, 2);
  int top = lua_gettop(L);
  const rd_kafka_topic_partition_list_t *list = lk_tpl_push(L, 1, kind);
  FZ_CHECK(lua_gettop(L) == top + 1, "the stack is not balanced");
  lk_tpl_rows(L, list);
  FZ_CHECK(lua_gettop(L) == top + 2, "the stack is not balanced");
  return 1;
}

/* Rows to a partition list and back. */
static void rows(lua_State *L, fz_bytes *in) {
  lua_Integer kind = fz_below(in, 3);
  fz_kind(L, in, "Lr");
  int given = lua_gettop(L);
  lua_pushcfunction(L, round_trip);
  lua_pushvalue(L, given);
  lua_pushinteger(L, kind);
  if (!fz_call(L, 2, 1) || fz_changed) return;
  lua_pushvalue(L, given);
  lua_insert(L, -2);
  lua_pushinteger(L, kind);
  fz_lua(L, "same_rows", 3, 0);
}

/* Partitions of the consumer and its inbox. No commit: without a broker librdkafka's end waits long for its answer. */
static void assignment(lua_State *L, fz_bytes *in) {
  static const char *const methods[] = {"add", "remove"};
  unsigned which = fz_below(in, 8);
  if (which < 2) {
    thing(L, "consumer");
    int c = lua_gettop(L);
    fz_kind(L, in, "Lr");
    fz_method(L, c, methods[which], 1, 2);
    return;
  }
  static const char *const calls[] = {"open", "drop", "position"};
  static const char *const arguments[] = {"t", "p", "o", NULL};
  thing(L, "inbox");
  int inbox = lua_gettop(L);
  kinds(L, in, arguments);
  fz_method(L, inbox, calls[which % 3], 3, 0);
}

static void take(lua_State *L, fz_bytes *in) {
  thing(L, "inbox");
  int inbox = lua_gettop(L);
  fz_kind(L, in, "n");
  fz_kind(L, in, "n");
  fz_kind(L, in, "Lc");
  fz_method(L, inbox, "take", 3, 2);
}

void fz_one(lua_State *L, fz_bytes *in) {
  int top = lua_gettop(L), notes = top + 1;
  lua_newtable(L);
  for (int i = 0; i < STEPS && in->left > 0; i++) {
    lua_Integer ticket = FIRST_TICKET + i;
    luaL_checkstack(L, 40, NULL);
    switch (fz_below(in, 6)) {
    case 0: produce(L, in, notes, ticket); break;
    case 1: produce_many(L, in, notes, ticket); break;
    case 2: anything(L, in); break;
    case 3: rows(L, in); break;
    case 4: assignment(L, in); break;
    default: take(L, in);
    }
    lua_settop(L, notes);
  }
  fz_plenty();
  fz_lua(L, "check_reports", 1, 0);
  lua_settop(L, top);
}

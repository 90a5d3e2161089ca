#include "message.h"

#include <string.h>

#include "misuse.h"
#include "opt.h"

static const luaL_Reg no_meta[] = {{NULL, NULL}};
const lk_class lk_message_class = {"kafka.message", no_meta};

const char *const lk_message_fields[LK_FIELDS + 1] = {"topic", "partition", "offset",      "key", "value",
                                                      "headers", "timestamp", "leader_epoch", NULL};

/* Each pushes a field and is true, or pushes nothing and is false: where there is none. */

static bool push_bytes(lua_State *L, const void *p, size_t len) {
  if (p) lua_pushlstring(L, p, len);
  return p;
}

static bool push_headers(lua_State *L, const rd_kafka_message_t *m) {
  rd_kafka_headers_t *headers;
  if (rd_kafka_message_headers(m, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return false;
  size_t n = rd_kafka_header_cnt(headers), len;
  const char *name;
  const void *value;
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
    lua_createtable(L, 2, 0);
    lua_pushstring(L, name);
    lua_rawseti(L, -2, 1);
    if (push_bytes(L, value, len)) lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return true;
}

static bool push_timestamp(lua_State *L, const rd_kafka_message_t *m, rd_kafka_timestamp_type_t *type) {
  int64_t ms = rd_kafka_message_timestamp(m, type);
  if (*type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || ms < 0) return false;
  lua_pushinteger(L, ms);
  return true;
}

static bool push_epoch(lua_State *L, const rd_kafka_message_t *m) {
#if RD_KAFKA_VERSION >= 0x020100ff
  int32_t epoch = rd_kafka_message_leader_epoch(m);
  if (epoch >= 0) lua_pushinteger(L, epoch);
  return epoch >= 0;
#else
  (void)L, (void)m;
  return false;
#endif
}

static bool push_integer(lua_State *L, lua_Integer n) {
  lua_pushinteger(L, n);
  return true;
}

static bool push_field(lua_State *L, const rd_kafka_message_t *m, int field, rd_kafka_timestamp_type_t *type) {
  switch (field) {
  case LK_TOPIC: return m->rkt && lua_pushstring(L, rd_kafka_topic_name(m->rkt));
  case LK_PARTITION: return push_integer(L, m->partition);
  case LK_OFFSET: return push_integer(L, m->offset);
  case LK_KEY: return push_bytes(L, m->key, m->key_len);
  case LK_VALUE: return push_bytes(L, m->payload, m->len);
  case LK_HEADERS: return push_headers(L, m);
  case LK_TIMESTAMP: return push_timestamp(L, m, type);
  default: return push_epoch(L, m);
  }
}

void lk_message_field(lua_State *L, const rd_kafka_message_t *m, int field) {
  rd_kafka_timestamp_type_t type;
  if (!push_field(L, m, field, &type)) lua_pushnil(L);
}

void lk_message_names(lua_State *L) {
  for (int i = 0; i < LK_FIELDS; i++) lua_pushstring(L, lk_message_fields[i]);
}

void lk_message_push(lua_State *L, const rd_kafka_message_t *m, int names, int topic, int meta) {
  lua_createtable(L, 0, LK_FIELDS);
  lua_pushvalue(L, names + LK_TOPIC);
  lua_pushvalue(L, topic);
  lua_rawset(L, -3);
  rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  for (int i = LK_PARTITION; i < LK_FIELDS; i++) {
    lua_pushvalue(L, names + i);
    if (push_field(L, m, i, &type)) {
      lua_rawset(L, -3);
    } else {
      lua_pop(L, 1);
    }
  }
  if (type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME) {
    lua_pushliteral(L, "log_append");
    lua_setfield(L, -2, "timestamp_type");
  }
  lua_pushvalue(L, meta);
  lua_setmetatable(L, -2);
}

void lk_message_headers_free(void *p) { rd_kafka_headers_destroy(p); }

/* The table's keys go from 1 to n: any other would be lost in silence. */
static void check_keys(lua_State *L, int idx, lua_Integer n, const char *arg, const char *wanted) {
  for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
    lua_Integer at = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
    if (at >= 1 && at <= n) continue;
    lk_misuse_show(L, -2);
    lk_misuse_error(L, "%s must be %s, got an entry at %s", arg, wanted, lua_tostring(L, -1));
  }
}

static void read_header(lua_State *L, rd_kafka_headers_t *headers, int pair) {
  if (!lua_istable(L, pair)) lk_misuse(L, pair, "each header", "a table {name, value}");
  check_keys(L, pair, 2, "each header", "a table {name, value} and nothing else");
  lua_rawgeti(L, pair, 1);
  lua_rawgeti(L, pair, 2);
  size_t name_len = 0, len;
  const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &name_len) : NULL;
  if (!name || strlen(name) != name_len) lk_misuse(L, -2, "a header's name", "a string without NUL");
  const char *value = lk_opt_bytes(L, lua_gettop(L), "a header's value", &len);
  rd_kafka_header_add(headers, name, (ssize_t)name_len, value, (ssize_t)len);
}

void lk_message_headers(lua_State *L, int idx, lk_box *box) {
  if (lua_isnoneornil(L, idx)) return;
  lk_opt_table(L, idx, "headers");
  lua_Integer n = (lua_Integer)lua_rawlen(L, idx);
  check_keys(L, idx, n, "headers", "a list of {name, value}");
  if (n == 0) return;
  rd_kafka_headers_t *headers = box->p = rd_kafka_headers_new((size_t)n);
  for (lua_Integer i = 1; i <= n; i++) {
    int top = lua_gettop(L);
    lua_rawgeti(L, idx, i);
    read_header(L, headers, top + 1);
    lua_settop(L, top);
  }
}

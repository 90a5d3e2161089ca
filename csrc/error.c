#include "error.h"

#include <stdio.h>
#include <string.h>

static void set_flag(lua_State *L, const char *name, int on) {
  if (!on) return;
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, name);
}

void lk_error_push(lua_State *L, rd_kafka_resp_err_t code, const char *message) {
  const char *name = rd_kafka_err2name(code);
  lua_createtable(L, 0, 8);
  lua_pushinteger(L, code);
  lua_setfield(L, -2, "code");
  lua_pushstring(L, name ? name : "UNKNOWN");
  lua_setfield(L, -2, "name");
  lua_pushstring(L, message && *message ? message : rd_kafka_err2str(code));
  lua_setfield(L, -2, "message");
}

void lk_error_push_object(lua_State *L, const rd_kafka_error_t *e) {
  lk_error_push(L, rd_kafka_error_code(e), rd_kafka_error_string(e));
  set_flag(L, "fatal", rd_kafka_error_is_fatal(e));
  set_flag(L, "retriable", rd_kafka_error_is_retriable(e));
  set_flag(L, "abortable", rd_kafka_error_txn_requires_abort(e));
}

int lk_error_fail(lua_State *L, rd_kafka_resp_err_t code, const char *message) {
  lua_pushnil(L);
  lk_error_push(L, code, message);
  return 2;
}

int lk_error_take(lua_State *L, rd_kafka_error_t *e) {
  char message[512];
  rd_kafka_resp_err_t code = rd_kafka_error_code(e);
  int fatal = rd_kafka_error_is_fatal(e), retriable = rd_kafka_error_is_retriable(e);
  int abortable = rd_kafka_error_txn_requires_abort(e);
  snprintf(message, sizeof message, "%s", rd_kafka_error_string(e));
  rd_kafka_error_destroy(e);
  lk_error_fail(L, code, message);
  set_flag(L, "fatal", fatal);
  set_flag(L, "retriable", retriable);
  set_flag(L, "abortable", abortable);
  return 2;
}

int lk_error_list(lua_State *L) {
  const struct rd_kafka_err_desc *descs;
  size_t n;
  rd_kafka_get_err_descs(&descs, &n);
  lua_newtable(L);
  lua_Integer count = 0;
  for (size_t i = 0; i < n; i++) {
    if (!descs[i].desc) continue; /* marks the end of a range */
    lk_error_push(L, descs[i].code, descs[i].desc);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

#include "field.h"

#include "error.h"

void lk_set_int(lua_State *L, const char *name, lua_Integer n) {
  lua_pushinteger(L, n);
  lua_setfield(L, -2, name);
}

void lk_set_string(lua_State *L, const char *name, const char *s) {
  if (!s || !*s) return;
  lua_pushstring(L, s);
  lua_setfield(L, -2, name);
}

void lk_set_flag(lua_State *L, const char *name, int on) {
  if (!on) return;
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, name);
}

void lk_set_ids(lua_State *L, const char *name, const int32_t *ids, int n) {
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_pushinteger(L, ids[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, name);
}

void lk_set_code(lua_State *L, rd_kafka_resp_err_t code, const char *message) {
  if (!code) return;
  lk_error_push(L, code, message);
  lua_setfield(L, -2, "err");
}

void lk_set_error(lua_State *L, const rd_kafka_error_t *e) {
  if (e) lk_set_code(L, rd_kafka_error_code(e), rd_kafka_error_string(e));
}

void lk_push_node(lua_State *L, const rd_kafka_Node_t *node) {
  lua_createtable(L, 0, 4);
  lk_set_int(L, "id", rd_kafka_Node_id(node));
  lk_set_string(L, "host", rd_kafka_Node_host(node));
  lk_set_int(L, "port", rd_kafka_Node_port(node));
#if RD_KAFKA_VERSION >= 0x020300ff
  lk_set_string(L, "rack", rd_kafka_Node_rack(node));
#endif
}

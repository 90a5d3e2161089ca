#include "request.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "field.h"
#include "misuse.h"
#include "opt.h"

static void items_free(void *p) {
  lk_items *items = p;
  for (size_t i = 0; i < items->n; i++) {
    if (items->p[i]) items->free(items->p[i]);
  }
  free(items);
}

lk_items *lk_items_push(lua_State *L, int list, const char *arg, lk_item_reader read, void (*free_)(void *)) {
  lk_opt_table(L, list, arg);
  size_t n = lua_rawlen(L, list);
  if (n == 0 || n > INT_MAX) lk_misuse(L, list, arg, "a list of at least one");
  lk_box *box = lk_box_push(L, items_free);
  lk_items *items = box->p = calloc(1, sizeof *items + n * sizeof items->p[0]);
  if (!items) luaL_error(L, "out of memory");
  items->free = free_;
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, list, (lua_Integer)i + 1);
    int row = lua_gettop(L);
    read(L, row, &items->p[items->n++]);
    lua_settop(L, row - 1);
  }
  return items;
}

static void read_name(lua_State *L, int row, void **item) {
  *item = strdup(lk_opt_name(L, row, "each name", LK_NAME_MAX));
  if (!*item) luaL_error(L, "out of memory");
}

lk_items *lk_items_names(lua_State *L, int list, const char *arg) {
  return lk_items_push(L, list, arg, read_name, free);
}

static void options_free(void *p) { rd_kafka_AdminOptions_destroy(p); }

rd_kafka_AdminOptions_t *lk_request_options(lua_State *L, rd_kafka_admin_op_t op, int ms, int64_t ticket) {
  char why[256];
  lk_box *box = lk_box_push(L, options_free);
  rd_kafka_AdminOptions_t *o = box->p = rd_kafka_AdminOptions_new(lk_client_check(L, 1, LK_ANY)->rk, op);
  if (ms > LK_REQUEST_LONGEST) ms = LK_REQUEST_LONGEST;
  rd_kafka_AdminOptions_set_request_timeout(o, ms, why, sizeof why);
  rd_kafka_AdminOptions_set_operation_timeout(o, ms, why, sizeof why); /* refused where the operation has none */
  rd_kafka_AdminOptions_set_opaque(o, (void *)(intptr_t)ticket);
  return o;
}

int lk_request_leaders_ms(lua_State *L, int idx) {
  int ms = lk_opt_ms(L, idx);
  return ms < LK_REQUEST_LEADERS ? LK_REQUEST_LEADERS : ms;
}

void lk_request_dry(rd_kafka_AdminOptions_t *o, bool dry) {
  char why[256];
  if (dry) rd_kafka_AdminOptions_set_validate_only(o, 1, why, sizeof why);
}

bool lk_answer_push(lua_State *L, lk_hand *h) {
  luaL_checkstack(L, 20, NULL);
  lua_pushinteger(L, (intptr_t)rd_kafka_event_opaque(h->event));
  lua_createtable(L, 0, 1);
  rd_kafka_resp_err_t err = rd_kafka_event_error(h->event);
  lk_set_code(L, err, rd_kafka_event_error_string(h->event));
  return !err;
}

/* Settings of topics and brokers, as the cluster keeps them: describe, replace, change one by one. */
#include "field.h"
#include "misuse.h"
#include "opt.h"
#include "request.h"
#include "roles.h"

#if RD_KAFKA_VERSION >= 0x020200ff
#define LK_INCREMENTAL
#endif

static void resource_free(void *p) { rd_kafka_ConfigResource_destroy(p); }

/* The resource that is named by its kind at `idx` and its name behind it; pushes its box. */
static rd_kafka_ConfigResource_t *push_resource(lua_State *L, int idx) {
  static const char *const words[] = {"topic", "broker", NULL};
  static const rd_kafka_ResourceType_t kinds[] = {RD_KAFKA_RESOURCE_TOPIC, RD_KAFKA_RESOURCE_BROKER};
  rd_kafka_ResourceType_t kind = kinds[luaL_checkoption(L, idx, NULL, words)];
  const char *name = lk_opt_name(L, idx + 1, "the resource's name", LK_NAME_MAX);
  lk_box *box = lk_box_push(L, resource_free);
  rd_kafka_ConfigResource_t *resource = box->p = rd_kafka_ConfigResource_new(kind, name);
  return resource;
}

/* describe_configs(kind, name, ms, ticket) -> true; the record's rows are {kind, name, entries, err} */
static int config_describe(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  int ms = lk_opt_ms(L, 4);
  int64_t ticket = lk_ticket(L, 5);
  rd_kafka_ConfigResource_t *resource = push_resource(L, 2);
  rd_kafka_AdminOptions_t *o = lk_request_options(L, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, ms, ticket);
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  rd_kafka_DescribeConfigs(c->rk, &resource, 1, o, c->control);
  lua_pushboolean(L, 1);
  return 1;
}

/* alter_configs(kind, name, {setting = value}, dry, ms, ticket) -> true: all other settings go back to their defaults;
 * the record's rows are {kind, name, err} */
static int config_alter(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  lk_opt_table(L, 4, "settings");
  int ms = lk_opt_ms(L, 6);
  int64_t ticket = lk_ticket(L, 7);
  rd_kafka_ConfigResource_t *resource = push_resource(L, 2);
  lua_pushnil(L);
  while (lua_next(L, 4)) {
    const char *name = lk_opt_name(L, -2, "a setting's name", LK_NAME_MAX);
    rd_kafka_ConfigResource_set_config(resource, name, luaL_checkstring(L, -1));
    lua_pop(L, 1);
  }
  rd_kafka_AdminOptions_t *o = lk_request_options(L, RD_KAFKA_ADMIN_OP_ALTERCONFIGS, ms, ticket);
  lk_request_dry(o, lua_toboolean(L, 5));
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  rd_kafka_AlterConfigs(c->rk, &resource, 1, o, c->control);
  lua_pushboolean(L, 1);
  return 1;
}

#ifdef LK_INCREMENTAL
/* incremental_alter_configs(kind, name, {setting = value, or false for its default}, dry, ms, ticket) -> true; the record's
 * rows are {kind, name, err} */
static int config_change(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  lk_opt_table(L, 4, "settings");
  int ms = lk_opt_ms(L, 6);
  int64_t ticket = lk_ticket(L, 7);
  rd_kafka_ConfigResource_t *resource = push_resource(L, 2);
  lua_pushnil(L);
  while (lua_next(L, 4)) {
    const char *name = lk_opt_name(L, -2, "a setting's name", LK_NAME_MAX);
    bool set = lua_toboolean(L, -1);
    rd_kafka_AlterConfigOpType_t op = set ? RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET : RD_KAFKA_ALTER_CONFIG_OP_TYPE_DELETE;
    const char *value = set ? luaL_checkstring(L, -1) : NULL;
    rd_kafka_error_t *e = rd_kafka_ConfigResource_add_incremental_config(resource, name, op, value);
    if (e) {
      rd_kafka_error_destroy(e);
      lk_misuse(L, -1, name, "a value");
    }
    lua_pop(L, 1);
  }
  rd_kafka_AdminOptions_t *o = lk_request_options(L, RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS, ms, ticket);
  lk_request_dry(o, lua_toboolean(L, 5));
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  rd_kafka_IncrementalAlterConfigs(c->rk, &resource, 1, o, c->control);
  lua_pushboolean(L, 1);
  return 1;
}
#endif

/* ---- answers ---- */

static void push_entry(lua_State *L, const rd_kafka_ConfigEntry_t *e) {
  lua_createtable(L, 0, 6);
  const char *value = rd_kafka_ConfigEntry_value(e);
  lk_set_string(L, "name", rd_kafka_ConfigEntry_name(e));
  if (value) {
    lua_pushstring(L, value);
    lua_setfield(L, -2, "value");
  }
  lk_set_string(L, "source", rd_kafka_ConfigSource_name(rd_kafka_ConfigEntry_source(e)));
  lk_set_flag(L, "default", rd_kafka_ConfigEntry_is_default(e) == 1);
  lk_set_flag(L, "read_only", rd_kafka_ConfigEntry_is_read_only(e) == 1);
  lk_set_flag(L, "sensitive", rd_kafka_ConfigEntry_is_sensitive(e) == 1);
}

static void set_entries(lua_State *L, const rd_kafka_ConfigResource_t *resource) {
  size_t n;
  const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &n);
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    push_entry(L, entries[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "entries");
}

static void set_rows(lua_State *L, const rd_kafka_ConfigResource_t **resources, size_t n) {
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    const rd_kafka_ConfigResource_t *r = resources[i];
    lua_createtable(L, 0, 4);
    lk_set_string(L, "kind", rd_kafka_ResourceType_name(rd_kafka_ConfigResource_type(r)));
    lk_set_string(L, "name", rd_kafka_ConfigResource_name(r));
    lk_set_code(L, rd_kafka_ConfigResource_error(r), rd_kafka_ConfigResource_error_string(r));
    set_entries(L, r);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "rows");
}

static bool push_described(lua_State *L, lk_hand *h) {
  if (lk_answer_push(L, h)) {
    size_t n;
    const rd_kafka_DescribeConfigs_result_t *result = rd_kafka_event_DescribeConfigs_result(h->event);
    const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(result, &n);
    set_rows(L, resources, n);
  }
  lk_hand_put(L, h);
  return true;
}

static bool push_altered(lua_State *L, lk_hand *h) {
  if (lk_answer_push(L, h)) {
    size_t n;
    const rd_kafka_AlterConfigs_result_t *result = rd_kafka_event_AlterConfigs_result(h->event);
    const rd_kafka_ConfigResource_t **resources = rd_kafka_AlterConfigs_result_resources(result, &n);
    set_rows(L, resources, n);
  }
  lk_hand_put(L, h);
  return true;
}

#ifdef LK_INCREMENTAL
static bool push_changed(lua_State *L, lk_hand *h) {
  if (lk_answer_push(L, h)) {
    size_t n;
    const rd_kafka_IncrementalAlterConfigs_result_t *result = rd_kafka_event_IncrementalAlterConfigs_result(h->event);
    const rd_kafka_ConfigResource_t **resources = rd_kafka_IncrementalAlterConfigs_result_resources(result, &n);
    set_rows(L, resources, n);
  }
  lk_hand_put(L, h);
  return true;
}
#endif

void lk_admin_config_open(void) {
  lk_event_register(RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT, push_described);
  lk_event_register(RD_KAFKA_EVENT_ALTERCONFIGS_RESULT, push_altered);
#ifdef LK_INCREMENTAL
  lk_event_register(RD_KAFKA_EVENT_INCREMENTALALTERCONFIGS_RESULT, push_changed);
#endif
}

const luaL_Reg lk_admin_config_methods[] = {{"describe_configs", config_describe},
                                            {"alter_configs", config_alter},
#ifdef LK_INCREMENTAL
                                            {"incremental_alter_configs", config_change},
#endif
                                            {NULL, NULL}};

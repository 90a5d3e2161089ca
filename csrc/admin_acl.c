/* ACLs: create, describe, delete. Kinds, patterns, operations and permissions go by librdkafka's own names for them, so that
 * those of a newer library are known at once. */
#include <strings.h>

#include "field.h"
#include "misuse.h"
#include "opt.h"
#include "request.h"
#include "roles.h"

#define TYPE_COUNT RD_KAFKA_RESOURCE__CNT
#define PATTERN_COUNT RD_KAFKA_RESOURCE_PATTERN_TYPE__CNT
#define OPERATION_COUNT RD_KAFKA_ACL_OPERATION__CNT
#define PERMISSION_COUNT RD_KAFKA_ACL_PERMISSION_TYPE__CNT

/* Defines NAME_of(L, row): the value that the row's field of that name says. */
#define READER(NAME, TYPE, NAME_OF, COUNT)                           \
  static TYPE NAME##_of(lua_State *L, int row) {                     \
    int at = lk_opt_field(L, row, #NAME);                            \
    const char *word = lk_opt_name(L, at, #NAME, 64);                \
    for (int i = 1; i < (int)COUNT; i++) {                           \
      if (strcasecmp(NAME_OF((TYPE)i), word) == 0) return (TYPE)i;   \
    }                                                                \
    lk_misuse(L, at, #NAME, "one that this librdkafka knows");       \
    return (TYPE)0;                                                  \
  }

READER(resource, rd_kafka_ResourceType_t, rd_kafka_ResourceType_name, TYPE_COUNT)
READER(pattern, rd_kafka_ResourcePatternType_t, rd_kafka_ResourcePatternType_name, PATTERN_COUNT)
READER(operation, rd_kafka_AclOperation_t, rd_kafka_AclOperation_name, OPERATION_COUNT)
READER(permission, rd_kafka_AclPermissionType_t, rd_kafka_AclPermissionType_name, PERMISSION_COUNT)

static void acl_free(void *p) { rd_kafka_AclBinding_destroy(p); }

static const char *text_of(lua_State *L, int row, const char *field, bool needed) {
  int at = lk_opt_field(L, row, field);
  return !needed && lua_isnil(L, at) ? NULL : lk_opt_name(L, at, field, LK_NAME_MAX);
}

static void read_acl(lua_State *L, int row, bool filter, void **item) {
  char why[256] = "";
  lk_opt_table(L, row, "each ACL");
  rd_kafka_ResourceType_t resource = resource_of(L, row);
  rd_kafka_ResourcePatternType_t pattern = pattern_of(L, row);
  rd_kafka_AclOperation_t operation = operation_of(L, row);
  rd_kafka_AclPermissionType_t permission = permission_of(L, row);
  const char *name = text_of(L, row, "name", !filter);
  const char *principal = text_of(L, row, "principal", !filter);
  const char *host = text_of(L, row, "host", !filter);
  if (filter) {
    *item = rd_kafka_AclBindingFilter_new(resource, name, pattern, principal, host, operation, permission, why, sizeof why);
  } else {
    *item = rd_kafka_AclBinding_new(resource, name, pattern, principal, host, operation, permission, why, sizeof why);
  }
  if (!*item) lk_misuse_error(L, "%s", why);
}

static void read_binding(lua_State *L, int row, void **item) { read_acl(L, row, false, item); }

static void read_filter(lua_State *L, int row, void **item) { read_acl(L, row, true, item); }

/* create_acls(rows {resource, name, pattern, principal, host, operation, permission}, ms, ticket) -> true; the record's rows
 * are {err}, in the same order */
static int acl_create(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  int ms = lk_opt_ms(L, 3);
  int64_t ticket = lk_ticket(L, 4);
  lk_items *acls = lk_items_push(L, 2, "ACLs", read_binding, acl_free);
  rd_kafka_AdminOptions_t *o = lk_request_options(L, RD_KAFKA_ADMIN_OP_CREATEACLS, ms, ticket);
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  rd_kafka_CreateAcls(c->rk, (rd_kafka_AclBinding_t **)acls->p, acls->n, o, c->control);
  lua_pushboolean(L, 1);
  return 1;
}

/* describe_acls({filter}, ms, ticket) -> true: name, principal and host may be left out; the record's rows are ACLs */
static int acl_describe(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  int ms = lk_opt_ms(L, 3);
  int64_t ticket = lk_ticket(L, 4);
  lk_items *filters = lk_items_push(L, 2, "filters", read_filter, acl_free);
  rd_kafka_AdminOptions_t *o = lk_request_options(L, RD_KAFKA_ADMIN_OP_DESCRIBEACLS, ms, ticket);
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  rd_kafka_DescribeAcls(c->rk, filters->p[0], o, c->control);
  lua_pushboolean(L, 1);
  return 1;
}

/* delete_acls(filters, ms, ticket) -> true; the record's rows are {acls, err}, one a filter */
static int acl_delete(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  int ms = lk_opt_ms(L, 3);
  int64_t ticket = lk_ticket(L, 4);
  lk_items *filters = lk_items_push(L, 2, "filters", read_filter, acl_free);
  rd_kafka_AdminOptions_t *o = lk_request_options(L, RD_KAFKA_ADMIN_OP_DELETEACLS, ms, ticket);
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  rd_kafka_DeleteAcls(c->rk, (rd_kafka_AclBindingFilter_t **)filters->p, filters->n, o, c->control);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- answers ---- */

static void push_acl(lua_State *L, const rd_kafka_AclBinding_t *acl) {
  lua_createtable(L, 0, 7);
  lk_set_string(L, "resource", rd_kafka_ResourceType_name(rd_kafka_AclBinding_restype(acl)));
  lk_set_string(L, "name", rd_kafka_AclBinding_name(acl));
  lk_set_string(L, "pattern", rd_kafka_ResourcePatternType_name(rd_kafka_AclBinding_resource_pattern_type(acl)));
  lk_set_string(L, "principal", rd_kafka_AclBinding_principal(acl));
  lk_set_string(L, "host", rd_kafka_AclBinding_host(acl));
  lk_set_string(L, "operation", rd_kafka_AclOperation_name(rd_kafka_AclBinding_operation(acl)));
  lk_set_string(L, "permission", rd_kafka_AclPermissionType_name(rd_kafka_AclBinding_permission_type(acl)));
  lk_set_error(L, rd_kafka_AclBinding_error(acl));
}

static void push_acls(lua_State *L, const rd_kafka_AclBinding_t **acls, size_t n) {
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    push_acl(L, acls[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

static bool push_created(lua_State *L, lk_hand *h) {
  if (lk_answer_push(L, h)) {
    size_t n;
    const rd_kafka_acl_result_t **acls = rd_kafka_CreateAcls_result_acls(rd_kafka_event_CreateAcls_result(h->event), &n);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
      lua_createtable(L, 0, 1);
      lk_set_error(L, rd_kafka_acl_result_error(acls[i]));
      lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "rows");
  }
  lk_hand_put(L, h);
  return true;
}

static bool push_described(lua_State *L, lk_hand *h) {
  if (lk_answer_push(L, h)) {
    size_t n;
    const rd_kafka_AclBinding_t **acls = rd_kafka_DescribeAcls_result_acls(rd_kafka_event_DescribeAcls_result(h->event), &n);
    push_acls(L, acls, n);
    lua_setfield(L, -2, "rows");
  }
  lk_hand_put(L, h);
  return true;
}

static bool push_deleted(lua_State *L, lk_hand *h) {
  if (lk_answer_push(L, h)) {
    size_t n, matching;
    const rd_kafka_DeleteAcls_result_t *result = rd_kafka_event_DeleteAcls_result(h->event);
    const rd_kafka_DeleteAcls_result_response_t **filters = rd_kafka_DeleteAcls_result_responses(result, &n);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
      lua_createtable(L, 0, 2);
      lk_set_error(L, rd_kafka_DeleteAcls_result_response_error(filters[i]));
      const rd_kafka_AclBinding_t **acls = rd_kafka_DeleteAcls_result_response_matching_acls(filters[i], &matching);
      push_acls(L, acls, matching);
      lua_setfield(L, -2, "acls");
      lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "rows");
  }
  lk_hand_put(L, h);
  return true;
}

void lk_admin_acl_open(void) {
  lk_event_register(RD_KAFKA_EVENT_CREATEACLS_RESULT, push_created);
  lk_event_register(RD_KAFKA_EVENT_DESCRIBEACLS_RESULT, push_described);
  lk_event_register(RD_KAFKA_EVENT_DELETEACLS_RESULT, push_deleted);
}

const luaL_Reg lk_admin_acl_methods[] = {{"create_acls", acl_create},
                                         {"describe_acls", acl_describe},
                                         {"delete_acls", acl_delete},
                                         {NULL, NULL}};

/* Groups, by requests that need no membership: list, describe, delete; their offsets: list, alter, delete. All but the list go
 * to a coordinator, hence without a time: see LK_REQUEST_LONGEST. */
#include <stdlib.h>

#include "field.h"
#include "opt.h"
#include "request.h"
#include "roles.h"
#include "tpl.h"

/* list_groups(ms, ticket) -> true; the record is {rows = {{group, state, type, simple}}, errors = {{err}}}: a broker that
 * failed is an error beside the rows of the others */
static int group_list(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  int ms = lk_opt_ms(L, 2);
  int64_t ticket = lk_ticket(L, 3);
  rd_kafka_AdminOptions_t *o = lk_request_options(L, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS, ms, ticket);
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  rd_kafka_ListConsumerGroups(c->rk, o, c->control);
  lua_pushboolean(L, 1);
  return 1;
}

/* describe_groups(names, ticket) -> true; the record's rows are {group, state, type, simple, assignor, coordinator, members,
 * err} */
static int group_describe(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  int64_t ticket = lk_ticket(L, 3);
  lk_items *names = lk_items_names(L, 2, "groups");
  rd_kafka_AdminOptions_t *o =
      lk_request_options(L, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, LK_REQUEST_LONGEST, ticket);
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  rd_kafka_DescribeConsumerGroups(c->rk, (const char **)names->p, names->n, o, c->control);
  lua_pushboolean(L, 1);
  return 1;
}

static void delete_group_free(void *p) { rd_kafka_DeleteGroup_destroy(p); }

static void read_delete_group(lua_State *L, int row, void **item) {
  *item = rd_kafka_DeleteGroup_new(lk_opt_name(L, row, "group", LK_NAME_MAX));
}

/* delete_groups(names, ticket) -> true; the record's rows are {group, err} */
static int group_delete(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  int64_t ticket = lk_ticket(L, 3);
  lk_items *groups = lk_items_push(L, 2, "groups", read_delete_group, delete_group_free);
  rd_kafka_AdminOptions_t *o = lk_request_options(L, RD_KAFKA_ADMIN_OP_DELETEGROUPS, LK_REQUEST_LONGEST, ticket);
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  rd_kafka_DeleteGroups(c->rk, (rd_kafka_DeleteGroup_t **)groups->p, groups->n, o, c->control);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- offsets ---- */

static void list_offsets_free(void *p) { rd_kafka_ListConsumerGroupOffsets_destroy(p); }

/* group_offsets(group, rows or nil for all, ticket) -> true; the record's rows are one, {group, partitions, err} */
static int group_offsets(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  const char *group = lk_opt_name(L, 2, "group", LK_NAME_MAX);
  int64_t ticket = lk_ticket(L, 4);
  const rd_kafka_topic_partition_list_t *list = lua_isnil(L, 3) ? NULL : lk_tpl_push(L, 3, LK_TPL_NONE);
  rd_kafka_AdminOptions_t *o =
      lk_request_options(L, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, LK_REQUEST_LONGEST, ticket);
  lk_box *box = lk_box_push(L, list_offsets_free);
  rd_kafka_ListConsumerGroupOffsets_t *request = box->p = rd_kafka_ListConsumerGroupOffsets_new(group, list);
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  rd_kafka_ListConsumerGroupOffsets(c->rk, &request, 1, o, c->control);
  lua_pushboolean(L, 1);
  return 1;
}

static void alter_offsets_free(void *p) { rd_kafka_AlterConsumerGroupOffsets_destroy(p); }

/* alter_group_offsets(group, rows, ticket) -> true; the record is as for group_offsets */
static int group_alter_offsets(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  const char *group = lk_opt_name(L, 2, "group", LK_NAME_MAX);
  int64_t ticket = lk_ticket(L, 4);
  const rd_kafka_topic_partition_list_t *list = lk_tpl_push(L, 3, LK_TPL_REAL);
  rd_kafka_AdminOptions_t *o =
      lk_request_options(L, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, LK_REQUEST_LONGEST, ticket);
  lk_box *box = lk_box_push(L, alter_offsets_free);
  rd_kafka_AlterConsumerGroupOffsets_t *request = box->p = rd_kafka_AlterConsumerGroupOffsets_new(group, list);
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  rd_kafka_AlterConsumerGroupOffsets(c->rk, &request, 1, o, c->control);
  lua_pushboolean(L, 1);
  return 1;
}

static void delete_offsets_free(void *p) { rd_kafka_DeleteConsumerGroupOffsets_destroy(p); }

/* delete_group_offsets(group, rows, ticket) -> true; the record is as for group_offsets */
static int group_delete_offsets(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  const char *group = lk_opt_name(L, 2, "group", LK_NAME_MAX);
  int64_t ticket = lk_ticket(L, 4);
  const rd_kafka_topic_partition_list_t *list = lk_tpl_push(L, 3, LK_TPL_NONE);
  rd_kafka_AdminOptions_t *o =
      lk_request_options(L, RD_KAFKA_ADMIN_OP_DELETECONSUMERGROUPOFFSETS, LK_REQUEST_LONGEST, ticket);
  lk_box *box = lk_box_push(L, delete_offsets_free);
  rd_kafka_DeleteConsumerGroupOffsets_t *request = box->p = rd_kafka_DeleteConsumerGroupOffsets_new(group, list);
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  rd_kafka_DeleteConsumerGroupOffsets(c->rk, &request, 1, o, c->control);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- answers ---- */

static void push_listing(lua_State *L, const rd_kafka_ConsumerGroupListing_t *g) {
  lua_createtable(L, 0, 4);
  lk_set_string(L, "group", rd_kafka_ConsumerGroupListing_group_id(g));
  lk_set_string(L, "state", rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupListing_state(g)));
  lk_set_flag(L, "simple", rd_kafka_ConsumerGroupListing_is_simple_consumer_group(g));
#if RD_KAFKA_VERSION >= 0x020600ff
  lk_set_string(L, "type", rd_kafka_consumer_group_type_name(rd_kafka_ConsumerGroupListing_type(g)));
#endif
}

static bool push_listed(lua_State *L, lk_hand *h) {
  if (lk_answer_push(L, h)) {
    size_t n;
    const rd_kafka_ListConsumerGroups_result_t *result = rd_kafka_event_ListConsumerGroups_result(h->event);
    const rd_kafka_ConsumerGroupListing_t **groups = rd_kafka_ListConsumerGroups_result_valid(result, &n);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
      push_listing(L, groups[i]);
      lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "rows");
    const rd_kafka_error_t **errors = rd_kafka_ListConsumerGroups_result_errors(result, &n);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
      lua_createtable(L, 0, 1);
      lk_set_error(L, errors[i]);
      lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "errors");
  }
  lk_hand_put(L, h);
  return true;
}

static void push_member(lua_State *L, const rd_kafka_MemberDescription_t *m) {
  lua_createtable(L, 0, 5);
  lk_set_string(L, "member", rd_kafka_MemberDescription_consumer_id(m));
  lk_set_string(L, "client_id", rd_kafka_MemberDescription_client_id(m));
  lk_set_string(L, "instance_id", rd_kafka_MemberDescription_group_instance_id(m));
  lk_set_string(L, "host", rd_kafka_MemberDescription_host(m));
  const rd_kafka_MemberAssignment_t *assignment = rd_kafka_MemberDescription_assignment(m);
  lk_tpl_rows(L, assignment ? rd_kafka_MemberAssignment_partitions(assignment) : NULL);
  lua_setfield(L, -2, "partitions");
}

static void set_members(lua_State *L, const rd_kafka_ConsumerGroupDescription_t *g) {
  size_t n = rd_kafka_ConsumerGroupDescription_member_count(g);
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    push_member(L, rd_kafka_ConsumerGroupDescription_member(g, i));
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "members");
}

static void push_description(lua_State *L, const rd_kafka_ConsumerGroupDescription_t *g) {
  lua_createtable(L, 0, 8);
  lk_set_string(L, "group", rd_kafka_ConsumerGroupDescription_group_id(g));
  lk_set_error(L, rd_kafka_ConsumerGroupDescription_error(g));
  lk_set_string(L, "state", rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupDescription_state(g)));
  lk_set_flag(L, "simple", rd_kafka_ConsumerGroupDescription_is_simple_consumer_group(g));
  lk_set_string(L, "assignor", rd_kafka_ConsumerGroupDescription_partition_assignor(g));
#if RD_KAFKA_VERSION >= 0x020a00ff
  lk_set_string(L, "type", rd_kafka_consumer_group_type_name(rd_kafka_ConsumerGroupDescription_type(g)));
#endif
  const rd_kafka_Node_t *coordinator = rd_kafka_ConsumerGroupDescription_coordinator(g);
  if (coordinator) {
    lk_push_node(L, coordinator);
    lua_setfield(L, -2, "coordinator");
  }
  set_members(L, g);
}

static bool push_described(lua_State *L, lk_hand *h) {
  if (lk_answer_push(L, h)) {
    size_t n;
    const rd_kafka_DescribeConsumerGroups_result_t *result = rd_kafka_event_DescribeConsumerGroups_result(h->event);
    const rd_kafka_ConsumerGroupDescription_t **groups = rd_kafka_DescribeConsumerGroups_result_groups(result, &n);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
      push_description(L, groups[i]);
      lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "rows");
  }
  lk_hand_put(L, h);
  return true;
}

typedef const rd_kafka_group_result_t **(*groups_of)(const rd_kafka_event_t *result, size_t *n);

/* The answers of deleting groups and of a group's offsets are of one form; librdkafka's types for them are all its event. */
static bool push_results(lua_State *L, lk_hand *h, groups_of take) {
  if (lk_answer_push(L, h)) {
    size_t n;
    const rd_kafka_group_result_t **groups = take(h->event, &n);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
      lua_createtable(L, 0, 3);
      lk_set_string(L, "group", rd_kafka_group_result_name(groups[i]));
      lk_set_error(L, rd_kafka_group_result_error(groups[i]));
      lk_tpl_rows(L, rd_kafka_group_result_partitions(groups[i]));
      lua_setfield(L, -2, "partitions");
      lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "rows");
  }
  lk_hand_put(L, h);
  return true;
}

static bool push_deleted(lua_State *L, lk_hand *h) {
  return push_results(L, h, rd_kafka_DeleteGroups_result_groups);
}

static bool push_offsets(lua_State *L, lk_hand *h) {
  return push_results(L, h, rd_kafka_ListConsumerGroupOffsets_result_groups);
}

static bool push_altered(lua_State *L, lk_hand *h) {
  return push_results(L, h, rd_kafka_AlterConsumerGroupOffsets_result_groups);
}

static bool push_deleted_offsets(lua_State *L, lk_hand *h) {
  return push_results(L, h, rd_kafka_DeleteConsumerGroupOffsets_result_groups);
}

void lk_admin_group_open(void) {
  lk_event_register(RD_KAFKA_EVENT_LISTCONSUMERGROUPS_RESULT, push_listed);
  lk_event_register(RD_KAFKA_EVENT_DESCRIBECONSUMERGROUPS_RESULT, push_described);
  lk_event_register(RD_KAFKA_EVENT_DELETEGROUPS_RESULT, push_deleted);
  lk_event_register(RD_KAFKA_EVENT_LISTCONSUMERGROUPOFFSETS_RESULT, push_offsets);
  lk_event_register(RD_KAFKA_EVENT_ALTERCONSUMERGROUPOFFSETS_RESULT, push_altered);
  lk_event_register(RD_KAFKA_EVENT_DELETECONSUMERGROUPOFFSETS_RESULT, push_deleted_offsets);
}

const luaL_Reg lk_admin_group_methods[] = {{"list_groups", group_list},
                                           {"describe_groups", group_describe},
                                           {"delete_groups", group_delete},
                                           {"group_offsets", group_offsets},
                                           {"alter_group_offsets", group_alter_offsets},
                                           {"delete_group_offsets", group_delete_offsets},
                                           {NULL, NULL}};

/* The cluster as a whole, where the library is new enough: describe it, list offsets of many partitions at once (2.3), elect
 * leaders (2.6). */
#include "field.h"
#include "opt.h"
#include "request.h"
#include "roles.h"
#include "tpl.h"

#if RD_KAFKA_VERSION >= 0x020300ff

/* describe_cluster(ms, ticket) -> true; the record is {cluster_id, controller, brokers {id, host, port, rack}, operations} */
static int cluster_describe(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  int ms = lk_opt_ms(L, 2);
  int64_t ticket = lk_ticket(L, 3);
  rd_kafka_AdminOptions_t *o = lk_request_options(L, RD_KAFKA_ADMIN_OP_DESCRIBECLUSTER, ms, ticket);
  rd_kafka_error_t *refused = rd_kafka_AdminOptions_set_include_authorized_operations(o, 1);
  if (refused) rd_kafka_error_destroy(refused);
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  rd_kafka_DescribeCluster(c->rk, o, c->control);
  lua_pushboolean(L, 1);
  return 1;
}

/* list_offsets(rows {topic, partition, offset: -2 the earliest, -1 the latest, -3 the one of the largest timestamp, or a
 * timestamp}, ms, ticket) -> true; the record's rows are {topic, partition, offset, timestamp, err} */
static int cluster_list_offsets(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  int ms = lk_request_leaders_ms(L, 3);
  int64_t ticket = lk_ticket(L, 4);
  rd_kafka_topic_partition_list_t *list = lk_tpl_push(L, 2, LK_TPL_SPEC);
  rd_kafka_AdminOptions_t *o = lk_request_options(L, RD_KAFKA_ADMIN_OP_LISTOFFSETS, ms, ticket);
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  rd_kafka_ListOffsets(c->rk, list, o, c->control);
  lua_pushboolean(L, 1);
  return 1;
}

static void set_operations(lua_State *L, const rd_kafka_AclOperation_t *operations, size_t n) {
  if (!operations) return;
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    lua_pushstring(L, rd_kafka_AclOperation_name(operations[i]));
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "operations");
}

static bool push_described(lua_State *L, lk_hand *h) {
  if (lk_answer_push(L, h)) {
    size_t n;
    const rd_kafka_DescribeCluster_result_t *result = rd_kafka_event_DescribeCluster_result(h->event);
    const rd_kafka_Node_t *controller = rd_kafka_DescribeCluster_result_controller(result);
    lk_set_string(L, "cluster_id", rd_kafka_DescribeCluster_result_cluster_id(result));
    if (controller) lk_set_int(L, "controller", rd_kafka_Node_id(controller));
    const rd_kafka_AclOperation_t *operations = rd_kafka_DescribeCluster_result_authorized_operations(result, &n);
    set_operations(L, operations, n);
    const rd_kafka_Node_t **nodes = rd_kafka_DescribeCluster_result_nodes(result, &n);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
      lk_push_node(L, nodes[i]);
      lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "brokers");
  }
  lk_hand_put(L, h);
  return true;
}

static bool push_listed(lua_State *L, lk_hand *h) {
  if (lk_answer_push(L, h)) {
    size_t n;
    const rd_kafka_ListOffsets_result_t *result = rd_kafka_event_ListOffsets_result(h->event);
    const rd_kafka_ListOffsetsResultInfo_t **infos = rd_kafka_ListOffsets_result_infos(result, &n);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
      int64_t timestamp = rd_kafka_ListOffsetsResultInfo_timestamp(infos[i]);
      lk_tpl_row(L, rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]));
      if (timestamp >= 0) lk_set_int(L, "timestamp", timestamp);
      lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "rows");
  }
  lk_hand_put(L, h);
  return true;
}

#endif

#if RD_KAFKA_VERSION >= 0x020600ff

static void elect_free(void *p) { rd_kafka_ElectLeaders_destroy(p); }

/* elect_leaders(rows or nil for all, unclean, ms, ticket) -> true; the record's rows are {topic, partition, err} */
static int cluster_elect(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  int ms = lk_opt_ms(L, 4);
  int64_t ticket = lk_ticket(L, 5);
  rd_kafka_topic_partition_list_t *list = lua_isnil(L, 2) ? NULL : lk_tpl_push(L, 2, LK_TPL_NONE);
  rd_kafka_ElectionType_t type = lua_toboolean(L, 3) ? RD_KAFKA_ELECTION_TYPE_UNCLEAN : RD_KAFKA_ELECTION_TYPE_PREFERRED;
  rd_kafka_AdminOptions_t *o = lk_request_options(L, RD_KAFKA_ADMIN_OP_ELECTLEADERS, ms, ticket);
  lk_box *box = lk_box_push(L, elect_free);
  rd_kafka_ElectLeaders_t *request = box->p = rd_kafka_ElectLeaders_new(type, list);
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  rd_kafka_ElectLeaders(c->rk, request, o, c->control);
  lua_pushboolean(L, 1);
  return 1;
}

static bool push_elected(lua_State *L, lk_hand *h) {
  if (lk_answer_push(L, h)) {
    size_t n;
    const rd_kafka_ElectLeaders_result_t *result = rd_kafka_event_ElectLeaders_result(h->event);
    const rd_kafka_topic_partition_result_t **partitions = rd_kafka_ElectLeaders_result_partitions(result, &n);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
      lk_tpl_row(L, rd_kafka_topic_partition_result_partition(partitions[i]));
      lk_set_error(L, rd_kafka_topic_partition_result_error(partitions[i]));
      lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "rows");
  }
  lk_hand_put(L, h);
  return true;
}

#endif

void lk_admin_cluster_open(void) {
#if RD_KAFKA_VERSION >= 0x020300ff
  lk_event_register(RD_KAFKA_EVENT_DESCRIBECLUSTER_RESULT, push_described);
  lk_event_register(RD_KAFKA_EVENT_LISTOFFSETS_RESULT, push_listed);
#endif
#if RD_KAFKA_VERSION >= 0x020600ff
  lk_event_register(RD_KAFKA_EVENT_ELECTLEADERS_RESULT, push_elected);
#endif
}

const luaL_Reg lk_admin_cluster_methods[] = {
#if RD_KAFKA_VERSION >= 0x020300ff
    {"describe_cluster", cluster_describe},
    {"list_offsets", cluster_list_offsets},
#endif
#if RD_KAFKA_VERSION >= 0x020600ff
    {"elect_leaders", cluster_elect},
#endif
    {NULL, NULL}};

/* Topics: create, delete, add partitions, delete records. */
#include <stdlib.h>

#include "field.h"
#include "misuse.h"
#include "opt.h"
#include "request.h"
#include "roles.h"
#include "tpl.h"

#define PARTITIONS_MAX 100000 /* librdkafka's */
#define BROKERS_MAX 10000     /* librdkafka's */

/* ---- requests ---- */

/* The list of broker ids on top of the stack; the array is a userdata in its place. */
static int32_t *read_ids(lua_State *L, size_t *n) {
  int list = lua_gettop(L);
  lk_opt_table(L, list, "the replicas of each partition");
  *n = lua_rawlen(L, list);
  if (*n == 0 || *n > BROKERS_MAX) lk_misuse(L, list, "the replicas of each partition", "a list of at least one broker id");
  int32_t *ids = lua_newuserdatauv(L, *n * sizeof *ids, 0);
  for (size_t i = 0; i < *n; i++) {
    lua_rawgeti(L, list, (lua_Integer)i + 1);
    ids[i] = (int32_t)lk_opt_int(L, -1, "broker id", 0, INT32_MAX);
    lua_pop(L, 1);
  }
  lua_replace(L, list);
  return ids;
}

static void new_topic_free(void *p) { rd_kafka_NewTopic_destroy(p); }

static void read_topic_config(lua_State *L, int config, rd_kafka_NewTopic_t *topic) {
  if (lua_isnil(L, config)) return;
  lk_opt_table(L, config, "config");
  lua_pushnil(L);
  while (lua_next(L, config)) {
    const char *name = lk_opt_name(L, -2, "a setting's name", LK_NAME_MAX);
    rd_kafka_NewTopic_set_config(topic, name, luaL_checkstring(L, -1));
    lua_pop(L, 1);
  }
}

static void read_topic_replicas(lua_State *L, int replicas, rd_kafka_NewTopic_t *topic) {
  char why[256];
  if (lua_isnil(L, replicas)) return;
  lua_Integer partitions = (lua_Integer)lua_rawlen(L, replicas);
  for (lua_Integer i = 0; i < partitions; i++) {
    size_t n;
    lua_rawgeti(L, replicas, i + 1);
    int32_t *ids = read_ids(L, &n);
    if (rd_kafka_NewTopic_set_replica_assignment(topic, (int32_t)i, ids, n, why, sizeof why)) lk_misuse_error(L, "%s", why);
    lua_pop(L, 1);
  }
}

static void read_new_topic(lua_State *L, int row, void **item) {
  char why[256];
  lk_opt_table(L, row, "each topic");
  const char *name = lk_opt_topic(L, lk_opt_field(L, row, "name"));
  int partitions = (int)lk_opt_int(L, lk_opt_field(L, row, "partitions"), "partitions", 1, PARTITIONS_MAX);
  int replication = lk_opt_field(L, row, "replication_factor");
  replication = (int)lk_opt_int_or(L, replication, "replication_factor", 1, BROKERS_MAX, -1);
  rd_kafka_NewTopic_t *topic = *item = rd_kafka_NewTopic_new(name, partitions, replication, why, sizeof why);
  if (!topic) lk_misuse_error(L, "%s", why);
  read_topic_config(L, lk_opt_field(L, row, "config"), topic);
  read_topic_replicas(L, lk_opt_field(L, row, "replicas"), topic);
}

/* create_topics(rows {name, partitions, replication_factor, config, replicas}, dry, ms, ticket) -> true;
 * the record's rows are {topic, err} */
static int topic_create(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  int ms = lk_opt_ms(L, 4);
  int64_t ticket = lk_ticket(L, 5);
  lk_items *topics = lk_items_push(L, 2, "topics", read_new_topic, new_topic_free);
  rd_kafka_AdminOptions_t *o = lk_request_options(L, RD_KAFKA_ADMIN_OP_CREATETOPICS, ms, ticket);
  lk_request_dry(o, lua_toboolean(L, 3));
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  rd_kafka_CreateTopics(c->rk, (rd_kafka_NewTopic_t **)topics->p, topics->n, o, c->control);
  lua_pushboolean(L, 1);
  return 1;
}

static void delete_topic_free(void *p) { rd_kafka_DeleteTopic_destroy(p); }

static void read_delete_topic(lua_State *L, int row, void **item) {
  *item = rd_kafka_DeleteTopic_new(lk_opt_topic(L, row));
}

/* delete_topics(names, ms, ticket) -> true; the record's rows are {topic, err} */
static int topic_delete(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  int ms = lk_opt_ms(L, 3);
  int64_t ticket = lk_ticket(L, 4);
  lk_items *topics = lk_items_push(L, 2, "topics", read_delete_topic, delete_topic_free);
  rd_kafka_AdminOptions_t *o = lk_request_options(L, RD_KAFKA_ADMIN_OP_DELETETOPICS, ms, ticket);
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  rd_kafka_DeleteTopics(c->rk, (rd_kafka_DeleteTopic_t **)topics->p, topics->n, o, c->control);
  lua_pushboolean(L, 1);
  return 1;
}

static void new_partitions_free(void *p) { rd_kafka_NewPartitions_destroy(p); }

static void read_new_partitions(lua_State *L, int row, void **item) {
  char why[256];
  lk_opt_table(L, row, "each topic");
  const char *name = lk_opt_topic(L, lk_opt_field(L, row, "topic"));
  lua_Integer total = lk_opt_int(L, lk_opt_field(L, row, "total"), "partitions", 1, PARTITIONS_MAX);
  rd_kafka_NewPartitions_t *parts = *item = rd_kafka_NewPartitions_new(name, (size_t)total, why, sizeof why);
  if (!parts) lk_misuse_error(L, "%s", why);
  int replicas = lk_opt_field(L, row, "replicas");
  if (lua_isnil(L, replicas)) return;
  lua_Integer added = (lua_Integer)lua_rawlen(L, replicas);
  for (lua_Integer i = 0; i < added; i++) {
    size_t n;
    lua_rawgeti(L, replicas, i + 1);
    int32_t *ids = read_ids(L, &n);
    if (rd_kafka_NewPartitions_set_replica_assignment(parts, (int32_t)i, ids, n, why, sizeof why)) {
      lk_misuse_error(L, "%s", why);
    }
    lua_pop(L, 1);
  }
}

/* create_partitions(rows {topic, total, replicas}, dry, ms, ticket) -> true; the record's rows are {topic, err} */
static int topic_grow(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  int ms = lk_opt_ms(L, 4);
  int64_t ticket = lk_ticket(L, 5);
  lk_items *topics = lk_items_push(L, 2, "topics", read_new_partitions, new_partitions_free);
  rd_kafka_AdminOptions_t *o = lk_request_options(L, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS, ms, ticket);
  lk_request_dry(o, lua_toboolean(L, 3));
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  rd_kafka_CreatePartitions(c->rk, (rd_kafka_NewPartitions_t **)topics->p, topics->n, o, c->control);
  lua_pushboolean(L, 1);
  return 1;
}

static void delete_records_free(void *p) { rd_kafka_DeleteRecords_destroy(p); }

/* delete_records(rows {topic, partition, offset: the first to be kept, -1 for none}, ms, ticket) -> true; the record's rows
 * are {topic, partition, offset: the first there is now, err} */
static int topic_delete_records(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  int ms = lk_request_leaders_ms(L, 3);
  int64_t ticket = lk_ticket(L, 4);
  const rd_kafka_topic_partition_list_t *list = lk_tpl_push(L, 2, LK_TPL_NAMED);
  rd_kafka_AdminOptions_t *o = lk_request_options(L, RD_KAFKA_ADMIN_OP_DELETERECORDS, ms, ticket);
  lk_box *box = lk_box_push(L, delete_records_free);
  rd_kafka_DeleteRecords_t *request = box->p = rd_kafka_DeleteRecords_new(list);
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  rd_kafka_DeleteRecords(c->rk, &request, 1, o, c->control);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- answers ---- */

static void set_rows(lua_State *L, const rd_kafka_topic_result_t **results, size_t n) {
  lua_createtable(L, (int)n, 0);
  lua_Integer rows = 0;
  for (size_t i = 0; i < n; i++) {
    if (!results[i]) continue; /* librdkafka leaves a hole where the broker answers fewer topics than were asked for */
    lua_createtable(L, 0, 2);
    lk_set_string(L, "topic", rd_kafka_topic_result_name(results[i]));
    lk_set_code(L, rd_kafka_topic_result_error(results[i]), rd_kafka_topic_result_error_string(results[i]));
    lua_rawseti(L, -2, ++rows);
  }
  lua_setfield(L, -2, "rows");
}

static bool push_created(lua_State *L, lk_hand *h) {
  if (lk_answer_push(L, h)) {
    size_t n;
    const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(h->event);
    const rd_kafka_topic_result_t **topics = rd_kafka_CreateTopics_result_topics(result, &n);
    set_rows(L, topics, n);
  }
  lk_hand_put(L, h);
  return true;
}

static bool push_deleted(lua_State *L, lk_hand *h) {
  if (lk_answer_push(L, h)) {
    size_t n;
    const rd_kafka_DeleteTopics_result_t *result = rd_kafka_event_DeleteTopics_result(h->event);
    const rd_kafka_topic_result_t **topics = rd_kafka_DeleteTopics_result_topics(result, &n);
    set_rows(L, topics, n);
  }
  lk_hand_put(L, h);
  return true;
}

static bool push_grown(lua_State *L, lk_hand *h) {
  if (lk_answer_push(L, h)) {
    size_t n;
    const rd_kafka_CreatePartitions_result_t *result = rd_kafka_event_CreatePartitions_result(h->event);
    const rd_kafka_topic_result_t **topics = rd_kafka_CreatePartitions_result_topics(result, &n);
    set_rows(L, topics, n);
  }
  lk_hand_put(L, h);
  return true;
}

static bool push_deleted_records(lua_State *L, lk_hand *h) {
  if (lk_answer_push(L, h)) {
    lk_tpl_rows(L, rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(h->event)));
    lua_setfield(L, -2, "rows");
  }
  lk_hand_put(L, h);
  return true;
}

void lk_admin_topic_open(void) {
  lk_event_register(RD_KAFKA_EVENT_CREATETOPICS_RESULT, push_created);
  lk_event_register(RD_KAFKA_EVENT_DELETETOPICS_RESULT, push_deleted);
  lk_event_register(RD_KAFKA_EVENT_CREATEPARTITIONS_RESULT, push_grown);
  lk_event_register(RD_KAFKA_EVENT_DELETERECORDS_RESULT, push_deleted_records);
}

const luaL_Reg lk_admin_topic_methods[] = {{"create_topics", topic_create},
                                           {"delete_topics", topic_delete},
                                           {"create_partitions", topic_grow},
                                           {"delete_records", topic_delete_records},
                                           {NULL, NULL}};

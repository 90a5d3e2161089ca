/* librdkafka's mock cluster: brokers in this process, with faults on demand. A mock lives on an rd_kafka_t of its own and is
 * destroyed with it. When a fault has reached the clients' metadata is for Lua to find out. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "client.h"
#include "conf.h"
#include "error.h"
#include "misuse.h"
#include "opt.h"
#include "roles.h"

#define ERRORS_MAX 1000

typedef struct mock {
  lk_child child; /* user value 1: the handle of the rd_kafka_t it lives on */
  rd_kafka_mock_cluster_t *cluster;
} mock;

static void mock_shut(lk_child *child) { ((mock *)child)->cluster = NULL; /* destroyed by its client's thread */ }

static void mock_destroy(void *cluster) { rd_kafka_mock_cluster_destroy(cluster); }

static int mock_gc(lua_State *L);
static int mock_tostring(lua_State *L);
static const luaL_Reg mock_meta[] = {{"__gc", mock_gc}, {"__tostring", mock_tostring}, {NULL, NULL}};
static const lk_class mock_class = {"kafka.mock", mock_meta};

static int mock_gc(lua_State *L) {
  mock *m = lk_class_test(L, 1, &mock_class);
  if (m && m->child.client) lk_child_remove(&m->child);
  return 0;
}

static int mock_tostring(lua_State *L) {
  mock *m = lk_class_check(L, 1, &mock_class);
  lua_pushfstring(L, "kafka.mock (%s)", m->cluster ? rd_kafka_mock_cluster_bootstraps(m->cluster) : "closed");
  return 1;
}

static rd_kafka_mock_cluster_t *check(lua_State *L) {
  mock *m = lk_class_check(L, 1, &mock_class);
  if (!m->cluster) lk_misuse_error(L, "attempt to use a closed mock cluster");
  if (lk_client_forked(m->child.client)) lk_misuse_error(L, "attempt to use the parent process's mock cluster after a fork");
  return m->cluster;
}

/* A signal that librdkafka's mock thread gets ends that thread, and its memory, under the hands of its caller. */
static rd_kafka_mock_cluster_t *cluster_new(rd_kafka_t *rk, int brokers) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(rk, brokers);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return cluster;
}

/* core.mock(brokers, settings) -> mock | nil, err. Closed by closing its client, mock:client(). */
int lk_mock_new(lua_State *L) {
  int brokers = (int)lk_opt_int(L, 1, "brokers", 1, 100);
  lua_settop(L, 2);
  mock *m = lk_class_new(L, &mock_class, sizeof *m, 1);
  lk_conf_push(L, 2);
  lk_client *c = lk_client_open(L, RD_KAFKA_PRODUCER, 0, 4);
  if (!c) return 2;
  lua_setiuservalue(L, 3, 1);
  m->cluster = cluster_new(c->rk, brokers);
  if (!m->cluster) return lk_error_fail(L, RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "the mock cluster could not be started");
  c->before_destroy = mock_destroy;
  c->before_destroy_arg = m->cluster;
  lk_child_add(c, &m->child, mock_shut);
  lua_pushvalue(L, 3);
  return 1;
}

static int mock_client(lua_State *L) {
  lk_class_check(L, 1, &mock_class);
  lua_getiuservalue(L, 1, 1);
  return 1;
}

static int mock_brokers(lua_State *L) {
  lua_pushstring(L, rd_kafka_mock_cluster_bootstraps(check(L)));
  return 1;
}

static int result(lua_State *L, rd_kafka_resp_err_t err) {
  if (err) return lk_error_fail(L, err, NULL);
  lua_pushboolean(L, 1);
  return 1;
}

static int32_t broker_id(lua_State *L, int idx) { return (int32_t)lk_opt_int(L, idx, "broker", 1, INT32_MAX); }

/* topic(name, partitions, replication_factor) */
static int mock_topic(lua_State *L) {
  rd_kafka_mock_cluster_t *mc = check(L);
  const char *name = lk_opt_topic(L, 2);
  int partitions = (int)lk_opt_int(L, 3, "partitions", 1, 10000);
  int replication = (int)lk_opt_int(L, 4, "replication_factor", 1, 100);
  return result(L, rd_kafka_mock_topic_create(mc, name, partitions, replication));
}

/* topic_error(name, code): what metadata says of the topic; 0 ends it */
static int mock_topic_error(lua_State *L) {
  rd_kafka_mock_cluster_t *mc = check(L);
  const char *name = lk_opt_topic(L, 2);
  rd_kafka_mock_topic_set_error(mc, name, (rd_kafka_resp_err_t)lk_opt_int(L, 3, "code", -1, 10000));
  return result(L, RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* leader(topic, partition, broker or -1 for none) */
static int mock_leader(lua_State *L) {
  rd_kafka_mock_cluster_t *mc = check(L);
  const char *topic = lk_opt_topic(L, 2);
  int32_t partition = lk_opt_partition(L, 3);
  int32_t broker = (int32_t)lk_opt_int(L, 4, "broker", -1, INT32_MAX);
  return result(L, rd_kafka_mock_partition_set_leader(mc, topic, partition, broker));
}

/* follower(topic, partition, broker): where clients are told to fetch */
static int mock_follower(lua_State *L) {
  rd_kafka_mock_cluster_t *mc = check(L);
  const char *topic = lk_opt_topic(L, 2);
  int32_t partition = lk_opt_partition(L, 3);
  return result(L, rd_kafka_mock_partition_set_follower(mc, topic, partition, broker_id(L, 4)));
}

/* coordinator("group" or "transaction", key, broker) */
static int mock_coordinator(lua_State *L) {
  rd_kafka_mock_cluster_t *mc = check(L);
  const char *kind = lk_opt_name(L, 2, "kind", 20);
  if (strcmp(kind, "group") != 0 && strcmp(kind, "transaction") != 0) lk_misuse(L, 2, "kind", "\"group\" or \"transaction\"");
  const char *key = lk_opt_name(L, 3, "group", 32767);
  return result(L, rd_kafka_mock_coordinator_set(mc, kind, key, broker_id(L, 4)));
}

static int mock_down(lua_State *L) {
  rd_kafka_mock_cluster_t *mc = check(L);
  return result(L, rd_kafka_mock_broker_set_down(mc, broker_id(L, 2)));
}

static int mock_up(lua_State *L) {
  rd_kafka_mock_cluster_t *mc = check(L);
  return result(L, rd_kafka_mock_broker_set_up(mc, broker_id(L, 2)));
}

/* rtt(broker, ms): how long each answer takes */
static int mock_rtt(lua_State *L) {
  rd_kafka_mock_cluster_t *mc = check(L);
  int32_t broker = broker_id(L, 2);
  return result(L, rd_kafka_mock_broker_set_rtt(mc, broker, lk_opt_ms(L, 3)));
}

/* fail(api, {codes}): the next requests of that kind are answered with these errors; -195 closes the connection */
static int mock_fail(lua_State *L) {
  rd_kafka_resp_err_t codes[ERRORS_MAX];
  rd_kafka_mock_cluster_t *mc = check(L);
  int16_t api = (int16_t)lk_opt_int(L, 2, "api", 0, 1000);
  lk_opt_table(L, 3, "codes");
  lua_Integer n = (lua_Integer)lua_rawlen(L, 3);
  if (n > ERRORS_MAX) lk_misuse(L, 3, "codes", "a list of at most 1000");
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, 3, i);
    codes[i - 1] = (rd_kafka_resp_err_t)lk_opt_int(L, -1, "code", -1000, 10000);
    lua_pop(L, 1);
  }
  rd_kafka_mock_push_request_errors_array(mc, api, (size_t)n, codes);
  return result(L, RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* clear(api): no more injected errors for that kind of request */
static int mock_clear(lua_State *L) {
  rd_kafka_mock_cluster_t *mc = check(L);
  rd_kafka_mock_clear_request_errors(mc, (int16_t)lk_opt_int(L, 2, "api", 0, 1000));
  return result(L, RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* delay(broker, api, ms, times): the next answers of that kind from that broker take so long */
static int mock_delay(lua_State *L) {
  rd_kafka_mock_cluster_t *mc = check(L);
  int32_t broker = broker_id(L, 2);
  int16_t api = (int16_t)lk_opt_int(L, 3, "api", 0, 1000);
  int ms = lk_opt_ms(L, 4);
  rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
  for (lua_Integer n = lk_opt_int(L, 5, "times", 1, ERRORS_MAX); n > 0 && !err; n--) {
    err = rd_kafka_mock_broker_push_request_error_rtts(mc, broker, api, 1, RD_KAFKA_RESP_ERR_NO_ERROR, ms);
  }
  return result(L, err);
}

static const luaL_Reg methods[] = {
    {"client", mock_client},     {"brokers", mock_brokers},         {"topic", mock_topic},
    {"topic_error", mock_topic_error}, {"leader", mock_leader},     {"follower", mock_follower},
    {"coordinator", mock_coordinator}, {"down", mock_down},         {"up", mock_up},
    {"rtt", mock_rtt},           {"fail", mock_fail},               {"clear", mock_clear},
    {"delay", mock_delay},       {NULL, NULL}};

void lk_mock_open(lua_State *L) {
  static const luaL_Reg *const groups[] = {methods, NULL};
  lk_class_open(L, &mock_class, groups);
}

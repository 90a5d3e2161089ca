/* What the cluster says of itself: brokers, topics, partitions with leader, replicas and in-sync replicas, the controller,
 * the cluster's id. */
#include <stdlib.h>
#include <string.h>

#include "field.h"
#include "job.h"
#include "opt.h"
#include "roles.h"

typedef struct metadata_job {
  lk_job job;
  char *topic; /* NULL: all, or brokers only */
  bool all;
  int ms;
  const struct rd_kafka_metadata *found;
  int32_t controller;
  char *cluster;
} metadata_job;

static void metadata_run(lk_job *j) {
  metadata_job *m = (metadata_job *)j;
  rd_kafka_t *rk = j->client->rk;
  rd_kafka_topic_t *only = m->topic ? rd_kafka_topic_new(rk, m->topic, NULL) : NULL;
  j->err = rd_kafka_metadata(rk, m->all, only, &m->found, m->ms);
  if (only) rd_kafka_topic_destroy(only);
  m->controller = -1;
  if (j->err) return;
  /* Both came with the metadata: no request is made, so no time is given. */
  m->controller = rd_kafka_controllerid(rk, 0);
  m->cluster = rd_kafka_clusterid(rk, 0);
}

static void metadata_clear(lk_job *j) {
  metadata_job *m = (metadata_job *)j;
  if (m->found) rd_kafka_metadata_destroy(m->found);
  if (m->cluster) rd_kafka_mem_free(j->client->rk, m->cluster);
  free(m->topic);
}

static void push_brokers(lua_State *L, const struct rd_kafka_metadata *md) {
  lua_createtable(L, md->broker_cnt, 0);
  for (int i = 0; i < md->broker_cnt; i++) {
    lua_createtable(L, 0, 3);
    lk_set_int(L, "id", md->brokers[i].id);
    lua_pushstring(L, md->brokers[i].host);
    lua_setfield(L, -2, "host");
    lk_set_int(L, "port", md->brokers[i].port);
    lua_rawseti(L, -2, i + 1);
  }
}

static void push_partition(lua_State *L, const struct rd_kafka_metadata_partition *p) {
  lua_createtable(L, 0, 5);
  lk_set_int(L, "partition", p->id);
  if (p->leader >= 0) lk_set_int(L, "leader", p->leader);
  lk_set_ids(L, "replicas", p->replicas, p->replica_cnt);
  lk_set_ids(L, "isr", p->isrs, p->isr_cnt);
  lk_set_code(L, p->err, NULL);
}

static void push_topics(lua_State *L, const struct rd_kafka_metadata *md) {
  lua_createtable(L, md->topic_cnt, 0);
  for (int i = 0; i < md->topic_cnt; i++) {
    const struct rd_kafka_metadata_topic *t = &md->topics[i];
    lua_createtable(L, 0, 3);
    lua_pushstring(L, t->topic);
    lua_setfield(L, -2, "topic");
    lua_createtable(L, t->partition_cnt, 0);
    for (int p = 0; p < t->partition_cnt; p++) {
      push_partition(L, &t->partitions[p]);
      lua_rawseti(L, -2, p + 1);
    }
    lua_setfield(L, -2, "partitions");
    lk_set_code(L, t->err, NULL);
    lua_rawseti(L, -2, i + 1);
  }
}

static void metadata_push(lua_State *L, lk_job *j) {
  metadata_job *m = (metadata_job *)j;
  lua_createtable(L, 0, 5);
  push_brokers(L, m->found);
  lua_setfield(L, -2, "brokers");
  push_topics(L, m->found);
  lua_setfield(L, -2, "topics");
  lk_set_int(L, "answered_by", m->found->orig_broker_id);
  if (m->controller >= 0) lk_set_int(L, "controller", m->controller);
  if (m->cluster) {
    lua_pushstring(L, m->cluster);
    lua_setfield(L, -2, "cluster_id");
  }
}

/* metadata(what, ms, ticket) -> true | nil, err; what: a topic's name, true for all topics, false for brokers only.
 * The record is {brokers, topics, answered_by, controller, cluster_id} or {err}. */
static int client_metadata(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  bool named = !lua_isboolean(L, 2);
  const char *topic = named ? lk_opt_topic(L, 2) : NULL;
  bool all = !named && lua_toboolean(L, 2);
  int ms = lk_opt_ms(L, 3);
  int64_t ticket = lk_ticket(L, 4);
  metadata_job *j = lk_job_push(L, LK_ANY, sizeof *j, metadata_run, metadata_push, metadata_clear);
  if (topic && !(j->topic = strdup(topic))) return luaL_error(L, "out of memory");
  j->all = all;
  j->ms = ms;
  return lk_job_start(L, lua_gettop(L), ticket);
}

const luaL_Reg lk_metadata_methods[] = {{"metadata", client_metadata}, {NULL, NULL}};

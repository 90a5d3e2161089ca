/* Offsets: commit to a group's coordinator and what was committed, the ends of a partition, the offsets at a time. */
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "job.h"
#include "misuse.h"
#include "opt.h"
#include "roles.h"
#include "tpl.h"

/* ---- commit: an event answers ---- */

/* commit(rows, ticket) -> true | nil, err; the record is {rows = ..., err = ...} */
static int offset_commit(lua_State *L) {
  lk_client *c = lk_client_check(L, 1, RD_KAFKA_CONSUMER);
  int64_t ticket = lk_ticket(L, 3);
  const rd_kafka_topic_partition_list_t *list = lk_tpl_push(L, 2, LK_TPL_REAL);
  c = lk_client_check(L, 1, RD_KAFKA_CONSUMER);
  rd_kafka_resp_err_t err = rd_kafka_commit_queue(c->rk, list, c->control, NULL, (void *)(intptr_t)ticket);
  if (err) return lk_error_fail(L, err, NULL);
  lua_pushboolean(L, 1);
  return 1;
}

static bool push_commit(lua_State *L, lk_hand *h) {
  intptr_t ticket = (intptr_t)rd_kafka_event_opaque(h->event);
  rd_kafka_resp_err_t err = rd_kafka_event_error(h->event);
  lua_pushinteger(L, ticket);
  lua_createtable(L, 0, 2);
  lk_tpl_rows(L, rd_kafka_event_topic_partition_list(h->event));
  lua_setfield(L, -2, "rows");
  if (err) {
    lk_error_push(L, err, rd_kafka_event_error_string(h->event));
    lua_setfield(L, -2, "err");
  }
  lk_hand_put(L, h);
  return true;
}

/* ---- jobs on a list of partitions ---- */

typedef struct list_job {
  lk_job job;
  rd_kafka_topic_partition_list_t *list;
  int ms;
} list_job;

static void list_clear(lk_job *j) {
  list_job *l = (list_job *)j;
  if (l->list) rd_kafka_topic_partition_list_destroy(l->list);
}

static void list_push(lua_State *L, lk_job *j) {
  lua_createtable(L, 0, 1);
  lk_tpl_rows(L, ((list_job *)j)->list);
  lua_setfield(L, -2, "rows");
}

static int list_start(lua_State *L, int type, void (*run)(lk_job *), lk_tpl_offsets offsets) {
  lk_client_check(L, 1, type);
  int ms = lk_opt_ms(L, 3);
  int64_t ticket = lk_ticket(L, 4);
  const rd_kafka_topic_partition_list_t *list = lk_tpl_push(L, 2, offsets);
  list_job *j = lk_job_push(L, type, sizeof *j, run, list_push, list_clear);
  j->list = rd_kafka_topic_partition_list_copy(list);
  j->ms = ms;
  return lk_job_start(L, lua_gettop(L), ticket);
}

static void committed_run(lk_job *j) {
  list_job *l = (list_job *)j;
  j->err = rd_kafka_committed(j->client->rk, l->list, l->ms);
}

/* committed(rows, ms, ticket) -> true | nil, err; the record is {rows} or {err}; no offset: nothing was committed */
static int offset_committed(lua_State *L) {
  return list_start(L, RD_KAFKA_CONSUMER, committed_run, LK_TPL_NONE);
}

static void times_run(lk_job *j) {
  list_job *l = (list_job *)j;
  j->err = rd_kafka_offsets_for_times(j->client->rk, l->list, l->ms);
}

/* offsets_for_times(rows, ms, ticket): the offset of each row is a timestamp; the record is as for committed, with the
 * first offset at or after that time */
static int offset_times(lua_State *L) {
  return list_start(L, LK_ANY, times_run, LK_TPL_REAL);
}

/* ---- watermarks ---- */

typedef struct marks_job {
  lk_job job;
  char *topic;
  int32_t partition;
  int ms;
  int64_t low, high;
} marks_job;

static void marks_run(lk_job *j) {
  marks_job *m = (marks_job *)j;
  j->err = rd_kafka_query_watermark_offsets(j->client->rk, m->topic, m->partition, &m->low, &m->high, m->ms);
}

static void marks_push(lua_State *L, lk_job *j) {
  lua_createtable(L, 0, 2);
  lua_pushinteger(L, ((marks_job *)j)->low);
  lua_setfield(L, -2, "earliest");
  lua_pushinteger(L, ((marks_job *)j)->high);
  lua_setfield(L, -2, "latest");
}

static void marks_clear(lk_job *j) { free(((marks_job *)j)->topic); }

/* watermarks(topic, partition, ms, ticket) -> true | nil, err; the record is {earliest, latest} or {err} */
static int offset_watermarks(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  const char *topic = lk_opt_topic(L, 2);
  int32_t partition = lk_opt_partition(L, 3);
  int ms = lk_opt_ms(L, 4);
  int64_t ticket = lk_ticket(L, 5);
  marks_job *j = lk_job_push(L, LK_ANY, sizeof *j, marks_run, marks_push, marks_clear);
  j->topic = strdup(topic);
  if (!j->topic) return luaL_error(L, "out of memory");
  j->partition = partition;
  j->ms = ms;
  return lk_job_start(L, lua_gettop(L), ticket);
}

void lk_offset_open(void) { lk_event_register(RD_KAFKA_EVENT_OFFSET_COMMIT, push_commit); }

const luaL_Reg lk_offset_methods[] = {{"commit", offset_commit},
                                      {"committed", offset_committed},
                                      {"offsets_for_times", offset_times},
                                      {"watermarks", offset_watermarks},
                                      {NULL, NULL}};

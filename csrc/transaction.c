/* The steps of a transaction: each may block, so each is a job. What follows from their errors is Lua's. */
#include "error.h"
#include "job.h"
#include "opt.h"
#include "roles.h"
#include "tpl.h"

typedef struct step {
  lk_job job;
  int ms;
  rd_kafka_topic_partition_list_t *offsets;
  rd_kafka_consumer_group_metadata_t *group;
} step;

static void step_clear(lk_job *j) {
  step *s = (step *)j;
  if (s->offsets) rd_kafka_topic_partition_list_destroy(s->offsets);
  if (s->group) rd_kafka_consumer_group_metadata_destroy(s->group);
}

static void step_push(lua_State *L, lk_job *j) {
  (void)j;
  lua_createtable(L, 0, 0);
}

static void init_run(lk_job *j) { j->error = rd_kafka_init_transactions(j->client->rk, ((step *)j)->ms); }
static void begin_run(lk_job *j) { j->error = rd_kafka_begin_transaction(j->client->rk); }
static void commit_run(lk_job *j) { j->error = rd_kafka_commit_transaction(j->client->rk, ((step *)j)->ms); }
static void abort_run(lk_job *j) { j->error = rd_kafka_abort_transaction(j->client->rk, ((step *)j)->ms); }
static void offsets_run(lk_job *j) {
  step *s = (step *)j;
  j->error = rd_kafka_send_offsets_to_transaction(j->client->rk, s->offsets, s->group, s->ms);
}

static int start(lua_State *L, void (*run)(lk_job *)) {
  lk_client_check(L, 1, RD_KAFKA_PRODUCER);
  int ms = lk_opt_ms(L, 2);
  int64_t ticket = lk_ticket(L, 3);
  step *s = lk_job_push(L, RD_KAFKA_PRODUCER, sizeof *s, run, step_push, step_clear);
  s->ms = ms;
  return lk_job_start(L, lua_gettop(L), ticket);
}

/* txn_init(ms, ticket), txn_begin, txn_commit, txn_abort -> true | nil, err; the record is {} or {err} */
static int txn_init(lua_State *L) { return start(L, init_run); }
static int txn_begin(lua_State *L) { return start(L, begin_run); }
static int txn_commit(lua_State *L) { return start(L, commit_run); }
static int txn_abort(lua_State *L) { return start(L, abort_run); }

/* Of the member as it is, or as it was when it began to leave; NULL where it cannot be had, with *e where librdkafka says why. */
static rd_kafka_consumer_group_metadata_t *metadata_of(const lk_client *c, rd_kafka_error_t **e) {
  *e = NULL;
  if (!c->hand.leaving) return rd_kafka_consumer_group_metadata(c->rk);
  void *bytes;
  size_t size;
  rd_kafka_consumer_group_metadata_t *copy = NULL;
  if (!c->group) return NULL;
  *e = rd_kafka_consumer_group_metadata_write(c->group, &bytes, &size);
  if (!*e) {
    *e = rd_kafka_consumer_group_metadata_read(&copy, bytes, size);
    rd_kafka_mem_free(c->rk, bytes);
  }
  return copy;
}

/* txn_offsets(rows, consumer, ms, ticket) -> true | nil, err: rows become the consumer's group's with the transaction. */
static int txn_offsets(lua_State *L) {
  lk_client_check(L, 1, RD_KAFKA_PRODUCER);
  lk_client_check(L, 3, RD_KAFKA_CONSUMER);
  int ms = lk_opt_ms(L, 4);
  int64_t ticket = lk_ticket(L, 5);
  const rd_kafka_topic_partition_list_t *rows = lk_tpl_push(L, 2, LK_TPL_REAL);
  step *s = lk_job_push(L, RD_KAFKA_PRODUCER, sizeof *s, offsets_run, step_push, step_clear);
  int box = lua_gettop(L);
  s->ms = ms;
  s->offsets = rd_kafka_topic_partition_list_copy(rows);
  const lk_client *c = lk_client_check(L, 3, RD_KAFKA_CONSUMER);
  rd_kafka_error_t *e;
  s->group = metadata_of(c, &e);
  if (!s->group) return e ? lk_error_take(L, e) : lk_client_left(L);
  /* Thrown out of its group, it has metadata of a member that the coordinator takes for no member at all, and serves. */
  if (rd_kafka_assignment_lost(c->rk)) return lk_error_fail(L, RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST, NULL);
  return lk_job_start(L, box, ticket);
}

const luaL_Reg lk_transaction_methods[] = {{"txn_init", txn_init},   {"txn_begin", txn_begin},
                                           {"txn_commit", txn_commit}, {"txn_abort", txn_abort},
                                           {"txn_offsets", txn_offsets}, {NULL, NULL}};

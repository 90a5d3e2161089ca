/* Consuming by assignment: which partitions the handle fetches, and from where. Joining no group. Where the messages go is
 * inbox.c's. */
#include "client.h"
#include "error.h"
#include "opt.h"
#include "roles.h"
#include "tpl.h"

/* Returns when librdkafka has stopped what it was told to: its main thread takes what it is asked in turn. Without this a
 * second whole assignment stops a partition twice, on which librdkafka aborts ("rktp->rktp_started"), and what it notes of the
 * stop in a partition's queue comes after inbox.c has emptied that. */
static void settle(lk_client *c) {
  rd_kafka_topic_partition_list_t *list = NULL;
  if (!rd_kafka_assignment(c->rk, &list)) rd_kafka_topic_partition_list_destroy(list);
}

typedef rd_kafka_error_t *(*change)(lk_client *, const rd_kafka_topic_partition_list_t *);

static int apply(lua_State *L, change f, lk_tpl_offsets offsets) {
  lk_client_check(L, 1, RD_KAFKA_CONSUMER);
  const rd_kafka_topic_partition_list_t *list = lk_tpl_push(L, 2, offsets);
  lk_client *c = lk_client_check(L, 1, RD_KAFKA_CONSUMER);
  if (c->hand.leaving) return lk_client_left(L);
  rd_kafka_error_t *e = f(c, list);
  if (e) return lk_error_take(L, e);
  lua_pushboolean(L, 1);
  return 1;
}

/* A NULL list: none. */
static int assign_whole(lua_State *L, const rd_kafka_topic_partition_list_t *list) {
  lk_client *c = lk_client_check(L, 1, RD_KAFKA_CONSUMER);
  if (c->hand.leaving) return lk_client_left(L);
  rd_kafka_resp_err_t err = rd_kafka_assign(c->rk, list);
  settle(c);
  if (err) return lk_error_fail(L, err, NULL);
  lua_pushboolean(L, 1);
  return 1;
}

static rd_kafka_error_t *assign_more(lk_client *c, const rd_kafka_topic_partition_list_t *rows) {
  return rd_kafka_incremental_assign(c->rk, rows);
}

/* add(rows) -> true | nil, err: fetches these partitions too, each from its offset (named positions included). */
static int consumer_add(lua_State *L) { return apply(L, assign_more, LK_TPL_NAMED); }

/* remove(rows) -> true | nil, err: fetches these no longer. When it returns, nothing of theirs comes any more: what is
 * queued is out of date for librdkafka. A partition that stands there twice would make librdkafka abort the process. */
static rd_kafka_error_t *unassign_each(lk_client *c, const rd_kafka_topic_partition_list_t *rows) {
  rd_kafka_topic_partition_list_t *once = rd_kafka_topic_partition_list_new(rows->cnt);
  for (int i = 0; i < rows->cnt; i++) {
    const rd_kafka_topic_partition_t *tp = &rows->elems[i];
    if (rd_kafka_topic_partition_list_find(once, tp->topic, tp->partition)) continue;
    rd_kafka_topic_partition_list_add(once, tp->topic, tp->partition);
  }
  rd_kafka_error_t *e = rd_kafka_incremental_unassign(c->rk, once);
  rd_kafka_topic_partition_list_destroy(once);
  settle(c);
  return e;
}

static int consumer_remove(lua_State *L) { return apply(L, unassign_each, LK_TPL_NONE); }

/* assign(rows) -> true | nil, err: fetches these and no others. */
static int consumer_assign(lua_State *L) {
  lk_client_check(L, 1, RD_KAFKA_CONSUMER);
  return assign_whole(L, lk_tpl_push(L, 2, LK_TPL_NAMED));
}

/* unassign() -> true | nil, err: fetches none any more. */
static int consumer_unassign(lua_State *L) { return assign_whole(L, NULL); }

static void list_free(void *p) { rd_kafka_topic_partition_list_destroy(p); }

/* assigned() -> rows */
static int consumer_assigned(lua_State *L) {
  lk_box *box = lk_box_push(L, list_free);
  lk_client *c = lk_client_check(L, 1, RD_KAFKA_CONSUMER);
  rd_kafka_topic_partition_list_t *list = NULL;
  if (c->hand.leaving) return lk_client_left(L);
  rd_kafka_resp_err_t err = rd_kafka_assignment(c->rk, &list);
  if (err) return lk_error_fail(L, err, NULL);
  box->p = list;
  lk_tpl_rows(L, list);
  return 1;
}

const luaL_Reg lk_consumer_methods[] = {
    {"add", consumer_add}, {"remove", consumer_remove}, {"assigned", consumer_assigned}, {"assign", consumer_assign},
    {"unassign", consumer_unassign}, {NULL, NULL}};

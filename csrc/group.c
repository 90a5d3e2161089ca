/* Membership of a group: subscribing, what the group gives and takes away, leaving. Which partitions are then fetched, and
 * from where, is for Lua to say by consumer.c's calls: each "rebalance" record is answered by one of them. */
#include <time.h>

#include "client.h"
#include "error.h"
#include "job.h"
#include "misuse.h"
#include "opt.h"
#include "roles.h"
#include "tpl.h"

#define NAME_MAX_BYTES 1000 /* of a topic or a pattern */
#define PULSE_MS 100        /* librdkafka hears that often that the caller is alive */

static void list_free(void *p) { rd_kafka_topic_partition_list_destroy(p); }

/* subscribe(names, patient) -> true | nil, err: a name that begins with ^ is a regular expression. `patient`: this librdkafka
 * aborts the process where the client ends before the group has assigned partitions, so its end waits for that. */
static int group_subscribe(lua_State *L) {
  lk_client_check(L, 1, RD_KAFKA_CONSUMER);
  lk_opt_table(L, 2, "topics");
  bool patient = lua_toboolean(L, 3);
  lk_box *box = lk_box_push(L, list_free);
  rd_kafka_topic_partition_list_t *list = box->p = rd_kafka_topic_partition_list_new(4);
  lua_Integer n = (lua_Integer)lua_rawlen(L, 2);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, 2, i);
    rd_kafka_topic_partition_list_add(list, lk_opt_name(L, -1, "topic", NAME_MAX_BYTES), RD_KAFKA_PARTITION_UA);
    lua_pop(L, 1);
  }
  lk_client *c = lk_client_check(L, 1, RD_KAFKA_CONSUMER);
  if (c->hand.leaving) return lk_client_left(L);
  rd_kafka_resp_err_t err = rd_kafka_subscribe(c->rk, list);
  if (err) return lk_error_fail(L, err, NULL);
  c->patient = patient;
  lua_pushboolean(L, 1);
  return 1;
}

/* unsubscribe() -> true | nil, err */
static int group_unsubscribe(lua_State *L) {
  lk_client *c = lk_client_check(L, 1, RD_KAFKA_CONSUMER);
  if (c->hand.leaving) return lk_client_left(L);
  rd_kafka_resp_err_t err = rd_kafka_unsubscribe(c->rk);
  if (err) return lk_error_fail(L, err, NULL);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- what the group gives and takes away ---- */

/* {kind = "assign" | "revoke", rows, lost, cooperative} or {err} */
static bool push_rebalance(lua_State *L, lk_hand *h) {
  rd_kafka_t *rk = h->rk;
  rd_kafka_resp_err_t err = rd_kafka_event_error(h->event);
  if (!h->leaving) {
    const char *protocol = rd_kafka_rebalance_protocol(rk);
    h->cooperative = protocol && *protocol == 'C';
  }
  lua_pushliteral(L, "rebalance");
  lua_createtable(L, 0, 4);
  lk_tpl_rows(L, rd_kafka_event_topic_partition_list(h->event));
  lua_setfield(L, -2, "rows");
  if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS || err == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
    lua_pushstring(L, err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS ? "assign" : "revoke");
    lua_setfield(L, -2, "kind");
    h->assigned = h->assigned || err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
  } else {
    lk_error_push(L, err, rd_kafka_event_error_string(h->event));
    lua_setfield(L, -2, "err");
  }
  lua_pushboolean(L, rd_kafka_assignment_lost(rk));
  lua_setfield(L, -2, "lost");
  lua_pushboolean(L, h->cooperative);
  lua_setfield(L, -2, "cooperative");
  lk_hand_put(L, h);
  return true;
}

static int64_t coarse_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* pulse() -> whether there may be something to drain, or 0.1 s have passed since the last time it said so. Tells
 * librdkafka that the caller still polls (max.poll.interval.ms): a queue that is never asked counts as forgotten. */
static int group_pulse(lua_State *L) {
  lk_client *c = lk_client_check(L, 1, RD_KAFKA_CONSUMER);
  int64_t now = coarse_ms();
  bool due = now - c->pulse >= PULSE_MS;
  if (due && !c->draining) {
    c->pulse = now;
    if (!c->hand.event) c->hand.event = rd_kafka_queue_poll(c->control, 0);
  }
  lua_pushboolean(L, due || !lk_client_idle(c));
  return 1;
}

/* ---- leaving ---- */

/* The queue that librdkafka's events come through while a member leaves. Everything that the control queue would get is
 * forwarded to it, so it is read through that one. */
typedef struct farewell {
  lk_child child;
  rd_kafka_queue_t *queue;
} farewell;

static void farewell_shut(lk_child *child) {
  farewell *f = (farewell *)child;
  if (!f->queue) return;
  rd_kafka_queue_io_event_enable(f->queue, -1, NULL, 0);
  rd_kafka_queue_destroy(f->queue);
  f->queue = NULL;
}

static int farewell_gc(lua_State *L);
static const luaL_Reg farewell_meta[] = {{"__gc", farewell_gc}, {NULL, NULL}};
static const lk_class farewell_class = {"kafka.farewell", farewell_meta};

static int farewell_gc(lua_State *L) {
  farewell *f = lk_class_test(L, 1, &farewell_class);
  if (!f || !f->child.client || lk_client_forked(f->child.client)) return 0;
  farewell_shut(&f->child);
  lk_child_remove(&f->child);
  return 0;
}

/* leave() -> an object to be kept until left() | nil, err: the member gives its partitions back (a last "rebalance"
 * record, to be answered by resign) and leaves the group. */
static int group_leave(lua_State *L) {
  lk_client_check(L, 1, RD_KAFKA_CONSUMER);
  farewell *f = lk_class_new(L, &farewell_class, sizeof *f, 1);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lk_client *c = lk_client_check(L, 1, RD_KAFKA_CONSUMER);
  if (!c->hand.leaving && !c->group) c->group = rd_kafka_consumer_group_metadata(c->rk);
  f->queue = rd_kafka_queue_new(c->rk);
  lk_child_add(c, &f->child, farewell_shut);
  rd_kafka_queue_io_event_enable(f->queue, lk_port_write_fd(c->port), "!", 1);
  rd_kafka_error_t *e = rd_kafka_consumer_close_queue(c->rk, f->queue);
  if (e) return lk_error_take(L, e);
  c->hand.leaving = true;
  return 1;
}

static void resign_run(lk_job *j) { j->err = rd_kafka_assign(j->client->rk, NULL); }

static void resign_push(lua_State *L, lk_job *j) {
  (void)j;
  lua_createtable(L, 0, 0);
}

/* resign(ticket) -> true | nil, err: gives all partitions back, while a group is left too: the answer to any rebalance then. The
 * record is {} or {err}, and may never come when left() is true. */
static int group_resign(lua_State *L) {
  lk_client_check(L, 1, RD_KAFKA_CONSUMER);
  int64_t ticket = lk_ticket(L, 2);
  lk_job_push(L, RD_KAFKA_CONSUMER, sizeof(lk_job), resign_run, resign_push, NULL);
  return lk_job_start(L, lua_gettop(L), ticket);
}

/* left() -> whether leaving has ended */
static int group_left(lua_State *L) {
  lua_pushboolean(L, rd_kafka_consumer_closed(lk_client_check(L, 1, RD_KAFKA_CONSUMER)->rk));
  return 1;
}

const luaL_Reg lk_group_methods[] = {
    {"subscribe", group_subscribe}, {"unsubscribe", group_unsubscribe}, {"pulse", group_pulse},
    {"leave", group_leave},         {"resign", group_resign},           {"left", group_left},
    {NULL, NULL}};

void lk_group_open(void) { lk_event_register(RD_KAFKA_EVENT_REBALANCE, push_rebalance); }

void lk_farewell_open(lua_State *L) {
  static const luaL_Reg *const none[] = {NULL};
  lk_class_open(L, &farewell_class, none);
}

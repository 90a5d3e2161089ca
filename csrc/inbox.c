/* The life of an inbox and of its partitions; see inbox.h. */
#include "inbox.h"

#include <stdlib.h>
#include <string.h>

#include "misuse.h"
#include "opt.h"
#include "roles.h"

#define CHUNK 512 /* messages asked of librdkafka at once */

/* ---- life ---- */

static void leave_queue(lk_entry *e) {
  if (!e->queue) return;
  rd_kafka_queue_io_event_enable(e->queue, -1, NULL, 0);
  rd_kafka_queue_destroy(e->queue);
  e->queue = NULL;
}

/* Frees what the queue of an unassigned partition still holds: librdkafka would keep it until the next read. */
static void empty_queue(lk_entry *e) {
  rd_kafka_message_t *some[64];
  ssize_t n;
  while (rd_kafka_queue_length(e->queue) > 0 && (n = rd_kafka_consume_batch_queue(e->queue, 0, some, 64)) > 0) {
    while (n > 0) rd_kafka_message_destroy(some[--n]);
  }
}

/* Unassigns what still comes here. Each stop leaves a note in the partition's queue which holds that partition: the two keep
 * each other, and librdkafka frees them by itself only where it knows the topic. */
static void stop(lk_inbox *b) {
  rd_kafka_t *rk = b->child.client->rk;
  rd_kafka_topic_partition_list_t *assigned = NULL;
  if (b->n_entries == 0 || b->child.client->hand.leaving || rd_kafka_assignment(rk, &assigned)) return;
  rd_kafka_topic_partition_list_t *ours = rd_kafka_topic_partition_list_new((int)b->n_entries);
  for (size_t i = 0; i < b->n_entries; i++) {
    const lk_entry *e = &b->entries[i];
    if (!rd_kafka_topic_partition_list_find(assigned, e->topic, e->partition)) continue;
    rd_kafka_topic_partition_list_add(ours, e->topic, e->partition);
  }
  rd_kafka_topic_partition_list_destroy(assigned);
  if (ours->cnt > 0) {
    rd_kafka_error_t *e = rd_kafka_incremental_unassign(rk, ours);
    if (e) rd_kafka_error_destroy(e);
    if (!rd_kafka_assignment(rk, &assigned)) rd_kafka_topic_partition_list_destroy(assigned); /* it has stopped by then */
  }
  rd_kafka_topic_partition_list_destroy(ours);
}

static void inbox_shut(lk_child *child) {
  lk_inbox *b = (lk_inbox *)child;
  stop(b);
  for (size_t i = b->at; i < b->n; i++) {
    if (b->held[i]) rd_kafka_message_destroy(b->held[i]);
  }
  free(b->held);
  b->held = NULL;
  b->at = b->n = b->cap = 0;
  for (size_t i = 0; i < b->n_entries; i++) {
    empty_queue(&b->entries[i]);
    leave_queue(&b->entries[i]);
    free(b->entries[i].topic);
  }
  free(b->entries);
  b->entries = NULL;
  b->n_entries = b->last = b->turn = 0;
}

static int inbox_gc(lua_State *L);
static int inbox_tostring(lua_State *L);
static const luaL_Reg inbox_meta[] = {
    {"__gc", inbox_gc}, {"__tostring", inbox_tostring}, {NULL, NULL}};
static const lk_class inbox_class = {"kafka.inbox", inbox_meta};

static int inbox_gc(lua_State *L) {
  lk_inbox *b = lk_class_test(L, 1, &inbox_class);
  if (!b || !b->child.client || lk_client_forked(b->child.client)) return 0;
  inbox_shut(&b->child);
  lk_child_remove(&b->child);
  return 0;
}

static int inbox_tostring(lua_State *L) {
  lk_inbox *b = lk_class_check(L, 1, &inbox_class);
  if (!b->child.client) {
    lua_pushliteral(L, "kafka.inbox (closed)");
  } else {
    lua_pushfstring(L, "kafka.inbox (open, %I held, room for %I)", (LUAI_UACINT)(b->n - b->at), (LUAI_UACINT)b->cap);
  }
  return 1;
}

lk_inbox *lk_inbox_check(lua_State *L) {
  lk_inbox *b = lk_class_check(L, 1, &inbox_class);
  if (!b->child.client) lk_misuse_error(L, "attempt to use a closed kafka inbox");
  if (lk_client_forked(b->child.client)) {
    lk_misuse_error(L, "attempt to use a kafka client of the parent process after a fork");
  }
  if (b->child.busy) lk_misuse_error(L, "attempt to use a kafka inbox from a finalizer while it is being read");
  return b;
}

/* client:inbox() -> lk_inbox */
static int client_inbox(lua_State *L) {
  lk_client_check(L, 1, RD_KAFKA_CONSUMER);
  lk_inbox *b = lk_class_new(L, &inbox_class, sizeof *b, 1);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lk_child_add(lk_client_check(L, 1, RD_KAFKA_CONSUMER), &b->child, inbox_shut);
  return 1;
}

static int inbox_close(lua_State *L) {
  lk_inbox *b = lk_class_check(L, 1, &inbox_class);
  if (!b->child.client) return 0;
  if (!lk_client_forked(b->child.client)) lk_inbox_check(L);
  return inbox_gc(L);
}

/* ---- entries ---- */

static lk_entry *find(lk_inbox *b, const char *topic, int32_t partition) {
  for (size_t k = 0; k < b->n_entries; k++) {
    size_t i = (b->last + k) % b->n_entries;
    lk_entry *e = &b->entries[i];
    if (e->partition == partition && strcmp(e->topic, topic) == 0) {
      b->last = i;
      return e;
    }
  }
  return NULL;
}

lk_entry *lk_inbox_entry(lk_inbox *b, const rd_kafka_message_t *m) {
  return m->rkt ? find(b, rd_kafka_topic_name(m->rkt), m->partition) : NULL;
}

void lk_inbox_drop(lk_inbox *b, size_t i) {
  rd_kafka_message_destroy(b->held[i]);
  b->held[i] = NULL;
}

/* From now on the partition's messages stay in its own queue and wake this client. */
static bool take_queue(lk_inbox *b, lk_entry *e) {
  lk_client *c = b->child.client;
  e->queue = rd_kafka_queue_get_partition(c->rk, e->topic, e->partition);
  if (!e->queue) return false;
  rd_kafka_queue_forward(e->queue, NULL);
  rd_kafka_queue_io_event_enable(e->queue, lk_port_write_fd(c->port), "!", 1);
  return true;
}

/* open(topic, partition, position or nil): from now on the partition's messages come here. To be called before the
 * partition is assigned, so that none goes elsewhere. */
static int inbox_open(lua_State *L) {
  lk_inbox *b = lk_inbox_check(L);
  const char *topic = lk_opt_topic(L, 2);
  int32_t partition = lk_opt_partition(L, 3);
  int64_t position = lk_opt_int_or(L, 4, "position", 0, LUA_MAXINTEGER, -1);
  if (find(b, topic, partition)) return luaL_error(L, "%s[%d] is open in this inbox already", topic, partition);
  lk_entry *grown = realloc(b->entries, (b->n_entries + 1) * sizeof *grown);
  if (!grown) return luaL_error(L, "out of memory");
  b->entries = grown;
  lk_entry e = {.topic = strdup(topic), .partition = partition, .position = position};
  if (!e.topic || !take_queue(b, &e)) {
    free(e.topic);
    return luaL_error(L, "out of memory");
  }
  b->entries[b->n_entries++] = e;
  return 0;
}

static void drop_held(lk_inbox *b, const lk_entry *e) {
  for (size_t i = b->at; i < b->n; i++) {
    if (b->held[i] && lk_inbox_entry(b, b->held[i]) == e) lk_inbox_drop(b, i);
  }
}

/* drop(topic, partition): forgets the partition and what is held of it. To be called after it was unassigned. */
static int inbox_drop(lua_State *L) {
  lk_inbox *b = lk_inbox_check(L);
  const char *topic = lk_opt_topic(L, 2);
  int32_t partition = lk_opt_partition(L, 3);
  lk_entry *e = find(b, topic, partition);
  if (!e) return 0;
  drop_held(b, e);
  empty_queue(e);
  leave_queue(e);
  free(e->topic);
  *e = b->entries[--b->n_entries];
  b->last = b->turn = 0;
  return 0;
}

/* rewind(topic, partition, position or nil): forgets what is held of it. To be called after it was assigned anew: what its
 * queue still holds of before is out of date for librdkafka. */
static int inbox_rewind(lua_State *L) {
  lk_inbox *b = lk_inbox_check(L);
  const char *topic = lk_opt_topic(L, 2);
  int32_t partition = lk_opt_partition(L, 3);
  int64_t position = lk_opt_int_or(L, 4, "position", 0, LUA_MAXINTEGER, -1);
  lk_entry *e = find(b, topic, partition);
  if (!e) return 0;
  drop_held(b, e);
  e->position = position;
  e->eof = false;
  return 0;
}

/* position(topic, partition) -> the next offset to hand out, or nil where not known yet; whether that is the end; how often
 * the end was reached */
static int inbox_position(lua_State *L) {
  lk_inbox *b = lk_inbox_check(L);
  lk_entry *e = find(b, lk_opt_topic(L, 2), lk_opt_partition(L, 3));
  if (!e) return 0;
  if (e->position >= 0) {
    lua_pushinteger(L, e->position);
  } else {
    lua_pushnil(L);
  }
  lua_pushboolean(L, e->eof);
  lua_pushinteger(L, e->ends);
  return 3;
}

/* ---- messages from librdkafka ---- */

void lk_inbox_close_up(lk_inbox *b) {
  size_t left = b->n - b->at;
  if (b->at == 0 || b->at < left) return;
  memmove(b->held, b->held + b->at, left * sizeof *b->held);
  b->at = 0;
  b->n = left;
}

static void make_room(lua_State *L, lk_inbox *b) {
  if (b->cap - b->n >= CHUNK) return;
  size_t cap = b->cap * 2 + CHUNK;
  rd_kafka_message_t **grown = realloc(b->held, cap * sizeof *grown);
  if (!grown) luaL_error(L, "out of memory");
  b->held = grown;
  b->cap = cap;
}

bool lk_inbox_refill(lua_State *L, lk_inbox *b) {
  make_room(L, b);
  for (size_t k = 0; k < b->n_entries; k++) {
    lk_entry *e = &b->entries[b->turn++ % b->n_entries];
    if (rd_kafka_queue_length(e->queue) == 0) continue;
    ssize_t got = rd_kafka_consume_batch_queue(e->queue, 0, b->held + b->n, CHUNK);
    if (got <= 0) continue;
    b->n += (size_t)got;
    return true;
  }
  return false;
}

static const luaL_Reg methods[] = {{"open", inbox_open},         {"drop", inbox_drop},    {"rewind", inbox_rewind},
                                   {"position", inbox_position}, {"take", lk_inbox_take}, {"close", inbox_close},
                                   {NULL, NULL}};
const luaL_Reg lk_inbox_roots[] = {{"inbox", client_inbox}, {NULL, NULL}};

void lk_inbox_open(lua_State *L) {
  static const luaL_Reg *const groups[] = {methods, NULL};
  lk_class_open(L, &inbox_class, groups);
}

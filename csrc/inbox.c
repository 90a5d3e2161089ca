/* An inbox: the fetched messages of chosen partitions, and the position in each: the next offset to hand to the caller.
 * Fetches up to N bytes from what librdkafka has brought.
 *
 * Each partition is read from its own queue. Forwarding these to one common queue does not last: librdkafka ends the
 * forwarding when it stops a partition, which it does some time after an unassign has returned, so that a partition taken
 * up again at once would deliver to nobody.
 *
 * librdkafka is asked for messages in batches; what a fetch does not take stays in `held`, in order. A take first decides
 * how far it goes, then builds the Lua values, and only then moves positions and frees messages: one that runs out of
 * memory half way has changed nothing.
 *
 * A message is dropped where its partition is no longer open here, or its offset lies before the position. */
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "error.h"
#include "message.h"
#include "misuse.h"
#include "opt.h"
#include "roles.h"

#define CHUNK 512 /* messages asked of librdkafka at once */

typedef struct entry {
  char *topic;
  int32_t partition;
  rd_kafka_queue_t *queue;
  int64_t position; /* -1: not known before the first message */
  bool eof;
  int64_t ahead; /* what the take under way will make of them */
  bool ahead_eof, moved;
} entry;

typedef struct inbox {
  lk_child child;
  rd_kafka_message_t **held;
  size_t at, n, cap;
  entry *entries;
  size_t n_entries;
  size_t last; /* the entry found last */
  size_t turn; /* the entry whose queue is asked next */
} inbox;

/* ---- life ---- */

static void leave_queue(entry *e) {
  if (!e->queue) return;
  rd_kafka_queue_io_event_enable(e->queue, -1, NULL, 0);
  rd_kafka_queue_destroy(e->queue);
  e->queue = NULL;
}

static void inbox_shut(lk_child *child) {
  inbox *b = (inbox *)child;
  for (size_t i = b->at; i < b->n; i++) {
    if (b->held[i]) rd_kafka_message_destroy(b->held[i]);
  }
  free(b->held);
  b->held = NULL;
  b->at = b->n = b->cap = 0;
  for (size_t i = 0; i < b->n_entries; i++) {
    leave_queue(&b->entries[i]);
    free(b->entries[i].topic);
  }
  free(b->entries);
  b->entries = NULL;
  b->n_entries = b->last = b->turn = 0;
}

static int inbox_gc(lua_State *L);
static int inbox_taken(lua_State *L);
static int inbox_tostring(lua_State *L);
static const luaL_Reg inbox_meta[] = {
    {"__gc", inbox_gc}, {"__close", inbox_taken}, {"__tostring", inbox_tostring}, {NULL, NULL}};
static const lk_class inbox_class = {"kafka.inbox", inbox_meta};

static int inbox_gc(lua_State *L) {
  inbox *b = lk_class_test(L, 1, &inbox_class);
  if (!b || !b->child.client || lk_client_forked(b->child.client)) return 0;
  inbox_shut(&b->child);
  lk_child_remove(&b->child);
  return 0;
}

/* The end of a take, by whatever exit. */
static int inbox_taken(lua_State *L) {
  inbox *b = lk_class_test(L, 1, &inbox_class);
  if (b) b->child.busy = false;
  return 0;
}

static int inbox_tostring(lua_State *L) {
  inbox *b = lk_class_check(L, 1, &inbox_class);
  lua_pushfstring(L, "kafka.inbox (%s)", b->child.client ? "open" : "closed");
  return 1;
}

static inbox *check(lua_State *L) {
  inbox *b = lk_class_check(L, 1, &inbox_class);
  if (!b->child.client) lk_misuse_error(L, "attempt to use a closed kafka inbox");
  if (lk_client_forked(b->child.client)) {
    lk_misuse_error(L, "attempt to use a kafka client of the parent process after a fork");
  }
  if (b->child.busy) lk_misuse_error(L, "attempt to use a kafka inbox from a finalizer while it is being read");
  return b;
}

/* client:inbox() -> inbox */
static int client_inbox(lua_State *L) {
  lk_client *c = lk_client_check(L, 1, RD_KAFKA_CONSUMER);
  inbox *b = lk_class_new(L, &inbox_class, sizeof *b, 1);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lk_child_add(c, &b->child, inbox_shut);
  return 1;
}

static int inbox_close(lua_State *L) {
  inbox *b = lk_class_check(L, 1, &inbox_class);
  if (!b->child.client) return 0;
  if (!lk_client_forked(b->child.client)) check(L);
  return inbox_gc(L);
}

/* ---- entries ---- */

static entry *find(inbox *b, const char *topic, int32_t partition) {
  for (size_t k = 0; k < b->n_entries; k++) {
    size_t i = (b->last + k) % b->n_entries;
    entry *e = &b->entries[i];
    if (e->partition == partition && strcmp(e->topic, topic) == 0) {
      b->last = i;
      return e;
    }
  }
  return NULL;
}

static entry *entry_of(inbox *b, const rd_kafka_message_t *m) {
  return m->rkt ? find(b, rd_kafka_topic_name(m->rkt), m->partition) : NULL;
}

static void drop_held(inbox *b, size_t i) {
  rd_kafka_message_destroy(b->held[i]);
  b->held[i] = NULL;
}

/* From now on the partition's messages stay in its own queue and wake this client. */
static bool take_queue(inbox *b, entry *e) {
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
  inbox *b = check(L);
  const char *topic = lk_opt_topic(L, 2);
  int32_t partition = lk_opt_partition(L, 3);
  int64_t position = lk_opt_int_or(L, 4, "position", 0, LUA_MAXINTEGER, -1);
  if (find(b, topic, partition)) return luaL_error(L, "%s[%d] is open in this inbox already", topic, partition);
  entry *grown = realloc(b->entries, (b->n_entries + 1) * sizeof *grown);
  if (!grown) return luaL_error(L, "out of memory");
  b->entries = grown;
  entry e = {.topic = strdup(topic), .partition = partition, .position = position};
  if (!e.topic || !take_queue(b, &e)) {
    free(e.topic);
    return luaL_error(L, "out of memory");
  }
  b->entries[b->n_entries++] = e;
  return 0;
}

/* Frees what the queue of an unassigned partition still holds: librdkafka would keep it until the next read. */
static void empty_queue(entry *e) {
  rd_kafka_message_t *some[64];
  ssize_t n;
  while (rd_kafka_queue_length(e->queue) > 0 && (n = rd_kafka_consume_batch_queue(e->queue, 0, some, 64)) > 0) {
    while (n > 0) rd_kafka_message_destroy(some[--n]);
  }
}

/* drop(topic, partition): forgets the partition and what is held of it. To be called after it was unassigned. */
static int inbox_drop(lua_State *L) {
  inbox *b = check(L);
  const char *topic = lk_opt_topic(L, 2);
  int32_t partition = lk_opt_partition(L, 3);
  entry *e = find(b, topic, partition);
  if (!e) return 0;
  for (size_t i = b->at; i < b->n; i++) {
    if (b->held[i] && entry_of(b, b->held[i]) == e) drop_held(b, i);
  }
  empty_queue(e);
  leave_queue(e);
  free(e->topic);
  *e = b->entries[--b->n_entries];
  b->last = b->turn = 0;
  return 0;
}

/* position(topic, partition) -> the next offset to hand out, or nil where not known yet; whether the end was reached */
static int inbox_position(lua_State *L) {
  inbox *b = check(L);
  entry *e = find(b, lk_opt_topic(L, 2), lk_opt_partition(L, 3));
  if (!e) return 0;
  if (e->position >= 0) {
    lua_pushinteger(L, e->position);
  } else {
    lua_pushnil(L);
  }
  lua_pushboolean(L, e->eof);
  return 2;
}

/* ---- take ---- */

typedef struct span {
  size_t end;   /* held[at..end) is taken */
  size_t count; /* messages in it */
  size_t bytes;
  bool error; /* held[end] is an error, and nothing is before it */
} span;

static void make_room(lua_State *L, inbox *b) {
  if (b->cap - b->n >= CHUNK) return;
  size_t cap = b->cap * 2 + CHUNK;
  rd_kafka_message_t **grown = realloc(b->held, cap * sizeof *grown);
  if (!grown) luaL_error(L, "out of memory");
  b->held = grown;
  b->cap = cap;
}

/* Asks librdkafka for more, one partition after the other; false where none has anything now. */
static bool refill(lua_State *L, inbox *b) {
  make_room(L, b);
  for (size_t k = 0; k < b->n_entries; k++) {
    entry *e = &b->entries[b->turn++ % b->n_entries];
    if (rd_kafka_queue_length(e->queue) == 0) continue;
    ssize_t got = rd_kafka_consume_batch_queue(e->queue, 0, b->held + b->n, CHUNK);
    if (got <= 0) continue;
    b->n += (size_t)got;
    return true;
  }
  return false;
}

static bool is_message(const rd_kafka_message_t *m) { return m && !m->err; }

static bool stale(inbox *b, const rd_kafka_message_t *m) {
  entry *e = entry_of(b, m);
  return !e || (!m->err && e->position >= 0 && m->offset < e->position);
}

/* Decides how far a take goes: one message at least where there is one, and none past max_bytes after the first. */
static span measure(lua_State *L, inbox *b, size_t max_bytes, size_t max_count) {
  if (b->at == b->n) b->at = b->n = 0;
  span s = {.end = b->at, .count = 0, .bytes = 0, .error = false};
  for (;; s.end++) {
    if (s.end == b->n && !refill(L, b)) return s;
    rd_kafka_message_t *m = b->held[s.end];
    if (!m) continue;
    if (stale(b, m)) {
      drop_held(b, s.end);
      continue;
    }
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) continue;
    if (m->err) {
      s.error = s.count == 0;
      return s;
    }
    size_t size = m->len + m->key_len;
    if (s.count == max_count || (s.count > 0 && s.bytes + size > max_bytes)) return s;
    s.count++;
    s.bytes += size;
  }
}

/* Works out where each entry will stand when held[at..end) has been taken. */
static void plan(inbox *b, size_t end) {
  for (size_t i = 0; i < b->n_entries; i++) {
    entry *e = &b->entries[i];
    e->ahead = e->position;
    e->ahead_eof = e->eof;
    e->moved = false;
  }
  for (size_t i = b->at; i < end; i++) {
    const rd_kafka_message_t *m = b->held[i];
    entry *e = m ? entry_of(b, m) : NULL;
    if (!e) continue;
    int64_t next = m->err ? m->offset : m->offset + 1;
    if (next > e->ahead) e->ahead = next;
    e->ahead_eof = m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
    e->moved = true;
  }
}

/* Makes the plan true and frees the messages. Raises nothing. */
static void settle(inbox *b, size_t end) {
  for (size_t i = 0; i < b->n_entries; i++) {
    b->entries[i].position = b->entries[i].ahead;
    b->entries[i].eof = b->entries[i].ahead_eof;
  }
  for (; b->at < end; b->at++) {
    if (b->held[b->at]) drop_held(b, b->at);
  }
}

static void push_tables(lua_State *L, inbox *b, const span *s) {
  int batch = lua_gettop(L), names = batch + 1;
  lk_message_names(L);
  lk_class_push(L, &lk_message_class);
  int meta = lua_gettop(L), topic = meta + 1;
  lua_pushnil(L);
  const rd_kafka_topic_t *rkt = NULL;
  lua_Integer n = 0;
  for (size_t i = b->at; i < s->end; i++) {
    const rd_kafka_message_t *m = b->held[i];
    if (!is_message(m)) continue;
    if (m->rkt != rkt) {
      rkt = m->rkt;
      lua_pushstring(L, rd_kafka_topic_name(rkt));
      lua_replace(L, topic);
    }
    lk_message_push(L, m, names, topic, meta);
    lua_rawseti(L, batch, ++n);
  }
  lua_settop(L, batch);
}

static void push_columns(lua_State *L, inbox *b, const span *s, const int *fields, int n_fields) {
  int batch = lua_gettop(L);
  for (int f = 0; f < n_fields; f++) {
    lua_createtable(L, (int)s->count, 0);
    lua_Integer n = 0;
    for (size_t i = b->at; i < s->end; i++) {
      if (!is_message(b->held[i])) continue;
      lk_message_field(L, b->held[i], fields[f]);
      lua_rawseti(L, -2, ++n);
    }
    lua_setfield(L, batch, lk_message_fields[fields[f]]);
  }
}

/* Sets batch.next = the rows {topic, partition, offset} of the partitions that the take moves. */
static void push_next(lua_State *L, inbox *b) {
  lua_newtable(L);
  lua_Integer n = 0;
  for (size_t i = 0; i < b->n_entries; i++) {
    const entry *e = &b->entries[i];
    if (!e->moved) continue;
    lua_createtable(L, 0, 3);
    lua_pushstring(L, e->topic);
    lua_setfield(L, -2, "topic");
    lua_pushinteger(L, e->partition);
    lua_setfield(L, -2, "partition");
    lua_pushinteger(L, e->ahead);
    lua_setfield(L, -2, "offset");
    lua_rawseti(L, -2, ++n);
  }
  lua_setfield(L, -2, "next");
}

static int read_fields(lua_State *L, int idx, int *fields) {
  int n = 0;
  if (lua_isnoneornil(L, idx)) return 0;
  lk_opt_table(L, idx, "columns");
  for (lua_Integer i = 1; lua_rawgeti(L, idx, i) != LUA_TNIL && n < LK_FIELDS; i++) {
    const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    int f = 0;
    while (f < LK_FIELDS && strcmp(name, lk_message_fields[f]) != 0) f++;
    if (f == LK_FIELDS) {
      lk_misuse(L, -1, "each column", "topic, partition, offset, key, value, headers, timestamp or leader_epoch");
    }
    fields[n++] = f;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return n;
}

/* Takes the error at held[at]: nil and its table, with what it is about. */
static int take_error(lua_State *L, inbox *b) {
  const rd_kafka_message_t *m = b->held[b->at];
  lk_error_fail(L, m->err, rd_kafka_message_errstr(m));
  lua_pushstring(L, m->rkt ? rd_kafka_topic_name(m->rkt) : NULL);
  lua_setfield(L, -2, "topic");
  lua_pushinteger(L, m->partition);
  lua_setfield(L, -2, "partition");
  if (m->offset >= 0) {
    lua_pushinteger(L, m->offset);
    lua_setfield(L, -2, "offset");
  }
  drop_held(b, b->at++);
  return 2;
}

/* take(max_bytes, max_messages, columns) -> batch {messages or columns, n, bytes, next} | nil, err
 * Never blocks; an empty batch where nothing is there. */
static int inbox_take(lua_State *L) {
  int fields[LK_FIELDS];
  lua_settop(L, 4);
  inbox *b = check(L);
  size_t max_bytes = (size_t)lk_opt_int(L, 2, "max_bytes", 0, LUA_MAXINTEGER);
  size_t max_count = (size_t)lk_opt_int(L, 3, "max_messages", 1, LUA_MAXINTEGER);
  int n_fields = read_fields(L, 4, fields);
  lua_pushvalue(L, 1);
  lua_toclose(L, -1);
  b->child.busy = true;
  luaL_checkstack(L, 2 * LK_FIELDS + 8, NULL);
  span s = measure(L, b, max_bytes, max_count);
  plan(b, s.end);
  if (s.error) {
    settle(b, s.end); /* only ends of partitions are before it */
    return take_error(L, b);
  }
  lua_createtable(L, n_fields ? 0 : (int)s.count, 8);
  if (n_fields) {
    push_columns(L, b, &s, fields, n_fields);
  } else {
    push_tables(L, b, &s);
  }
  push_next(L, b);
  lua_pushinteger(L, (lua_Integer)s.count);
  lua_setfield(L, -2, "n");
  lua_pushinteger(L, (lua_Integer)s.bytes);
  lua_setfield(L, -2, "bytes");
  settle(b, s.end);
  return 1;
}

static const luaL_Reg methods[] = {{"open", inbox_open},   {"drop", inbox_drop},   {"position", inbox_position},
                                   {"take", inbox_take},   {"close", inbox_close}, {NULL, NULL}};
const luaL_Reg lk_inbox_roots[] = {{"inbox", client_inbox}, {NULL, NULL}};

void lk_inbox_open(lua_State *L) {
  static const luaL_Reg *const groups[] = {methods, NULL};
  lk_class_open(L, &inbox_class, groups);
}

/* One fetch from an inbox: up to N bytes of what librdkafka has brought, as message tables or as columns.
 *
 * A take first decides how far it goes, then builds the Lua values, and only then moves positions and frees messages: one
 * that runs out of memory half way has changed nothing. A message is dropped where its partition is no longer open here, or
 * its offset lies before what is handed out already, by this take or before. */
#include <string.h>

#include "error.h"
#include "inbox.h"
#include "message.h"
#include "misuse.h"
#include "opt.h"

typedef struct span {
  size_t end;   /* held[at..end) is taken */
  size_t count; /* messages in it */
  size_t bytes;
  bool error; /* held[end] is an error, and nothing is before it */
} span;

static bool is_message(const rd_kafka_message_t *m) { return m && !m->err; }

/* The entry of the message before: most of the time that of the next one too. */
typedef struct cursor {
  const rd_kafka_topic_t *rkt;
  int32_t partition;
  lk_entry *entry;
} cursor;

static lk_entry *entry_of(lk_inbox *b, cursor *c, const rd_kafka_message_t *m) {
  if (c->entry && m->rkt == c->rkt && m->partition == c->partition) return c->entry;
  *c = (cursor){m->rkt, m->partition, lk_inbox_entry(b, m)};
  return c->entry;
}

/* Notes where the entry will stand when the message, or the end of its partition, has been taken. */
static void plan(lk_entry *e, const rd_kafka_message_t *m) {
  int64_t next = m->err ? m->offset : m->offset + 1;
  if (next > e->ahead) e->ahead = next;
  e->ahead_eof = m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
  if (e->ahead_eof) e->ahead_ends++;
  e->moved = true;
}

static void plan_nothing(lk_inbox *b) {
  for (size_t i = 0; i < b->n_entries; i++) {
    lk_entry *e = &b->entries[i];
    e->ahead = e->position;
    e->ahead_eof = e->eof;
    e->ahead_ends = e->ends;
    e->moved = false;
  }
}

/* Decides how far a take goes, and plans it: one message at least where there is one, and none past max_bytes after the
 * first. */
static span measure(lua_State *L, lk_inbox *b, size_t max_bytes, size_t max_count) {
  lk_inbox_close_up(b);
  span s = {.end = b->at, .count = 0, .bytes = 0, .error = false};
  cursor c = {NULL, 0, NULL};
  plan_nothing(b);
  for (;; s.end++) {
    if (s.end == b->n && !lk_inbox_refill(L, b)) return s;
    rd_kafka_message_t *m = b->held[s.end];
    if (!m) continue;
    lk_entry *e = entry_of(b, &c, m);
    if (!e || (!m->err && m->offset < e->ahead)) { /* out of date, or here twice: a partition that was assigned anew */
      lk_inbox_drop(b, s.end);
      continue;
    }
    if (m->err && m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      s.error = s.count == 0;
      return s;
    }
    if (!m->err) {
      size_t size = m->len + m->key_len;
      if (s.count == max_count || (s.count > 0 && s.bytes + size > max_bytes)) return s;
      s.count++;
      s.bytes += size;
    }
    plan(e, m);
  }
}

/* Makes the plan true and frees the messages. Raises nothing. */
static void settle(lk_inbox *b, size_t end) {
  for (size_t i = 0; i < b->n_entries; i++) {
    b->entries[i].position = b->entries[i].ahead;
    b->entries[i].eof = b->entries[i].ahead_eof;
    b->entries[i].ends = b->entries[i].ahead_ends;
  }
  for (; b->at < end; b->at++) {
    if (b->held[b->at]) lk_inbox_drop(b, b->at);
  }
}

static void push_tables(lua_State *L, lk_inbox *b, const span *s) {
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

/* All columns in one go: each message is looked at once, while it is in the processor's cache. */
static void push_columns(lua_State *L, lk_inbox *b, const span *s, const int *fields, int n_fields) {
  int batch = lua_gettop(L);
  for (int f = 0; f < n_fields; f++) lua_createtable(L, (int)s->count, 0);
  lua_Integer n = 0;
  for (size_t i = b->at; i < s->end; i++) {
    const rd_kafka_message_t *m = b->held[i];
    if (!is_message(m)) continue;
    n++;
    for (int f = 0; f < n_fields; f++) {
      lk_message_field(L, m, fields[f]);
      lua_rawseti(L, batch + 1 + f, n);
    }
  }
  for (int f = n_fields - 1; f >= 0; f--) lua_setfield(L, batch, lk_message_fields[fields[f]]);
}

/* Sets batch.next = the rows {topic, partition, offset} of the partitions that the take moves. */
static void push_next(lua_State *L, lk_inbox *b) {
  lua_newtable(L);
  lua_Integer n = 0;
  for (size_t i = 0; i < b->n_entries; i++) {
    const lk_entry *e = &b->entries[i];
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
  if (lua_isnoneornil(L, idx)) return 0;
  lk_opt_table(L, idx, "columns");
  lua_Integer n = (lua_Integer)lua_rawlen(L, idx);
  if (n < 1 || n > LK_FIELDS) lk_misuse(L, idx, "columns", "a list of 1 to 8 field names");
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, idx, i);
    const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    int f = 0;
    while (f < LK_FIELDS && strcmp(name, lk_message_fields[f]) != 0) f++;
    if (f == LK_FIELDS) {
      lk_misuse(L, -1, "each column", "topic, partition, offset, key, value, headers, timestamp or leader_epoch");
    }
    fields[i - 1] = f;
    lua_pop(L, 1);
  }
  return (int)n;
}

/* Takes the error at held[at]: nil and its table, with what it is about. */
static int take_error(lua_State *L, lk_inbox *b) {
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
  lk_inbox_drop(b, b->at++);
  return 2;
}

/* The part of a take that allocates; the arguments are checked. */
static int take_body(lua_State *L) {
  int fields[LK_FIELDS];
  lk_inbox *b = lua_touserdata(L, 1);
  luaL_checkstack(L, 2 * LK_FIELDS + 8, NULL);
  int n_fields = read_fields(L, 4, fields);
  span s = measure(L, b, (size_t)lua_tointeger(L, 2), (size_t)lua_tointeger(L, 3));
  if (s.error) {
    settle(b, s.end); /* only ends of partitions are before it */
    return take_error(L, b);
  }
  /* Room for the fields that Lua adds: once the positions have moved, nothing may find no memory. */
  lua_createtable(L, n_fields ? 0 : (int)s.count, 8 + n_fields);
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

/* take(max_bytes, max_messages, columns) -> batch {messages or columns, n, bytes, next} | nil, err
 * Never blocks; an empty batch where nothing is there. Busy until it returns: a finalizer that calls back in is refused.
 * The mark is taken back by a protected call, the only way that needs no memory. */
int lk_inbox_take(lua_State *L) {
  lua_settop(L, 4);
  lk_inbox *b = lk_inbox_check(L);
  lk_opt_int(L, 2, "max_bytes", 0, LUA_MAXINTEGER);
  lk_opt_int(L, 3, "max_messages", 1, LUA_MAXINTEGER);
  b->child.busy = true;
  lua_pushcfunction(L, take_body);
  for (int i = 1; i <= 4; i++) lua_pushvalue(L, i);
  int status = lua_pcall(L, 4, LUA_MULTRET, 0);
  b->child.busy = false;
  return status == LUA_OK ? lua_gettop(L) - 4 : lua_error(L);
}

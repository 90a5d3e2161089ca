/* Producing: one message, many in one crossing, what is pending, flush and purge. Every accepted message has one report, see
 * report.c. When to wait, to retry and to give up is Lua's. */
#include "error.h"
#include "job.h"
#include "message.h"
#include "misuse.h"
#include "opt.h"
#include "report.h"
#include "roles.h"

#define FLAGS (RD_KAFKA_MSG_F_COPY)

typedef struct item {
  const char *value, *key;
  size_t value_len, key_len;
  int32_t partition;
  int64_t timestamp; /* 0: now */
  void *ticket;
} item;

/* A timestamp below this looks like seconds: in milliseconds it lies before March 1973. */
#define TIMESTAMP_MIN 100000000000LL

static int64_t read_timestamp(lua_State *L, int idx) {
  if (lua_isnil(L, idx)) return 0;
  int whole;
  lua_Integer n = lua_type(L, idx) == LUA_TNUMBER ? lua_tointegerx(L, idx, &whole) : (whole = 0);
  if (!whole || n < TIMESTAMP_MIN) lk_misuse(L, idx, "timestamp", "integer milliseconds since the epoch (1e11 or more)");
  return n;
}

/* Hands one message to the library. On success it owns the headers in the box. */
static rd_kafka_resp_err_t hand_over(lk_client *c, rd_kafka_topic_t *topic, const item *m, lk_box *headers) {
  rd_kafka_headers_t *h = headers ? headers->p : NULL;
  if (!h && m->timestamp == 0) {
    if (rd_kafka_produce(topic, m->partition, FLAGS, (void *)m->value, m->value_len, m->key, m->key_len, m->ticket) != 0) {
      return rd_kafka_last_error();
    }
  } else {
    rd_kafka_resp_err_t err =
        h ? rd_kafka_producev(c->rk, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(m->partition),
                              RD_KAFKA_V_MSGFLAGS(FLAGS), RD_KAFKA_V_VALUE((void *)m->value, m->value_len),
                              RD_KAFKA_V_KEY(m->key, m->key_len), RD_KAFKA_V_TIMESTAMP(m->timestamp),
                              RD_KAFKA_V_HEADERS(h), RD_KAFKA_V_OPAQUE(m->ticket), RD_KAFKA_V_END)
          : rd_kafka_producev(c->rk, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(m->partition),
                              RD_KAFKA_V_MSGFLAGS(FLAGS), RD_KAFKA_V_VALUE((void *)m->value, m->value_len),
                              RD_KAFKA_V_KEY(m->key, m->key_len), RD_KAFKA_V_TIMESTAMP(m->timestamp),
                              RD_KAFKA_V_OPAQUE(m->ticket), RD_KAFKA_V_END);
    if (err) return err;
    if (h) lk_box_take(headers);
  }
  c->accepted++;
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* The headers of one message, in a box that closes with the stack slot it stands in; NULL for none. */
static lk_box *read_headers(lua_State *L, int idx) {
  if (lua_isnil(L, idx)) return NULL;
  lk_box *box = lk_box_push(L, lk_message_headers_free);
  lk_message_headers(L, idx, box);
  return box;
}

/* produce(topic, value, ticket, key, partition, timestamp, headers, now) -> true | false: drain first, call again | nil, err
 * Most messages have no more than the first three. `now`: never false. */
static int producer_produce(lua_State *L) {
  lk_client *c = lk_client_check(L, 1, RD_KAFKA_PRODUCER);
  item m = {.partition = RD_KAFKA_PARTITION_UA};
  lk_box *headers = NULL;
  bool now = false;
  m.value = lk_opt_bytes(L, 3, "value", &m.value_len);
  m.ticket = lk_report_mark(lk_opt_int(L, 4, "ticket", 0, LK_TICKET_MAX), 0, false);
  if (lua_gettop(L) > 4) {
    lua_settop(L, 9);
    now = lua_toboolean(L, 9);
    m.key = lk_opt_bytes(L, 5, "key", &m.key_len);
    if (!lua_isnil(L, 6)) m.partition = lk_opt_partition(L, 6);
    m.timestamp = read_timestamp(L, 7);
    headers = read_headers(L, 8);
    c = lk_client_again(L, 1);
  }
  rd_kafka_topic_t *topic = lk_topics_get(L, &c->topics, c->rk, 1, 2);
  c = lk_client_again(L, 1);
  if (!now && !c->draining && !lk_client_idle(c)) {
    lua_pushboolean(L, 0);
    return 1;
  }
  rd_kafka_resp_err_t err = hand_over(c, topic, &m, headers);
  if (err) return lk_error_fail(L, err, NULL);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- the shortest way, for a stream of messages ---- */

/* The client of a kafka.Producer, a table whose entry 1 is the core's handle; NULL where it is no such thing, closed, or of the
 * parent process. Leaves what it pushed. */
static lk_client *quick_client(lua_State *L) {
  if (lua_type(L, 1) != LUA_TTABLE) return NULL;
  lua_rawgeti(L, 1, 1);
  lk_client **h = lua_touserdata(L, -1);
  if (!h || !lua_getmetatable(L, -1) || !lua_rawequal(L, -1, lua_upvalueindex(1))) return NULL;
  lk_client *c = *h;
  return c && c->control && c->type == RD_KAFKA_PRODUCER && !lk_client_forked(c) ? c : NULL;
}

/* A message of a topic and a value only, to the topic of the one before, while nothing waits to be served: true where it was
 * accepted. Allocates nothing in Lua, so no finalizer runs. */
static bool quick_produce(lua_State *L) {
  lk_client *c = quick_client(L);
  if (!c || c->held || c->draining || !lk_client_quiet(c)) return false;
  size_t len = 0;
  int type = lua_type(L, 3);
  const char *value = type == LUA_TSTRING ? lua_tolstring(L, 3, &len) : NULL;
  rd_kafka_topic_t *topic = lk_topics_last(L, &c->topics, 2);
  if (!topic || (!value && type != LUA_TNIL)) return false;
  void *ticket = lk_report_mark(c->common, 0, false);
  if (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, FLAGS, (void *)value, len, NULL, 0, ticket) != 0) return false;
  c->accepted++;
  return true;
}

static int returned(lua_State *L, int status, lua_KContext n) {
  (void)status, (void)n;
  return lua_gettop(L);
}

static int quick(lua_State *L) {
  int n = lua_gettop(L);
  if (n == 3 && quick_produce(L)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_settop(L, n);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_callk(L, n, LUA_MULTRET, 0, returned); /* which may yield */
  return returned(L, LUA_OK, 0);
}

/* core.quick(f) -> f(producer, topic, value, ...), which calls f only where the shortest way does not do. */
int lk_producer_quick(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lk_class_push(L, &lk_client_class);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, quick, 2);
  return 1;
}

/* common(ticket): the ticket of messages that go the shortest way */
static int producer_common(lua_State *L) {
  lk_client *c = lk_client_check(L, 1, RD_KAFKA_PRODUCER);
  c->common = lk_ticket(L, 2);
  return 0;
}

static const char *const columns[] = {"values", "keys", "partitions", "timestamps", "headers"}; /* arguments 3 to 7 */

/* The i-th entry of a column that may be nil; leaves it on the stack so that its bytes stay. */
static int column(lua_State *L, int idx, lua_Integer i) {
  if (lua_isnil(L, idx)) {
    lua_pushnil(L);
  } else {
    lua_rawgeti(L, idx, i);
  }
  return lua_gettop(L);
}

/* The next entry of a column under way through it; its key must lie in 1..n: any other would be lost in silence. */
static bool next_entry(lua_State *L, int idx, lua_Integer n, const char *name) {
  if (!lua_next(L, idx)) return false;
  lua_Integer at = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
  if (at >= 1 && at <= n) return true;
  lk_misuse_show(L, -2);
  lk_misuse_error(L, "%s must have entries from 1 to %I only (n, where it has holes), got one at %s", name, (LUAI_UACINT)n,
                  lua_tostring(L, -1));
  return false;
}

/* "values[3]", for a message only. */
static const char *label(lua_State *L, const char *name) {
  return lua_pushfstring(L, "%s[%I]", name, (LUAI_UACINT)lua_tointeger(L, -2));
}

static void check_column(lua_State *L, int idx, lua_Integer n) {
  const char *name = columns[idx - 3];
  if (lua_isnil(L, idx)) return;
  lua_pushnil(L);
  for (; next_entry(L, idx, n, name); lua_settop(L, 9)) {
    switch (idx) {
    case 5:
      if (!lk_opt_is_int(L, 10, 0, INT32_MAX)) lk_opt_int(L, 10, label(L, name), 0, INT32_MAX);
      break;
    case 6: read_timestamp(L, 10); break;
    case 7: read_headers(L, 10); break;
    default:
      if (lua_type(L, 10) != LUA_TSTRING) lk_misuse(L, 10, label(L, name), "a string or nil");
    }
  }
}

static void read_item(lua_State *L, lua_Integer i, item *m) {
  m->value = lk_opt_bytes(L, column(L, 3, i), "each value", &m->value_len);
  m->key = lk_opt_bytes(L, column(L, 4, i), "each key", &m->key_len);
  int at = column(L, 5, i);
  m->partition = lua_isnil(L, at) ? RD_KAFKA_PARTITION_UA : lk_opt_partition(L, at);
  m->timestamp = read_timestamp(L, column(L, 6, i));
}

static void check_columns(lua_State *L) {
  luaL_checkstack(L, 16, NULL);
  for (int i = 3; i <= 7; i++) {
    if (i == 3 || !lua_isnil(L, i)) lk_opt_table(L, i, columns[i - 3]);
  }
}

/* check_many(topic, values, keys, partitions, timestamps, headers, n): raises where produce_many would, so that a bad
 * entry is found before the first message is accepted. */
static int producer_check_many(lua_State *L) {
  lk_client_check(L, 1, RD_KAFKA_PRODUCER);
  lua_settop(L, 8);
  check_columns(L);
  lua_Integer n = lk_opt_int(L, 8, "n", 0, LUA_MAXINTEGER);
  lk_opt_topic(L, 2);
  for (int i = 3; i <= 7; i++) check_column(L, i, n);
  return 0;
}

typedef struct span {
  rd_kafka_topic_t *topic;
  int64_t ticket;
  lua_Integer at, last;
  bool indexed, collected;
} span;

static void *mark(const span *s, lua_Integer i) { return lk_report_mark(s->ticket, s->indexed ? i : 0, s->collected); }

/* ---- small messages in one call of the library, which then reads the clock and locks the topic once for all of them ---- */

#define SMALL 800 /* bytes that no message.max.bytes refuses: it is 1000 at least, and counts some 70 for itself */
#define FEW 128

/* Messages of keys and values only: their partition and the time of each are the library's to choose. */
static bool is_plain(lua_State *L) { return lua_isnil(L, 5) && lua_isnil(L, 6) && lua_isnil(L, 7); }

/* The bytes on top of the stack, popped: what holds them is a column, and nothing here allocates. */
static bool pop_small(lua_State *L, void **bytes, size_t *len) {
  int type = lua_type(L, -1);
  *bytes = type == LUA_TSTRING ? (void *)lua_tolstring(L, -1, len) : NULL;
  if (!*bytes) *len = 0;
  lua_pop(L, 1);
  return (*bytes || type == LUA_TNIL) && *len <= SMALL / 2;
}

/* Reads small messages from `at` on; returns how many there are before one that is not: larger, or no message at all. */
static int read_few(lua_State *L, const span *s, rd_kafka_message_t *few) {
  bool keys = !lua_isnil(L, 4);
  int n = 0;
  for (lua_Integer i = s->at; i <= s->last && n < FEW; i++, n++) {
    rd_kafka_message_t *m = &few[n];
    *m = (rd_kafka_message_t){._private = mark(s, i)};
    lua_rawgeti(L, 3, i);
    if (!pop_small(L, &m->payload, &m->len)) break;
    if (!keys) continue;
    lua_rawgeti(L, 4, i);
    if (!pop_small(L, &m->key, &m->key_len)) break;
  }
  return n;
}

/* Hands over small messages; returns the error of the first that is refused. Small ones are refused for a reason that lasts (a
 * full queue, a topic that does not exist): none after it is accepted. */
static rd_kafka_resp_err_t hand_over_few(lua_State *L, span *s) {
  rd_kafka_message_t few[FEW];
  int n;
  while ((n = read_few(L, s, few)) > 0) {
    lk_client *c = lk_client_again(L, 1);
    int accepted = rd_kafka_produce_batch(s->topic, RD_KAFKA_PARTITION_UA, FLAGS, few, n);
    c->accepted += accepted;
    s->at += accepted;
    if (accepted < n) return few[accepted].err;
  }
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* The part that raises, where an entry has changed since it was checked or memory is out; span.at tells how far it came. */
static int many_body(lua_State *L) {
  span *s = lua_touserdata(L, 11);
  luaL_checkstack(L, 16, NULL);
  lk_client_check(L, 1, RD_KAFKA_PRODUCER);
  bool plain = is_plain(L);
  for (; s->at <= s->last; s->at++) {
    item m;
    rd_kafka_resp_err_t err = plain ? hand_over_few(L, s) : RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!err) {
      if (s->at > s->last) break;
      read_item(L, s->at, &m);
      m.ticket = mark(s, s->at);
      lk_box *headers = read_headers(L, column(L, 7, s->at));
      lk_client *c = lk_client_again(L, 1); /* closed since, it would have taken the topic with it */
      err = hand_over(c, s->topic, &m, headers);
    }
    if (err) {
      lk_error_push(L, err, NULL);
      return 1;
    }
    lua_settop(L, 11); /* closes the box */
  }
  return 0;
}

static const char *const reportings[] = {"each", "count", "collect", NULL};

/* produce_many(topic, values, keys, partitions, timestamps, headers, ticket, first, last, reporting) -> next, err, raised
 * Reporting: "each" (the default) has a report for each message; "count" and "collect" are for one batch, see report.h.
 * The columns are lists, or nil; a hole in `values` is a message without value. Stops at the first message that is
 * refused, whose index it returns with the error, or with what was raised for it; all before it are accepted. */
static int producer_many(lua_State *L) {
  lk_client *c = lk_client_check(L, 1, RD_KAFKA_PRODUCER);
  int reporting = luaL_checkoption(L, 11, reportings[0], reportings);
  lua_settop(L, 10);
  rd_kafka_topic_t *topic = lk_topics_get(L, &c->topics, c->rk, 1, 2);
  check_columns(L);
  span s = {.topic = topic, .indexed = reporting > 0, .collected = reporting == 2};
  s.ticket = lk_opt_int(L, 8, "ticket", 0, LK_TICKET_MAX);
  s.at = lk_opt_int(L, 9, "first", 1, LUA_MAXINTEGER - 1);
  s.last = lk_opt_int(L, 10, "last", 0, s.indexed ? LK_INDEX_MAX : LUA_MAXINTEGER - 1);
  lua_pushcfunction(L, many_body);
  for (int i = 1; i <= 10; i++) lua_pushvalue(L, i);
  lua_pushlightuserdata(L, &s);
  int status = lua_pcall(L, 11, 1, 0);
  lua_pushinteger(L, s.at);
  lua_insert(L, -2);
  if (status == LUA_OK) return 2;
  lua_pushnil(L);
  lua_insert(L, -2);
  return 3;
}

/* counts() -> accepted, delivered, failed: messages since the client was opened; what is missing has no report yet. */
static int producer_counts(lua_State *L) {
  lk_client *c = lk_client_check(L, 1, RD_KAFKA_PRODUCER);
  lua_pushinteger(L, c->accepted);
  lua_pushinteger(L, c->hand.delivered);
  lua_pushinteger(L, c->hand.failed);
  return 3;
}

/* purge(): gives up what is queued or on its way; each message is still reported. */
static int producer_purge(lua_State *L) {
  lk_client *c = lk_client_check(L, 1, RD_KAFKA_PRODUCER);
  rd_kafka_resp_err_t err = rd_kafka_purge(c->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  if (err) return lk_error_fail(L, err, NULL);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- flush: while it runs, linger.ms counts as 0; it ends when every report has been taken ---- */

typedef struct flush_job {
  lk_job job;
  int ms;
} flush_job;

static void flush_run(lk_job *j) {
  /* That something is left is no error: Lua counts. */
  rd_kafka_flush(j->client->rk, ((flush_job *)j)->ms);
}

static void flush_push(lua_State *L, lk_job *j) {
  (void)j;
  lua_newtable(L);
}

/* flush(ms, ticket) -> true | nil, err */
static int producer_flush(lua_State *L) {
  lk_client_check(L, 1, RD_KAFKA_PRODUCER);
  int ms = lk_opt_ms(L, 2);
  int64_t ticket = lk_ticket(L, 3);
  flush_job *j = lk_job_push(L, RD_KAFKA_PRODUCER, sizeof *j, flush_run, flush_push, NULL);
  j->ms = ms;
  return lk_job_start(L, lua_gettop(L), ticket);
}

const luaL_Reg lk_producer_methods[] = {
    {"produce", producer_produce}, {"check_many", producer_check_many}, {"produce_many", producer_many},
    {"common", producer_common},
    {"counts", producer_counts},   {"purge", producer_purge},           {"flush", producer_flush},
    {NULL, NULL}};

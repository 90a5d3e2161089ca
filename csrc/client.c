#include "client.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "error.h"
#include "misuse.h"
#include "opt.h"

#define SLICE_MS 100         /* the longest time in C without a look at Lua: Ctrl-C is noticed within it */
#define DESTROY_IMMEDIATE 4   /* librdkafka's own flag, not in its header: does not wait for its broker threads */
#define YARD_PATIENCE_MS 2000 /* at lua_close: how long the threads that are ending may take */

/* ---- fork ---- */

static atomic_uint generation;

static void in_child(void) { atomic_fetch_add(&generation, 1); }

void lk_client_init_process(void) { pthread_atfork(NULL, NULL, in_child); }

bool lk_client_forked(const lk_client *c) { return c->generation != atomic_load(&generation); }

/* ---- the yard of a Lua state ---- */

static const char yard_key;

typedef struct yard_ref {
  lk_yard *yard;
  unsigned generation;
} yard_ref;

static int yard_gc(lua_State *L);
static const luaL_Reg yard_meta[] = {{"__gc", yard_gc}, {NULL, NULL}};
static const lk_class yard_class = {"kafka.yard", yard_meta};

static int yard_gc(lua_State *L) {
  yard_ref *r = lk_class_test(L, 1, &yard_class);
  if (!r || !r->yard) return 0;
  if ( r->generation == atomic_load(&generation)) lk_yard_wait(r->yard, YARD_PATIENCE_MS);
  lk_yard_release(r->yard);
  r->yard = NULL;
  return 0;
}

void lk_client_init(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &yard_key) == LUA_TUSERDATA) {
    lua_pop(L, 1);
    return;
  }
  lua_pop(L, 1);
  static const luaL_Reg *const none[] = {NULL};
  lk_class_open(L, &yard_class, none);
  yard_ref *r = lk_class_new(L, &yard_class, sizeof *r, 0);
  r->generation = atomic_load(&generation);
  /* Made first, so collected last by lua_close: after the handles whose threads it waits for. */
  r->yard = lk_yard_new();
  if (!r->yard) luaL_error(L, "out of memory");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &yard_key);
}

static lk_yard *yard_of(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &yard_key);
  yard_ref *r = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (!r->yard) luaL_error(L, "the Lua state is closing: no kafka client can be opened any more");
  return r->yard;
}

/* ---- children ---- */

void lk_child_add(lk_client *c, lk_child *child, void (*shut)(lk_child *)) {
  child->client = c;
  child->shut = shut;
  child->next = c->children;
  child->self = &c->children;
  if (child->next) child->next->self = &child->next;
  c->children = child;
}

void lk_child_remove(lk_child *child) {
  if (!child->client) return;
  *child->self = child->next;
  if (child->next) child->next->self = child->self;
  child->client = NULL;
}

/* ---- the end ---- */

static void unref(lk_client *c) {
  if (atomic_fetch_sub(&c->refs, 1) != 1) return;
  lk_port_release(c->port);
  lk_yard_release(c->yard);
  lk_throttle_end(&c->throttle);
  free(c);
}

static void destroy(void *arg) {
  lk_client *c = arg;
  if (c->before_destroy) c->before_destroy(c->before_destroy_arg);
  if (c->abandon) {
    rd_kafka_destroy_flags(c->rk, DESTROY_IMMEDIATE | RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
  } else {
    rd_kafka_destroy(c->rk);
  }
  atomic_store(&c->gone, true);
  lk_port_wake(c->port);
  unref(c);
}

static void let_go(lk_client *c) {
  if (atomic_fetch_sub(&c->users, 1) != 1) return;
  if (!lk_yard_thread(c->yard, destroy, c)) destroy(c);
}

void lk_client_retain(lk_client *c) {
  atomic_fetch_add(&c->users, 1);
  atomic_fetch_add(&c->refs, 1);
}

void lk_client_release(lk_client *c) {
  let_go(c);
  unref(c);
}

void lk_client_shut(lk_client *c) {
  if (!c->control) return;
  while (c->children) {
    lk_child *child = c->children;
    child->shut(child);
    lk_child_remove(child);
  }
  lk_hand_drop(&c->hand);
  if (c->done) c->done->clear(c->done);
  c->done = NULL;
  rd_kafka_set_log_level(c->rk, 2); /* nobody takes its log lines any more: of its end, only what is critical */
  rd_kafka_queue_io_event_enable(c->control, -1, NULL, 0);
  rd_kafka_queue_destroy(c->control);
  c->control = NULL;
  for (size_t i = 0; i < c->n_topics; i++) rd_kafka_topic_destroy(c->topics[i]);
  free(c->topics);
  c->topics = NULL;
  c->last_topic = NULL;
  lk_port_close(c->port);
  let_go(c);
}

/* ---- the handle ---- */

static int client_gc(lua_State *L) {
  lk_client **h = lk_class_test(L, 1, &lk_client_class);
  lk_client *c = h ? *h : NULL;
  if (!c) return 0;
  *h = NULL;
  if (lk_client_forked(c)) return 0; /* nothing in this process can end it */
  long long left = c->accepted - c->hand.delivered - c->hand.failed;
  if (c->control && left > 0) {
    fprintf(stderr, "kafka: %s was collected with %lld message%s not reported; close() it before\n",
            rd_kafka_name(c->rk), left, left == 1 ? "" : "s");
  }
  lk_client_shut(c);
  unref(c);
  return 0;
}

static int client_tostring(lua_State *L) {
  lk_client **h = lk_class_check(L, 1, &lk_client_class);
  if (!*h || !(*h)->control) {
    lua_pushliteral(L, "kafka.client (closed)");
  } else {
    lua_pushfstring(L, "kafka.client (%s)", rd_kafka_name((*h)->rk));
  }
  return 1;
}

static const luaL_Reg client_meta[] = {{"__gc", client_gc}, {"__tostring", client_tostring}, {NULL, NULL}};
const lk_class lk_client_class = {"kafka.client", client_meta};

lk_client *lk_client_check(lua_State *L, int idx, int type) {
  lk_class_check(L, idx, &lk_client_class);
  lk_client *c = lk_client_again(L, idx);
  if (type != LK_ANY && (int)c->type != type) {
    lk_misuse_error(L, "this kafka client is not a %s", type == RD_KAFKA_PRODUCER ? "producer" : "consumer");
  }
  return c;
}

lk_client *lk_client_again(lua_State *L, int idx) {
  lk_client *c = *(lk_client **)lua_touserdata(L, idx);
  if (!c || !c->control) lk_misuse_error(L, "attempt to use a closed kafka client");
  if (lk_client_forked(c)) lk_misuse_error(L, "attempt to use a kafka client of the parent process after a fork");
  return c;
}

static void on_throttle(rd_kafka_t *rk, const char *broker, int32_t id, int ms, void *client) {
  (void)rk;
  lk_throttle_note(&((lk_client *)client)->throttle, broker, id, ms);
}

static int on_certificate(rd_kafka_t *rk, const char *broker, int32_t id, int *x509_error, int depth, const char *buf,
                          size_t size, char *why, size_t why_size, void *client) {
  (void)rk, (void)broker, (void)id, (void)buf, (void)size;
  return lk_verdict_note(&((lk_client *)client)->verdict, *x509_error, depth, why, why_size);
}

/* Takes conf's rd_kafka_t into `c`; false with `why` filled. From here on closing the client frees it all. */
static bool create(lk_client *c, rd_kafka_conf_t *conf, char *why, size_t size) {
  c->rk = rd_kafka_new(c->type, conf, why, size);
  if (!c->rk) return false;
  c->hand.rk = c->rk;
  atomic_init(&c->users, 1);
  atomic_fetch_add(&c->refs, 1);
  if (c->type == RD_KAFKA_CONSUMER) {
    rd_kafka_poll_set_consumer(c->rk);
    c->control = rd_kafka_queue_get_consumer(c->rk);
  } else {
    c->control = rd_kafka_queue_get_main(c->rk);
  }
  rd_kafka_set_log_queue(c->rk, c->control);
  rd_kafka_queue_io_event_enable(c->control, lk_port_write_fd(c->port), "!", 1);
  return true;
}

/* Without a group librdkafka has no queue for a consumer. */
static void check_group(lua_State *L, rd_kafka_type_t type, const rd_kafka_conf_t *conf) {
  size_t size = 0; /* the NUL at the end counts */
  if (type != RD_KAFKA_CONSUMER) return;
  if (rd_kafka_conf_get(conf, "group.id", NULL, &size) != RD_KAFKA_CONF_OK || size <= 1) {
    lk_misuse_error(L, "setting \"group.id\" must name a group for a consumer");
  }
}

lk_client *lk_client_open(lua_State *L, rd_kafka_type_t type, int events, int conf_box) {
  char why[512] = "";
  rd_kafka_conf_t *conf = ((lk_box *)lua_touserdata(L, conf_box))->p;
  check_group(L, type, conf);
  lk_yard *yard = yard_of(L); /* may raise: before anything is owned */
  lk_client **h = lk_class_new(L, &lk_client_class, sizeof *h, 1);
  lua_newtable(L); /* topics by name */
  lua_setiuservalue(L, -2, 1);
  lk_client *c = *h = calloc(1, sizeof *c);
  if (!c) luaL_error(L, "out of memory");
  atomic_init(&c->refs, 1);
  lk_throttle_init(&c->throttle);
  c->type = type;
  c->generation = atomic_load(&generation);
  c->yard = yard;
  lk_yard_retain(c->yard);
  c->port = lk_port_new(c->yard);
  if (!c->port) {
    lk_error_fail(L, RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, strerror(errno));
    return NULL;
  }
  if (lk_security_verifies(conf)) rd_kafka_conf_set_ssl_cert_verify_cb(conf, on_certificate);
  rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG | RD_KAFKA_EVENT_STATS |
                                     RD_KAFKA_EVENT_OFFSET_COMMIT | events | lk_security_events(conf));
  rd_kafka_conf_set_opaque(conf, c);
  rd_kafka_conf_set_throttle_cb(conf, on_throttle);
  if (!create(c, conf, why, sizeof why)) {
    lk_error_fail(L, rd_kafka_last_error(), why);
    return NULL;
  }
  lk_conf_take(L, conf_box);
  return c;
}

/* Whether the string at `name` is the name of the topic that was asked for last. */
static bool is_last(lua_State *L, const lk_client *c, int name) {
  size_t len;
  const char *s = lua_type(L, name) == LUA_TSTRING ? lua_tolstring(L, name, &len) : NULL;
  return s && c->last_topic && len == c->last_len && memcmp(s, rd_kafka_topic_name(c->last_topic), len) == 0;
}

rd_kafka_topic_t *lk_client_topic(lua_State *L, lk_client *c, int handle, int name) {
  if (is_last(L, c, name)) return c->last_topic; /* the common case of a stream of messages, made cheap */
  name = lua_absindex(L, name);
  const char *s = lk_opt_topic(L, name);
  /* The table says where in c->topics: it can be reached by debug.getuservalue, so it is not believed. */
  if (lua_getiuservalue(L, handle, 1) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, handle, 1);
  }
  lua_pushvalue(L, name);
  lua_rawget(L, -2);
  lua_Integer at = lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (at >= 1 && (size_t)at <= c->n_topics && strcmp(rd_kafka_topic_name(c->topics[at - 1]), s) == 0) {
    lua_pop(L, 1);
    c->last_len = strlen(s);
    return c->last_topic = c->topics[at - 1];
  }
  rd_kafka_topic_t **grown = realloc(c->topics, (c->n_topics + 1) * sizeof *grown);
  if (!grown) luaL_error(L, "out of memory");
  c->topics = grown;
  rd_kafka_topic_t *t = rd_kafka_topic_new(c->rk, s, NULL);
  if (!t) luaL_error(L, "out of memory");
  c->topics[c->n_topics++] = t;
  lua_pushvalue(L, name);
  lua_pushinteger(L, (lua_Integer)c->n_topics);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  return t;
}

int64_t lk_ticket(lua_State *L, int idx) { return lk_opt_int(L, idx, "ticket", 0, LUA_MAXINTEGER); }

/* ---- methods ---- */

/* The part of a drain that allocates: self, list, tail, budget -> tail, more. */
static int drain_body(lua_State *L) {
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  lk_hand *h = &c->hand;
  luaL_checkstack(L, 40, NULL);
  h->list = 2;
  h->tail = lua_tointeger(L, 3);
  h->budget = (int)lua_tointeger(L, 4);
  /* A drain that ran out of memory may have left records that its caller did not hear of. */
  while (lua_rawgeti(L, 2, h->tail + 1) != LUA_TNIL) {
    h->tail += 2;
    lua_pop(L, 1);
  }
  lua_settop(L, 4);
  while (h->budget > 0 && (c->done || (c->done = lk_port_take(c->port)))) {
    lua_pushinteger(L, c->done->ticket);
    c->done->push(L, c->done);
    lk_hand_put(L, h);
    c->done->clear(c->done);
    c->done = NULL;
  }
  lk_hand_drain(L, h, c->control);
  lk_throttle_drain(L, &c->throttle, h);
  lua_pushinteger(L, h->tail);
  lua_pushboolean(L, h->budget <= 0);
  return 2;
}

bool lk_client_idle(lk_client *c) {
  return !c->unfinished && !c->hand.event && !c->done && !lk_throttle_any(&c->throttle) && lk_port_idle(c->port) &&
         rd_kafka_queue_length(c->control) == 0;
}

/* drain(list, tail, max) -> tail, more: appends up to `max` records behind list[tail]; never blocks. `more` says that the
 * limit was reached and something may be left. Returns nothing to a finalizer that runs within a drain: the outer one
 * goes on. The mark is taken back by a protected call, the only way that needs no memory. */
static int client_drain(lua_State *L) {
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  lk_opt_table(L, 2, "list");
  lk_opt_int(L, 3, "tail", 0, INT32_MAX);
  lk_opt_int(L, 4, "max", 1, 1000000);
  lua_settop(L, 4);
  if (c->draining) return 0;
  if (lk_client_idle(c)) {
    lua_pushvalue(L, 3);
    lua_pushboolean(L, 0);
    return 2;
  }
  c->draining = true;
  lua_pushcfunction(L, drain_body);
  for (int i = 1; i <= 4; i++) lua_pushvalue(L, i);
  int status = lua_pcall(L, 4, 2, 0);
  c->unfinished = status != LUA_OK;
  c->draining = false; /* c lives: its handle is at 1, and cannot be closed while this is set */
  return status == LUA_OK ? 2 : lua_error(L);
}

/* wait(ms) -> true when the client has something to drain; at most 0.1 s. Works on a client that is closing too. */
static int client_wait(lua_State *L) {
  lk_client **h = lk_class_check(L, 1, &lk_client_class);
  int ms = lk_opt_ms(L, 2);
  bool there = *h && !lk_client_forked(*h);
  lua_pushboolean(L, there && lk_port_wait((*h)->port, ms > SLICE_MS ? SLICE_MS : ms));
  return 1;
}

/* fd() -> the descriptor that becomes readable when there is something to drain. */
static int client_fd(lua_State *L) {
  lk_client **h = lk_class_check(L, 1, &lk_client_class);
  if (!*h) lk_misuse_error(L, "attempt to use a closed kafka client");
  lua_pushinteger(L, lk_port_fd((*h)->port));
  return 1;
}

static bool is_busy(const lk_client *c) {
  bool busy = c->draining;
  for (const lk_child *child = c->children; child; child = child->next) busy = busy || child->busy;
  return busy;
}

/* busy() -> whether this is a finalizer that runs within a call which reads the client: it cannot be closed now. */
static int client_busy(lua_State *L) {
  lk_client **h = lk_class_check(L, 1, &lk_client_class);
  lua_pushboolean(L, *h && !lk_client_forked(*h) && is_busy(*h));
  return 1;
}

/* close(abandon): gives everything back; rk is destroyed on a thread. `abandon`: what librdkafka could wait for for ever is
 * left behind, as far as it lets go of it. */
static int client_close(lua_State *L) {
  lk_client **h = lk_class_check(L, 1, &lk_client_class);
  lk_client *c = *h;
  if (!c || lk_client_forked(c)) return 0;
  if (is_busy(c)) lk_misuse_error(L, "attempt to close a kafka client from a finalizer while it is being read");
  c->abandon = lua_toboolean(L, 2);
  lk_client_shut(c);
  return 0;
}

/* gone() -> whether rk is destroyed; a client of a parent process counts as gone. */
static int client_gone(lua_State *L) {
  lk_client **h = lk_class_check(L, 1, &lk_client_class);
  lua_pushboolean(L, !*h || lk_client_forked(*h) || atomic_load(&(*h)->gone));
  return 1;
}

/* release(): the pipe too goes, as soon as rk is gone. The last call: fd() must not be watched any more. */
static int client_release(lua_State *L) {
  lk_client **h = lk_class_check(L, 1, &lk_client_class);
  lk_client *c = *h;
  if (!c || c->control || lk_client_forked(c)) return 0;
  *h = NULL;
  unref(c);
  return 0;
}

static int client_forked(lua_State *L) {
  lk_client **h = lk_class_check(L, 1, &lk_client_class);
  lua_pushboolean(L, *h && lk_client_forked(*h));
  return 1;
}

static int client_name(lua_State *L) {
  lua_pushstring(L, rd_kafka_name(lk_client_check(L, 1, LK_ANY)->rk));
  return 1;
}

/* fatal() -> the fatal error this client met, or nil. */
static int client_fatal(lua_State *L) {
  char why[512];
  rd_kafka_resp_err_t err = rd_kafka_fatal_error(lk_client_check(L, 1, LK_ANY)->rk, why, sizeof why);
  if (!err) return 0;
  lk_error_push(L, err, why);
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "fatal");
  return 1;
}

/* certificate() -> OpenSSL's error on the last broker's certificate that was refused, and its place in the chain. */
static int client_certificate(lua_State *L) {
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  if (!atomic_load(&c->verdict.error)) return 0;
  lua_pushinteger(L, atomic_load(&c->verdict.error));
  lua_pushinteger(L, atomic_load(&c->verdict.depth));
  return 2;
}

const luaL_Reg lk_client_methods[] = {
    {"drain", client_drain}, {"wait", client_wait}, {"fd", client_fd},     {"close", client_close},
    {"gone", client_gone},   {"name", client_name}, {"fatal", client_fatal}, {"forked", client_forked},
    {"release", client_release}, {"busy", client_busy}, {"certificate", client_certificate},
    {NULL, NULL}};

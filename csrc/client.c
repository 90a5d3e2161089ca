#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "error.h"
#include "misuse.h"
#include "opt.h"
#include "state.h"

#define DESTROY_IMMEDIATE 4 /* librdkafka's own flag, not in its header: does not wait for its broker threads */
#define JOIN_PATIENCE_MS 60000 /* until a cooperative group has assigned partitions to who wants to leave */
#define JOIN_LOOK_MS 100

bool lk_client_forked(const lk_client *c) { return c->generation != lk_state_generation(); }

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
  if (c->group) rd_kafka_consumer_group_metadata_destroy(c->group);
  free(c);
}

/* librdkafka below 2.3 aborts the process where a member of a cooperative group ends between joining and its first
 * assignment: serves the client until that has come. False where it does not come. */
static bool await_assignment(lk_client *c) {
  rd_kafka_queue_t *q = rd_kafka_queue_get_consumer(c->rk);
  bool came = false;
  for (int left = JOIN_PATIENCE_MS; left > 0 && !came; left -= JOIN_LOOK_MS) {
    rd_kafka_event_t *ev = rd_kafka_queue_poll(q, JOIN_LOOK_MS);
    came = ev && rd_kafka_event_type(ev) == RD_KAFKA_EVENT_REBALANCE &&
           rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    if (ev) rd_kafka_event_destroy(ev);
  }
  rd_kafka_queue_destroy(q);
  return came;
}

static void destroy(void *arg) {
  lk_client *c = arg;
  if (c->before_destroy) c->before_destroy(c->before_destroy_arg);
  if (c->patient && !c->hand.assigned && !await_assignment(c)) return; /* rk is left to its threads, and so is c: they know it */
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
  if (c->hand.event && rd_kafka_event_type(c->hand.event) == RD_KAFKA_EVENT_REBALANCE) c->hand.assigned = true;
  lk_hand_drop(&c->hand);
  if (c->done) c->done->clear(c->done);
  c->done = NULL;
  rd_kafka_set_log_level(c->rk, 2); /* nobody takes its log lines any more: of its end, only what is critical */
  rd_kafka_queue_cb_event_enable(c->control, NULL, NULL);
  rd_kafka_queue_destroy(c->control);
  c->control = NULL;
  lk_topics_drop(&c->topics);
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

int lk_client_left(lua_State *L) {
  return lk_error_fail(L, RD_KAFKA_RESP_ERR__STATE, "the group is being left, or was: open another consumer");
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

/* From any thread: the control queue was empty and is no more. */
static void on_news(rd_kafka_t *rk, void *client) {
  lk_client *c = client;
  (void)rk;
  atomic_store(&c->news, true);
  lk_port_wake(c->port);
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
  rd_kafka_queue_cb_event_enable(c->control, on_news, c);
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
  lk_yard *yard = lk_state_yard(L); /* may raise: before anything is owned */
  lk_client **h = lk_class_new(L, &lk_client_class, sizeof *h, 1);
  lua_newtable(L); /* topics by name */
  lua_setiuservalue(L, -2, 1);
  lk_client *c = *h = calloc(1, sizeof *c);
  if (!c) luaL_error(L, "out of memory");
  atomic_init(&c->refs, 1);
  atomic_init(&c->news, true); /* what came before it was asked for */
  lk_throttle_init(&c->throttle);
  c->type = type;
  c->generation = lk_state_generation();
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

int64_t lk_ticket(lua_State *L, int idx) { return lk_opt_int(L, idx, "ticket", 0, LUA_MAXINTEGER); }

/* ---- methods ---- */

/* close(abandon): gives everything back; rk is destroyed on a thread. `abandon`: what librdkafka could wait for for ever is
 * left behind, as far as it lets go of it. */
static int client_close(lua_State *L) {
  lk_client **h = lk_class_check(L, 1, &lk_client_class);
  lk_client *c = *h;
  if (!c || !c->control || lk_client_forked(c)) return 0; /* once closed, its fields are the destroying thread's */
  if (lk_client_busy(c)) lk_misuse_error(L, "attempt to close a kafka client from a finalizer while it is being read");
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
    {"close", client_close},   {"gone", client_gone},     {"release", client_release},         {"forked", client_forked},
    {"name", client_name},     {"fatal", client_fatal},   {"certificate", client_certificate}, {NULL, NULL}};

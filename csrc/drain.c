/* What has come for a client, as records; and the wait for more. */
#include "client.h"
#include "misuse.h"
#include "opt.h"
#include "roles.h"

#define SLICE_MS 100 /* the longest time in C without a look at Lua: Ctrl-C is noticed within it */

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
  if (h->budget <= 0) atomic_store(&c->news, true);
  lk_throttle_drain(L, &c->throttle, h);
  if (h->tail > lua_tointeger(L, 3)) c->held = true;
  lua_pushinteger(L, h->tail);
  lua_pushboolean(L, h->budget <= 0);
  return 2;
}

/* Nothing waits but, perhaps, in the control queue. */
static bool is_calm(lk_client *c) {
  return !c->unfinished && !c->hand.event && !c->done && !lk_throttle_any(&c->throttle) && lk_port_idle(c->port);
}

bool lk_client_idle(lk_client *c) { return is_calm(c) && rd_kafka_queue_length(c->control) == 0; }

bool lk_client_quiet(lk_client *c) { return !atomic_load(&c->news) && is_calm(c); }

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
  atomic_store(&c->news, false); /* before the look at the queue: what comes after it is news again */
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

/* hold(on): whether Lua has records to dispatch before it may produce; a drain that gave some has said so. */
static int client_hold(lua_State *L) {
  lk_client **h = lk_class_check(L, 1, &lk_client_class);
  if (*h) (*h)->held = lua_toboolean(L, 2);
  return 0;
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

bool lk_client_busy(const lk_client *c) {
  bool busy = c->draining;
  for (const lk_child *child = c->children; child; child = child->next) busy = busy || child->busy;
  return busy;
}

/* busy() -> whether this is a finalizer that runs within a call which reads the client: it cannot be closed now. */
static int client_busy(lua_State *L) {
  lk_client **h = lk_class_check(L, 1, &lk_client_class);
  lua_pushboolean(L, *h && !lk_client_forked(*h) && lk_client_busy(*h));
  return 1;
}

const luaL_Reg lk_drain_methods[] = {
    {"drain", client_drain}, {"hold", client_hold}, {"wait", client_wait},
    {"fd", client_fd},       {"busy", client_busy}, {NULL, NULL}};

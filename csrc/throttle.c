#include "throttle.h"

#include <stdlib.h>
#include <string.h>

struct lk_note {
  lk_note *next;
  int32_t id;
  int ms;
  char broker[];
};

void lk_throttle_init(lk_throttle *t) {
  pthread_mutex_init(&t->lock, NULL);
  t->first = NULL;
  t->last = &t->first;
  atomic_init(&t->count, 0);
}

static lk_note *first_of(lk_throttle *t) {
  pthread_mutex_lock(&t->lock);
  lk_note *n = t->first;
  pthread_mutex_unlock(&t->lock);
  return n;
}

bool lk_throttle_any(const lk_throttle *t) { return atomic_load(&t->count) > 0; }

void lk_throttle_note(lk_throttle *t, const char *broker, int32_t id, int ms) {
  size_t size = strlen(broker) + 1;
  lk_note *n = malloc(sizeof *n + size);
  if (!n) return;
  n->next = NULL;
  n->id = id;
  n->ms = ms;
  memcpy(n->broker, broker, size);
  pthread_mutex_lock(&t->lock);
  *t->last = n;
  t->last = &n->next;
  atomic_fetch_add(&t->count, 1);
  pthread_mutex_unlock(&t->lock);
}

static void drop_first(lk_throttle *t) {
  pthread_mutex_lock(&t->lock);
  lk_note *n = t->first;
  t->first = n->next;
  if (!t->first) t->last = &t->first;
  atomic_fetch_sub(&t->count, 1);
  pthread_mutex_unlock(&t->lock);
  free(n);
}

void lk_throttle_end(lk_throttle *t) {
  while (t->first) drop_first(t);
  pthread_mutex_destroy(&t->lock);
}

/* A note is dropped once its record is complete: running out of memory before leaves it for the next drain. */
void lk_throttle_drain(lua_State *L, lk_throttle *t, lk_hand *h) {
  for (lk_note *n; h->budget > 0 && (n = first_of(t)); drop_first(t)) {
    lua_pushliteral(L, "throttle");
    lua_createtable(L, 0, 3);
    lua_pushstring(L, n->broker);
    lua_setfield(L, -2, "broker");
    lua_pushinteger(L, n->id);
    lua_setfield(L, -2, "id");
    lua_pushinteger(L, n->ms);
    lua_setfield(L, -2, "ms");
    lk_hand_put(L, h);
  }
}

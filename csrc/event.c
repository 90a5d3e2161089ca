#include "event.h"

#include "error.h"

#define KINDS 48

static struct {
  rd_kafka_event_type_t type;
  lk_pusher push;
} pushers[KINDS];
static int count;

void lk_event_register(rd_kafka_event_type_t type, lk_pusher push) {
  if (count < KINDS) {
    pushers[count].type = type;
    pushers[count++].push = push;
  }
}

void lk_hand_put(lua_State *L, lk_hand *h) {
  /* The payload first: should the second entry find no memory, the list does not show the first. */
  lua_rawseti(L, h->list, h->tail + 2);
  lua_rawseti(L, h->list, h->tail + 1);
  h->tail += 2;
  h->budget--;
}

void lk_hand_drop(lk_hand *h) {
  if (h->event) rd_kafka_event_destroy(h->event);
  h->event = NULL;
  h->message = NULL;
  h->row = 0;
}

static bool unknown(lua_State *L, lk_hand *h) {
  lua_pushliteral(L, "log");
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, 4);
  lua_setfield(L, -2, "level");
  lua_pushliteral(L, "EVENT");
  lua_setfield(L, -2, "facility");
  lua_pushfstring(L, "an event of a kind this client does not know was left out: %s", rd_kafka_event_name(h->event));
  lua_setfield(L, -2, "text");
  lk_hand_put(L, h);
  return true;
}

static lk_pusher pusher_of(rd_kafka_event_type_t type) {
  for (int i = 0; i < count; i++) {
    if (pushers[i].type == type) return pushers[i].push;
  }
  return unknown;
}

void lk_hand_drain(lua_State *L, lk_hand *h, rd_kafka_queue_t *q) {
  while (h->budget > 0) {
    /* Asking for the length is much cheaper than a poll of an empty queue. */
    if (!h->event && rd_kafka_queue_length(q) == 0) return;
    if (!h->event) h->event = rd_kafka_queue_poll(q, 0);
    if (!h->event) return;
    if (pusher_of(rd_kafka_event_type(h->event))(L, h)) lk_hand_drop(h);
  }
}

static bool push_error(lua_State *L, lk_hand *h) {
  rd_kafka_event_t *ev = h->event;
  lua_pushliteral(L, "error");
  lk_error_push(L, rd_kafka_event_error(ev), rd_kafka_event_error_string(ev));
  if (rd_kafka_event_error_is_fatal(ev)) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "fatal");
  }
  lk_hand_put(L, h);
  return true;
}

static bool push_log(lua_State *L, lk_hand *h) {
  const char *facility = NULL, *text = NULL;
  int level = 0;
  rd_kafka_event_log(h->event, &facility, &text, &level);
  lua_pushliteral(L, "log");
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, level);
  lua_setfield(L, -2, "level");
  lua_pushstring(L, facility);
  lua_setfield(L, -2, "facility");
  lua_pushstring(L, text);
  lua_setfield(L, -2, "text");
  lk_hand_put(L, h);
  return true;
}

static bool push_stats(lua_State *L, lk_hand *h) {
  lua_pushliteral(L, "stats");
  lua_pushstring(L, rd_kafka_event_stats(h->event));
  lk_hand_put(L, h);
  return true;
}

void lk_event_open(void) {
  lk_event_register(RD_KAFKA_EVENT_ERROR, push_error);
  lk_event_register(RD_KAFKA_EVENT_LOG, push_log);
  lk_event_register(RD_KAFKA_EVENT_STATS, push_stats);
}

/* Reports: the delivery events. Each message of one is handed over as a record or, for ticket 0 and success, only counted. Those
 * of a batch have one record for as many successes as follow each other, or each one with its index. */
#include "report.h"

#include "error.h"
#include "event.h"
#include "message.h"

void *lk_report_mark(int64_t ticket, int64_t index, bool collected) {
  return (void *)(intptr_t)(ticket << 25 | (int64_t)collected << 24 | index);
}

static int64_t ticket_of(const rd_kafka_message_t *m) { return (intptr_t)m->_private >> 25; }
static int64_t index_of(const rd_kafka_message_t *m) { return (intptr_t)m->_private & LK_INDEX_MAX; }
static bool is_collected(const rd_kafka_message_t *m) { return (intptr_t)m->_private >> 24 & 1; }

static const luaL_Reg no_meta[] = {{NULL, NULL}};
const lk_class lk_report_class = {"kafka.Report", no_meta};

/* What the reports of one drain have in common, made once for all of them and kept on the stack. */
typedef struct common {
  int names, topic, meta; /* where: the names of the fields from `names` on, the topic's name, the metatable */
  const rd_kafka_topic_t *rkt; /* the one whose name is at `topic` */
} common;

static void push_common(lua_State *L, common *c) {
  c->names = lua_gettop(L) + 1;
  lk_message_names(L);
  lua_pushnil(L);
  c->topic = lua_gettop(L);
  lk_class_push(L, &lk_report_class);
  c->meta = c->topic + 1;
}

static void set_field(lua_State *L, const common *c, const rd_kafka_message_t *m, int field) {
  lua_pushvalue(L, c->names + field);
  lk_message_field(L, m, field);
  lua_rawset(L, -3);
}

static void push_topic(lua_State *L, common *c, const rd_kafka_topic_t *rkt) {
  if (rkt != c->rkt) {
    lua_pushstring(L, rd_kafka_topic_name(rkt));
    lua_replace(L, c->topic);
    c->rkt = rkt;
  }
  lua_pushvalue(L, c->names + LK_TOPIC);
  lua_pushvalue(L, c->topic);
  lua_rawset(L, -3);
}

/* A report: topic, partition, and offset and timestamp, or err and what was to be sent. */
static void push_report(lua_State *L, common *c, const rd_kafka_message_t *m) {
  lua_createtable(L, 0, m->err ? 8 : 4);
  if (m->rkt) push_topic(L, c, m->rkt);
  if (m->partition >= 0) set_field(L, c, m, LK_PARTITION);
  if (m->offset >= 0) set_field(L, c, m, LK_OFFSET);
  set_field(L, c, m, LK_TIMESTAMP);
  if (m->err) {
    lk_error_push(L, m->err, NULL);
    lua_setfield(L, -2, "err");
    set_field(L, c, m, LK_KEY);
    set_field(L, c, m, LK_VALUE);
    set_field(L, c, m, LK_HEADERS);
  }
  lua_pushvalue(L, c->meta);
  lua_setmetatable(L, -2);
}

/* How many messages of one batch in a row arrived, as one record. */
static void put_row(lua_State *L, lk_hand *h) {
  lua_pushinteger(L, -1 - h->row_ticket);
  lua_createtable(L, 0, 1);
  lua_pushinteger(L, h->row);
  lua_setfield(L, -2, "count");
  lk_hand_put(L, h);
  h->row = 0;
}

static bool push_delivery(lua_State *L, lk_hand *h) {
  int top = lua_gettop(L);
  common c = {0, 0, 0, NULL};
  const rd_kafka_message_t *m = NULL;
  while (h->budget > 0) {
    if (!h->message) h->message = rd_kafka_event_message_next(h->event);
    m = h->message;
    int64_t ticket = m ? ticket_of(m) : 0;
    int64_t index = m ? index_of(m) : 0;
    bool counted = index && !is_collected(m) && !m->err;
    if (h->row && (!counted || ticket != h->row_ticket)) put_row(L, h);
    if (!m) break;
    if (counted) {
      h->row_ticket = ticket;
      h->row++;
      h->budget--;
    } else if (ticket != 0 || m->err) {
      if (!c.names) push_common(L, &c);
      lua_pushinteger(L, -1 - ticket); /* below 0: Lua sees at once that it is a report */
      push_report(L, &c, m);
      if (index) {
        lua_pushinteger(L, index);
        lua_setfield(L, -2, "index");
      }
      lk_hand_put(L, h);
    } else {
      h->budget--;
    }
    h->message = NULL;
    if (m->err) {
      h->failed++;
    } else {
      h->delivered++;
    }
  }
  lua_settop(L, top);
  return !m;
}

void lk_report_open(void) { lk_event_register(RD_KAFKA_EVENT_DR, push_delivery); }

/* The smallest Lua module that does the work of the benchmark and nothing else, written to be quick: one client, one topic, no
 * checks, no safety. What lua-kafka costs above this is the price of everything it promises. */
#include <lauxlib.h>
#include <librdkafka/rdkafka.h>
#include <lua.h>
#include <stdlib.h>
#include <time.h>

#define EVERY 1000 /* messages between two looks at the reports */
#define BATCH 10000
#define WAIT_MS 100

static rd_kafka_t *rk;
static rd_kafka_queue_t *queue;
static rd_kafka_topic_t *topic;
static lua_Integer accepted, delivered, failed;
static int on_delivery = LUA_NOREF;

static const char *const names[] = {"topic", "partition", "offset", "key", "value", "timestamp", "leader_epoch"};
enum { TOPIC, PARTITION, OFFSET, KEY, VALUE, TIMESTAMP, EPOCH, NAMES };

/* producer(settings, topic, on_delivery or nil), consumer(settings): settings by librdkafka's names */
static void open_client(lua_State *L, rd_kafka_type_t type) {
  char why[512];
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
    if (rd_kafka_conf_set(conf, lua_tostring(L, -2), lua_tostring(L, -1), why, sizeof why)) luaL_error(L, "%s", why);
  }
  rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
  rk = rd_kafka_new(type, conf, why, sizeof why);
  if (!rk) luaL_error(L, "%s", why);
}

static int l_producer(lua_State *L) {
  open_client(L, RD_KAFKA_PRODUCER);
  queue = rd_kafka_queue_get_main(rk);
  topic = rd_kafka_topic_new(rk, lua_tostring(L, 2), NULL);
  lua_settop(L, 3);
  if (!lua_isnil(L, 3)) on_delivery = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

/* Calls on_delivery(err, partition, offset) for each report, or only counts. */
static void reports(lua_State *L, int ms) {
  rd_kafka_event_t *ev;
  for (; (ev = rd_kafka_queue_poll(queue, ms)); ms = 0) {
    const rd_kafka_message_t *m;
    if (on_delivery != LUA_NOREF) lua_rawgeti(L, LUA_REGISTRYINDEX, on_delivery);
    while ((m = rd_kafka_event_message_next(ev))) {
      delivered++;
      if (m->err) failed++;
      if (on_delivery == LUA_NOREF) continue;
      lua_pushvalue(L, -1);
      if (m->err) {
        lua_pushstring(L, rd_kafka_err2name(m->err));
      } else {
        lua_pushnil(L);
      }
      lua_pushinteger(L, m->partition);
      lua_pushinteger(L, m->offset);
      lua_call(L, 3, 0);
    }
    if (on_delivery != LUA_NOREF) lua_pop(L, 1);
    rd_kafka_event_destroy(ev);
  }
}

static void send_one(lua_State *L, int idx) {
  size_t len;
  const char *value = lua_tolstring(L, idx, &len);
  while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, (void *)value, len, NULL, 0, NULL) != 0) {
    if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      luaL_error(L, "%s", rd_kafka_err2str(rd_kafka_last_error()));
    }
    reports(L, WAIT_MS);
  }
  if (++accepted % EVERY == 0) reports(L, 0);
}

/* produce(value) */
static int l_produce(lua_State *L) {
  send_one(L, 1);
  return 0;
}

/* produce_many(values) */
static int l_produce_many(lua_State *L) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, 1, i);
    send_one(L, -1);
    lua_pop(L, 1);
  }
  return 0;
}

/* flush() -> delivered, failed */
static int l_flush(lua_State *L) {
  while (delivered < accepted) reports(L, WAIT_MS);
  lua_pushinteger(L, delivered);
  lua_pushinteger(L, failed);
  return 2;
}

static int l_consumer(lua_State *L) {
  const struct rd_kafka_metadata *metadata;
  open_client(L, RD_KAFKA_CONSUMER);
  rd_kafka_poll_set_consumer(rk);
  queue = rd_kafka_queue_get_consumer(rk);
  if (rd_kafka_metadata(rk, 1, NULL, &metadata, 10000)) luaL_error(L, "no metadata");
  rd_kafka_metadata_destroy(metadata);
  return 0;
}

/* assign(topic): partition 0 from its beginning; the names of the fields are kept as upvalues of fetch */
static int l_assign(lua_State *L) {
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, lua_tostring(L, 1), 0)->offset = 0;
  rd_kafka_assign(rk, list);
  rd_kafka_topic_partition_list_destroy(list);
  return 0;
}

static ssize_t some(rd_kafka_message_t **messages) {
  ssize_t got = rd_kafka_consume_batch_queue(queue, 0, messages, BATCH);
  return got > 0 ? got : rd_kafka_consume_batch_queue(queue, WAIT_MS, messages, 1);
}

static void push_bytes(lua_State *L, const void *bytes, size_t len) {
  if (bytes) {
    lua_pushlstring(L, bytes, len);
  } else {
    lua_pushnil(L);
  }
}

/* Sets the field of the table below the value on top. */
static void set(lua_State *L, int name) {
  lua_pushvalue(L, lua_upvalueindex(name + 1));
  lua_insert(L, -2);
  lua_rawset(L, -3);
}

static void push_message(lua_State *L, const rd_kafka_message_t *m, int topic_at) {
  rd_kafka_timestamp_type_t type;
  rd_kafka_headers_t *headers;
  lua_createtable(L, 0, NAMES + 1);
  lua_pushvalue(L, topic_at);
  set(L, TOPIC);
  lua_pushinteger(L, m->partition);
  set(L, PARTITION);
  lua_pushinteger(L, m->offset);
  set(L, OFFSET);
  push_bytes(L, m->payload, m->len);
  set(L, VALUE);
  lua_pushinteger(L, rd_kafka_message_timestamp(m, &type));
  set(L, TIMESTAMP);
  if (m->key) {
    lua_pushlstring(L, m->key, m->key_len);
    set(L, KEY);
  }
  if (!rd_kafka_message_headers(m, &headers)) luaL_error(L, "headers are left to the reader");
#if RD_KAFKA_VERSION >= 0x020100ff
  lua_pushinteger(L, rd_kafka_message_leader_epoch(m));
  set(L, EPOCH);
#endif
}

/* tables() -> a list of message tables */
static int l_tables(lua_State *L) {
  static rd_kafka_message_t *messages[BATCH];
  ssize_t got = some(messages);
  lua_Integer n = 0;
  lua_createtable(L, (int)got, 0);
  lua_pushstring(L, got > 0 ? rd_kafka_topic_name(messages[0]->rkt) : NULL);
  for (ssize_t i = 0; i < got; i++) {
    if (!messages[i]->err) {
      push_message(L, messages[i], 2);
      lua_rawseti(L, 1, ++n);
    }
    rd_kafka_message_destroy(messages[i]);
  }
  lua_settop(L, 1);
  return 1;
}

/* columns() -> {value = list, offset = list} */
static int l_columns(lua_State *L) {
  static rd_kafka_message_t *messages[BATCH];
  ssize_t got = some(messages);
  lua_Integer n = 0;
  lua_createtable(L, 0, 2);
  lua_createtable(L, (int)got, 0);
  lua_createtable(L, (int)got, 0);
  for (ssize_t i = 0; i < got; i++) {
    if (!messages[i]->err) {
      push_bytes(L, messages[i]->payload, messages[i]->len);
      lua_rawseti(L, 2, ++n);
      lua_pushinteger(L, messages[i]->offset);
      lua_rawseti(L, 3, n);
    }
    rd_kafka_message_destroy(messages[i]);
  }
  lua_setfield(L, 1, "offset");
  lua_setfield(L, 1, "value");
  return 1;
}

static int l_now(lua_State *L) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec / 1e9);
  return 1;
}

static const luaL_Reg functions[] = {{"producer", l_producer}, {"produce", l_produce}, {"produce_many", l_produce_many},
                                     {"flush", l_flush},       {"consumer", l_consumer}, {"assign", l_assign},
                                     {"tables", l_tables},     {"columns", l_columns}, {"now", l_now},
                                     {NULL, NULL}};

__attribute__((visibility("default"))) int luaopen_handmade(lua_State *L);

int luaopen_handmade(lua_State *L) {
  luaL_newlibtable(L, functions);
  for (int i = 0; i < NAMES; i++) lua_pushstring(L, names[i]);
  luaL_setfuncs(L, functions, NAMES);
  return 1;
}

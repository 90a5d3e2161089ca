/* Administrative requests. Each is answered by an event that carries its ticket; the record is {results = {{name, err}}} or
 * {err}. */
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "error.h"
#include "misuse.h"
#include "opt.h"
#include "roles.h"

#define ADMIN_MS_MAX 3600000 /* the longest librdkafka accepts */

static void options_free(void *p) { rd_kafka_AdminOptions_destroy(p); }

static void new_topic_free(void *p) { rd_kafka_NewTopic_destroy(p); }

static void read_config(lua_State *L, int idx, rd_kafka_NewTopic_t *topic) {
  if (lua_isnoneornil(L, idx)) return;
  lk_opt_table(L, idx, "config");
  lua_pushnil(L);
  while (lua_next(L, idx)) {
    const char *name = lk_opt_name(L, lua_absindex(L, -2), "a topic setting's name", 255);
    const char *value = lk_opt_name(L, lua_absindex(L, -1), "a topic setting's value", 32767);
    rd_kafka_NewTopic_set_config(topic, name, value);
    lua_pop(L, 1);
  }
}

/* create_topic(name, partitions, replication_factor or -1, config or nil, ms, ticket) -> true | nil, err */
static int admin_create_topic(lua_State *L) {
  char why[256];
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  const char *name = lk_opt_topic(L, 2);
  int partitions = (int)lk_opt_int(L, 3, "partitions", 1, 100000);
  int replication = (int)lk_opt_int(L, 4, "replication_factor", -1, 32767);
  int ms = lk_opt_ms(L, 6);
  int64_t ticket = lk_ticket(L, 7);
  lk_box *box = lk_box_push(L, new_topic_free);
  rd_kafka_NewTopic_t *topic = box->p = rd_kafka_NewTopic_new(name, partitions, replication, why, sizeof why);
  if (!topic) return lk_error_fail(L, RD_KAFKA_RESP_ERR__INVALID_ARG, why);
  read_config(L, 5, topic);
  lk_box *options = lk_box_push(L, options_free);
  c = lk_client_check(L, 1, LK_ANY);
  rd_kafka_AdminOptions_t *o = options->p = rd_kafka_AdminOptions_new(c->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
  rd_kafka_AdminOptions_set_request_timeout(o, ms > ADMIN_MS_MAX ? ADMIN_MS_MAX : ms, why, sizeof why);
  rd_kafka_AdminOptions_set_operation_timeout(o, ms > ADMIN_MS_MAX ? ADMIN_MS_MAX : ms, why, sizeof why);
  rd_kafka_AdminOptions_set_opaque(o, (void *)(intptr_t)ticket);
  rd_kafka_CreateTopics(c->rk, &topic, 1, o, c->control);
  lua_pushboolean(L, 1);
  return 1;
}

static void push_topic_result(lua_State *L, const rd_kafka_topic_result_t *r) {
  lua_createtable(L, 0, 2);
  lua_pushstring(L, rd_kafka_topic_result_name(r));
  lua_setfield(L, -2, "name");
  rd_kafka_resp_err_t err = rd_kafka_topic_result_error(r);
  if (!err) return;
  lk_error_push(L, err, rd_kafka_topic_result_error_string(r));
  lua_setfield(L, -2, "err");
}

static bool push_created(lua_State *L, lk_hand *h) {
  lua_pushinteger(L, (intptr_t)rd_kafka_event_opaque(h->event));
  lua_createtable(L, 0, 1);
  rd_kafka_resp_err_t err = rd_kafka_event_error(h->event);
  if (err) {
    lk_error_push(L, err, rd_kafka_event_error_string(h->event));
    lua_setfield(L, -2, "err");
  } else {
    size_t n;
    const rd_kafka_topic_result_t **topics =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(h->event), &n);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
      push_topic_result(L, topics[i]);
      lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "results");
  }
  lk_hand_put(L, h);
  return true;
}

void lk_admin_open(void) { lk_event_register(RD_KAFKA_EVENT_CREATETOPICS_RESULT, push_created); }

const luaL_Reg lk_admin_methods[] = {{"create_topic", admin_create_topic}, {NULL, NULL}};

#include "topic.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "opt.h"

/* Whether the string at `name` is the name of the topic that was asked for last. */
static bool is_last(lua_State *L, const lk_topics *t, int name) {
  size_t len;
  const char *s = lua_type(L, name) == LUA_TSTRING ? lua_tolstring(L, name, &len) : NULL;
  return s && t->last && len == t->last_len && memcmp(s, t->last_name, len) == 0;
}

rd_kafka_topic_t *lk_topics_last(lua_State *L, const lk_topics *t, int name) { return is_last(L, t, name) ? t->last : NULL; }

rd_kafka_topic_t *lk_topics_get(lua_State *L, lk_topics *t, rd_kafka_t *rk, int handle, int name) {
  if (is_last(L, t, name)) return t->last; /* the common case of a stream of messages, made cheap */
  name = lua_absindex(L, name);
  const char *s = lk_opt_topic(L, name);
  /* The table says where in t->list: it can be reached by debug.getuservalue, so it is not believed. */
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
  if (at >= 1 && (size_t)at <= t->n && strcmp(rd_kafka_topic_name(t->list[at - 1]), s) == 0) {
    lua_pop(L, 1);
    t->last_name = rd_kafka_topic_name(t->list[at - 1]);
    t->last_len = strlen(t->last_name);
    return t->last = t->list[at - 1];
  }
  rd_kafka_topic_t **grown = realloc(t->list, (t->n + 1) * sizeof *grown);
  if (!grown) luaL_error(L, "out of memory");
  t->list = grown;
  rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, s, NULL);
  if (!topic) luaL_error(L, "out of memory");
  t->list[t->n++] = topic;
  lua_pushvalue(L, name);
  lua_pushinteger(L, (lua_Integer)t->n);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  return topic;
}

void lk_topics_drop(lk_topics *t) {
  for (size_t i = 0; i < t->n; i++) rd_kafka_topic_destroy(t->list[i]);
  free(t->list);
  *t = (lk_topics){0};
}

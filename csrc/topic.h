/* A client's topic objects, one for each topic that it produces to: made once, since making one takes a lock and a look. */
#ifndef LK_TOPIC_H
#define LK_TOPIC_H

#include <librdkafka/rdkafka.h>
#include <lua.h>

typedef struct lk_topics {
  rd_kafka_topic_t **list;
  size_t n;
  rd_kafka_topic_t *last; /* the one asked for last, and its name */
  const char *last_name;
  size_t last_len;
} lk_topics;

/* The topic object whose name is at `name`; owned by `t`. User value 1 of `handle` remembers where each is. May allocate: what
 * could have been closed by a finalizer is to be checked again. */
rd_kafka_topic_t *lk_topics_get(lua_State *L, lk_topics *t, rd_kafka_t *rk, int handle, int name);

/* The same where it was the last one asked for, else NULL; never allocates. */
rd_kafka_topic_t *lk_topics_last(lua_State *L, const lk_topics *t, int name);

void lk_topics_drop(lk_topics *t);

#endif

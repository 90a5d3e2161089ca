/* Messages into Lua, and headers both ways: order, duplicates and the difference between nil and "" are kept. */
#ifndef LK_MESSAGE_H
#define LK_MESSAGE_H

#include <librdkafka/rdkafka.h>
#include <lua.h>

#include "class.h"

/* The metatable of message tables; Lua puts its methods there. */
extern const lk_class lk_message_class;

/* The fields of a message, in the order of their columns. */
enum { LK_TOPIC, LK_PARTITION, LK_OFFSET, LK_KEY, LK_VALUE, LK_HEADERS, LK_TIMESTAMP, LK_EPOCH, LK_FIELDS };
extern const char *const lk_message_fields[LK_FIELDS + 1];

/* Pushes one field's value, nil included. */
void lk_message_field(lua_State *L, const rd_kafka_message_t *m, int field);

/* Pushes the whole message. From `names` on, the stack holds the LK_FIELDS field names, so that they are made once for
 * many messages; at `topic` the topic's name, at `meta` the metatable. */
void lk_message_push(lua_State *L, const rd_kafka_message_t *m, int names, int topic, int meta);
void lk_message_names(lua_State *L);

/* Reads a list of {name, value} at `idx` into the empty box: librdkafka takes the headers over only where a produce
 * succeeds. Leaves the box empty where the list is nil. */
void lk_message_headers(lua_State *L, int idx, lk_box *box);
void lk_message_headers_free(void *p);

#endif

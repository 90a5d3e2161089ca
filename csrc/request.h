/* Administrative requests, whatever they are about: the list of objects that one takes, its options with ticket and time,
 * and the record of its answer. An event answers each; its record is {rows = ...} or {err = ...}. */
#ifndef LK_REQUEST_H
#define LK_REQUEST_H

#include "client.h"

/* A request to a coordinator takes this as its time, and Lua keeps the deadline: librdkafka aborts the process where a
 * coordinator answers a request that has timed out in the library (its issue 4605). */
#define LK_REQUEST_LONGEST 3600000

/* A request that looks up leaders gets this time at least, and Lua keeps the deadline: where librdkafka's timer fires while the
 * look-up begins, it frees it twice. */
#define LK_REQUEST_LEADERS 1000

#define LK_NAME_MAX 32767 /* a Kafka string's length */

/* The objects of one request, which live until the C function ends. */
typedef struct lk_items {
  size_t n;
  void (*free)(void *);
  void *p[];
} lk_items;

/* Makes an object from the row at `row`. It puts the object into *item before it reads on, since reading may raise. */
typedef void (*lk_item_reader)(lua_State *L, int row, void **item);

/* Reads a list of at least one row; `arg` is its name in a message. */
lk_items *lk_items_push(lua_State *L, int list, const char *arg, lk_item_reader read, void (*free_)(void *));

/* The same for a list of names. */
lk_items *lk_items_names(lua_State *L, int list, const char *arg);

/* Options for a request of the client at 1: its ticket, and its time in this library and at the broker. */
rd_kafka_AdminOptions_t *lk_request_options(lua_State *L, rd_kafka_admin_op_t op, int ms, int64_t ticket);

/* The time of a request that looks up leaders: the argument at `idx`, but LK_REQUEST_LEADERS at least. */
int lk_request_leaders_ms(lua_State *L, int idx);

/* The broker is to check the request and do nothing. */
void lk_request_dry(rd_kafka_AdminOptions_t *o, bool dry);

/* Pushes key and table of the record for h->event, to be filled and put; false where the request failed as a whole, which
 * the table then says. */
bool lk_answer_push(lua_State *L, lk_hand *h);

#endif

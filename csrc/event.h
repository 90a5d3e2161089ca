/* Events into records. A record is two entries of a Lua list: a key (the integer ticket of a request, or the name of a kind
 * such as "log") and a payload. Each kind of event has one pusher, which the file that knows the kind registers.
 *
 * The hand holds the event under conversion: a conversion that runs out of memory leaves it there, and the next one goes
 * on where it stopped, so that no report is lost. */
#ifndef LK_EVENT_H
#define LK_EVENT_H

#include <librdkafka/rdkafka.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct lk_hand {
  rd_kafka_t *rk; /* whose events these are */
  bool assigned;   /* a group has assigned partitions, now or before */
  bool cooperative; /* the protocol of that group, as the last rebalance said */
  bool leaving;    /* or has left it: librdkafka may drop what it is asked about the group, so it is asked nothing */
  rd_kafka_event_t *event;
  const rd_kafka_message_t *message; /* of a delivery event: the one under conversion */
  int64_t delivered, failed;         /* reports handed over so far */
  int64_t row, row_ticket;           /* successes of a batch, counted and not handed over yet */
  int list;                          /* stack index of the list of records */
  lua_Integer tail;                  /* its last used entry */
  int budget;                        /* how many more may be converted in this call */
} lk_hand;

/* Converts h->event; true when nothing of it is left. */
typedef bool (*lk_pusher)(lua_State *L, lk_hand *h);

/* Once in a process, before any client: other Lua states of it read what is registered, on their own threads. */
void lk_event_register(rd_kafka_event_type_t type, lk_pusher push);
void lk_event_open(void);

/* Appends the record whose key and payload are the two values on top of the stack; pops them. */
void lk_hand_put(lua_State *L, lk_hand *h);

/* Takes events from `q` until it is empty or the budget is spent. */
void lk_hand_drain(lua_State *L, lk_hand *h, rd_kafka_queue_t *q);
void lk_hand_drop(lk_hand *h);

#endif

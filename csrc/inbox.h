/* An inbox: the fetched messages of chosen partitions, and the position in each: the next offset to hand to the caller.
 *
 * Each partition is read from its own queue. Forwarding these to one common queue does not last: librdkafka ends the
 * forwarding when it stops a partition, which it does some time after an unassign has returned, so that a partition taken
 * up again at once would deliver to nobody.
 *
 * librdkafka is asked for messages in batches; what a fetch (fetch.c) does not take stays in `held`, in order. */
#ifndef LK_INBOX_H
#define LK_INBOX_H

#include "client.h"

typedef struct lk_entry {
  char *topic;
  int32_t partition;
  rd_kafka_queue_t *queue;
  int64_t position; /* -1: not known before the first message */
  bool eof;
  int64_t ends;  /* how often the end was reached */
  int64_t ahead; /* what the take under way will make of them */
  int64_t ahead_ends;
  bool ahead_eof, moved;
} lk_entry;

typedef struct lk_inbox {
  lk_child child;
  rd_kafka_message_t **held; /* held[at..n) is not handed out yet; NULL: dropped */
  size_t at, n, cap;
  lk_entry *entries;
  size_t n_entries;
  size_t last; /* the entry found last */
  size_t turn; /* the entry whose queue is asked next */
} lk_inbox;

/* The open inbox at argument 1. */
lk_inbox *lk_inbox_check(lua_State *L);

/* The entry a message belongs to; NULL where its partition is not open here. */
lk_entry *lk_inbox_entry(lk_inbox *b, const rd_kafka_message_t *m);

/* Frees held[i]. */
void lk_inbox_drop(lk_inbox *b, size_t i);

/* Moves what is held to the front, where that is no more than what was taken since: each message is moved once at most for one
 * that was taken. */
void lk_inbox_close_up(lk_inbox *b);

/* Asks librdkafka for more, one partition after the other; false where none has anything now. */
bool lk_inbox_refill(lua_State *L, lk_inbox *b);

/* inbox:take, of fetch.c */
int lk_inbox_take(lua_State *L);

#endif

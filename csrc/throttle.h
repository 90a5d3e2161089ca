/* Notes of brokers that make this client wait (quotas). librdkafka has no event for that: it calls a function, within a poll, on
 * the thread that polls. The note is written down there, and handed out as records {broker, id, ms} by the next drain. */
#ifndef LK_THROTTLE_H
#define LK_THROTTLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "event.h"

typedef struct lk_note lk_note;

typedef struct lk_throttle {
  pthread_mutex_t lock;
  lk_note *first, **last;
  atomic_int count;
} lk_throttle;

void lk_throttle_init(lk_throttle *t);
void lk_throttle_end(lk_throttle *t);

/* From any thread; a note for which there is no memory is dropped. */
void lk_throttle_note(lk_throttle *t, const char *broker, int32_t id, int ms);

bool lk_throttle_any(const lk_throttle *t);
void lk_throttle_drain(lua_State *L, lk_throttle *t, lk_hand *h);

#endif

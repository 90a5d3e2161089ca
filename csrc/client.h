/* A client: one rd_kafka_t with its control queue, its port and what depends on it.
 *
 * Who keeps the rd_kafka_t alive: the Lua handle until it is closed or collected, and every job under way. The last one
 * to let go has it destroyed, on a thread, since that may take long. The memory of lk_client itself lives on until the
 * handle is collected too, so that Lua can ask whether the rd_kafka_t is gone.
 *
 * What must be gone before rd_kafka_destroy (queues, messages, topics) belongs to the handle: children are shut, topics
 * and the control queue dropped when it is closed. */
#ifndef LK_CLIENT_H
#define LK_CLIENT_H

#include <librdkafka/rdkafka.h>
#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "class.h"
#include "event.h"
#include "security.h"
#include "task.h"
#include "throttle.h"
#include "topic.h"

typedef struct lk_child lk_child;

typedef struct lk_client {
  rd_kafka_t *rk;
  rd_kafka_type_t type;
  rd_kafka_queue_t *control;
  lk_yard *yard;
  lk_port *port;
  atomic_int users; /* of rk: the handle, the jobs */
  atomic_int refs;  /* of this memory: the handle, rk */
  atomic_bool gone; /* rk is destroyed */
  unsigned generation;
  lk_hand hand;
  lk_throttle throttle;
  atomic_bool news; /* the control queue has got something since a drain last emptied it */
  bool held;        /* Lua has records to dispatch before it may produce */
  bool unfinished;  /* the last drain failed half way */
  bool draining; /* a finalizer may call into the client while drain allocates */
  lk_verdict verdict; /* on a broker's certificate */
  lk_task *done; /* the finished job under conversion */
  int64_t accepted;
  int64_t common; /* the ticket of messages that go the shortest way */
  int64_t pulse; /* when librdkafka last heard that the caller polls, in ms */
  bool abandon;  /* its destruction would never end */
  rd_kafka_consumer_group_metadata_t *group; /* of the member, as it was when it began to leave */
  bool patient;  /* its destruction must wait until a group has assigned partitions */
  lk_child *children;
  lk_topics topics;
  void (*before_destroy)(void *); /* on the destroying thread */
  void *before_destroy_arg;
} lk_client;

/* Something that holds parts of the rd_kafka_t: `shut` gives them back when the client closes, and leaves the child
 * closed (client NULL). Its user value 1 is the client's handle. */
struct lk_child {
  lk_child *next, **self;
  lk_client *client;
  bool busy; /* in a call that allocates, within which a finalizer may try to close the client */
  void (*shut)(lk_child *c);
};
void lk_child_add(lk_client *c, lk_child *child, void (*shut)(lk_child *));
void lk_child_remove(lk_child *child);

#define LK_ANY (-1)

/* The open client at `idx`, of the type given (LK_ANY: any); misuse where closed, or in a process forked since.
 *
 * Any allocation may run a finalizer, and a finalizer may close the client: check again after the last one, just before
 * the library is called. A check that succeeds allocates nothing. */
lk_client *lk_client_check(lua_State *L, int idx, int type);

/* The same for a userdata that was checked before in this call: whether it is still open. */
lk_client *lk_client_again(lua_State *L, int idx);

/* librdkafka's calls about a group, and about what is assigned, wait for its main thread without end, which may drop them
 * once the group is being left. So none is made while hand.leaving is set, but for group.c's resign, on a thread. This
 * returns nil and the error for a call that is not made. */
int lk_client_left(lua_State *L);

/* True in a child process forked after the client was opened: its threads do not exist there. */
bool lk_client_forked(const lk_client *c);

/* True while a call reads the client or a child of it: a finalizer that runs within cannot close it. */
bool lk_client_busy(const lk_client *c);

/* True where nothing waits to be drained. */
bool lk_client_idle(lk_client *c);

/* The same without a lock, for what is called for every message. */
bool lk_client_quiet(lk_client *c);

/* Pushes a new handle; `conf` is a box at `conf_box`; `events` come on top of those that every client takes. Where it fails,
 * pushes nil and the error and returns NULL. */
lk_client *lk_client_open(lua_State *L, rd_kafka_type_t type, int events, int conf_box);

/* Gives back all the handle holds, and lets go of rk. Idempotent. */
void lk_client_shut(lk_client *c);

/* Keeps rk alive for work under way, and lets go of it again: from any thread. */
void lk_client_retain(lk_client *c);
void lk_client_release(lk_client *c);

/* Tickets come from Lua: 1 or more. 0 stands for "count only". */
int64_t lk_ticket(lua_State *L, int idx);

extern const lk_class lk_client_class;
extern const luaL_Reg lk_client_methods[];

#endif

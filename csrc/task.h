/* Threads, and the way back from them. Nothing here knows Kafka; only `push` of a task ever meets Lua, and that is called
 * on Lua's own thread.
 *
 * A yard counts the threads of one Lua state, so that lua_close can wait a moment for those that are ending.
 * A port is the way back: a list of finished tasks and a non-blocking pipe that becomes readable. librdkafka writes to
 * the same pipe when a queue fills.
 * A task is one blocking call on a thread of its own, with its own copy of arguments and results. Nothing can stop such a
 * call: a task that nobody waits for any more runs to its end, and clears itself where its port has been closed. */
#ifndef LK_TASK_H
#define LK_TASK_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct lk_yard lk_yard;
lk_yard *lk_yard_new(void);
void lk_yard_retain(lk_yard *y);
void lk_yard_release(lk_yard *y);
/* Waits until no thread of the yard is left, at most `ms`. Returns how many are left. */
int lk_yard_wait(lk_yard *y, int ms);
/* Starts a detached thread with every signal blocked; false where the system has none to give. */
bool lk_yard_thread(lk_yard *y, void (*run)(void *), void *arg);

typedef struct lk_port lk_port;
typedef struct lk_task lk_task;
struct lk_task {
  lk_task *next;
  lk_port *port;
  int64_t ticket;
  void (*run)(lk_task *t);                /* on the thread */
  void (*push)(lua_State *L, lk_task *t); /* pushes one value */
  void (*clear)(lk_task *t);              /* frees the results and the task */
};

lk_port *lk_port_new(lk_yard *y); /* NULL: no descriptor or no memory left, errno says */
void lk_port_retain(lk_port *p);
void lk_port_release(lk_port *p);
void lk_port_close(lk_port *p); /* from now on a task that ends clears itself */
int lk_port_fd(const lk_port *p);
int lk_port_write_fd(const lk_port *p);
void lk_port_wake(lk_port *p);
/* Waits until readable, at most `ms`, and empties the pipe. A signal ends the wait early. */
bool lk_port_wait(lk_port *p, int ms);
/* Whether no task has finished since the last was taken. */
bool lk_port_idle(lk_port *p);
/* The next finished task, which is then the caller's to clear, or NULL. */
lk_task *lk_port_take(lk_port *p);

/* Runs `t` on a thread; false: it did not start and is still the caller's. */
bool lk_task_start(lk_task *t, lk_port *p);

#endif

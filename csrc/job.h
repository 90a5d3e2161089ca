/* Jobs: librdkafka's blocking calls, each as a task that keeps the client's rd_kafka_t alive until it ends. A role's struct
 * begins with an lk_job. */
#ifndef LK_JOB_H
#define LK_JOB_H

#include "client.h"

typedef struct lk_job lk_job;
struct lk_job {
  lk_task task;
  lk_client *client;
  void (*run)(lk_job *j);
  void (*push)(lua_State *L, lk_job *j); /* pushes one table */
  void (*clear)(lk_job *j);              /* frees what the role's fields hold; may be NULL */
  rd_kafka_resp_err_t err;               /* set by run; then {err = ...} is pushed instead */
  rd_kafka_error_t *error;               /* the same, richer */
};

/* Allocates a job of `size` bytes, zeroed, for the client at 1, in a box on the stack: nothing leaks where preparing it
 * raises. Checks the client after it has allocated. */
void *lk_job_push(lua_State *L, int type, size_t size, void (*run)(lk_job *), void (*push)(lua_State *, lk_job *),
                  void (*clear)(lk_job *));
/* Starts the job whose box is at `box`; returns what the Lua function returns: true, or nil and the error. */
int lk_job_start(lua_State *L, int box, int64_t ticket);

#endif

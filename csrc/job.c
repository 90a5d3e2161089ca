#include "job.h"

#include <stdlib.h>

#include "error.h"

static void job_run(lk_task *t) {
  lk_job *j = (lk_job *)t;
  j->run(j);
}

static void job_push(lua_State *L, lk_task *t) {
  lk_job *j = (lk_job *)t;
  if (!j->error && !j->err) {
    j->push(L, j);
    return;
  }
  lua_createtable(L, 0, 1);
  if (j->error) {
    lk_error_push_object(L, j->error);
  } else {
    lk_error_push(L, j->err, NULL);
  }
  lua_setfield(L, -2, "err");
}

static void job_clear(lk_task *t) {
  lk_job *j = (lk_job *)t;
  lk_client *c = j->client;
  if (j->clear) j->clear(j);
  if (j->error) rd_kafka_error_destroy(j->error);
  free(j);
  lk_client_release(c);
}

static void job_free(void *p) { job_clear(p); }

void *lk_job_push(lua_State *L, int type, size_t size, void (*run)(lk_job *), void (*push)(lua_State *, lk_job *),
                  void (*clear)(lk_job *)) {
  lk_box *box = lk_box_push(L, job_free);
  lk_client *c = lk_client_check(L, 1, type);
  lk_job *j = calloc(1, size);
  if (!j) luaL_error(L, "out of memory");
  j->task = (lk_task){.run = job_run, .push = job_push, .clear = job_clear};
  j->client = c;
  j->run = run;
  j->push = push;
  j->clear = clear;
  lk_client_retain(c);
  box->p = j;
  return j;
}

int lk_job_start(lua_State *L, int box, int64_t ticket) {
  lk_box *b = lua_touserdata(L, box);
  lk_job *j = b->p;
  j->task.ticket = ticket;
  if (!lk_task_start(&j->task, j->client->port)) {
    return lk_error_fail(L, RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "no thread could be started");
  }
  lk_box_take(b);
  lua_pushboolean(L, 1);
  return 1;
}

/* C11 threads made of pthreads, to be preloaded with the thread sanitizer: it knows pthread_create and its like only, and
 * librdkafka uses thrd_create and its like. In glibc a mtx_t is a pthread_mutex_t and a cnd_t a pthread_cond_t. The same for
 * _longjmp, which is Lua's: the sanitizer would take every function that raised for one that still runs. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

#define MUTEX(m) ((pthread_mutex_t *)(m))
#define COND(c) ((pthread_cond_t *)(c))

static int answer(int err) {
  switch (err) {
  case 0: return thrd_success;
  case EBUSY: return thrd_busy;
  case ETIMEDOUT: return thrd_timedout;
  case ENOMEM: return thrd_nomem;
  default: return thrd_error;
  }
}

/* Wakes the sanitizer, which begins with the first call it knows and crashes where that is a shell's _setjmp. */
__attribute__((constructor)) static void begin(void) {
  void *volatile p = malloc(1);
  free(p);
}

void __longjmp_chk(jmp_buf to, int value) { longjmp(to, value); } /* _longjmp where _FORTIFY_SOURCE is on */
void _longjmp(jmp_buf to, int value) { longjmp(to, value); }

/* ---- threads ---- */

typedef struct body {
  thrd_start_t run;
  void *arg;
} body;

static void *run_body(void *p) {
  body b = *(body *)p;
  free(p);
  return (void *)(intptr_t)b.run(b.arg);
}

int thrd_create(thrd_t *t, thrd_start_t run, void *arg) {
  body *b = malloc(sizeof *b);
  if (!b) return thrd_nomem;
  *b = (body){run, arg};
  int err = pthread_create(t, NULL, run_body, b);
  if (err) free(b);
  return answer(err);
}

int thrd_join(thrd_t t, int *result) {
  void *returned;
  int err = pthread_join(t, &returned);
  if (!err && result) *result = (int)(intptr_t)returned;
  return answer(err);
}

int thrd_detach(thrd_t t) { return answer(pthread_detach(t)); }

/* ---- mutexes ---- */

int mtx_init(mtx_t *m, int type) {
  pthread_mutexattr_t attr;
  pthread_mutexattr_init(&attr);
  if (type & mtx_recursive) pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
  int err = pthread_mutex_init(MUTEX(m), &attr);
  pthread_mutexattr_destroy(&attr);
  return answer(err);
}

int mtx_lock(mtx_t *m) { return answer(pthread_mutex_lock(MUTEX(m))); }

int mtx_trylock(mtx_t *m) { return answer(pthread_mutex_trylock(MUTEX(m))); }

int mtx_timedlock(mtx_t *m, const struct timespec *until) { return answer(pthread_mutex_timedlock(MUTEX(m), until)); }

int mtx_unlock(mtx_t *m) { return answer(pthread_mutex_unlock(MUTEX(m))); }

void mtx_destroy(mtx_t *m) { pthread_mutex_destroy(MUTEX(m)); }

/* ---- conditions ---- */

int cnd_init(cnd_t *c) { return answer(pthread_cond_init(COND(c), NULL)); }

int cnd_signal(cnd_t *c) { return answer(pthread_cond_signal(COND(c))); }

int cnd_broadcast(cnd_t *c) { return answer(pthread_cond_broadcast(COND(c))); }

int cnd_wait(cnd_t *c, mtx_t *m) { return answer(pthread_cond_wait(COND(c), MUTEX(m))); }

int cnd_timedwait(cnd_t *c, mtx_t *m, const struct timespec *until) {
  return answer(pthread_cond_timedwait(COND(c), MUTEX(m), until));
}

void cnd_destroy(cnd_t *c) { pthread_cond_destroy(COND(c)); }

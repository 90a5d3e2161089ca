#define _GNU_SOURCE
#include "task.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* ---- yard ---- */

struct lk_yard {
  atomic_int refs;
  int live;
  pthread_mutex_t lock;
  pthread_cond_t idle;
};

lk_yard *lk_yard_new(void) {
  lk_yard *y = calloc(1, sizeof *y);
  if (!y) return NULL;
  atomic_init(&y->refs, 1);
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_mutex_init(&y->lock, NULL);
  pthread_cond_init(&y->idle, &attr);
  pthread_condattr_destroy(&attr);
  return y;
}

void lk_yard_retain(lk_yard *y) { atomic_fetch_add(&y->refs, 1); }

void lk_yard_release(lk_yard *y) {
  if (!y || atomic_fetch_sub(&y->refs, 1) != 1) return;
  pthread_mutex_destroy(&y->lock);
  pthread_cond_destroy(&y->idle);
  free(y);
}

int lk_yard_wait(lk_yard *y, int ms) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += ms / 1000;
  until.tv_nsec += (long)(ms % 1000) * 1000000L;
  if (until.tv_nsec >= 1000000000L) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000L;
  }
  pthread_mutex_lock(&y->lock);
  while (y->live > 0 && pthread_cond_timedwait(&y->idle, &y->lock, &until) != ETIMEDOUT) {}
  int left = y->live;
  pthread_mutex_unlock(&y->lock);
  return left;
}

typedef struct start {
  lk_yard *yard;
  void (*run)(void *);
  void *arg;
} start;

static void *thread_main(void *p) {
  start s = *(start *)p;
  free(p);
  s.run(s.arg);
  pthread_mutex_lock(&s.yard->lock);
  if (--s.yard->live == 0) pthread_cond_broadcast(&s.yard->idle);
  pthread_mutex_unlock(&s.yard->lock);
  lk_yard_release(s.yard);
  return NULL;
}

bool lk_yard_thread(lk_yard *y, void (*run)(void *), void *arg) {
  start *s = malloc(sizeof *s);
  if (!s) return false;
  *s = (start){y, run, arg};
  sigset_t all, before;
  sigfillset(&all);
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  lk_yard_retain(y);
  pthread_mutex_lock(&y->lock);
  y->live++;
  pthread_mutex_unlock(&y->lock);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  bool ok = pthread_create(&thread, &attr, thread_main, s) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attr);
  if (ok) return true;
  pthread_mutex_lock(&y->lock);
  y->live--;
  pthread_mutex_unlock(&y->lock);
  lk_yard_release(y);
  free(s);
  return false;
}

/* ---- port ---- */

struct lk_port {
  atomic_int refs;
  lk_yard *yard;
  int fd[2];
  bool closed;
  lk_task *first, **last;
  atomic_bool filled; /* the same as first != NULL, to be asked without the lock */
  pthread_mutex_t lock;
};

lk_port *lk_port_new(lk_yard *y) {
  lk_port *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  if (pipe2(p->fd, O_CLOEXEC | O_NONBLOCK) != 0) {
    free(p);
    return NULL;
  }
  atomic_init(&p->refs, 1);
  p->last = &p->first;
  p->yard = y;
  lk_yard_retain(y);
  pthread_mutex_init(&p->lock, NULL);
  return p;
}

void lk_port_retain(lk_port *p) { atomic_fetch_add(&p->refs, 1); }

void lk_port_release(lk_port *p) {
  if (!p || atomic_fetch_sub(&p->refs, 1) != 1) return;
  close(p->fd[0]);
  close(p->fd[1]);
  pthread_mutex_destroy(&p->lock);
  lk_yard_release(p->yard);
  free(p);
}

void lk_port_close(lk_port *p) {
  pthread_mutex_lock(&p->lock);
  p->closed = true;
  pthread_mutex_unlock(&p->lock);
  for (lk_task *t; (t = lk_port_take(p));) t->clear(t);
}

int lk_port_fd(const lk_port *p) { return p->fd[0]; }

int lk_port_write_fd(const lk_port *p) { return p->fd[1]; }

void lk_port_wake(lk_port *p) {
  /* A full pipe is readable already, so what write says does not matter. */
  ssize_t ignored = write(p->fd[1], "!", 1);
  (void)ignored;
}

bool lk_port_wait(lk_port *p, int ms) {
  struct pollfd in = {.fd = p->fd[0], .events = POLLIN, .revents = 0};
  if (poll(&in, 1, ms) <= 0) return false;
  char bin[512];
  while (read(p->fd[0], bin, sizeof bin) == (ssize_t)sizeof bin) {}
  return true;
}

bool lk_port_idle(lk_port *p) { return !atomic_load(&p->filled); }

lk_task *lk_port_take(lk_port *p) {
  pthread_mutex_lock(&p->lock);
  lk_task *t = p->first;
  if (t) {
    p->first = t->next;
    if (!p->first) p->last = &p->first;
    atomic_store(&p->filled, p->first != NULL);
    t->next = NULL;
  }
  pthread_mutex_unlock(&p->lock);
  return t;
}

/* ---- task ---- */

static void task_main(void *arg) {
  lk_task *t = arg;
  lk_port *p = t->port;
  t->run(t);
  pthread_mutex_lock(&p->lock);
  bool closed = p->closed;
  if (!closed) {
    *p->last = t;
    p->last = &t->next;
    atomic_store(&p->filled, true);
  }
  pthread_mutex_unlock(&p->lock);
  if (closed) {
    t->clear(t);
  } else {
    lk_port_wake(p);
  }
  lk_port_release(p);
}

bool lk_task_start(lk_task *t, lk_port *p) {
  t->port = p;
  lk_port_retain(p);
  if (lk_yard_thread(p->yard, task_main, t)) return true;
  lk_port_release(p);
  return false;
}

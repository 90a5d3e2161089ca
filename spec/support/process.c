/* What the specs need of POSIX and Lua lacks: fork, signals, waiting for a process, and what this process holds. Compiled by
 * process.lua when first used; no part of the library. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <malloc.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct sigaction at_load; /* what SIGINT does in this program: lua's own handler */
static volatile sig_atomic_t fired;
static struct timespec fired_at;

static int p_fork(lua_State *L) {
  lua_pushinteger(L, fork());
  return 1;
}

/* Ends the process without running anything more of it. */
static int p_exit(lua_State *L) {
  _exit((int)luaL_checkinteger(L, 1));
  return 0;
}

static int p_kill(lua_State *L) {
  lua_pushboolean(L, kill((pid_t)luaL_checkinteger(L, 1), (int)luaL_checkinteger(L, 2)) == 0);
  return 1;
}

/* waitpid(pid) -> nil while it runs, then its exit code, or minus the signal that ended it */
static int p_waitpid(lua_State *L) {
  int status;
  if (waitpid((pid_t)luaL_checkinteger(L, 1), &status, WNOHANG) <= 0) return 0;
  lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
  return 1;
}

static int p_getpid(lua_State *L) {
  lua_pushinteger(L, getpid());
  return 1;
}

/* ask(port, request) -> the answer of a server on this machine: four bytes of its length, and so many more */
static int p_ask(lua_State *L) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  size_t length, have = 0, whole = 4;
  unsigned char answer[4096];
  to.sin_port = htons((uint16_t)luaL_checkinteger(L, 1));
  const char *request = luaL_checklstring(L, 2, &length);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 5}, sizeof(struct timeval));
  bool sent = connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && send(fd, request, length, 0) == (ssize_t)length;
  while (sent && have < whole && whole <= sizeof answer) {
    ssize_t n = recv(fd, answer + have, sizeof answer - have, 0);
    if (n <= 0) break;
    have += (size_t)n;
    if (have >= 4) whole = 4 + ((size_t)answer[0] << 24 | (size_t)answer[1] << 16 | (size_t)answer[2] << 8 | answer[3]);
  }
  close(fd);
  if (have < whole) return luaL_error(L, "no answer at port %d", ntohs(to.sin_port));
  lua_pushlstring(L, (const char *)answer, have);
  return 1;
}

/* nap(): a moment between two looks at a condition */
static int p_nap(lua_State *L) {
  struct timespec t = {0, 5000000};
  (void)L;
  nanosleep(&t, NULL);
  return 0;
}

/* entries(path): how many files a folder holds, such as /proc/self/task */
static int p_entries(lua_State *L) {
  DIR *d = opendir(luaL_checkstring(L, 1));
  if (!d) return luaL_error(L, "%s: %s", lua_tostring(L, 1), strerror(errno));
  lua_Integer n = 0;
  for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
  closedir(d);
  lua_pushinteger(L, n);
  return 1;
}

/* allocated() -> how many bytes of C's memory are in use; 0 where a sanitizer has taken it over */
static int p_allocated(lua_State *L) {
  struct mallinfo2 m = mallinfo2();
  lua_pushinteger(L, (lua_Integer)(m.uordblks + m.hblkhd));
  return 1;
}

static void on_alarm(int signal) {
  (void)signal;
  clock_gettime(CLOCK_MONOTONIC, &fired_at);
  fired = 1;
  kill(getpid(), SIGINT);
}

/* interrupt_threads(): every other thread of this process that lets SIGUSR1 through gets it; what it was waiting in ends */
static void on_usr1(int signal) { (void)signal; }

static int p_interrupt_threads(lua_State *L) {
  struct sigaction a;
  memset(&a, 0, sizeof a);
  a.sa_handler = on_usr1;
  sigaction(SIGUSR1, &a, NULL);
  DIR *d = opendir("/proc/self/task");
  if (!d) return luaL_error(L, "/proc/self/task: %s", strerror(errno));
  for (struct dirent *e; (e = readdir(d));) {
    long tid = strtol(e->d_name, NULL, 10);
    if (tid > 0 && tid != getpid()) syscall(SYS_tgkill, getpid(), tid, SIGUSR1);
  }
  closedir(d);
  return 0;
}

/* interrupt_in(seconds): this process gets SIGINT then, as by Ctrl-C. lua's handler works once; it is put back here. */
static int p_interrupt_in(lua_State *L) {
  double s = luaL_checknumber(L, 1);
  struct sigaction a;
  memset(&a, 0, sizeof a);
  a.sa_handler = on_alarm;
  sigaction(SIGALRM, &a, NULL);
  sigaction(SIGINT, &at_load, NULL);
  fired = 0;
  struct itimerval t = {{0, 0}, {(time_t)s, (suseconds_t)((s - (double)(time_t)s) * 1e6)}};
  setitimer(ITIMER_REAL, &t, NULL);
  return 0;
}

/* since_interrupt() -> seconds, or nil where it has not come */
static int p_since_interrupt(lua_State *L) {
  struct timespec t;
  if (!fired) return 0;
  clock_gettime(CLOCK_MONOTONIC, &t);
  lua_pushnumber(L, (double)(t.tv_sec - fired_at.tv_sec) + (double)(t.tv_nsec - fired_at.tv_nsec) / 1e9);
  return 1;
}

/* refuse_memory(n): Lua gets n more pieces of memory and then none; below 0: as many as it likes again. */
static lua_Alloc plain;
static void *plain_ud;
static lua_Integer pieces = -1;

static void *allocate(void *ud, void *p, size_t old, size_t size) {
  (void)ud;
  if (size > 0 && (!p || size > old) && pieces >= 0 && pieces-- == 0) {
    pieces = 0;
    return NULL;
  }
  return plain(plain_ud, p, old, size);
}

static int p_refuse_memory(lua_State *L) {
  pieces = luaL_checkinteger(L, 1);
  if (!plain) plain = lua_getallocf(L, &plain_ud);
  if (pieces < 0) { /* this code is unloaded before the state is closed */
    lua_setallocf(L, plain, plain_ud);
  } else {
    lua_setallocf(L, allocate, NULL);
  }
  return 0;
}

static const luaL_Reg functions[] = {{"fork", p_fork},           {"exit", p_exit},
                                     {"kill", p_kill},           {"waitpid", p_waitpid},
                                     {"getpid", p_getpid},       {"nap", p_nap},             {"ask", p_ask},
                                     {"entries", p_entries},     {"interrupt_in", p_interrupt_in},
                                     {"allocated", p_allocated}, {"interrupt_threads", p_interrupt_threads},
                                     {"since_interrupt", p_since_interrupt}, {"refuse_memory", p_refuse_memory},
                                     {NULL, NULL}};

int luaopen_spec_process(lua_State *L);

int luaopen_spec_process(lua_State *L) {
  sigaction(SIGINT, NULL, &at_load);
  luaL_newlib(L, functions);
  return 1;
}

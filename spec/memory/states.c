/* states FILE BROKERS COUNT WARM: opens and closes COUNT Lua states one after the other, each running FILE with BROKERS as its
 * argument. Prints what the process holds after WARM of them and after all: threads, descriptors, resident kilobytes. */
#include <dirent.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int entries(const char *path) {
  int n = 0;
  DIR *d = opendir(path);
  if (!d) return -1;
  for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
  closedir(d);
  return n;
}

static long resident(void) {
  long all, pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f) return -1;
  if (fscanf(f, "%ld %ld", &all, &pages) != 2) pages = -1;
  fclose(f);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int one_state(const char *file, const char *brokers) {
  lua_State *L = luaL_newstate();
  if (!L) return 1;
  luaL_openlibs(L);
  int bad = luaL_loadfile(L, file) != LUA_OK;
  if (!bad) {
    lua_pushstring(L, brokers);
    bad = lua_pcall(L, 1, 0, 0) != LUA_OK;
  }
  if (bad) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  return bad;
}

/* What the last states left ends in the background; waits for that, 10 s at most. The thread sanitizer has a thread too. */
static void tell(void) {
  struct timespec moment = {0, 20000000};
  const char *watch = getenv("WATCH");
  int own = watch && strcmp(watch, "tsan") == 0 ? 2 : 1;
  for (int i = 0; i < 500 && entries("/proc/self/task") > own; i++) nanosleep(&moment, NULL);
  printf("%d %d %ld\n", entries("/proc/self/task"), entries("/proc/self/fd"), resident());
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  int count = atoi(argv[3]), warm = atoi(argv[4]);
  for (int i = 1; i <= count; i++) {
    if (one_state(argv[1], argv[2])) return 1;
    if (i == warm || i == count) tell();
  }
  return 0;
}

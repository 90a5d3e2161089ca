#include "conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "class.h"
#include "misuse.h"
#include "opt.h"

static void conf_free(void *p) { rd_kafka_conf_destroy(p); }

/* Raises the sentence with the name at `idx` in it, shown as any string of the caller's. */
static int refuse(lua_State *L, int idx, const char *fmt) {
  lk_misuse_show(L, idx);
  return lk_misuse_error(L, fmt, lua_tostring(L, -1));
}

/* Whether the string at `idx` reaches librdkafka, which takes C strings, as it is. */
static bool whole(lua_State *L, int idx) {
  size_t len;
  return strlen(lua_tolstring(L, idx, &len)) == len;
}

rd_kafka_conf_t *lk_conf_push(lua_State *L, int idx) {
  char why[512];
  lk_opt_table(L, idx, "settings");
  idx = lua_absindex(L, idx);
  lk_box *box = lk_box_push(L, conf_free);
  rd_kafka_conf_t *conf = box->p = rd_kafka_conf_new();
  lua_pushnil(L);
  while (lua_next(L, idx)) {
    if (lua_type(L, -2) != LUA_TSTRING) lk_misuse(L, -2, "the name of a setting", "a string");
    if (!whole(L, -2)) refuse(L, -2, "unknown setting %s");
    if (lua_type(L, -1) != LUA_TSTRING || !whole(L, -1)) {
      refuse(L, -2, "setting %s must be a string without NUL");
    }
    /* librdkafka's words may repeat the value, which may be a secret: Lua has checked values before, so the name and
     * the code are enough here. */
    rd_kafka_conf_res_t res = rd_kafka_conf_set(conf, lua_tostring(L, -2), lua_tostring(L, -1), why, sizeof why);
    if (res == RD_KAFKA_CONF_UNKNOWN) refuse(L, -2, "unknown setting %s");
    if (res != RD_KAFKA_CONF_OK) refuse(L, -2, "librdkafka refuses the value of setting %s");
    lua_pop(L, 1);
  }
  return conf;
}

int lk_conf_refusal(lua_State *L) {
  char why[512];
  const char *name = luaL_checkstring(L, 1), *value = luaL_checkstring(L, 2);
  lk_box *box = lk_box_push(L, conf_free);
  box->p = rd_kafka_conf_new();
  if (rd_kafka_conf_set(box->p, name, value, why, sizeof why) == RD_KAFKA_CONF_OK) return 0;
  lua_pushstring(L, why);
  return 1;
}

void lk_conf_take(lua_State *L, int box) { lk_box_take(lua_touserdata(L, box)); }

int lk_conf_properties(lua_State *L) {
  lk_box *box = lk_box_push(L, free);
  char *text = NULL;
  size_t len = 0;
  FILE *f = open_memstream(&text, &len);
  if (!f) return luaL_error(L, "out of memory");
  rd_kafka_conf_properties_show(f);
  fclose(f);
  box->p = text;
  lua_pushlstring(L, text ? text : "", len);
  return 1;
}

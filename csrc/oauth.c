/* OAUTHBEARER: the event that asks for a token, and the token that the application gives. */
#include "client.h"
#include "error.h"
#include "misuse.h"
#include "opt.h"
#include "roles.h"

static bool push_refresh(lua_State *L, lk_hand *h) {
  const char *config = rd_kafka_event_config_string(h->event);
  lua_pushliteral(L, "oauth");
  lua_pushstring(L, config ? config : "");
  lk_hand_put(L, h);
  return true;
}

/* The list at `idx` as C strings, in a userdata pushed on the stack; `n` is how many. They live while the list does. */
static const char **strings(lua_State *L, int idx, size_t *n) {
  *n = lua_rawlen(L, idx);
  const char **list = lua_newuserdatauv(L, (*n + 1) * sizeof *list, 0);
  for (size_t i = 0; i < *n; i++) {
    if (lua_rawgeti(L, idx, (lua_Integer)i + 1) != LUA_TSTRING) lk_misuse_error(L, "extensions must be strings");
    list[i] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  return list;
}

/* oauth_token(token, expires_ms, principal, extensions) -> true | nil, err; extensions are name, value, name, value ... */
static int client_oauth_token(lua_State *L) {
  char why[512] = "";
  size_t n;
  lk_opt_table(L, 5, "extensions");
  const char **extensions = strings(L, 5, &n);
  const char *token = luaL_checkstring(L, 2), *principal = luaL_checkstring(L, 4);
  int64_t expires = lk_opt_int(L, 3, "expires", 0, LUA_MAXINTEGER);
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  rd_kafka_resp_err_t err =
      rd_kafka_oauthbearer_set_token(c->rk, token, expires, principal, extensions, n, why, sizeof why);
  if (err) return lk_error_fail(L, err, why);
  lua_pushboolean(L, 1);
  return 1;
}

/* oauth_failure(why): there is no token; librdkafka tells so by an error event, and asks again later. */
static int client_oauth_failure(lua_State *L) {
  const char *why = luaL_checkstring(L, 2);
  rd_kafka_oauthbearer_set_token_failure(lk_client_check(L, 1, LK_ANY)->rk, why);
  return 0;
}

const luaL_Reg lk_oauth_methods[] = {
    {"oauth_token", client_oauth_token}, {"oauth_failure", client_oauth_failure}, {NULL, NULL}};

void lk_oauth_open(void) { lk_event_register(RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH, push_refresh); }

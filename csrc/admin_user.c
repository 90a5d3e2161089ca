/* SCRAM users, as the cluster keeps them: describe, set, delete. librdkafka 2.2 and newer. */
#include <strings.h>

#include "field.h"
#include "misuse.h"
#include "opt.h"
#include "request.h"
#include "roles.h"

#if RD_KAFKA_VERSION >= 0x020200ff

static const char *const mechanisms[] = {"SCRAM-SHA-256", "SCRAM-SHA-512", NULL};

/* describe_users(names or nil for all, ms, ticket) -> true; the record's rows are {user, credentials, err} */
static int user_describe(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  int ms = lk_opt_ms(L, 3);
  int64_t ticket = lk_ticket(L, 4);
  lk_items *names = lua_isnil(L, 2) ? NULL : lk_items_names(L, 2, "users");
  rd_kafka_AdminOptions_t *o = lk_request_options(L, RD_KAFKA_ADMIN_OP_DESCRIBEUSERSCRAMCREDENTIALS, ms, ticket);
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  const char **users = names ? (const char **)names->p : NULL;
  rd_kafka_DescribeUserScramCredentials(c->rk, users, names ? names->n : 0, o, c->control);
  lua_pushboolean(L, 1);
  return 1;
}

static void alteration_free(void *p) { rd_kafka_UserScramCredentialAlteration_destroy(p); }

static void read_alteration(lua_State *L, int row, void **item) {
  lk_opt_table(L, row, "each user");
  const char *user = lk_opt_name(L, lk_opt_field(L, row, "user"), "user", LK_NAME_MAX);
  int word = luaL_checkoption(L, lk_opt_field(L, row, "mechanism"), NULL, mechanisms);
  rd_kafka_ScramMechanism_t mechanism = (rd_kafka_ScramMechanism_t)(word + RD_KAFKA_SCRAM_MECHANISM_SHA_256);
  size_t password_len, salt_len;
  const char *password = lk_opt_bytes(L, lk_opt_field(L, row, "password"), "password", &password_len);
  const char *salt = lk_opt_bytes(L, lk_opt_field(L, row, "salt"), "salt", &salt_len);
  if (!password) {
    *item = rd_kafka_UserScramCredentialDeletion_new(user, mechanism);
    return;
  }
  int32_t iterations = (int32_t)lk_opt_int(L, lk_opt_field(L, row, "iterations"), "iterations", 1, INT32_MAX);
  *item = rd_kafka_UserScramCredentialUpsertion_new(user, mechanism, iterations, (const unsigned char *)password,
                                                    password_len, (const unsigned char *)salt, salt_len);
}

/* alter_users(rows {user, mechanism, password, iterations, salt}, ms, ticket) -> true: a row without password deletes; the
 * record's rows are {user, err} */
static int user_alter(lua_State *L) {
  lk_client_check(L, 1, LK_ANY);
  int ms = lk_opt_ms(L, 3);
  int64_t ticket = lk_ticket(L, 4);
  lk_items *users = lk_items_push(L, 2, "users", read_alteration, alteration_free);
  rd_kafka_AdminOptions_t *o = lk_request_options(L, RD_KAFKA_ADMIN_OP_ALTERUSERSCRAMCREDENTIALS, ms, ticket);
  lk_client *c = lk_client_check(L, 1, LK_ANY);
  rd_kafka_UserScramCredentialAlteration_t **alterations = (rd_kafka_UserScramCredentialAlteration_t **)users->p;
  rd_kafka_AlterUserScramCredentials(c->rk, alterations, users->n, o, c->control);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- answers ---- */

static void push_user(lua_State *L, const rd_kafka_UserScramCredentialsDescription_t *u) {
  size_t n = rd_kafka_UserScramCredentialsDescription_scramcredentialinfo_count(u);
  lua_createtable(L, 0, 3);
  lk_set_string(L, "user", rd_kafka_UserScramCredentialsDescription_user(u));
  lk_set_error(L, rd_kafka_UserScramCredentialsDescription_error(u));
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    const rd_kafka_ScramCredentialInfo_t *info = rd_kafka_UserScramCredentialsDescription_scramcredentialinfo(u, i);
    int word = (int)rd_kafka_ScramCredentialInfo_mechanism(info) - (int)RD_KAFKA_SCRAM_MECHANISM_SHA_256;
    lua_createtable(L, 0, 2);
    lk_set_string(L, "mechanism", word == 0 || word == 1 ? mechanisms[word] : "unknown");
    lk_set_int(L, "iterations", rd_kafka_ScramCredentialInfo_iterations(info));
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "credentials");
}

static bool push_described(lua_State *L, lk_hand *h) {
  if (lk_answer_push(L, h)) {
    size_t n;
    const rd_kafka_DescribeUserScramCredentials_result_t *result =
        rd_kafka_event_DescribeUserScramCredentials_result(h->event);
    const rd_kafka_UserScramCredentialsDescription_t **users =
        rd_kafka_DescribeUserScramCredentials_result_descriptions(result, &n);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
      push_user(L, users[i]);
      lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "rows");
  }
  lk_hand_put(L, h);
  return true;
}

static bool push_altered(lua_State *L, lk_hand *h) {
  if (lk_answer_push(L, h)) {
    size_t n;
    const rd_kafka_AlterUserScramCredentials_result_t *result = rd_kafka_event_AlterUserScramCredentials_result(h->event);
    const rd_kafka_AlterUserScramCredentials_result_response_t **users =
        rd_kafka_AlterUserScramCredentials_result_responses(result, &n);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
      lua_createtable(L, 0, 2);
      lk_set_string(L, "user", rd_kafka_AlterUserScramCredentials_result_response_user(users[i]));
      lk_set_error(L, rd_kafka_AlterUserScramCredentials_result_response_error(users[i]));
      lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "rows");
  }
  lk_hand_put(L, h);
  return true;
}

#endif

void lk_admin_user_open(void) {
#if RD_KAFKA_VERSION >= 0x020200ff
  lk_event_register(RD_KAFKA_EVENT_DESCRIBEUSERSCRAMCREDENTIALS_RESULT, push_described);
  lk_event_register(RD_KAFKA_EVENT_ALTERUSERSCRAMCREDENTIALS_RESULT, push_altered);
#endif
}

const luaL_Reg lk_admin_user_methods[] = {
#if RD_KAFKA_VERSION >= 0x020200ff
    {"describe_users", user_describe},
    {"alter_users", user_alter},
#endif
    {NULL, NULL}};

/* kafka.core: the list of what is opened. Private: the module `kafka` is the public face. */
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <time.h>

#include "client.h"
#include "conf.h"
#include "error.h"
#include "event.h"
#include "message.h"
#include "misuse.h"
#include "opt.h"
#include "report.h"
#include "roles.h"
#include "state.h"

#if RD_KAFKA_VERSION < 0x020000ff
#error "librdkafka 2.0 or newer is needed"
#endif

static const luaL_Reg *const client_groups[] = {
    lk_client_methods,      lk_drain_methods,       lk_producer_methods,      lk_transaction_methods, lk_consumer_methods,
    lk_group_methods,       lk_inbox_roots,         lk_offset_methods,        lk_metadata_methods,    lk_oauth_methods,
    lk_admin_topic_methods, lk_admin_config_methods, lk_admin_group_methods,  lk_admin_acl_methods,   lk_admin_user_methods,
    lk_admin_cluster_methods, NULL};

static int open_client(lua_State *L, rd_kafka_type_t type, int events) {
  lua_settop(L, 1);
  lk_conf_push(L, 1);
  return lk_client_open(L, type, events, 2) ? 1 : 2;
}

/* core.producer(settings) -> client | nil, err */
static int core_producer(lua_State *L) { return open_client(L, RD_KAFKA_PRODUCER, 0); }

/* core.consumer(settings) -> client | nil, err */
static int core_consumer(lua_State *L) { return open_client(L, RD_KAFKA_CONSUMER, 0); }

/* core.member(settings) -> a consumer that may join a group: every "rebalance" record must be answered | nil, err */
static int core_member(lua_State *L) { return open_client(L, RD_KAFKA_CONSUMER, RD_KAFKA_EVENT_REBALANCE); }

/* core.now() -> seconds of a clock that never goes back */
static int core_now(lua_State *L) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec / 1e9);
  return 1;
}

/* core.home(prefix): chunk names that begin so belong to the library, see misuse.h */
static int core_home(lua_State *L) {
  lk_misuse_home(L, 1);
  return 0;
}

/* core.public(f, name): the caller knows this function by that name, see misuse.h */
static int core_public(lua_State *L) {
  lua_settop(L, 2);
  lk_misuse_name(L, 1, 2);
  return 0;
}

/* core.misuse(sentence): raises it at the caller's line */
static int core_misuse(lua_State *L) {
  luaL_checkstring(L, 1);
  lk_misuse_where(L);
  lua_pushvalue(L, 1);
  lua_concat(L, 2);
  return lua_error(L);
}

/* core.show(value) -> a short picture of it for a message */
static int core_show(lua_State *L) {
  lua_settop(L, 1);
  lk_misuse_show(L, 1);
  return 1;
}

/* core.is_topic(value) -> whether Kafka could have a topic of that name */
static int core_is_topic(lua_State *L) {
  lua_settop(L, 1);
  lua_pushboolean(L, lk_opt_is_topic(L, 1));
  return 1;
}

/* core.copy(table) -> its entries, read raw and at one moment */
static int core_copy(lua_State *L) {
  lk_opt_table(L, 1, "table");
  lk_opt_copy(L, 1);
  return 1;
}

static const luaL_Reg functions[] = {{"producer", core_producer}, {"consumer", core_consumer}, {"member", core_member},
                                     {"mock", lk_mock_new},       {"errors", lk_error_list},
                                     {"properties", lk_conf_properties}, {"now", core_now},
                                     {"home", core_home},         {"misuse", core_misuse},
                                     {"show", core_show},         {"is_topic", core_is_topic},
                                     {"public", core_public},     {"copy", core_copy},
                                     {"refusal", lk_conf_refusal}, {"quick", lk_producer_quick},
                                     {NULL, NULL}};

static void open_process(void) {
  lk_state_init_process();
  lk_event_open();
  lk_report_open();
  lk_offset_open();
  lk_group_open();
  lk_admin_topic_open();
  lk_admin_config_open();
  lk_admin_group_open();
  lk_admin_acl_open();
  lk_admin_user_open();
  lk_admin_cluster_open();
  lk_oauth_open();
}

static void open_classes(lua_State *L) {
  static const luaL_Reg *const none[] = {NULL};
  lk_box_open(L);
  lk_class_open(L, &lk_client_class, client_groups);
  lk_class_open(L, &lk_message_class, none);
  lk_farewell_open(L);
  lk_class_open(L, &lk_report_class, none);
  lk_inbox_open(L);
  lk_mock_open(L);
}

__attribute__((visibility("default"))) int luaopen_kafka_core(lua_State *L);

int luaopen_kafka_core(lua_State *L) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, open_process);
  lk_state_init(L);
  open_classes(L);
  luaL_newlib(L, functions);
  lua_pushstring(L, rd_kafka_version_str());
  lua_setfield(L, -2, "librdkafka");
  lua_pushinteger(L, rd_kafka_version());
  lua_setfield(L, -2, "librdkafka_number");
  lk_class_push(L, &lk_message_class);
  lua_setfield(L, -2, "message");
  lk_class_push(L, &lk_report_class);
  lua_setfield(L, -2, "report");
  return 1;
}

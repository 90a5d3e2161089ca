/* Settings tables: straight into a rd_kafka_conf_t, through kafka.config's checks, and now and then to a client. */
#define _GNU_SOURCE
#include <string.h>

#include "../csrc/class.h"
#include "../csrc/conf.h"
#include "fuzz.h"

const char *const fz_target = "settings";

static const char *const names[] = {
    "brokers", "bootstrap.servers", "metadata.broker.list", "group", "group.id", "client.id", "client_id", "linger.ms",
    "linger_ms", "acks", "request.required.acks", "compression.type", "compression.codec", "compression.level",
    "batch.size", "batch.num.messages", "message.max.bytes", "queue.buffering.max.messages", "queue.buffering.max.kbytes",
    "message.timeout.ms", "delivery.timeout.ms", "enable.idempotence", "max.in.flight", "retries", "partitioner",
    "sticky.partitioning.linger.ms", "auto.offset.reset", "enable.auto.commit", "enable.auto.offset.store",
    "enable.partition.eof", "fetch.wait.max.ms", "fetch.min.bytes", "session.timeout.ms", "heartbeat.interval.ms",
    "isolation.level", "partition.assignment.strategy", "queued.min.messages", "statistics.interval.ms", "log_level",
    "log.queue", "debug", "socket.timeout.ms", "socket.blocking.max.ms", "socket.nagle.disable", "broker.address.family",
    "reconnect.backoff.ms", "api.version.request", "broker.version.fallback", "client.software.name", "client.rack",
    "security.protocol", "sasl.mechanism", "sasl.username", "ssl.ca.location", "ssl.cipher.suites", "enabled_events",
    "topic.metadata.refresh.sparse", "topic.blacklist", "builtin.features", "transactional.id", "delivery.report.only.error",
    "opaque", "log_cb", "default_topic_conf", "dr_msg_cb", "ssl_certificate", "interceptors", "open_cb",
    "on_delivery", "on_error", "on_log", "on_stats", "loop", "timeout", "produce.offset.report",
    "queuing.strategy", "consume.callback.max.messages", "receive.message.max.bytes", "connections.max.idle.ms",
    "ssl.endpoint.identification.algorithm", "sasl.kerberos.min.time.before.relogin", "group.instance.id"};

static const char *const secrets[] = {"sasl.password", "ssl.key.password", "ssl.keystore.password", "ssl.key.pem",
                                      "sasl.oauthbearer.client.secret", "sasl_password", "ssl_key_pem"};

static const char *const usual[] = {"0", "1", "-1", "5", "100", "1000", "100000", "10000000000", "true", "false", "all",
                                    "gzip", "lz4", "none", "earliest", "latest", "error", "range", "plaintext", "murmur2",
                                    "h:9092", "a:1,b:2", "read_committed", "t", "100abc", "\n", "generic,broker,queue",
                                    "read_uncommitted", "fifo", "v4", "", " 1"};

#define COUNT(a) (unsigned)(sizeof(a) / sizeof *(a))

static void entry(lua_State *L, fz_bytes *in, int table) {
  unsigned which = fz_byte(in);
  if (which >= 240) { /* a secret's value begins with words that no message may repeat */
    lua_pushstring(L, secrets[which % COUNT(secrets)]);
    lua_pushliteral(L, "s3cret");
    fz_string(L, in);
    lua_concat(L, 2);
  } else {
    if (which >= 224) {
      fz_value(L, in);
      if (lua_isnil(L, -1) || lua_type(L, -1) == LUA_TNUMBER) {
        lua_pop(L, 1);
        lua_pushinteger(L, which);
      }
    } else {
      lua_pushstring(L, names[which % COUNT(names)]);
    }
    unsigned how = fz_byte(in);
    if (how < 160) {
      lua_pushstring(L, usual[how % COUNT(usual)]);
    } else {
      fz_value(L, in);
    }
  }
  lua_rawset(L, table);
}

static int to_conf(lua_State *L) {
  int top = lua_gettop(L);
  lk_conf_push(L, 1);
  FZ_CHECK(lua_gettop(L) == top + 1, "the stack is not balanced");
  return 0;
}

static bool given_away; /* the input has these words elsewhere too */

/* The last error must not repeat the value of a secret setting. */
static void check_secrets(bool ok) {
  if (ok || given_away) return;
  for (const char *s = fz_error(); *s; s++) {
    FZ_CHECK(!(s[0] == 's' && s[1] == '3' && s[2] == 'c'), "a secret is shown: %s", fz_error());
  }
}

/* config.split(op, table, own, role) -> own options, settings */
static bool split(lua_State *L, int table, const char *role) {
  lua_getglobal(L, "config");
  lua_getfield(L, -1, "split");
  lua_remove(L, -2);
  lua_pushliteral(L, "kafka.test");
  lua_pushvalue(L, table);
  lua_getglobal(L, "own_options");
  lua_pushstring(L, role);
  bool ok = fz_call(L, 4, 2);
  check_secrets(ok);
  return ok;
}

static void conf(lua_State *L, int settings) {
  lua_pushcfunction(L, to_conf);
  lua_pushvalue(L, settings);
  check_secrets(fz_call(L, 1, 0));
}

/* core.producer or core.consumer with what reaches no network, no file and no program. */
static void client(lua_State *L, int settings, const char *kind) {
  lua_pushvalue(L, settings);
  fz_lua(L, "harmless", 1, 1);
  lua_getglobal(L, "core");
  lua_getfield(L, -1, kind);
  lua_remove(L, -2);
  lua_insert(L, -2);
  bool ok = fz_call(L, 1, 2);
  check_secrets(ok);
  fz_plenty();
  if (ok) fz_lua(L, "opened", 2, 0);
}

void fz_one(lua_State *L, fz_bytes *in) {
  static const char *const roles[] = {"producer", "consumer", "partitions"};
  int top = lua_gettop(L), table = top + 1;
  given_away = in->left > 2 && memmem(in->p, in->left, "s3c", 3);
  unsigned how = fz_byte(in), open = fz_byte(in), n = fz_below(in, 12);
  lua_newtable(L);
  while (n-- > 0) entry(L, in, table);
  if (how & 1) { /* mostly what a constructor gets */
    lua_pushliteral(L, "localhost:9092");
    lua_setfield(L, table, "brokers");
  }
  if (how & 2) { /* for the C side only strings may pass */
    conf(L, table);
  } else {
    lua_pushvalue(L, table);
    fz_lua(L, "shallow_copy", 1, 1);
    bool ok = split(L, table, roles[how / 8 % 3]);
    int settings = ok ? lua_gettop(L) : 0;
    lua_pushvalue(L, table);
    lua_pushvalue(L, table + 1);
    if (!fz_changed) fz_lua(L, "same_fields", 2, 0);
    if (ok && !fz_changed) {
      lua_pushvalue(L, settings);
      fz_lua(L, "check_settings", 1, 0);
    }
    if (ok) conf(L, settings);
    if (ok && open % 64 == 63) client(L, settings, roles[how / 8 % 2]);
  }
  lua_settop(L, top);
}

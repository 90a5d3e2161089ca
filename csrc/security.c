#include "security.h"

#include <stdio.h>
#include <string.h>

static bool is(const rd_kafka_conf_t *conf, const char *name, const char *wanted) {
  char value[64];
  size_t size = sizeof value;
  return rd_kafka_conf_get(conf, name, value, &size) == RD_KAFKA_CONF_OK && size <= sizeof value && !strcmp(value, wanted);
}

int lk_verdict_note(lk_verdict *v, int x509_error, int depth, char *why, size_t size) {
  if (!x509_error) return 1;
  atomic_store(&v->depth, depth);
  atomic_store(&v->error, x509_error);
  snprintf(why, size, "x509 error %d", x509_error);
  return 0;
}

bool lk_security_verifies(const rd_kafka_conf_t *conf) {
  bool tls = is(conf, "security.protocol", "ssl") || is(conf, "security.protocol", "sasl_ssl");
  return tls && is(conf, "enable.ssl.certificate.verification", "true");
}

int lk_security_events(const rd_kafka_conf_t *conf) {
  /* Where librdkafka makes the token itself, the event would keep it from doing so. */
  bool ours = is(conf, "sasl.mechanism", "OAUTHBEARER") && is(conf, "enable.sasl.oauthbearer.unsecure.jwt", "false") &&
              !is(conf, "sasl.oauthbearer.method", "oidc");
  return ours ? RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH : 0;
}

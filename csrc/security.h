/* What security asks of a configuration before the rd_kafka_t is made: a look at the brokers' certificates that notes why one
 * is refused, and the event that asks for a token. Knows no client. */
#ifndef LK_SECURITY_H
#define LK_SECURITY_H

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdbool.h>

/* OpenSSL's last refusal: the error, and how far up the chain; 0 where there was none. Written by librdkafka's threads. */
typedef struct lk_verdict {
  atomic_int error;
  atomic_int depth;
} lk_verdict;

/* From a callback on any thread: decides on a certificate as OpenSSL has, and notes a refusal. */
int lk_verdict_note(lk_verdict *v, int x509_error, int depth, char *why, size_t size);

/* Whether brokers' certificates are verified. */
bool lk_security_verifies(const rd_kafka_conf_t *conf);

/* The events that the login needs. */
int lk_security_events(const rd_kafka_conf_t *conf);

#endif

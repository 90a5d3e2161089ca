/* What librdkafka itself costs: the same work as the Lua contestants do, in C. It copies what it sends, as they must, and reads
 * every byte of what it gets. It also checks what the others have sent, and deletes topics.
 *
 * baseline ROW BROKERS TOPIC COUNT [setting=value...] -> prints "count sum seconds cpu-seconds", as every contestant does. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SIZE 100  /* bytes of a value: its number, little-endian, and dots */
#define EVERY 1000 /* messages between two looks at the reports */
#define BATCH 10000
#define WAIT_MS 100

static struct {
  double wall, cpu;
} from;

static long long count, sum; /* reports or messages; of their offsets, or of the numbers in the values */
static int want_offsets;

static void die(const char *what) {
  fprintf(stderr, "baseline: %s\n", what);
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu(void) { return (double)clock() / CLOCKS_PER_SEC; }

static void start(void) {
  from.wall = now();
  from.cpu = cpu();
}

static void finish(void) { printf("%lld %lld %.6f %.6f\n", count, sum, now() - from.wall, cpu() - from.cpu); }

static rd_kafka_t *open_client(rd_kafka_type_t type, const char *brokers, char **settings) {
  char why[512];
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof why);
  if (type == RD_KAFKA_CONSUMER) rd_kafka_conf_set(conf, "group.id", "bench", why, sizeof why);
  for (; *settings; settings++) {
    char *value = strchr(*settings, '=');
    if (!value) die(*settings);
    *value++ = '\0';
    if (rd_kafka_conf_set(conf, *settings, value, why, sizeof why)) die(why);
  }
  rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
  rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
  if (!rk) die(why);
  return rk;
}

/* ---- produce ---- */

static void reports(rd_kafka_queue_t *q, int ms) {
  rd_kafka_event_t *ev;
  for (; (ev = rd_kafka_queue_poll(q, ms)); ms = 0) {
    const rd_kafka_message_t *m;
    while ((m = rd_kafka_event_message_next(ev))) {
      if (m->err) die(rd_kafka_err2str(m->err));
      if (want_offsets) sum += m->offset;
      count++;
    }
    rd_kafka_event_destroy(ev);
  }
}

static void write_value(char *value, long long number) {
  memset(value, '.', SIZE);
  memcpy(value, &number, sizeof number);
}

static void send_one(rd_kafka_topic_t *topic, rd_kafka_queue_t *q, long long number) {
  char value[SIZE];
  write_value(value, number);
  while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value, SIZE, NULL, 0, NULL) != 0) {
    if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) die(rd_kafka_err2str(rd_kafka_last_error()));
    reports(q, WAIT_MS);
  }
}

static void produce(const char *brokers, const char *name, long long n, char **settings) {
  rd_kafka_t *rk = open_client(RD_KAFKA_PRODUCER, brokers, settings);
  rd_kafka_queue_t *q = rd_kafka_queue_get_main(rk);
  rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
  send_one(topic, q, 0);
  while (count < 1) reports(q, WAIT_MS);
  start();
  for (long long i = 1; i < n; i++) {
    send_one(topic, q, i);
    if (i % EVERY == 0) reports(q, 0);
  }
  while (count < n) reports(q, WAIT_MS);
  finish();
  rd_kafka_topic_destroy(topic);
  rd_kafka_queue_destroy(q);
  rd_kafka_destroy(rk);
}

/* ---- fetch ---- */

static void read_value(const rd_kafka_message_t *m) {
  char expected[SIZE];
  write_value(expected, m->offset);
  if (m->len != SIZE || memcmp(m->payload, expected, SIZE) != 0) die("a message is not the one that was sent");
  count++;
  sum += m->offset;
}

static void fetch(const char *brokers, const char *name, long long n, char **settings) {
  static rd_kafka_message_t *messages[BATCH];
  rd_kafka_t *rk = open_client(RD_KAFKA_CONSUMER, brokers, settings);
  const struct rd_kafka_metadata *metadata;
  rd_kafka_poll_set_consumer(rk);
  rd_kafka_queue_t *q = rd_kafka_queue_get_consumer(rk);
  if (rd_kafka_metadata(rk, 1, NULL, &metadata, 10000)) die("no metadata");
  rd_kafka_metadata_destroy(metadata);
  start();
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, name, 0)->offset = 0;
  if (rd_kafka_assign(rk, list)) die("not assigned");
  while (count < n) {
    ssize_t got = rd_kafka_consume_batch_queue(q, 0, messages, BATCH);
    if (got == 0) got = rd_kafka_consume_batch_queue(q, WAIT_MS, messages, 1);
    for (ssize_t i = 0; i < got; i++) {
      rd_kafka_message_t *m = messages[i];
      if (!m->err) read_value(m);
      if (m->err && m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) die(rd_kafka_message_errstr(m));
      rd_kafka_message_destroy(m);
    }
  }
  finish();
  rd_kafka_topic_partition_list_destroy(list);
  rd_kafka_queue_destroy(q);
  rd_kafka_destroy(rk);
}

static void delete_topic(const char *brokers, const char *name, char **settings) {
  rd_kafka_t *rk = open_client(RD_KAFKA_PRODUCER, brokers, settings);
  rd_kafka_queue_t *q = rd_kafka_queue_new(rk);
  rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);
  rd_kafka_DeleteTopics(rk, &topic, 1, NULL, q);
  rd_kafka_event_t *ev = rd_kafka_queue_poll(q, 30000);
  if (!ev || rd_kafka_event_error(ev)) die("the topic could not be deleted");
  rd_kafka_event_destroy(ev);
  rd_kafka_DeleteTopic_destroy(topic);
  rd_kafka_queue_destroy(q);
  rd_kafka_destroy(rk);
}

int main(int argc, char **argv) {
  if (argc < 5) die("usage: baseline ROW BROKERS TOPIC COUNT [setting=value...]");
  const char *row = argv[1], *brokers = argv[2], *topic = argv[3];
  long long n = atoll(argv[4]);
  want_offsets = strcmp(row, "on_delivery") == 0;
  if (strcmp(row, "delete") == 0) {
    delete_topic(brokers, topic, argv + 5);
  } else if (strcmp(row, "tables") == 0 || strcmp(row, "columns") == 0) {
    fetch(brokers, topic, n, argv + 5);
  } else {
    produce(brokers, topic, n, argv + 5);
  }
  return 0;
}

/* Partition lists to and from rows {topic, partition, offset, metadata}. */
#ifndef LK_TPL_H
#define LK_TPL_H

#include <librdkafka/rdkafka.h>
#include <lua.h>
#include <stdbool.h>

/* What the offset of a row may be. */
typedef enum lk_tpl_offsets {
  LK_TPL_NONE,  /* not read */
  LK_TPL_REAL,  /* required, 0 or more: an offset or a timestamp */
  LK_TPL_NAMED, /* required, librdkafka's named positions too */
  LK_TPL_SPEC,  /* required, a timestamp or one of ListOffsets' own numbers */
} lk_tpl_offsets;

/* Pushes a box (closed when the C function ends) and returns the list in it. */
rd_kafka_topic_partition_list_t *lk_tpl_push(lua_State *L, int idx, lk_tpl_offsets offsets);

/* Pushes one row. An offset below 0 is left out; the row's own error is in `err`. */
void lk_tpl_row(lua_State *L, const rd_kafka_topic_partition_t *tp);

/* Pushes a list of rows. */
void lk_tpl_rows(lua_State *L, const rd_kafka_topic_partition_list_t *list);

#endif

#include "tpl.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "class.h"
#include "error.h"
#include "misuse.h"
#include "opt.h"

#define METADATA_MAX 32767 /* a Kafka string's length */

static void list_free(void *p) { rd_kafka_topic_partition_list_destroy(p); }

static void read_offset(lua_State *L, int row, lk_tpl_offsets kind, rd_kafka_topic_partition_t *tp) {
  int at = lk_opt_field(L, row, "offset");
  if (kind == LK_TPL_REAL) tp->offset = lk_opt_int(L, at, "offset", 0, LUA_MAXINTEGER);
  if (kind == LK_TPL_SPEC) tp->offset = lk_opt_int(L, at, "offset", -3, LUA_MAXINTEGER);
  if (kind == LK_TPL_NAMED) {
    lua_Integer n = tp->offset = lk_opt_int(L, at, "offset", LUA_MININTEGER + 1, LUA_MAXINTEGER);
    bool named = n == RD_KAFKA_OFFSET_END || n == RD_KAFKA_OFFSET_BEGINNING || n == RD_KAFKA_OFFSET_STORED ||
                 n == RD_KAFKA_OFFSET_INVALID || n <= RD_KAFKA_OFFSET_TAIL_BASE;
    if (n < 0 && !named) lk_misuse(L, at, "offset", "0 or more, or librdkafka's number of a named position");
  }
  lua_pop(L, 1);
}

static void read_metadata(lua_State *L, int row, rd_kafka_topic_partition_t *tp) {
  size_t len;
  const char *s = lk_opt_bytes(L, lk_opt_field(L, row, "metadata"), "metadata", &len);
  if (s) {
    /* librdkafka keeps a length but reads a commit's metadata as a C string. */
    if (strlen(s) != len || len > METADATA_MAX) lk_misuse(L, -1, "metadata", "a string of at most 32767 bytes without NUL");
    tp->metadata = malloc(len + 1);
    if (!tp->metadata) luaL_error(L, "out of memory");
    memcpy(tp->metadata, s, len + 1);
    tp->metadata_size = len;
  }
  lua_pop(L, 1);
}

rd_kafka_topic_partition_list_t *lk_tpl_push(lua_State *L, int idx, lk_tpl_offsets offsets) {
  lk_opt_table(L, idx, "rows");
  idx = lua_absindex(L, idx);
  lua_Integer n = (lua_Integer)lua_rawlen(L, idx);
  if (n > INT_MAX) lk_misuse(L, idx, "rows", "a shorter list");
  lk_box *box = lk_box_push(L, list_free);
  rd_kafka_topic_partition_list_t *list = box->p = rd_kafka_topic_partition_list_new((int)n);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, idx, i);
    int row = lua_gettop(L);
    if (!lua_istable(L, row)) lk_misuse(L, row, "each row", "a table {topic, partition, offset}");
    const char *topic = lk_opt_topic(L, lk_opt_field(L, row, "topic"));
    int32_t partition = lk_opt_partition(L, lk_opt_field(L, row, "partition"));
    rd_kafka_topic_partition_t *tp = rd_kafka_topic_partition_list_add(list, topic, partition);
    read_offset(L, row, offsets, tp);
    if (offsets != LK_TPL_NONE) read_metadata(L, row, tp);
    lua_settop(L, row - 1);
  }
  return list;
}

void lk_tpl_row(lua_State *L, const rd_kafka_topic_partition_t *tp) {
  lua_createtable(L, 0, 4);
  lua_pushstring(L, tp->topic);
  lua_setfield(L, -2, "topic");
  lua_pushinteger(L, tp->partition);
  lua_setfield(L, -2, "partition");
  if (tp->offset >= 0) {
    lua_pushinteger(L, tp->offset);
    lua_setfield(L, -2, "offset");
  }
  if (tp->metadata && tp->metadata_size > 0) {
    lua_pushlstring(L, tp->metadata, tp->metadata_size);
    lua_setfield(L, -2, "metadata");
  }
  if (tp->err) {
    lk_error_push(L, tp->err, NULL);
    lua_setfield(L, -2, "err");
  }
}

void lk_tpl_rows(lua_State *L, const rd_kafka_topic_partition_list_t *list) {
  int n = list ? list->cnt : 0;
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lk_tpl_row(L, &list->elems[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

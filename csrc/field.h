/* Filling the fields of the table on top of the stack: what a result is made of. Knows Lua and error.h only. */
#ifndef LK_FIELD_H
#define LK_FIELD_H

#include <librdkafka/rdkafka.h>
#include <lua.h>

void lk_set_int(lua_State *L, const char *name, lua_Integer n);

/* NULL and "" leave the field out. */
void lk_set_string(lua_State *L, const char *name, const char *s);

/* 0 leaves the field out. */
void lk_set_flag(lua_State *L, const char *name, int on);

void lk_set_ids(lua_State *L, const char *name, const int32_t *ids, int n);

/* `err` from a code, with the library's own words where `message` is NULL; no error leaves it out. */
void lk_set_code(lua_State *L, rd_kafka_resp_err_t code, const char *message);

/* The same from an error object, which stays its owner's. */
void lk_set_error(lua_State *L, const rd_kafka_error_t *e);

/* Pushes a broker: {id, host, port, rack}. */
void lk_push_node(lua_State *L, const rd_kafka_Node_t *node);

#endif

/* The world's failures as plain tables {code, name, message, fatal, retriable, abortable}; what they mean and what to do
 * about them is Lua's. Knows librdkafka's error codes and Lua. */
#ifndef LK_ERROR_H
#define LK_ERROR_H

#include <librdkafka/rdkafka.h>
#include <lua.h>

/* Pushes the table for a code; `message` NULL takes librdkafka's own words. */
void lk_error_push(lua_State *L, rd_kafka_resp_err_t code, const char *message);

/* Pushes the table for an error object, which stays its owner's. */
void lk_error_push_object(lua_State *L, const rd_kafka_error_t *e);

/* Returns nil and the table, as a Lua function does. */
int lk_error_fail(lua_State *L, rd_kafka_resp_err_t code, const char *message);

/* Destroys `e` first, so that running out of memory here cannot leak it; returns nil and the table. */
int lk_error_take(lua_State *L, rd_kafka_error_t *e);

/* core.errors(): every code of the loaded librdkafka as {code, name, message}. */
int lk_error_list(lua_State *L);

#endif

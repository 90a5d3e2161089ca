/* Reading arguments: numbers with ranges, names Kafka can hold, times. Each raises misuse that names the argument and
 * its value. Tables are read raw, so that no metamethod of the caller's runs in the middle of a call. Knows Lua only. */
#ifndef LK_OPT_H
#define LK_OPT_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

/* An integer in [min, max]; 3.0 is taken, "3" is not. */
lua_Integer lk_opt_int(lua_State *L, int idx, const char *arg, lua_Integer min, lua_Integer max);
bool lk_opt_is_int(lua_State *L, int idx, lua_Integer min, lua_Integer max);

/* The same where nil stands for `none`. */
lua_Integer lk_opt_int_or(lua_State *L, int idx, const char *arg, lua_Integer min, lua_Integer max, lua_Integer none);

/* A partition number, 0 to 2^31-1. */
int32_t lk_opt_partition(lua_State *L, int idx);

/* A topic's name as Kafka allows it: 1 to 249 letters, digits, '.', '_' and '-'. */
const char *lk_opt_topic(lua_State *L, int idx);
bool lk_opt_is_topic(lua_State *L, int idx);

/* A string without NUL of 1 to `max` bytes. */
const char *lk_opt_name(lua_State *L, int idx, const char *arg, size_t max);

/* Bytes or nil: NULL for nil, never NULL for "". */
const char *lk_opt_bytes(lua_State *L, int idx, const char *arg, size_t *len);

/* Milliseconds for librdkafka from a number of milliseconds that may be fractional or huge, clamped to int. Rounded up: no call
 * ends before its time. */
int lk_opt_ms(lua_State *L, int idx);

/* A table, checked. */
void lk_opt_table(lua_State *L, int idx, const char *arg);

/* Pushes a copy of the table, read raw; no finalizer can change the table half way. */
void lk_opt_copy(lua_State *L, int idx);

/* Pushes t[name] read raw and returns its absolute index. */
int lk_opt_field(lua_State *L, int t, const char *name);

#endif

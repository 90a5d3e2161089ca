/* A table of librdkafka settings, already in its own names and as strings, into an owned rd_kafka_conf_t; and the text of
 * all settings that the loaded version knows, from which Lua learns names, ranges and defaults. */
#ifndef LK_CONF_H
#define LK_CONF_H

#include <librdkafka/rdkafka.h>
#include <lua.h>

/* Pushes a box on the stack and returns the configuration in it (lk_conf_take when librdkafka has taken it over). */
rd_kafka_conf_t *lk_conf_push(lua_State *L, int idx);
void lk_conf_take(lua_State *L, int box);

/* core.refusal(name, value) -> why librdkafka does not take this setting, in its words; nothing where it does */
int lk_conf_refusal(lua_State *L);

/* core.properties(): the text of rd_kafka_conf_properties_show. */
int lk_conf_properties(lua_State *L);

#endif

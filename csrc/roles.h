/* What core.c composes: the methods that each role adds to the client's class, and the kinds of events it understands. */
#ifndef LK_ROLES_H
#define LK_ROLES_H

#include <lauxlib.h>

extern const luaL_Reg lk_drain_methods[];
extern const luaL_Reg lk_producer_methods[];
extern const luaL_Reg lk_consumer_methods[];
extern const luaL_Reg lk_group_methods[];
extern const luaL_Reg lk_transaction_methods[];
extern const luaL_Reg lk_inbox_roots[]; /* on the client: how an inbox is made */
extern const luaL_Reg lk_offset_methods[];
extern const luaL_Reg lk_metadata_methods[];
extern const luaL_Reg lk_admin_topic_methods[];
extern const luaL_Reg lk_admin_config_methods[];
extern const luaL_Reg lk_admin_group_methods[];
extern const luaL_Reg lk_admin_acl_methods[];
extern const luaL_Reg lk_admin_user_methods[];
extern const luaL_Reg lk_admin_cluster_methods[];
extern const luaL_Reg lk_oauth_methods[];

void lk_offset_open(void);
void lk_group_open(void);
void lk_admin_topic_open(void);
void lk_admin_config_open(void);
void lk_admin_group_open(void);
void lk_admin_acl_open(void);
void lk_admin_user_open(void);
void lk_admin_cluster_open(void);
void lk_oauth_open(void);
void lk_farewell_open(lua_State *L);
void lk_inbox_open(lua_State *L);
void lk_mock_open(lua_State *L);

int lk_mock_new(lua_State *L);
int lk_producer_quick(lua_State *L);

#endif

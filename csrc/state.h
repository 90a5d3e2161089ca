/* What there is once: in a process the count of forks, in a Lua state the yard of its threads. */
#ifndef LK_STATE_H
#define LK_STATE_H

#include <lua.h>

#include "task.h"

void lk_state_init_process(void);
void lk_state_init(lua_State *L);

/* Another number in a process forked since. */
unsigned lk_state_generation(void);

/* The yard of the threads of this Lua state; raises while the state closes. */
lk_yard *lk_state_yard(lua_State *L);

#endif

/* What became of each message that was accepted. */
#ifndef LK_REPORT_H
#define LK_REPORT_H

#include "class.h"

/* The metatable of reports; Lua puts its methods there. */
extern const lk_class lk_report_class;

void lk_report_open(void);

#endif

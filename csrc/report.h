/* What became of each message that was accepted. A message carries a mark: the ticket of the call that produced it, and where it
 * is one of a batch that is told of as a whole, its index there and whether its report is wanted. */
#ifndef LK_REPORT_H
#define LK_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "class.h"

#define LK_INDEX_MAX 0xffffff
#define LK_TICKET_MAX (INT64_MAX >> 26)

/* The metatable of reports; Lua puts its methods there. */
extern const lk_class lk_report_class;

void *lk_report_mark(int64_t ticket, int64_t index, bool collected);

void lk_report_open(void);

#endif

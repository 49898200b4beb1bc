/* scan.h: what SCAN, HSCAN, SSCAN and ZSCAN have in common: cursors and options. */
#ifndef REDSTART_COMMAND_SCAN_H
#define REDSTART_COMMAND_SCAN_H

#include "engine/call.h"

#define SCAN_CURSOR_END (UINT64_C(1) << 48) /* as tables make them: nothing comes from here on */
enum { SCAN_COUNT_DEFAULT = 10, SCAN_ROUNDS_MAX_FACTOR = 10 };

struct scan_options {
    struct bytes pattern;
    bool all; /* the pattern matches everything */
    int64_t count;
};

/* False after an error reply. */
bool scan_parse_cursor(struct call *call, uint32_t index, uint64_t *cursor);
/* The pattern "*" and the default count. */
struct scan_options scan_options_default(void);
/* Take MATCH or COUNT at `index`, with what follows it: *taken is false when it is neither. False
 * after an error reply. */
bool scan_take_option(struct call *call, uint32_t index, struct scan_options *options, bool *taken);
/* All options from `index` on, when there are no others. */
bool scan_parse_options(struct call *call, uint32_t index, struct scan_options *options);
bool scan_matches(const struct scan_options *options, struct bytes text);
/* The same for an item. */
bool scan_matches_item(const struct scan_options *options, const struct item *item);
/* How many parts of a table are looked at, where every one gives few elements or none. */
int64_t scan_rounds(const struct scan_options *options);
/* The head of the reply: an array of two, and the cursor. */
void scan_reply_head(struct call *call, uint64_t cursor);

#endif

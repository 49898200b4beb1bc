/* moment.h: until when: a time or an offset of the journal, as somebody types it. */
#ifndef REDSTART_TOOL_RESTORE_MOMENT_H
#define REDSTART_TOOL_RESTORE_MOMENT_H

#include "base/bytes.h"

enum moment_kind { MOMENT_END, MOMENT_TIME, MOMENT_OFFSET };

struct moment {
    enum moment_kind kind;
    int64_t time_ms; /* the last millisecond that still belongs to it */
    uint64_t offset; /* of the journal, behind the last byte */
};

/* "2026-11-21 09:41[:07[.250]]", also with a T in the middle and Z, UTC or +01:00 behind (without:
 * local time, `utc_offset_s` before UTC), "@1763712000[.250]", or digits alone: an offset. What is
 * said without seconds or parts of them means all of that minute or second. */
bool moment_parse(struct bytes text, int64_t utc_offset_s, struct moment *moment);

#endif

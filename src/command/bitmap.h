/* bitmap.h: what the files of bit commands share. */
#ifndef REDSTART_COMMAND_BITMAP_H
#define REDSTART_COMMAND_BITMAP_H

#include "engine/call.h"

/* A bit's number, within the size that strings may have. With `scale` 0 the text is the number;
 * else
 * "#n" means n * scale. False after an error reply. */
bool bitmap_parse_offset(struct call *call, uint32_t index, unsigned scale, uint64_t *bit);
/* The string's bytes, none when absent; digits are written to `scratch`. False after WRONGTYPE. */
bool bitmap_read(struct call *call, uint32_t index, char *scratch, struct bytes *bytes,
                 bool *is_there);

#endif

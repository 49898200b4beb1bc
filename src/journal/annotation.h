/* annotation.h: lines in an append-only file that announce the stretch of bytes behind them.
 *
 *     #RS:offset=5120,time=1763712000123,bytes=4096,crc=0f1e2d3c4b5a6978,safe=9000,id=<40 digits>,
 *     check=1a2b\r\n                                                        (one line)
 *
 * offset   of the journal, where the stretch begins
 * time     milliseconds since 1970, when the last of it was committed; the first was in the same
 * second bytes    of the stretch, whole commands and units, and their CRC-64 safe     bytes of this
 * file that were on disk for sure when it was written id       replication id of the history that
 * the offset belongs to check    CRC-16 of the line up to the comma before it
 *
 * Other servers skip lines that begin with #, and what they append is not announced: so what is
 * theirs is told from what a crash left of ours. A damage that lies before what a later line calls
 * safe is rot; no crash can have done it. */
#ifndef REDSTART_JOURNAL_ANNOTATION_H
#define REDSTART_JOURNAL_ANNOTATION_H

#include "base/buffer.h"

enum { ANNOTATION_ID_SIZE = 40, ANNOTATION_SIZE_MAX = 256 };

struct annotation {
    uint64_t offset;
    int64_t time_ms;
    uint64_t bytes;
    uint64_t crc;
    uint64_t safe;
    char id[ANNOTATION_ID_SIZE + 1];
};

void annotation_format(const struct annotation *annotation, struct buffer *out);
/* A whole line, with or without its CRLF. False when it is no such line, or its check is wrong. */
bool annotation_parse(struct bytes line, struct annotation *annotation);
/* Is there one anywhere in these bytes that begins a line and calls more than `beyond` bytes safe?
 */
bool annotation_find(struct bytes bytes, uint64_t beyond);

#endif

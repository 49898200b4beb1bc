/* backlog.h: the end of the stream of changes, kept in memory for replicas.
 *
 *     begin                                                         end
 *     |  block (shared) |  block (shared) |  block (shared) .....   |
 *          ^                                    ^
 *          a replica that came back             outputs of replicas that keep up hold stretches of
 *          reads on from here                   the same blocks: nothing is copied for them
 *
 * At least `wanted` bytes are kept, if there have been so many; a block that somebody still sends
 * from lives on after the backlog has let go of it. */
#ifndef REDSTART_REPL_BACKLOG_H
#define REDSTART_REPL_BACKLOG_H

#include "base/bytes.h"
#include "engine/output.h"
#include "engine/replication.h"

enum { BACKLOG_BLOCK_MIN = 16 * 1024, BACKLOG_BLOCK_MAX = 256 * 1024 };

struct backlog_block;

struct backlog {
    bool is_open;
    uint64_t begin, end; /* offsets of the stream */
    uint64_t wanted;     /* bytes */
    struct backlog_block *first, *last;
    struct replication_memory *memory; /* where its blocks are counted */
};

/* Empty, from that offset on. */
void backlog_open(struct backlog *backlog, uint64_t offset, uint64_t wanted,
                  struct replication_memory *memory);
void backlog_close(struct backlog *backlog);
void backlog_set_wanted(struct backlog *backlog, uint64_t wanted);
void backlog_append(struct backlog *backlog, struct bytes bytes);
/* Let go of what is more than wanted: once everyone has what was appended. */
void backlog_trim(struct backlog *backlog);

/* All bytes from that offset on (begin <= from <= end), in stretches. */
typedef void backlog_visit(void *context, struct output_shared *shared, size_t from, size_t size);
void backlog_each(const struct backlog *backlog, uint64_t from, backlog_visit *visit,
                  void *context);

#endif

/* defragment.h: moving entries and strings together, so that memory in which holes are goes back.
 *
 *     entries   page  [ #.#...#. ]  page [ ##.##### ]       a sparse page's entries go into the
 * room
 *                       `-----`--------------^              of others; the empty page is given back
 *     strings   too large for a page are the allocator's, which says of each whether it lies among
 *               few others of its size; then it gets another place
 *
 * Entries are found by their pages, of which only the sparse ones are looked at; strings by a walk
 * through the table. One entry takes as long as a lookup and a copy. A view may read what is to be
 * moved, so nothing is as long as one is open, or as something waits for its end. Collections' own
 * nodes stay where they are. */
#ifndef REDSTART_KEYSPACE_DEFRAGMENT_H
#define REDSTART_KEYSPACE_DEFRAGMENT_H

#include "keyspace/keyspace.h"

/* How far a round through all databases has come. All 0: at its beginning. */
struct defragment {
    uint32_t database;
    const struct store *store; /* of that database when it was begun: it may be exchanged */
    uint32_t page_cursor;
    bool pages_done; /* now the strings */
    uint64_t scan_cursor;
};

/* Since the server began. */
struct defragment_counts {
    uint64_t moved, kept;           /* entries and strings that were looked at closely */
    uint64_t keys_moved, keys_kept; /* keys of which something was, or nothing */
};

/* Nothing forbids to move. */
bool defragment_may_run(const struct keyspace *keyspace);
/* A small step: one page's entries, or the strings of some buckets; at most some 100 us. True at
 * the end of the round. */
bool defragment_step(struct keyspace *keyspace, struct defragment *at,
                     struct defragment_counts *counts);

#endif

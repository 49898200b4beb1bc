/* epoch.h: who may still see a node.
 *
 * A view freezes everything at once by ending an epoch. Each node (a table's directory page, a
 * segment, a tree node, a large value) carries the epoch it was born in; a node born in or before
 * the epoch of an open view may be seen by that view's reader on another thread, and is no longer
 * changed: a writer changes a copy, and retires the old node instead of freeing it.
 *
 *     epoch      1      2      3      4 = now
 *                    |      |      |
 *     views          1      2      3        a view is named by the epoch that it ended
 *
 * With no view open `frozen` is 0, nothing is shared, and what is retired is freed at once. */
#ifndef REDSTART_STRUCT_EPOCH_H
#define REDSTART_STRUCT_EPOCH_H

#include "base/invariant.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct epoch_limbo_block;
struct epoch_limbo_record;

enum { EPOCH_VIEWS_MAX = 64 }; /* open at a time */

struct epochs {
    uint32_t now;                   /* what new nodes are born in; starts at 1 */
    uint32_t frozen;                /* the newest open view's epoch, 0 when none is open */
    uint32_t open[EPOCH_VIEWS_MAX]; /* epochs of the open views, oldest first */
    uint32_t open_count;
    struct epoch_limbo_block *first, *last; /* retired nodes, in the order of their deaths */
    size_t limbo_count;
    size_t limbo_bytes; /* as told to epochs_retire */
};

void epochs_init(struct epochs *e);
/* No view may be open. */
void epochs_release(struct epochs *e);

/* Is a node of this birth shared with an open view? The one comparison of all writers. */
static inline bool epoch_shared(const struct epochs *e, uint32_t born) {
    return unlikely(born <= e->frozen);
}

/* End the epoch: everything that exists now is frozen until epochs_thaw. Returns the view's name,
 * never 0. The caller has checked that fewer than EPOCH_VIEWS_MAX are open. */
uint32_t epochs_freeze(struct epochs *e);
/* Close a view: release what only it could still see. At most `budget` nodes are released now; true
 * when nothing more waits, otherwise epochs_drain goes on. */
bool epochs_thaw(struct epochs *e, uint32_t view, size_t budget);
bool epochs_drain(struct epochs *e, size_t budget);

/* Releases one node: called on the engine's thread. */
typedef void epoch_release(void *owner, uint64_t node);

/* This node, never 0, is no longer part of the present: release it now if no view is open and
 * nothing waits, else when every view that is open now has closed. Nodes are released in the order
 * in which they were retired, so one may own the pool of those before it. `size` is for accounting,
 * in bytes. Returns where it waits, valid as long as the newest view that is open now; NULL when it
 * was released. */
struct epoch_limbo_record *epochs_retire(struct epochs *e, epoch_release *release, void *owner,
                                         uint64_t node, size_t size);
/* The node that waits there, which no view looks at any more: the caller's again. */
uint64_t epochs_take_back(struct epochs *e, struct epoch_limbo_record *record);

#endif

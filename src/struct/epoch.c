/* epoch.c: births, deaths and the views between them.
 *
 * Owns the limbo: a queue of retired nodes, in blocks of records. A block remembers the epoch in
 * which its nodes died; views that were open then have smaller names, views opened later greater or
 * equal ones. As deaths only grow along the queue, and views leave, the head of the queue alone
 * decides: whatever the oldest open view cannot have seen alive may go.
 *
 * Must never release a node while a view that was open at its death is open, unless it is taken
 * back by who knows that the view is through with it, and never release more than the caller's
 * budget in one go. */
#include "struct/epoch.h"
#include "base/memory.h"

enum { LIMBO_BLOCK_RECORDS = 244, LIMBO_KINDS = 8 }; /* a block is just under 4 KiB */

/* Who releases such nodes; few are in use at a time. */
struct epoch_limbo_kind {
    epoch_release *release;
    void *owner;
};

/* Small: while everything is overwritten under a view, there are as many of these as entries. */
struct epoch_limbo_record {
    uint64_t node; /* 0: was taken back */
    uint32_t size; /* at most; what is larger is told as that */
    uint32_t kind;
};

struct epoch_limbo_block {
    struct epoch_limbo_block *next;
    uint32_t died;       /* all of its nodes */
    uint32_t begin, end; /* records [begin, end) wait */
    uint32_t kind_count;
    struct epoch_limbo_kind kinds[LIMBO_KINDS];
    struct epoch_limbo_record records[LIMBO_BLOCK_RECORDS];
};

void epochs_init(struct epochs *e) {
    *e = (struct epochs){.now = 1};
}

void epochs_release(struct epochs *e) {
    INVARIANT(e->open_count == 0);
    while (!epochs_drain(e, SIZE_MAX))
        continue;
    memory_free(e->first);
    e->first = e->last = NULL;
}

uint32_t epochs_freeze(struct epochs *e) {
    INVARIANT(e->open_count < EPOCH_VIEWS_MAX);
    INVARIANT(e->now < UINT32_MAX);
    uint32_t view = e->now++;
    e->open[e->open_count++] = view;
    e->frozen = view;
    return view;
}

bool epochs_thaw(struct epochs *e, uint32_t view, size_t budget) {
    uint32_t at = 0;
    while (at < e->open_count && e->open[at] != view)
        at++;
    INVARIANT(at < e->open_count);
    for (e->open_count--; at < e->open_count; at++)
        e->open[at] = e->open[at + 1];
    e->frozen = e->open_count > 0 ? e->open[e->open_count - 1] : 0;
    return epochs_drain(e, budget);
}

/* May the oldest open view have seen a node that died then? */
static bool limbo_waits(const struct epochs *e, uint32_t died) {
    return e->open_count > 0 && e->open[0] < died;
}

/* Take the first block away once it is used up; the last one stays, empty, for what comes next. */
static void limbo_advance(struct epochs *e) {
    struct epoch_limbo_block *block = e->first;
    if (block->begin < block->end) return;
    if (block->next == NULL) {
        block->begin = block->end = 0;
        return;
    }
    e->first = block->next;
    memory_free(block);
}

bool epochs_drain(struct epochs *e, size_t budget) {
    for (;; budget--) {
        struct epoch_limbo_block *block = e->first;
        if (block == NULL || block->begin == block->end) return true;
        /* A copy: what is released may retire more, and the block may go. */
        struct epoch_limbo_record record = block->records[block->begin];
        struct epoch_limbo_kind kind = block->kinds[record.kind];
        if (limbo_waits(e, block->died)) return true;
        if (budget == 0) return false;
        block->begin++;
        if (record.node != 0) {
            e->limbo_count--;
            e->limbo_bytes -= record.size;
        }
        limbo_advance(e);
        if (record.node != 0) kind.release(kind.owner, record.node);
    }
}

static struct epoch_limbo_block *add_block(struct epochs *e) {
    struct epoch_limbo_block *block = memory_alloc(sizeof(*block));
    block->next = NULL;
    block->begin = block->end = 0;
    if (e->last == NULL)
        e->first = block;
    else
        e->last->next = block;
    return e->last = block;
}

/* Which of the block's kinds it is; LIMBO_KINDS: there is no room for one more. */
static uint32_t find_kind(struct epoch_limbo_block *block, epoch_release *release, void *owner) {
    uint32_t i = 0;
    while (i < block->kind_count &&
           (block->kinds[i].release != release || block->kinds[i].owner != owner))
        i++;
    if (i == block->kind_count && i < LIMBO_KINDS)
        block->kinds[block->kind_count++] = (struct epoch_limbo_kind){release, owner};
    return i;
}

struct epoch_limbo_record *epochs_retire(struct epochs *e, epoch_release *release, void *owner,
                                         uint64_t node, size_t size) {
    INVARIANT(node != 0);
    /* Never before what died earlier: a node that is still in limbo may stand in this one. */
    if (e->open_count == 0 && e->limbo_count == 0) {
        release(owner, node);
        return NULL;
    }
    struct epoch_limbo_block *block = e->last;
    uint32_t kind = LIMBO_KINDS;
    bool goes_on =
        block && block->end > 0 && block->end < LIMBO_BLOCK_RECORDS && block->died == e->now;
    if (goes_on) kind = find_kind(block, release, owner);
    if (kind == LIMBO_KINDS) {
        if (!block || block->end > 0) block = add_block(e);
        block->died = e->now;
        block->kind_count = 0;
        kind = find_kind(block, release, owner);
    }
    uint32_t told = size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
    struct epoch_limbo_record *record = &block->records[block->end++];
    *record = (struct epoch_limbo_record){.node = node, .size = told, .kind = kind};
    e->limbo_count++;
    e->limbo_bytes += told;
    return record;
}

uint64_t epochs_take_back(struct epochs *e, struct epoch_limbo_record *record) {
    uint64_t node = record->node;
    INVARIANT(node != 0);
    record->node = 0;
    e->limbo_count--;
    e->limbo_bytes -= record->size;
    return node;
}

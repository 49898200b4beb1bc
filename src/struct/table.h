/* table.h: the segment table: a hash table of 40-bit elements (slab handles) that grows and shrinks
 * a segment at a time, is frozen in constant time, and is scanned in the order of hashes.
 *
 * Layout
 *
 *     hash, 64 bits:  | root r bits | page d bits | ...          the directory, a trie of two
 * levels | local depth L      | position, 13 bits | ...
 *
 *     root: 2^r words          page: header, 2^d words, d <= 9      segment: header line + n
 * buckets
 *     +----+                   +----+ +--------------------------------+ |  --+---> page          |
 * --+---> segment                   | born, L, n, count, bound       |
 *     +----+                   +----+ +--------------------------------+ |  --+---> page          |
 * --+---> the same segment          | bucket 0, a cache line         |
 *     +----+                   +----+     (when L < r + d)          | bucket 1 ... |
 *                                                                   +--------------------------------+
 *     A word is a pointer with n and L in its upper 16 bits, so that a lookup touches one word of
 * the page and one bucket, and no header.
 *
 *     bucket, 64 bytes: 10 elements of 40 bits, 10 tags of 8 bits, and 32 bits:
 *         per slot: born since the segment (1 bit), distance from its home bucket (2 bits, 0 to 3)
 *         per bucket: how far an element of this home may stand (2 bits)
 *
 * An element's home is bucket position * n >> 13, its tag the position's low 8 bits. As n is at
 * least 32 in all but the smallest tables, bucket and tag give the whole position back: a segment
 * changes its size (39, 47, 55, 63, 79 buckets: with the header jemalloc's classes from 2,560 to
 * 5,120 bytes) without touching one element. It splits into two when the largest is 90 % full, and
 * merges with its buddy when both have few. So the load of a growing table stays between 0.72 and
 * 0.9: 8.0 bytes an element on average, 8.5 at worst. When all four buckets of an element are full,
 * others move to make room (hopscotch hashing), or the segment grows.
 *
 * Order and SCAN. Directory, position and range reduction keep the order of hashes, so a cursor is
 * a place in the space of hashes (its upper 48 bits): everything before it has been returned.
 * Growth, splits and merges do not move an element in that order; a bucket that the cursor cuts is
 * returned whole, so elements may come twice, and none that stays is missed.
 *
 * Views. Root, pages and segments carry their birth; a writer copies root, page and segment on the
 * way to what it changes when a view can see them, and retires the old ones. An element that was
 * put in since its segment was born is `fresh`: no view can see it. Whether an element may be
 * changed in place is table_may_change. Lookups change nothing. A view is read from its beginning
 * to its end, and its reader says how far it has come: what lies before belongs to the present
 * alone again, so a long save copies half as much, and frees copies while it goes on
 * (table_view.c).
 *
 * Bounds. Each segment and each page keep a lower bound of a number that the owner attaches to
 * elements (their time of expiry), so that due elements are found without an index of them. */
#ifndef REDSTART_STRUCT_TABLE_H
#define REDSTART_STRUCT_TABLE_H

#include "struct/epoch.h"
#include "struct/pool.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TABLE_SLOTS = 10, /* elements a bucket */
    TABLE_ELEMENT_BITS = 40,
};
#define TABLE_NO_BOUND INT64_MAX

/* Never 0, below 2^40. */
typedef uint64_t table_element;

/* What the table asks its owner, when it splits or sweeps. */
struct table_owner {
    void *context;
    uint64_t (*hash)(void *context, table_element element);
    /* Called some elements ahead of hash or a visit, to bring the element nearer; may be NULL. */
    void (*prefetch)(void *context, table_element element);
    /* Where segments of POOL_GRANULE bytes or more live; NULL: each by itself. Tables may share
     * one; a change of one then ends the validity of places in all of them. */
    struct pool *pool;
};

struct table; /* fields below, for the inline functions alone */

/* Where an element stands. Valid until the table is next changed, except by table_replace and
 * table_note_bound on this very place. */
struct table_place {
    struct table_segment *segment;
    uint64_t hash;
    uint32_t bucket;
    uint32_t slot;
};

/* `epochs` and `owner` live at least as long as the table, the pool until nothing of it waits in
 * the epochs. The table stays at its address. */
void table_init(struct table *table, struct epochs *epochs, const struct table_owner *owner);
/* Frees the structure, not the elements. Nothing may be in view. */
void table_release(struct table *table);
static inline size_t table_count(const struct table *table);
/* Bytes of directory and segments. */
size_t table_size(const struct table *table);
/* Make room for `count` elements at once, before loading. Does nothing unless the table is empty.
 */
void table_presize(struct table *table, size_t count);

/* Bring nearer what a lookup of `hash` will touch: first for a whole batch the directory, then the
 * buckets, then the candidates. The third calls `each` for the elements whose tag matches. */
static inline void table_prefetch_directory(const struct table *table, uint64_t hash);
static inline void table_prefetch_bucket(const struct table *table, uint64_t hash);

/* First element with this hash's tag for which matches(context, element) is true; 0 when none.
 * `place` may be NULL. Inlined, so that `matches` is too. */
typedef bool table_matches(const void *context, table_element element);
static inline table_element table_find(const struct table *table, uint64_t hash,
                                       table_matches *matches, const void *context,
                                       struct table_place *place);
/* First element whose tag matches (for the batch's prefetch), or 0. */
static inline table_element table_candidate(const struct table *table, uint64_t hash);

/* The same, as far as it stands in its home bucket. Else it is said whether it may stand elsewhere,
 * and the next bucket is brought nearer, for table_candidate or for who inserts it. */
static inline table_element table_candidate_at_home(const struct table *table, uint64_t hash,
                                                    bool *elsewhere);

/* The element that stands there. */
static inline table_element table_place_element(const struct table_place *place);

/* Add an element that the caller knows is absent. Always succeeds. It is fresh. */
void table_insert(struct table *table, uint64_t hash, table_element element,
                  struct table_place *place);
/* May what stands here be changed in place, or can a view see it? False only while a view is open.
 */
static inline bool table_may_change(const struct table *table, const struct table_place *place);
/* Put another element in the place of this one; it is fresh. The old one is the caller's to retire
 * (if !table_may_change before) or to free. */
void table_replace(struct table *table, struct table_place *place, table_element element);
/* Take the element out. As with table_replace it is the caller's to retire or free. */
void table_remove(struct table *table, struct table_place *place);

/* Call `visit` for each element of at least one bucket at the cursor, return the next cursor, 0 at
 * the end. Start with 0. Cursors are below 2^48. `visit` must not change the table. */
typedef void table_visit(void *context, table_element element);
uint64_t table_scan(const struct table *table, uint64_t cursor, table_visit *visit, void *context);

/* The same for elements that may have a number of at most `limit` (see Bounds): looks at no more
 * than `hops_max` pages and segments for a bucket that may have one, and visits all of it. */
uint64_t table_scan_bounded(const struct table *table, uint64_t cursor, int64_t limit,
                            size_t hops_max, table_visit *visit, void *context);

/* An element with equal probability for each (as long as hashes are random), 0 when empty. `random`
 * gives 64 random bits. */
table_element table_random(const struct table *table, uint64_t (*random)(void *), void *context);

/* Lower the bound of the segment at `place` (and above it) to at most `bound`. */
void table_note_bound(struct table *table, struct table_place *place, int64_t bound);
/* Visit the elements of one segment whose bound is at most `limit`; what `bound_of` returns for
 * each (TABLE_NO_BOUND for none) makes the segment's new bound; elements for which it is at most
 * `limit` are handed to `due` afterwards, which may remove them (and only them, by a find of its
 * own): where many are, as long as some go, in several calls. One that it leaves may be handed out
 * again in the same round, then or after a merge. *cursor goes round the table, 0 at start. Looks
 * at no more than `segments_max` headers and pages. Returns whether a segment was visited: false
 * means nothing is due as far as it looked; *wrapped says whether it came to the end of the table.
 */
bool table_sweep(struct table *table, uint64_t *cursor, int64_t limit, size_t segments_max,
                 int64_t (*bound_of)(void *context, table_element),
                 void (*due)(void *context, table_element), void *context, bool *wrapped);

/* A frozen table, to be read by one thread. Frozen behind epochs_freeze, thawed before epochs_thaw;
 * stays at its address. */
struct table_view {
    uint64_t root; /* as the table's */
    size_t count;
    uint32_t epoch;
    struct table *table;
    struct table_view *next;        /* of the same table's */
    uint64_t passed;                /* cursor; the reader's word */
    struct table_view_lanes *lanes; /* segments that wait to be passed; NULL: none did */
};
void table_freeze(struct table *table, struct table_view *view);
void table_thaw(struct table_view *view);
/* The reader, on its thread: it is through with all before the cursor, elements and what hangs on
 * them included, and begins no scan there any more. At the end it passes TABLE_VIEW_END. What all
 * views have passed is changed in place from then on, and copies that they had are freed. */
#define TABLE_VIEW_END (UINT64_C(1) << 48)
void table_view_pass(struct table_view *view, uint64_t cursor);
/* As table_scan, over what was frozen; any thread. */
uint64_t table_view_scan(const struct table_view *view, uint64_t cursor, table_visit *visit,
                         void *context);

/* Structure for tests; checks every invariant and asks for every element's hash (ends the process
 * when one is broken). */
struct table_report {
    size_t segments, pages, buckets, displaced, bytes;
};
struct table_report table_check(const struct table *table);

#include "struct/table_inline.h"

#endif

/* table_segment.c: one segment of the table: its sizes, its slots, and building it anew.
 *
 * A segment is never rearranged in place: it is filled from a list of items when it is made, for
 * which the slots are first shared out among the homes. Windows of equal length filled in the order
 * of their beginnings: where that finds no place, no other order does (but for windows that wrap
 * around the end).
 *
 * Must never write into a segment that a view can see: callers hand in private ones. */
#include "base/memory.h"
#include "struct/table_node.h"

enum {
    /* Elements a bucket, in tenths ... */
    LOAD_MAX = 90,          /* beyond, a segment grows */
    LOAD_BUILT = 78,        /* at most, when a segment is made for its count */
    PUSH_DISTANCE_MAX = 20, /* buckets to look through for a free slot */
    PREFETCH_AHEAD = 12,
    MOVES_MAX = 2, /* of segments in a pool, each time that one grows or an element goes */
};

/* Header and buckets: 128 bytes, 256, then whole granules of a pool up to 5,120. */
static const uint8_t sizes[] = {1, 3, 7, 15, 23, 31, 39, 47, 55, 63, TABLE_SIZE_MAX};

unsigned segment_size_for(size_t count) {
    for (unsigned i = 0; i < sizeof(sizes); i++)
        if (count * 100 <= (size_t)sizes[i] * TABLE_SLOTS * LOAD_BUILT) return sizes[i];
    return TABLE_SIZE_MAX;
}

unsigned segment_size_after(unsigned size) {
    for (unsigned i = 0; i < sizeof(sizes); i++)
        if (sizes[i] > size) return sizes[i];
    return 0;
}

/* -- life ---------------------------------------------------------------------------------------
 */

static void *segment_alloc(struct table *table, size_t bytes) {
    struct pool *pool = table->owner->pool;
    table->bytes += bytes;
    return pool != NULL && bytes >= POOL_GRANULE ? pool_alloc(pool, bytes)
                                                 : memory_alloc_aligned(TABLE_BUCKET_SIZE, bytes);
}

static void segment_dealloc(struct pool *pool, struct table_segment *segment, size_t bytes) {
    if (pool != NULL && bytes >= POOL_GRANULE)
        pool_free(pool, segment, bytes);
    else
        memory_free(segment);
}

struct table_segment *segment_create(struct table *table, unsigned size, unsigned depth,
                                     int64_t bound) {
    size_t bytes = segment_bytes(size);
    struct table_segment *segment = segment_alloc(table, bytes);
    memset(segment, 0, bytes);
    segment->table = table;
    segment->born = table->epochs->now;
    segment->size = (uint8_t)size;
    segment->depth = (uint8_t)depth;
    segment->bound = bound;
    return segment;
}

struct table_segment *segment_copy(struct table *table, const struct table_segment *segment) {
    size_t bytes = segment_bytes(segment->size);
    struct table_segment *copy = segment_alloc(table, bytes);
    memcpy(copy, segment, bytes);
    copy->born = table->epochs->now;
    for (unsigned i = 0; i < copy->size; i++) {
        uint8_t *bytes_of_meta = copy->buckets[i].bytes + TABLE_SLOTS;
        uint32_t meta = table_bucket_meta(&copy->buckets[i]) & ~((1u << TABLE_SLOTS) - 1);
        memcpy(bytes_of_meta, &meta, sizeof(meta));
    }
    return copy;
}

void segment_take(struct table *table, struct table_segment *segment) {
    segment->born = table->epochs->now;
    for (unsigned at = 0; at < segment->size; at++) {
        struct table_bucket *bucket = &segment->buckets[at];
        uint32_t meta = table_bucket_meta(bucket);
        for (unsigned slot = 0; slot < TABLE_SLOTS; slot++)
            if (table_bucket_element(bucket, slot) != 0) meta |= 1u << slot;
        bucket_set_meta(bucket, meta);
    }
}

void segment_free(void *pool, uint64_t node) {
    struct table_segment *segment = (void *)(uintptr_t)node;
    segment_dealloc(pool, segment, segment_bytes(segment->size));
}

void segment_drop(struct table *table, struct table_segment *segment) {
    size_t bytes = segment_bytes(segment->size);
    table->bytes -= bytes;
    if (!epoch_shared(table->epochs, segment->born) ||
        views_have_passed(table, segment, segment->born)) {
        segment_dealloc(table->owner->pool, segment, bytes);
        return;
    }
    segment->table = NULL; /* which no reader of a view looks at */
    struct epoch_limbo_record *record = epochs_retire(
        table->epochs, segment_free, table->owner->pool, (uint64_t)(uintptr_t)segment, bytes);
    views_release_passed(table, segment, record);
}

void segment_release(struct table *table, struct table_segment *segment, unsigned size) {
    segment_dealloc(table->owner->pool, segment, segment_bytes(size));
}

/* What a view can see stays where it is, also when it is only waiting to be freed. */
static bool segment_move(void *to, void *from, size_t bytes) {
    const struct table_segment *segment = from;
    struct table *table = segment->table;
    if (table == NULL || epoch_shared(table->epochs, segment->born)) return false;
    uint64_t hash = segment->hash;
    INVARIANT(table_word_pointer(table_word(table->root, hash)) == from);
    memcpy(to, from, bytes);
    directory_set(table, hash, to);
    return true;
}

void segments_tidy(struct table *table) {
    if (table->owner->pool != NULL) pool_tidy(table->owner->pool, segment_move, MOVES_MAX);
}

/* -- slots --------------------------------------------------------------------------------------
 */

static inline void bucket_set_reach(struct table_bucket *bucket, unsigned reach) {
    bucket_set_meta(bucket, (table_bucket_meta(bucket) & ~(3u << 30)) | reach << 30);
}

static inline unsigned distance_max(unsigned size) {
    return size <= TABLE_DISTANCE_MAX ? size - 1 : TABLE_DISTANCE_MAX;
}

static int bucket_free_slot(const struct table_bucket *bucket) {
    for (unsigned slot = 0; slot < TABLE_SLOTS; slot++)
        if (table_bucket_element(bucket, slot) == 0) return (int)slot;
    return -1;
}

static inline unsigned bucket_after(const struct table_segment *segment, unsigned at,
                                    unsigned distance) {
    return at + distance < segment->size ? at + distance : at + distance - segment->size;
}

/* Put the item, whose home is `distance` before, there. */
static void segment_set(struct table_segment *segment, unsigned at, unsigned slot, unsigned tag,
                        table_element element, bool fresh, unsigned distance) {
    bucket_set(&segment->buckets[at], slot, tag, element, fresh, distance);
    struct table_bucket *home =
        &segment->buckets[at >= distance ? at - distance : at + segment->size - distance];
    if (table_meta_reach(table_bucket_meta(home)) < distance) bucket_set_reach(home, distance);
}

/* Move an element of the bucket `step` before `to` into its slot, if one may stand so far from its
 * home; returns the slot that is free now, or -1. */
static int segment_push(struct table_segment *segment, unsigned from, unsigned to, unsigned to_slot,
                        unsigned step) {
    struct table_bucket *bucket = &segment->buckets[from];
    uint32_t meta = table_bucket_meta(bucket);
    for (unsigned slot = 0; slot < TABLE_SLOTS; slot++) {
        unsigned distance = table_meta_distance(meta, slot) + step;
        if (distance > TABLE_DISTANCE_MAX) continue;
        segment_set(segment, to, to_slot, bucket->bytes[slot], table_bucket_element(bucket, slot),
                    (meta >> slot & 1) != 0, distance);
        bucket_set(bucket, slot, 0, 0, false, 0);
        return (int)slot;
    }
    return -1;
}

/* All buckets that an element of this home may stand in are full: bring a free slot from farther
 * away nearer, by moving elements into it that may stand there (as in hopscotch hashing). Sets
 * *distance to where the free slot is in the end; returns it, or -1 when there is none near enough.
 */
static int segment_make_room(struct table_segment *segment, unsigned home, unsigned *distance) {
    if (segment->size <= PUSH_DISTANCE_MAX) return -1;
    unsigned away = TABLE_DISTANCE_MAX + 1;
    int slot = -1;
    for (; away <= PUSH_DISTANCE_MAX; away++) {
        slot = bucket_free_slot(&segment->buckets[bucket_after(segment, home, away)]);
        if (slot >= 0) break;
    }
    while (slot >= 0 && away > TABLE_DISTANCE_MAX) {
        unsigned to = bucket_after(segment, home, away), step = TABLE_DISTANCE_MAX;
        int freed = -1;
        for (; step > 0 && freed < 0; step--)
            freed = segment_push(segment, bucket_after(segment, home, away - step), to,
                                 (unsigned)slot, step);
        slot = freed;
        away -= step + 1; /* the loop has counted once more */
    }
    *distance = away;
    return slot;
}

bool segment_put(struct table_segment *segment, const struct table_item *item,
                 struct table_place *place) {
    unsigned home = table_home(item->position, segment->size), at = home, distance = 0;
    unsigned farthest = distance_max(segment->size);
    int slot = bucket_free_slot(&segment->buckets[at]);
    while (slot < 0 && distance < farthest) {
        at = bucket_after(segment, home, ++distance);
        slot = bucket_free_slot(&segment->buckets[at]);
    }
    if (unlikely(slot < 0)) {
        slot = segment_make_room(segment, home, &distance);
        if (slot < 0) return false;
        at = bucket_after(segment, home, distance);
    }
    segment_set(segment, at, (unsigned)slot, item->position & 0xff, item->element, item->fresh,
                distance);
    segment->count++;
    place->segment = segment;
    place->bucket = at;
    place->slot = (unsigned)slot;
    return true;
}

/* The farthest that an element of this home now stands, at most `reach`. */
static unsigned segment_reach(const struct table_segment *segment, unsigned home, unsigned reach) {
    for (; reach > 0; reach--) {
        const struct table_bucket *bucket = &segment->buckets[(home + reach) % segment->size];
        uint32_t meta = table_bucket_meta(bucket);
        for (unsigned slot = 0; slot < TABLE_SLOTS; slot++)
            if (table_meta_distance(meta, slot) == reach) return reach;
    }
    return 0;
}

void segment_remove(struct table_segment *segment, unsigned at, unsigned slot) {
    struct table_bucket *bucket = &segment->buckets[at];
    unsigned distance = table_meta_distance(table_bucket_meta(bucket), slot);
    bucket_set(bucket, slot, 0, 0, false, 0);
    segment->count--;
    if (distance == 0) return;
    unsigned home = (at + segment->size - distance) % segment->size;
    unsigned reach = table_meta_reach(table_bucket_meta(&segment->buckets[home]));
    bucket_set_reach(&segment->buckets[home], segment_reach(segment, home, reach));
}

/* -- from segment to segment --------------------------------------------------------------------
 */

static void positions_from_hashes(const struct table *table, const struct table_segment *segment,
                                  struct table_item *items, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (i + PREFETCH_AHEAD < count) table_prefetch(table, items[i + PREFETCH_AHEAD].element);
        items[i].position = table_position(table_hash(table, items[i].element), segment->depth);
    }
}

/* The position is the one in its home's range that has the tag as its low 8 bits: there is exactly
 * one when homes are at most 256 wide. */
size_t segment_gather(const struct table *table, const struct table_segment *segment,
                      struct table_item *items) {
    bool private = !epoch_shared(table->epochs, segment->born);
    unsigned size = segment->size;
    unsigned first[TABLE_SIZE_MAX]; /* position of each home */
    for (unsigned home = 0; home < size; home++)
        first[home] = ((home << TABLE_POSITION_BITS) + size - 1) / size;
    size_t count = 0;
    for (unsigned at = 0; at < size; at++) {
        const struct table_bucket *bucket = &segment->buckets[at];
        uint32_t meta = table_bucket_meta(bucket);
        for (unsigned slot = 0; slot < TABLE_SLOTS; slot++) {
            table_element element = table_bucket_element(bucket, slot);
            if (element == 0) continue;
            unsigned distance = table_meta_distance(meta, slot);
            unsigned start = first[at >= distance ? at - distance : at + size - distance];
            items[count++] =
                (struct table_item){.element = element,
                                    .position = start + ((bucket->bytes[slot] - start) & 0xff),
                                    .fresh = private && (meta >> slot & 1) != 0};
        }
    }
    INVARIANT(count == segment->count);
    if (size < TABLE_SIZE_EXACT) positions_from_hashes(table, segment, items, count);
    return count;
}

/* Where the elements of a home go: how many still, and from which slot on, at each distance. */
struct home_plan {
    uint8_t take[TABLE_DISTANCE_MAX + 1];
    uint8_t slot[TABLE_DISTANCE_MAX + 1];
};

/* Give home `home` as many slots of the bucket at this distance as it wants and the bucket has. */
static inline void plan_take(struct home_plan *plan, uint8_t *filled, uint16_t *wanted,
                             unsigned distance) {
    unsigned room = TABLE_SLOTS - *filled, take = *wanted < room ? *wanted : room;
    plan->take[distance] = (uint8_t)take;
    plan->slot[distance] = *filled;
    *filled = (uint8_t)(*filled + take);
    *wanted = (uint16_t)(*wanted - take);
}

/* All homes first take what they want of their own buckets, then of the next ones: as few elements
 * as possible are displaced. Returns whether all found a place. */
static bool plan_nearest(struct home_plan *plans, const uint16_t *wanted, unsigned size) {
    uint8_t filled[TABLE_SIZE_MAX] = {0};
    uint16_t rest[TABLE_SIZE_MAX];
    memcpy(rest, wanted, sizeof(rest));
    unsigned left = 1, farthest = distance_max(size);
    memset(plans, 0, size * sizeof(plans[0]));
    for (unsigned distance = 0; distance <= farthest && left > 0; distance++) {
        left = 0;
        for (unsigned home = 0; home < size; home++) {
            if (rest[home] == 0) continue;
            unsigned at = home + distance < size ? home + distance : home + distance - size;
            plan_take(&plans[home], &filled[at], &rest[home], distance);
            left += rest[home];
        }
    }
    return left == 0;
}

/* Home by home: displaces more, and fits what the other way may not. */
static bool plan_in_order(struct home_plan *plans, const uint16_t *wanted, unsigned size) {
    uint8_t filled[TABLE_SIZE_MAX] = {0};
    unsigned farthest = distance_max(size);
    memset(plans, 0, size * sizeof(plans[0]));
    for (unsigned home = 0; home < size; home++) {
        uint16_t rest = wanted[home];
        for (unsigned distance = 0; distance <= farthest && rest > 0; distance++) {
            unsigned at = home + distance < size ? home + distance : home + distance - size;
            plan_take(&plans[home], &filled[at], &rest, distance);
        }
        if (rest > 0) return false;
    }
    return true;
}

struct table_segment *segment_build(struct table *table, const struct table_item *items,
                                    size_t count, unsigned size, unsigned depth, int64_t bound) {
    struct home_plan plans[TABLE_SIZE_MAX];
    uint16_t wanted[TABLE_SIZE_MAX] = {0};
    if (count > (size_t)size * TABLE_SLOTS) return NULL;
    for (size_t i = 0; i < count; i++)
        wanted[table_home(items[i].position, size)]++;
    if (!plan_nearest(plans, wanted, size) && !plan_in_order(plans, wanted, size)) return NULL;

    struct table_segment *segment = segment_create(table, size, depth, bound);
    for (unsigned home = 0; home < size; home++)
        for (unsigned distance = TABLE_DISTANCE_MAX; distance > 0; distance--)
            if (plans[home].take[distance] > 0) {
                bucket_set_reach(&segment->buckets[home], distance);
                break;
            }
    for (size_t i = 0; i < count; i++) {
        unsigned home = table_home(items[i].position, size), distance = 0, at = home;
        struct home_plan *plan = &plans[home];
        while (plan->take[distance] == 0)
            distance++;
        plan->take[distance]--;
        at = at + distance < size ? at + distance : at + distance - size;
        bucket_set(&segment->buckets[at], plan->slot[distance]++, items[i].position & 0xff,
                   items[i].element, items[i].fresh, distance);
    }
    segment->count = (uint16_t)count;
    return segment;
}

/* sorted_set.c: what is done with a sorted set, flat or not; how it becomes a structure. */
#include "value/sorted_set.h"

#include "base/invariant.h"
#include "struct/listpack.h"
#include "value/object_digest.h"
#include "value/sorted_set_chunk.h"
#include "value/sorted_set_flat.h"
#include "value/sorted_set_index.h"
#include <math.h>

enum { FLAT_EXTRA_MAX = 2 * LISTPACK_ITEM_EXTRA_MAX + NUMBER_DOUBLE_TEXT_MAX };

static inline bool is_flat(const struct sorted_set *set) {
    return object_is_flat(&set->object);
}

/* ---- the table ---- */

static bool table_find(const struct sorted_set *set, const struct item *member, double *score) {
    struct record record;
    if (!record_table_find(&set->table, set->object.world, member, &record)) return false;
    *score = score_from_record(&record.value);
    return true;
}

/* True: it was not there. */
static bool table_put(struct sorted_set *set, const struct item *member, double score) {
    struct score_record room;
    struct record record = {*member, score_to_record(&room, score), RECORD_NO_EXPIRY};
    return record_table_put(&set->table, set->object.world, &record);
}

/* ---- from flat to structure ---- */

static void become_structure(struct sorted_set *set) {
    struct buffer flat = set->object.flat;
    struct sorted_set old = *set;
    struct sorted_set_element element;
    struct sorted_set_walk walk;
    struct sorted_set_span whole = sorted_set_span_whole(&old);
    record_table_init(&set->table);
    tree_init(&set->tree);
    set->blob_bytes = 0;
    set->object.format = FLAT_NONE;
    set->object.flat = (struct buffer){0};
    sorted_set_walk_begin(&walk, &old, &whole, false);
    while (sorted_set_walk_next(&walk, &element)) {
        sorted_index_insert(set, &element);
        table_put(set, &element.member, element.score);
    }
    buffer_release(&flat);
}

static bool outgrows(const struct sorted_set *set, const struct item *member,
                     const struct sorted_set_limits *limits) {
    return sorted_flat_count(set) + 1 > limits->entries_max ||
           item_text_size(member) > limits->value_max ||
           set->object.flat.size + member->size + FLAT_EXTRA_MAX > LISTPACK_SIZE_MAX;
}

static bool fits_flat(const struct sorted_set *set, const struct sorted_set_limits *limits) {
    struct sorted_set_span whole = sorted_set_span_whole(set);
    struct sorted_set_element element;
    struct sorted_set_walk walk;
    if (whole.count > limits->entries_max) return false;
    sorted_set_walk_begin(&walk, set, &whole, false);
    while (sorted_set_walk_next(&walk, &element)) {
        if (item_text_size(&element.member) > limits->value_max) return false;
    }
    return true;
}

void sorted_set_flatten(struct sorted_set *set, const struct sorted_set_limits *limits) {
    if (object_is_flat(&set->object) || !fits_flat(set, limits)) return;
    struct sorted_set old = *set;
    struct sorted_set_span whole = sorted_set_span_whole(&old);
    struct sorted_set_element element;
    struct sorted_set_walk walk;
    object_init(&set->object, VALUE_SORTED_SET, old.object.world);
    sorted_set_walk_begin(&walk, &old, &whole, false);
    while (sorted_set_walk_next(&walk, &element))
        sorted_set_add(set, &element.member, &element.score, 0, limits);
    object_release(&old.object);
}

/* ---- members ---- */

uint64_t sorted_set_count(const struct sorted_set *set) {
    return is_flat(set) ? sorted_flat_count(set) : set->tree.count;
}

bool sorted_set_score(const struct sorted_set *set, const struct item *member, double *score) {
    return is_flat(set) ? sorted_flat_find(set, member, score) != 0
                        : table_find(set, member, score);
}

static uint64_t rank_of(const struct sorted_set *set, const struct index_cut *cut) {
    return is_flat(set) ? sorted_flat_rank(set, cut) : sorted_index_rank(set, cut);
}

bool sorted_set_rank(const struct sorted_set *set, const struct item *member, uint64_t *rank,
                     double *score) {
    double own;
    if (!sorted_set_score(set, member, &own)) return false;
    struct index_cut cut = {CUT_AT_ELEMENT, false, {*member, own}};
    *rank = rank_of(set, &cut);
    if (score) *score = own;
    return true;
}

/* Put in a new member. */
static void insert(struct sorted_set *set, const struct sorted_set_element *element,
                   const struct sorted_set_limits *limits) {
    if (is_flat(set)) {
        if (!outgrows(set, &element->member, limits)) {
            sorted_flat_insert(set, element);
            return;
        }
        become_structure(set);
    }
    sorted_index_insert(set, element);
    table_put(set, &element->member, element->score);
}

/* A new member of a structure. False: it is there, with the score `old`. */
static bool add_to_structure(struct sorted_set *set, const struct item *member, double score,
                             double *old) {
    struct sorted_set_element element = {*member, score};
    struct score_record room;
    struct record record = {*member, score_to_record(&room, score), RECORD_NO_EXPIRY}, present;
    if (record_table_add(&set->table, set->object.world, &record, &present)) {
        sorted_index_insert(set, &element);
        return true;
    }
    *old = score_from_record(&present.value);
    return false;
}

/* Give a member that is there, with the score `old`, another one. */
static void update(struct sorted_set *set, const struct sorted_set_element *element, double old) {
    if (is_flat(set)) {
        double score;
        sorted_flat_remove(set, sorted_flat_find(set, &element->member, &score), 1);
        sorted_flat_insert(set, element);
        return;
    }
    struct sorted_set_element before = {element->member, old};
    sorted_index_remove(set, &before);
    sorted_index_insert(set, element);
    table_put(set, &element->member, element->score);
}

enum sorted_set_outcome sorted_set_add(struct sorted_set *set, const struct item *member,
                                       double *score, unsigned conditions,
                                       const struct sorted_set_limits *limits) {
    double old = 0, new = *score;
    bool present = true;
    if (is_flat(set) || conditions & SORTED_SET_IF_PRESENT)
        present = sorted_set_score(set, member, &old);
    else if (add_to_structure(set, member, new, &old))
        return SORTED_SET_ADDED;
    if (conditions & (present ? SORTED_SET_IF_ABSENT : SORTED_SET_IF_PRESENT))
        return SORTED_SET_NOT_WANTED;
    if (present && conditions & SORTED_SET_INCREMENT) new += old;
    if (isnan(new)) return SORTED_SET_NOT_A_NUMBER;
    struct sorted_set_element element = {*member, new};
    if (!present) {
        insert(set, &element, limits);
        return SORTED_SET_ADDED;
    }
    if ((conditions & SORTED_SET_IF_GREATER && new <= old) ||
        (conditions & SORTED_SET_IF_LESS && new >= old))
        return SORTED_SET_NOT_WANTED;
    *score = new;
    if (new == old) return SORTED_SET_SAME;
    update(set, &element, old);
    return SORTED_SET_UPDATED;
}

bool sorted_set_add_last(struct sorted_set *set, const struct item *member, double score,
                         const struct sorted_set_limits *limits) {
    if (is_flat(set)) return sorted_set_add(set, member, &score, 0, limits) == SORTED_SET_ADDED;
    struct sorted_set_element element = {*member, score};
    if (!table_put(set, member, score)) return false;
    sorted_index_insert_last(set, &element);
    return true;
}

void sorted_set_prefetch(const struct sorted_set *set, const struct item *member) {
    if (is_flat(set)) return;
    record_table_prefetch_chunk(&set->table, record_table_hash(set->object.world, member));
}

bool sorted_set_remove(struct sorted_set *set, const struct item *member) {
    double score;
    if (is_flat(set)) {
        size_t at = sorted_flat_find(set, member, &score);
        if (at != 0) sorted_flat_remove(set, at, 1);
        return at != 0;
    }
    if (!table_find(set, member, &score)) return false;
    struct sorted_set_element element = {*member, score};
    sorted_index_remove(set, &element);
    record_table_remove(&set->table, set->object.world, member);
    return true;
}

/* ---- spans ---- */

static struct sorted_set_span between(uint64_t from, uint64_t to) {
    return (struct sorted_set_span){from, to > from ? to - from : 0};
}

struct sorted_set_span sorted_set_span_of_scores(const struct sorted_set *set,
                                                 const struct sorted_set_scores *scores) {
    struct index_cut from = {CUT_AT_SCORE, scores->min_excluded, {.score = scores->min}};
    struct index_cut to = {CUT_AT_SCORE, !scores->max_excluded, {.score = scores->max}};
    if (scores->min > scores->max) return (struct sorted_set_span){0, 0};
    return between(rank_of(set, &from), rank_of(set, &to));
}

static uint64_t rank_of_limit(const struct sorted_set *set, const struct sorted_set_limit *limit,
                              bool behind) {
    if (limit->end == SORTED_SET_LOWEST) return 0;
    if (limit->end == SORTED_SET_HIGHEST) return sorted_set_count(set);
    struct index_cut cut = {CUT_AT_MEMBER, behind, {.member = limit->member}};
    return rank_of(set, &cut);
}

struct sorted_set_span sorted_set_span_of_members(const struct sorted_set *set,
                                                  const struct sorted_set_limit *min,
                                                  const struct sorted_set_limit *max) {
    return between(rank_of_limit(set, min, min->excluded), rank_of_limit(set, max, !max->excluded));
}

struct sorted_set_span sorted_set_span_of_ranks(const struct sorted_set *set, int64_t start,
                                                int64_t end, bool backwards) {
    int64_t count = (int64_t)sorted_set_count(set);
    if (start < 0) start = start + count < 0 ? 0 : start + count;
    if (end < 0) end += count;
    if (end >= count) end = count - 1;
    if (start > end) return (struct sorted_set_span){0, 0};
    int64_t first = backwards ? count - 1 - end : start;
    return (struct sorted_set_span){(uint64_t)first, (uint64_t)(end - start + 1)};
}

static void remove_record(struct sorted_set *set, const struct sorted_set_element *element) {
    record_table_remove(&set->table, set->object.world, &element->member);
}

bool sorted_set_leaves_few(const struct sorted_set *set, const struct sorted_set_span *span) {
    enum { MANY = 256, FEWER = 2 };
    return !is_flat(set) && span->count >= MANY &&
           sorted_set_count(set) - span->count < span->count / FEWER;
}

static void copy_span(struct sorted_set *out, const struct sorted_set *set,
                      const struct sorted_set_span *span) {
    static const struct sorted_set_limits none = {0, 0};
    struct sorted_set_element element;
    struct sorted_set_walk walk;
    sorted_set_walk_begin(&walk, set, span, false);
    while (sorted_set_walk_next(&walk, &element)) {
        bool added = sorted_set_add_last(out, &element.member, element.score, &none);
        INVARIANT(added);
    }
}

void sorted_set_copy_others(struct sorted_set *out, const struct sorted_set *set,
                            const struct sorted_set_span *span) {
    uint64_t behind = span->first + span->count;
    struct sorted_set_span first = {0, span->first}, last = {behind, set->tree.count - behind};
    object_init(&out->object, VALUE_SORTED_SET, set->object.world);
    copy_span(out, set, &first);
    copy_span(out, set, &last);
}

void sorted_set_remove_span(struct sorted_set *set, const struct sorted_set_span *span) {
    if (span->count == 0) return;
    if (is_flat(set))
        sorted_flat_remove(set, sorted_flat_seek(set, span->first), span->count);
    else
        sorted_index_remove_span(set, span, remove_record);
}

/* ---- for the keyspace ---- */

static void release(struct object *object) {
    struct sorted_set *set = (struct sorted_set *)object;
    record_table_release(&set->table);
    sorted_index_release(set);
}

static size_t bytes(const struct object *object) {
    const struct sorted_set *set = (const struct sorted_set *)object;
    return set->table.bytes + set->tree.bytes + set->blob_bytes;
}

static void copy(struct object *to_object, const struct object *from_object) {
    struct sorted_set *to = (struct sorted_set *)to_object;
    const struct sorted_set *from = (const struct sorted_set *)from_object;
    record_table_copy(&to->table, &from->table, from->object.world);
    sorted_index_copy(to, from);
}

static uint64_t count(const struct object *object) {
    return sorted_set_count((const struct sorted_set *)object);
}

static void digest(const struct object *object, struct object_digest *digest) {
    const struct sorted_set *set = (const struct sorted_set *)object;
    struct sorted_set_span whole = sorted_set_span_whole(set);
    struct sorted_set_element element;
    struct sorted_set_walk walk;
    sorted_set_walk_begin(&walk, set, &whole, false);
    while (sorted_set_walk_next(&walk, &element)) {
        object_digest_element_begin(digest);
        object_digest_item(digest, &element.member);
        object_digest_score(digest, element.score, score_order(element.score));
        object_digest_element_end(digest);
    }
}

/* The record of the member: the only word behind the key, or the one behind a score; and then the
 * chunk of elements where that score belongs. */
static bool prefetch(const struct object *object, const struct bytes *arguments, size_t count,
                     unsigned step, uint64_t *state) {
    const struct sorted_set *set = (const struct sorted_set *)object;
    const struct record_table *table = &set->table;
    const struct tree_node *node;
    double score;
    switch (step) {
    case 0: {
        struct item member = item_make(arguments[count == 1 ? 0 : 1]);
        *state = record_table_hash(object->world, &member);
        record_table_prefetch_way(table, *state);
        return true;
    }
    case 1: record_table_prefetch_chunk(table, *state); return true;
    case 2:
        record_table_prefetch_lookup(table, object->world, arguments[count == 1 ? 0 : 1].data,
                                     *state);
        if (count == 1 || !number_parse_double(arguments[0], &score)) return false;
        *state = (uint64_t)(uintptr_t)sorted_index_prefetch_node(set, score);
        return *state != 0;
    case 3:
        if (!number_parse_double(arguments[0], &score)) return false;
        node = (const struct tree_node *)(uintptr_t)*state;
        *state = (uint64_t)(uintptr_t)sorted_index_prefetch_link(node, score);
        return true;
    default:
        sorted_index_prefetch_chunk(*(const struct tree_chunk *const *)(uintptr_t)*state);
        return false;
    }
}

static const char *encoding_name(const struct object *object) {
    return object_is_flat(object) ? "listpack" : "skiplist";
}

const struct object_class sorted_set_class = {
    .size = sizeof(struct sorted_set),
    .release = release,
    .bytes = bytes,
    .copy = copy,
    .count = count,
    .digest = digest,
    .prefetch = prefetch,
    .encoding_name = encoding_name,
};

/* ---- checking ---- */

void sorted_set_check(const struct sorted_set *set) {
    struct sorted_set_span whole = sorted_set_span_whole(set);
    struct sorted_set_element element, last;
    struct sorted_set_walk walk;
    uint64_t seen = 0;
    if (!is_flat(set)) {
        record_table_check(&set->table, set->object.world);
        sorted_index_check(set);
        INVARIANT(set->table.count == set->tree.count && set->object.flat.size == 0);
    }
    sorted_set_walk_begin(&walk, set, &whole, false);
    for (; sorted_set_walk_next(&walk, &element); last = element) {
        double score;
        bool present = sorted_set_score(set, &element.member, &score);
        INVARIANT(present && score == element.score);
        INVARIANT(seen++ == 0 || element_compare(&last, &element) < 0);
    }
    INVARIANT(seen == whole.count);
}

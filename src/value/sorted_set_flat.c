/* sorted_set_flat.c: sorted sets that are a listpack. */
#include "value/sorted_set_flat.h"

#include "base/invariant.h"
#include "struct/listpack.h"
#include "value/sorted_set_score.h"

enum { PAIR = 2 };

/* ---- scores ---- */

static double score_of(const struct item *item) {
    double score = 0;
    if (item_is_integer(item)) return (double)item->integer;
    bool is_number = number_parse_double(bytes_make(item->text, item->size), &score);
    INVARIANT(is_number);
    return score;
}

static struct item item_of(double score, char text[NUMBER_DOUBLE_TEXT_MAX]) {
    int64_t integer;
    if (score_is_flat_integer(score, &integer)) return item_integer(integer);
    return item_make(bytes_make(text, number_format_double(text, score)));
}

/* ---- reading ---- */

static size_t first(const struct sorted_set *set) {
    return set->object.flat.size > 0 ? listpack_first(set->object.flat.data) : 0;
}

uint64_t sorted_flat_count(const struct sorted_set *set) {
    return set->object.flat.size > 0 ? listpack_count(set->object.flat.data) / PAIR : 0;
}

size_t sorted_flat_find(const struct sorted_set *set, const struct item *member, double *score) {
    const char *lp = set->object.flat.data;
    size_t at = first(set);
    if (at != 0) at = listpack_find(lp, at, member, PAIR - 1);
    if (at != 0) {
        struct item item = listpack_get(lp, listpack_next(lp, at));
        *score = score_of(&item);
    }
    return at;
}

void sorted_flat_take(const struct sorted_set *set, size_t *at,
                      struct sorted_set_element *element) {
    struct item score;
    bool is_pair = listpack_take(set->object.flat.data, at, &element->member) &&
                   listpack_take(set->object.flat.data, at, &score);
    INVARIANT(is_pair);
    element->score = score_of(&score);
}

/* The offset and number of the first element that is not before the cut. */
static size_t search(const struct sorted_set *set, const struct index_cut *cut, uint64_t *rank) {
    struct sorted_set_element element;
    size_t at = first(set), next = at;
    *rank = 0;
    for (; at != 0; at = next, ++*rank) {
        sorted_flat_take(set, &next, &element);
        if (!sorted_index_is_before(&element, cut)) break;
    }
    return at;
}

uint64_t sorted_flat_rank(const struct sorted_set *set, const struct index_cut *cut) {
    uint64_t rank;
    search(set, cut, &rank);
    return rank;
}

size_t sorted_flat_seek(const struct sorted_set *set, uint64_t rank) {
    return set->object.flat.size > 0 ? listpack_seek(set->object.flat.data, (int64_t)(rank * PAIR))
                                     : 0;
}

size_t sorted_flat_previous(const struct sorted_set *set, size_t at) {
    const char *lp = set->object.flat.data;
    size_t score = listpack_previous(lp, at);
    return score != 0 ? listpack_previous(lp, score) : 0;
}

/* ---- changing ---- */

void sorted_flat_insert(struct sorted_set *set, const struct sorted_set_element *element) {
    struct buffer *flat = &set->object.flat;
    struct index_cut cut = {CUT_AT_ELEMENT, false, *element};
    char text[NUMBER_DOUBLE_TEXT_MAX];
    struct item score = item_of(element->score, text);
    uint64_t rank;
    if (flat->size == 0) listpack_begin(flat);
    size_t at = search(set, &cut, &rank);
    /* The score first, so that the member goes in front of it. */
    at = listpack_put(flat, at, &score);
    listpack_put(flat, at, &element->member);
}

void sorted_flat_remove(struct sorted_set *set, size_t at, uint64_t count) {
    listpack_put_remove(&set->object.flat, at, count * PAIR);
}

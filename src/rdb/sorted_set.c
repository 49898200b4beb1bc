/* sorted_set.c: sorted sets in the RDB format.
 *
 *     count, (member, score) ...                  scores as text, or since version 8 as 8 bytes
 *     ziplist or listpack: member, score ...      a small one, in order */
#include "value/sorted_set.h"
#include "rdb/packed.h"
#include "rdb/value_forms.h"
#include <math.h>

static const char malformed[] = "a sorted set is malformed";

uint8_t rdb_sorted_set_form(const struct object *object) {
    return object_is_flat(object) ? RDB_ZSET_LISTPACK : RDB_ZSET_2;
}

void rdb_sorted_set_write(struct rdb_output *out, uint8_t form, const struct object *object) {
    const struct sorted_set *set = (const struct sorted_set *)object;
    struct sorted_set_span span = sorted_set_span_whole(set);
    struct sorted_set_walk walk;
    struct sorted_set_element element;
    if (form == RDB_ZSET_LISTPACK) {
        rdb_output_string(out, buffer_bytes(&object->flat));
        return;
    }
    rdb_output_length(out, span.count);
    sorted_set_walk_begin(&walk, set, &span, false);
    while (sorted_set_walk_next(&walk, &element)) {
        rdb_output_item(out, &element.member);
        rdb_output_double(out, element.score);
        rdb_output_step(out);
    }
}

static bool add(struct rdb_input *in, const struct sorted_set_limits *limits,
                struct sorted_set *set, const struct item *member, double score) {
    if (isnan(score)) return rdb_input_fail(in, "a score is no number");
    return sorted_set_add_last(set, member, score, limits) ||
           rdb_input_fail(in, "a sorted set has a member twice");
}

/* Members that were read and are not yet added: what they will touch is fetched meanwhile. */
enum { AHEAD = 8 };

struct ahead {
    struct buffer name;
    struct item member;
    double score;
};

static bool read_pair(struct rdb_input *in, uint8_t form, struct ahead *pair) {
    struct bytes name;
    if (!rdb_input_string_copy(in, &pair->name, &name)) return false;
    if (form == RDB_ZSET ? !rdb_input_old_double(in, &pair->score)
                         : !rdb_input_double(in, &pair->score))
        return false;
    pair->member = item_make(name);
    return true;
}

static bool read_pairs(struct rdb_input *in, struct rdb_reader *reader, uint8_t form,
                       struct sorted_set *set) {
    uint64_t count;
    struct ahead ring[AHEAD] = {0};
    if (!rdb_input_count(in, 2, &count)) return false;
    bool good = true;
    for (uint64_t i = 0; good && i < count + AHEAD; i++) {
        struct ahead *pair = &ring[i % AHEAD];
        if (i >= AHEAD)
            good = add(in, &reader->limits->sorted_set, set, &pair->member, pair->score);
        if (!good || i >= count) continue;
        good = read_pair(in, form, pair);
        if (good) sorted_set_prefetch(set, &pair->member);
    }
    for (unsigned i = 0; i < AHEAD; i++)
        buffer_release(&ring[i].name);
    return good;
}

static bool score_of(const struct item *item, double *score) {
    if (item_is_integer(item)) {
        *score = (double)item->integer;
        return true;
    }
    return number_parse_double(bytes_make(item->text, item->size), score);
}

static struct sorted_set_limits packed_limits(const struct rdb_reader *reader,
                                              const struct packed *packed) {
    struct sorted_set_limits limits = reader->limits->sorted_set;
    if (packed->bytes.size <= RDB_PACKED_MAX) limits.value_max = RDB_PACKED_MAX;
    return limits;
}

/* A listpack within the limits, in order and with each member once, is taken as it is. */
static bool may_stay(struct rdb_reader *reader, const struct packed *packed) {
    struct sorted_set_limits limits = packed_limits(reader, packed);
    struct packed walk = *packed;
    struct item member, score_item, last_member = {0};
    double score, last = 0;
    if (packed->count == 0 || packed->count % 2 != 0 || packed->count / 2 > limits.entries_max)
        return false;
    for (bool is_first = true; packed_take(&walk, &member); is_first = false) {
        if (!packed_take(&walk, &score_item) || !score_of(&score_item, &score)) return false;
        if (item_text_size(&member) > limits.value_max) return false;
        if (!is_first &&
            (score < last || (!(score > last) && item_compare(&last_member, &member) >= 0)))
            return false;
        last = score;
        last_member = member;
    }
    return packed_is_unique(packed->bytes, packed->count, 2, reader->world->secret,
                            &reader->rooms[1]);
}

static bool read_flat(struct rdb_input *in, struct rdb_reader *reader, uint8_t form,
                      struct object *object) {
    struct packed packed;
    struct bytes bytes;
    struct item member, score_item;
    double score;
    enum packed_kind kind = form == RDB_ZSET_ZIPLIST ? PACKED_ZIPLIST : PACKED_LISTPACK;
    if (!rdb_input_string(in, &reader->rooms[0], &bytes)) return false;
    if (!packed_begin(&packed, kind, bytes)) return rdb_input_fail(in, malformed);
    if (kind == PACKED_LISTPACK && may_stay(reader, &packed)) {
        buffer_append(&object->flat, bytes.data, bytes.size);
        return true;
    }
    struct sorted_set_limits limits = packed_limits(reader, &packed);
    while (packed_take(&packed, &member)) {
        if (!packed_take(&packed, &score_item) || !score_of(&score_item, &score))
            return rdb_input_fail(in, malformed);
        if (!add(in, &limits, (struct sorted_set *)object, &member, score)) return false;
    }
    return true;
}

bool rdb_sorted_set_read(struct rdb_input *in, struct rdb_reader *reader, uint8_t form,
                         struct object *object) {
    if (form == RDB_ZSET || form == RDB_ZSET_2)
        return read_pairs(in, reader, form, (struct sorted_set *)object);
    return read_flat(in, reader, form, object);
}

/* list.c: lists in the RDB format.
 *
 *     count, strings ...                           the oldest form
 *     ziplist                                      a short one
 *     count, ziplists ...                          quicklist
 *     count, (container, element or listpack) ...  quicklist 2, which is what we write */
#include "value/list.h"
#include "rdb/packed.h"
#include "rdb/value_forms.h"
#include "struct/listpack.h"

uint8_t rdb_list_form(const struct object *object) {
    (void)object;
    return RDB_LIST_QUICKLIST_2;
}

static void write_node(struct rdb_output *out, struct bytes listpack) {
    rdb_output_length(out, RDB_NODE_PACKED);
    rdb_output_string(out, listpack);
    rdb_output_step(out);
}

void rdb_list_write(struct rdb_output *out, uint8_t form, const struct object *object) {
    const struct list *list = (const struct list *)object;
    struct tree_place place;
    struct buffer node = {0};
    (void)form;
    if (object_is_flat(object)) {
        rdb_output_length(out, 1);
        write_node(out, buffer_bytes(&object->flat));
        return;
    }
    rdb_output_length(out, list->tree.chunks);
    for (bool more = tree_first(&list->tree, &place); more; more = tree_next(&list->tree, &place)) {
        listpack_put_loosened(&node, place.chunk->data);
        write_node(out, buffer_bytes(&node));
    }
    buffer_release(&node);
}

static const char too_large[] = "a list's element is too large";

static bool push_packed(struct rdb_input *in, struct list *list, const struct list_limits *limits,
                        enum packed_kind kind, struct bytes bytes) {
    struct packed packed;
    struct item item;
    if (!packed_begin(&packed, kind, bytes)) return rdb_input_fail(in, "a list is malformed");
    while (packed_take(&packed, &item)) {
        if (item_text_size(&item) > LIST_ELEMENT_MAX) return rdb_input_fail(in, too_large);
        list_push(list, limits, &item, false);
    }
    return true;
}

static bool push_string(struct rdb_input *in, struct list *list, const struct list_limits *limits,
                        struct bytes string) {
    struct item item = item_make(string);
    if (string.size > LIST_ELEMENT_MAX) return rdb_input_fail(in, too_large);
    list_push(list, limits, &item, false);
    return true;
}

bool rdb_list_read(struct rdb_input *in, struct rdb_reader *reader, uint8_t form,
                   struct object *object) {
    struct list *list = (struct list *)object;
    struct list_limits limits = reader->limits->list;
    struct bytes bytes;
    uint64_t count = 1, container = RDB_NODE_PACKED;
    if (form != RDB_LIST_ZIPLIST && !rdb_input_count(in, 1, &count)) return false;
    while (count-- > 0) {
        if (form == RDB_LIST_QUICKLIST_2 && !rdb_input_length(in, &container)) return false;
        if (!rdb_input_string(in, &reader->rooms[0], &bytes)) return false;
        bool good;
        if (form == RDB_LIST || container == RDB_NODE_PLAIN)
            good = push_string(in, list, &limits, bytes);
        else if (container != RDB_NODE_PACKED)
            good = rdb_input_fail(in, "a list's node is of an unknown kind");
        else
            good =
                push_packed(in, list, &limits,
                            form == RDB_LIST_QUICKLIST_2 ? PACKED_LISTPACK : PACKED_ZIPLIST, bytes);
        if (!good) return false;
    }
    return true;
}

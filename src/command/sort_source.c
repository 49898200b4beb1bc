/* sort_source.c: the elements of collections, for SORT. Reads, and changes nothing. */
#include "command/sort.h"

#include "base/memory.h"
#include "value/list.h"
#include "value/set.h"
#include "value/sorted_set.h"

enum { FIRST_CAPACITY = 64 };

static void add(struct sort_elements *all, const struct item *item) {
    char scratch[ITEM_TEXT_MAX];
    struct bytes text = item_bytes(item, scratch);
    if (all->count == all->capacity) {
        all->capacity = all->capacity ? all->capacity * 2 : FIRST_CAPACITY;
        all->elements = memory_resize(all->elements, all->capacity * sizeof *all->elements);
    }
    all->elements[all->count++] =
        (struct sort_element){all->texts.size, text.size, 0, SORT_NO_WEIGHT, 0};
    buffer_append(&all->texts, text.data, text.size);
}

static void load_list(struct sort_elements *all, const struct list *list,
                      const struct sort_part *part) {
    struct list_cursor cursor;
    struct item item;
    uint64_t count = list_count(list);
    list_seek(list, part->backwards ? count - 1 - part->first : part->first, part->backwards,
              &cursor);
    for (uint64_t left = part->count; left > 0 && list_take(&cursor, &item); left--)
        add(all, &item);
}

static void load_sorted_set(struct sort_elements *all, const struct sorted_set *set,
                            const struct sort_part *part) {
    struct sorted_set_walk walk;
    struct sorted_set_element element;
    uint64_t first =
        part->backwards ? sorted_set_count(set) - part->first - part->count : part->first;
    struct sorted_set_span span = {first, part->count};
    sorted_set_walk_begin(&walk, set, &span, part->backwards);
    while (sorted_set_walk_next(&walk, &element))
        add(all, &element.member);
}

/* In the order in which the set happens to be kept. */
static void load_set(struct sort_elements *all, const struct set *set,
                     const struct sort_part *part) {
    struct set_cursor cursor;
    struct item item;
    set_begin(set, &cursor);
    for (uint64_t at = 0; at < part->first + part->count && set_take(&cursor, &item); at++)
        if (at >= part->first) add(all, &item);
    set_end(&cursor);
}

void sort_load(struct sort_elements *all, const struct object *object,
               const struct sort_part *part) {
    buffer_reserve(&all->texts, 1); /* where empty texts are, too */
    if (part->count == 0) return;
    if (object->type == VALUE_LIST)
        load_list(all, (const struct list *)object, part);
    else if (object->type == VALUE_SET)
        load_set(all, (const struct set *)object, part);
    else
        load_sorted_set(all, (const struct sorted_set *)object, part);
}

/* sort.h: what SORT sorts: elements, copied from a collection of any type. */
#ifndef REDSTART_COMMAND_SORT_H
#define REDSTART_COMMAND_SORT_H

#include "base/buffer.h"
#include "struct/item.h"
#include "value/object.h"

#define SORT_NO_WEIGHT SIZE_MAX

struct sort_element {
    size_t text, text_size;     /* where in the texts */
    size_t weight, weight_size; /* BY's text, the same; SORT_NO_WEIGHT: there is none */
    double score;               /* where numbers are compared */
};

struct sort_elements {
    struct sort_element *elements;
    size_t count, capacity;
    struct buffer texts;
};

/* Its data is never NULL. */
static inline struct bytes sort_text(const struct sort_elements *all,
                                     const struct sort_element *element) {
    return bytes_make(all->texts.data + element->text, element->text_size);
}

/* Which part of a collection, in its own order. */
struct sort_part {
    uint64_t first, count;
    bool backwards; /* counted from the end; sets have no order */
};

/* Append the elements of a list, set or sorted set. */
void sort_load(struct sort_elements *elements, const struct object *object,
               const struct sort_part *part);

#endif

/* Replies: whatever the bytes are, the reader answers, its nodes describe a tree inside the input,
 * and what is less than a whole reply is never one. */
#include <stdint.h>

#include "base/invariant.h"
#include "base/memory.h"
#include "resp/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Children fill their parent exactly; text lies in the input. */
static void check_tree(const struct answer *answer, struct bytes input) {
    for (uint32_t i = 0; i < answer->count; i++) {
        const struct answer_node *node = &answer->nodes[i];
        INVARIANT(node->next > i && node->next <= answer->count);
        if (node->text.size)
            INVARIANT(node->text.data >= input.data &&
                      node->text.data + node->text.size <= input.data + input.size);
        uint32_t child = i + 1;
        for (uint32_t left = node->count; left > 0; left--) {
            child = answer_skip_attributes(answer, child);
            INVARIANT(child < node->next);
            child = answer->nodes[child].next;
        }
        INVARIANT(child == node->next);
    }
    uint32_t root = answer_skip_attributes(answer, 0);
    INVARIANT(answer->nodes[root].next == answer->count);
}

/* Parse a copy of its own size, so that a step over its end is seen. */
static int64_t parse_copy(struct answer *answer, const void *data, size_t size) {
    char *copy = memory_alloc(size ? size : 1);
    memcpy(copy, data, size);
    int64_t result = answer_parse(answer, bytes_make(copy, size));
    if (result > 0) check_tree(answer, bytes_make(copy, (size_t)result));
    memory_free(copy);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct answer answer = {0};
    int64_t result = parse_copy(&answer, data, size);
    INVARIANT(result >= -1 && result <= (int64_t)size);
    size_t step = size / 100 + 1;
    for (size_t cut = 0; cut < size; cut += step) {
        int64_t part = parse_copy(&answer, data, cut);
        if (result > 0)
            INVARIANT(part == ((int64_t)cut < result ? 0 : result));
        else
            INVARIANT(part == 0 || part == result);
    }
    answer_release(&answer);
    return 0;
}

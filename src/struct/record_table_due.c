/* record_table_due.c: the records whose time has come. Walks where a bound allows it, and makes
 * the bounds exact behind it, but for nodes that a view can see: those stay as they are. */
#include "struct/record_table_node.h"

struct due {
    const struct record_world *world;
    int64_t now_ms;
    size_t left;
    bool found;
    bool stopped; /* at `left`: what follows was not looked at */
    record_visit *visit;
    void *context;
};

static int64_t due_in_chunk(struct due *due, const struct record_chunk *chunk) {
    if (chunk_bound(chunk) > due->now_ms) return chunk_bound(chunk);
    struct record_place walk = {0, chunk_end(chunk)};
    while (chunk_step(chunk, &walk)) {
        if (record_expiry_at(walk.at) > due->now_ms) continue;
        if (due->left == 0) {
            due->stopped = true;
            break;
        }
        struct record record;
        record_read(walk.at, chunk->slots[walk.index - 1].size, &record);
        due->visit(due->context, &record);
        due->found = true;
        due->left--;
    }
    return chunk_bound(chunk);
}

/* Returns the bound of what is below this word. */
static int64_t due_below(struct due *due, uint64_t word) {
    if (!word_is_node(word)) return due_in_chunk(due, word_chunk(word));
    struct record_node *node = word_node(word);
    if (node->bound > due->now_ms) return node->bound;
    int64_t bound = RECORD_NO_EXPIRY;
    size_t count = (size_t)1 << node->bits;
    uint64_t before = 0;
    for (size_t i = 0; i < count && !due->stopped; i++) {
        if (node->words[i] == before) continue;
        before = node->words[i];
        bound = bound_min(bound, due_below(due, before));
    }
    if (!due->stopped && !epoch_shared(due->world->epochs, node->born)) node->bound = bound;
    return bound;
}

bool record_table_due(struct record_table *table, const struct record_world *world, int64_t now_ms,
                      size_t max, record_visit *visit, void *context) {
    if (table->expiry_bound > now_ms) return false;
    struct due due = {
        .world = world, .now_ms = now_ms, .left = max, .visit = visit, .context = context};
    int64_t bound = table->root == 0 ? RECORD_NO_EXPIRY : due_below(&due, table->root);
    if (!due.stopped) table->expiry_bound = bound;
    return due.found;
}

static uint64_t count_in_chunk(const struct record_chunk *chunk, int64_t now_ms) {
    uint64_t count = 0;
    if (chunk_bound(chunk) > now_ms) return 0;
    struct record_place walk = {0, chunk_end(chunk)};
    while (chunk_step(chunk, &walk))
        count += record_expiry_at(walk.at) <= now_ms;
    return count;
}

static uint64_t count_below(uint64_t word, int64_t now_ms) {
    if (!word_is_node(word)) return count_in_chunk(word_chunk(word), now_ms);
    const struct record_node *node = word_node(word);
    uint64_t count = 0, before = 0;
    if (node->bound > now_ms) return 0;
    for (size_t i = 0; i < (size_t)1 << node->bits; i++) {
        if (node->words[i] == before) continue;
        before = node->words[i];
        count += count_below(before, now_ms);
    }
    return count;
}

uint64_t record_table_count_due(const struct record_table *table, int64_t now_ms) {
    if (table->root == 0 || table->expiry_bound > now_ms) return 0;
    return count_below(table->root, now_ms);
}

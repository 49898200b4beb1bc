/* record_table.c: find, put, remove; the end of a table, and a copy of it. What a chunk and the
 * trie do is in record_table_chunk.c and record_table_node.c. */
#include "base/prefetch.h"
#include "struct/record_table_node.h"

void record_table_init(struct record_table *table) {
    *table = (struct record_table){.expiry_bound = RECORD_NO_EXPIRY};
}

/* ---- find ---- */

uint64_t record_table_hash(const struct record_world *world, const struct item *key) {
    return record_hash(world, key);
}

enum { LINE = 64 };

/* The root is near: all take this way. What is below the second node is rare. */
void record_table_prefetch_way(const struct record_table *table, uint64_t hash) {
    if (!word_is_node(table->root)) return;
    uint64_t word = *word_next(table->root, hash);
    if (word_is_node(word)) memory_prefetch(word_next(word, hash));
}

void record_table_prefetch_chunk(const struct record_table *table, uint64_t hash) {
    if (table->root == 0) return;
    const char *chunk = (const char *)record_chunk_of(table->root, hash);
    memory_prefetch(chunk);
    memory_prefetch(chunk + LINE);
}

static inline struct record_place prefetch_place(const struct record_chunk *chunk, uint64_t hash) {
    struct record_place place = chunk_candidate(chunk, record_tag(hash));
    memory_prefetch(place.at);
    memory_prefetch(place.at + LINE / 2);
    return place;
}

void record_table_prefetch_record(const struct record_table *table, uint64_t hash) {
    if (table->root != 0) prefetch_place(record_chunk_of(table->root, hash), hash);
}

void record_table_prefetch_lookup(const struct record_table *table,
                                  const struct record_world *world, const char *text,
                                  uint64_t hash) {
    if (table->root == 0) return;
    struct record_chunk *chunk = record_chunk_of(table->root, hash);
    struct record_place place = prefetch_place(chunk, hash);
    if (world->memos != NULL && place.index < chunk->count)
        memo_add(world->memos, table, text, chunk, place);
}

/* The key's place, if it is there; and the chunk that it belongs to, with its hash unless it is
 * there. The table is not empty. */
static inline bool look_up(const struct record_table *table, const struct record_world *world,
                           const struct item *key, uint64_t *hash, struct record_chunk **chunk,
                           struct record_place *place) {
    if (memo_find(table, world, key, chunk, place)) return true;
    *hash = record_hash(world, key);
    *chunk = record_chunk_of(table->root, *hash);
    return chunk_find(*chunk, record_tag(*hash), key, place);
}

bool record_table_find(const struct record_table *table, const struct record_world *world,
                       const struct item *key, struct record *out) {
    uint64_t hash;
    struct record_chunk *chunk;
    struct record_place place;
    if (table->root == 0 || !look_up(table, world, key, &hash, &chunk, &place)) return false;
    record_read(place.at, chunk->slots[place.index].size, out);
    return true;
}

/* -- put ----------------------------------------------------------------------------------------
 */

/* Make the path's chunk private, with room for what `count` and `used` say; false when it was split
 * instead. */
static bool make_room(struct record_table *table, const struct record_world *world,
                      struct record_path *path, size_t count, size_t used) {
    struct record_chunk *chunk = path->chunk;
    size_t need = chunk_need(count, used);
    if ((need > RECORD_CHUNK_MAX || count > RECORD_CHUNK_COUNT) &&
        chunk->depth < RECORD_DEPTH_MAX && chunk->count > 1) {
        path_split(table, world, path);
        return false;
    }
    INVARIANT(count <= UINT8_MAX && need <= RECORD_CHUNK_LARGEST);
    if (need > chunk_size(chunk) || epoch_shared(world->epochs, chunk->born))
        path_set(table, path, chunk_remake(table, world, chunk, need));
    return true;
}

static void count_expiry(struct record_table *table, int64_t old, int64_t expiry) {
    if (old != RECORD_NO_EXPIRY) table->expiring--;
    if (expiry != RECORD_NO_EXPIRY) table->expiring++;
    if (table->expiring == 0) table->expiry_bound = RECORD_NO_EXPIRY;
}

static void note_expiry(struct record_table *table, struct record_path *path, int64_t expiry) {
    if (expiry == RECORD_NO_EXPIRY) return;
    chunk_note_bound(path->chunk, expiry);
    path_note_bound(table, path, expiry < 0 ? 0 : expiry);
}

/* The time of the record is no longer in the chunk. */
static void forget_expiry(struct record_chunk *chunk, int64_t expiry) {
    if (expiry != RECORD_NO_EXPIRY && (expiry < 0 || chunk_bound(chunk) >= expiry))
        chunk_tighten_bound(chunk);
}

static bool exchange(struct record_table *table, const struct record_world *world,
                     struct record_path *path, unsigned index, int64_t expiry,
                     const struct record_bytes *bytes) {
    size_t used = path->chunk->used + bytes->size - path->chunk->slots[index].size;
    if (!make_room(table, world, path, path->chunk->count, used)) return false;
    struct record_place place = chunk_place(path->chunk, index);
    struct record_block *block = record_block_at(place.at);
    int64_t old = record_expiry_at(place.at);
    chunk_exchange(world, path->chunk, place, bytes->bytes, bytes->size);
    count_expiry(table, old, expiry);
    if (old != expiry) forget_expiry(path->chunk, old);
    note_expiry(table, path, expiry);
    if (block != NULL) record_block_drop(table, world, block);
    return true;
}

static bool append(struct record_table *table, const struct record_world *world,
                   struct record_path *path, int64_t expiry, const struct record_bytes *bytes) {
    const struct record_chunk *chunk = path->chunk;
    if (!make_room(table, world, path, chunk->count + 1u, chunk->used + bytes->size)) return false;
    chunk_append(path->chunk, record_tag(path->hash), bytes->bytes, bytes->size);
    table->count++;
    count_expiry(table, RECORD_NO_EXPIRY, expiry);
    note_expiry(table, path, expiry);
    return true;
}

/* The record has no time and is not there. Put it where a private chunk has room for it, which
 * touches nothing on the way there: false when it is not so simple. Privacy goes upwards
 * (record_table_node.h). */
static bool append_simply(struct record_table *table, const struct record_world *world,
                          struct record_chunk *chunk, uint64_t hash,
                          const struct record_bytes *bytes) {
    if (epoch_shared(world->epochs, chunk->born) || chunk->count >= RECORD_CHUNK_COUNT ||
        chunk_need(chunk->count + 1u, chunk->used + bytes->size) > chunk_size(chunk))
        return false;
    chunk_append(chunk, record_tag(hash), bytes->bytes, bytes->size);
    table->count++;
    return true;
}

/* The same, whether it is there or not: `found` where look_up says. */
static bool put_simply(struct record_table *table, const struct record_world *world, bool found,
                       uint64_t hash, struct record_chunk *chunk, struct record_place place,
                       const struct record_bytes *bytes) {
    if (!found) return append_simply(table, world, chunk, hash, bytes);
    size_t used = chunk->used + bytes->size - chunk->slots[place.index].size;
    if (epoch_shared(world->epochs, chunk->born) ||
        chunk_need(chunk->count, used) > chunk_size(chunk) ||
        record_expiry_at(place.at) != RECORD_NO_EXPIRY || record_block_at(place.at) != NULL)
        return false;
    chunk_exchange(world, chunk, place, bytes->bytes, bytes->size);
    return true;
}

/* The way is made private, chunks grow and split. */
static bool put(struct record_table *table, const struct record_world *world, uint64_t hash,
                const struct record *record, const struct record_bytes *bytes) {
    struct record_path path;
    if (table->root == 0) {
        struct record_chunk *chunk = chunk_create(table, world, 0, chunk_need(1, bytes->size));
        table->root = chunk_word(chunk);
    }
    /* Each turn but the last splits a chunk, and `record` may point into the first one. */
    path_find(table, world, hash, &path);
    struct record_place place;
    bool found = chunk_find(path.chunk, record_tag(hash), &record->key, &place);
    while (found ? !exchange(table, world, &path, place.index, record->expiry, bytes)
                 : !append(table, world, &path, record->expiry, bytes)) {
        struct record copy;
        path_find(table, world, hash, &path);
        if (!found) continue;
        record_read(bytes->bytes, bytes->size, &copy);
        INVARIANT(chunk_find(path.chunk, record_tag(hash), &copy.key, &place));
    }
    return !found;
}

bool record_table_put(struct record_table *table, const struct record_world *world,
                      const struct record *record) {
    struct record_bytes bytes;
    record_write(table, world, record, &bytes);
    if (unlikely(table->root == 0))
        return put(table, world, record_hash(world, &record->key), record, &bytes);
    uint64_t hash;
    struct record_chunk *chunk;
    struct record_place place;
    bool found = look_up(table, world, &record->key, &hash, &chunk, &place);
    if (likely(record->expiry == RECORD_NO_EXPIRY) &&
        put_simply(table, world, found, hash, chunk, place, &bytes))
        return !found;
    if (found) hash = record_hash(world, &record->key);
    return put(table, world, hash, record, &bytes);
}

bool record_table_add(struct record_table *table, const struct record_world *world,
                      const struct record *record, struct record *present) {
    struct record_bytes bytes;
    if (unlikely(table->root == 0)) {
        record_write(table, world, record, &bytes);
        put(table, world, record_hash(world, &record->key), record, &bytes);
        return true;
    }
    uint64_t hash;
    struct record_chunk *chunk;
    struct record_place place;
    if (look_up(table, world, &record->key, &hash, &chunk, &place)) {
        record_read(place.at, chunk->slots[place.index].size, present);
        return false;
    }
    record_write(table, world, record, &bytes);
    if (unlikely(record->expiry != RECORD_NO_EXPIRY) ||
        !append_simply(table, world, chunk, hash, &bytes))
        put(table, world, hash, record, &bytes);
    return true;
}

/* -- remove -------------------------------------------------------------------------------------
 */

bool record_table_remove(struct record_table *table, const struct record_world *world,
                         const struct item *key) {
    uint64_t hash;
    struct record_chunk *seen;
    struct record_place place;
    if (table->root == 0 || !look_up(table, world, key, &hash, &seen, &place)) return false;

    struct record_path path;
    path_find(table, world, record_hash(world, key), &path);
    if (epoch_shared(world->epochs, path.chunk->born)) {
        path_set(table, &path, chunk_remake(table, world, path.chunk, 0));
        place = chunk_place(path.chunk, place.index);
    }
    struct record_block *block = record_block_at(place.at);
    int64_t expiry = record_expiry_at(place.at);
    chunk_remove(world, path.chunk, place);
    if (block != NULL) record_block_drop(table, world, block);
    table->count--;
    count_expiry(table, expiry, RECORD_NO_EXPIRY);
    forget_expiry(path.chunk, expiry);

    if (chunk_is_roomy(path.chunk)) {
        path_set(table, &path, chunk_remake(table, world, path.chunk, 0));
    }
    path_merge(table, world, &path);
    if (table->count == 0) {
        INVARIANT(!word_is_node(table->root));
        chunk_drop(table, world, word_chunk(table->root));
        table->root = 0;
    }
    return true;
}

/* -- all of it ----------------------------------------------------------------------------------
 */

static void release_chunk(struct record_chunk *chunk) {
    struct record_place walk = {0, chunk_end(chunk)};
    if (chunk->large > 0)
        while (chunk_step(chunk, &walk))
            memory_free(record_block_at(walk.at));
    memory_free(chunk);
}

/* How many words of the node from this one on are the same. */
static size_t words_alike(const struct record_node *node, size_t index) {
    uint64_t word = node->words[index];
    return word_is_node(word) ? 1 : node_span(node, word_chunk(word)->depth);
}

static void release_word(uint64_t word) {
    if (!word_is_node(word)) {
        release_chunk(word_chunk(word));
        return;
    }
    struct record_node *node = word_node(word);
    for (size_t i = 0, alike; i < (size_t)1 << node->bits; i += alike) {
        alike = words_alike(node, i);
        release_word(node->words[i]);
    }
    memory_free(node);
}

void record_table_release(struct record_table *table) {
    if (table->root != 0) release_word(table->root);
    record_table_init(table);
}

static uint64_t copy_chunk(const struct record_chunk *chunk, uint32_t born) {
    struct record_chunk *copy = memory_alloc(chunk_size(chunk));
    memcpy(copy, chunk, chunk_need(chunk->count, 0));
    memcpy((uint8_t *)copy + chunk_size(chunk) - chunk->used, chunk_end(chunk) - chunk->used,
           chunk->used);
    copy->born = born;
    struct record_place walk = {0, chunk_end(copy)};
    while (chunk->large > 0 && chunk_step(copy, &walk)) {
        const struct record_block *block = record_block_at(walk.at);
        if (block == NULL) continue;
        struct record_block *other = memory_alloc(record_block_size(block));
        memcpy(other, block, record_block_size(block));
        other->born = born;
        /* The pointer is the last of the record's bytes. */
        size_t size = copy->slots[walk.index - 1].size;
        uint8_t *at = (uint8_t *)copy + (walk.at - (const uint8_t *)copy) + size - sizeof other;
        memcpy(at, &other, sizeof other);
    }
    return chunk_word(copy);
}

static uint64_t copy_word(uint64_t word, uint32_t born) {
    if (!word_is_node(word)) return copy_chunk(word_chunk(word), born);
    const struct record_node *node = word_node(word);
    struct record_node *copy = memory_alloc(node_size(node->bits));
    *copy = *node;
    copy->born = born;
    for (size_t i = 0, alike; i < (size_t)1 << node->bits; i += alike) {
        alike = words_alike(node, i);
        uint64_t below = copy_word(node->words[i], born);
        for (size_t j = 0; j < alike; j++)
            copy->words[i + j] = below;
    }
    return node_word(copy);
}

void record_table_copy(struct record_table *to, const struct record_table *from,
                       const struct record_world *world) {
    *to = *from;
    if (from->root != 0) to->root = copy_word(from->root, world->epochs->now);
}

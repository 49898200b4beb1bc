/* name_table.c: see name_table.h. Owns records and names, and nothing that a record points to. */
#include "engine/name_table.h"

#include "base/invariant.h"
#include "base/memory.h"

static uint64_t element_hash(void *context, table_element element) {
    const struct name_table *table = context;
    return ((const struct named *)slab_at(&table->slab, element))->hash;
}

void name_table_init(struct name_table *table, const struct hash_secret *secret,
                     size_t record_size) {
    INVARIANT(record_size >= sizeof(struct named) && record_size <= SLAB_BLOCK_MAX);
    *table = (struct name_table){.owner = {.context = table, .hash = element_hash},
                                 .secret = secret,
                                 .record_size = record_size};
    epochs_init(&table->epochs);
    slab_init(&table->slab);
    table_init(&table->table, &table->epochs, &table->owner);
}

void name_table_release(struct name_table *table) {
    INVARIANT(name_table_count(table) == 0);
    table_release(&table->table);
    slab_release(&table->slab);
    epochs_release(&table->epochs);
}

struct wanted {
    const struct slab *slab;
    struct bytes name;
    uint64_t hash;
    uint32_t number;
};

static struct wanted want(const struct name_table *table, uint32_t number, struct bytes name) {
    uint64_t hash = hash_bytes(table->secret, name) ^ hash_mix(number);
    return (struct wanted){&table->slab, name, hash, number};
}

static inline bool matches(const void *context, table_element element) {
    const struct wanted *wanted = context;
    const struct named *named = slab_at(wanted->slab, element);
    return named->hash == wanted->hash && named->number == wanted->number &&
           bytes_equal(named->name, wanted->name);
}

static struct named *find(const struct name_table *table, const struct wanted *wanted,
                          struct table_place *place) {
    table_element element = table_find(&table->table, wanted->hash, matches, wanted, place);
    return element ? slab_at(&table->slab, element) : NULL;
}

void *name_table_find(const struct name_table *table, uint32_t number, struct bytes name) {
    if (name_table_count(table) == 0) return NULL;
    struct wanted wanted = want(table, number, name);
    return find(table, &wanted, NULL);
}

void *name_table_find_or_add(struct name_table *table, uint32_t number, struct bytes name) {
    struct wanted wanted = want(table, number, name);
    struct named *named = find(table, &wanted, NULL);
    if (named) return named;
    slab_handle handle = slab_alloc(&table->slab, table->record_size);
    named = slab_at(&table->slab, handle);
    memset(named, 0, table->record_size);
    *named = (struct named){
        .hash = wanted.hash,
        .name = bytes_make(memory_copy(name.data, name.size), name.size),
        .handle = handle,
        .number = number,
    };
    struct table_place place;
    table_insert(&table->table, named->hash, handle, &place);
    return named;
}

static void free_record(struct name_table *table, struct named *named) {
    memory_free((char *)(uintptr_t)named->name.data);
    slab_free(&table->slab, named->handle);
}

void name_table_remove(struct name_table *table, void *record) {
    struct named *named = record;
    struct wanted wanted = {&table->slab, named->name, named->hash, named->number};
    struct table_place place;
    INVARIANT(find(table, &wanted, &place) == named);
    table_remove(&table->table, &place);
    free_record(table, named);
}

void *name_table_random(const struct name_table *table, uint64_t (*random)(void *), void *context) {
    table_element element = table_random(&table->table, random, context);
    return element ? slab_at(&table->slab, element) : NULL;
}

/* ---- all of them ---- */

struct walk {
    const struct name_table *table;
    name_table_visit *visit;
    void *context;
};

static void walk_element(void *context, table_element element) {
    const struct walk *walk = context;
    walk->visit(walk->context, slab_at(&walk->table->slab, element));
}

static void walk_all(const struct name_table *table, table_visit *visit, void *context) {
    uint64_t cursor = 0;
    do
        cursor = table_scan(&table->table, cursor, visit, context);
    while (cursor != 0);
}

void name_table_each(const struct name_table *table, name_table_visit *visit, void *context) {
    struct walk walk = {table, visit, context};
    walk_all(table, walk_element, &walk);
}

static void free_element(void *context, table_element element) {
    struct name_table *table = context;
    free_record(table, slab_at(&table->slab, element));
}

void name_table_clear(struct name_table *table, name_table_visit *release, void *context) {
    if (name_table_count(table) == 0) return;
    name_table_each(table, release, context);
    walk_all(table, free_element, table);
    table_release(&table->table);
    table_init(&table->table, &table->epochs, &table->owner);
}

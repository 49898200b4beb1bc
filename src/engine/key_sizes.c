/* key_sizes.c: see key_sizes.h. Owns the counts; must never change what it counts. */
#include "engine/key_sizes.h"

#include "base/memory.h"
#include "engine/server.h"
#include "keyspace/edit.h"

static const struct key_sizes_kind {
    enum value_type type;
    const char *name;
} kinds[KEY_SIZES_TYPES] = {
    {VALUE_STRING, "strings_sizes"},   {VALUE_LIST, "lists_items"},  {VALUE_SET, "sets_items"},
    {VALUE_SORTED_SET, "zsets_items"}, {VALUE_HASH, "hashes_items"},
};

/* ---- counting ---- */

static unsigned bin_of(uint64_t size) {
    return size == 0 ? 0 : 64 - (unsigned)__builtin_clzll(size);
}

static uint64_t size_of(const struct entry *entry, struct key_sizes_counts *counts) {
    union object_room room;
    if (entry_type(entry) == VALUE_STRING) return entry_string_size(entry);
    const struct object *object = entry_read_object(entry, NULL, &room);
    counts->with_fields += object_next_expiry(object) != INT64_MAX;
    return object_count(object);
}

static void count(void *context, const struct entry *entry) {
    struct key_sizes_counts *counts = context;
    counts->keys++;
    for (unsigned i = 0; i < KEY_SIZES_TYPES; i++)
        if (kinds[i].type == entry_type(entry)) counts->bins[i][bin_of(size_of(entry, counts))]++;
}

/* At least so many keys from the cursor on; where to go on, 0: at the end. */
static uint64_t count_some(const struct database *db, uint64_t cursor, uint64_t keys,
                           struct key_sizes_counts *counts) {
    uint64_t end = counts->keys + keys;
    do
        cursor = database_scan(db, cursor, count, counts);
    while (cursor != 0 && counts->keys < end);
    return cursor;
}

/* As if all `keys` had been seen. What was seen is never nothing. */
static void extrapolate(struct key_sizes_counts *counts, uint64_t keys) {
    if (counts->keys == 0 || counts->keys >= keys) return;
    double factor = (double)keys / (double)counts->keys;
    counts->with_fields = (uint64_t)((double)counts->with_fields * factor + 0.5);
    for (unsigned i = 0; i < KEY_SIZES_TYPES; i++)
        for (unsigned bin = 0; bin < KEY_SIZES_BINS; bin++)
            counts->bins[i][bin] = (uint64_t)((double)counts->bins[i][bin] * factor + 0.5);
}

static struct key_sizes_database *of_database(struct server *server, uint32_t number) {
    struct key_sizes *sizes = &server->key_sizes;
    if (!sizes->databases)
        sizes->databases = memory_alloc_zeroed(server->keyspace.database_count,
                                               sizeof(struct key_sizes_database *));
    if (!sizes->databases[number])
        sizes->databases[number] = memory_alloc_zeroed(1, sizeof *sizes->databases[number]);
    return sizes->databases[number];
}

void key_sizes_release(struct server *server) {
    struct key_sizes *sizes = &server->key_sizes;
    for (uint32_t i = 0; sizes->databases && i < server->keyspace.database_count; i++)
        memory_free(sizes->databases[i]);
    memory_free(sizes->databases);
}

/* True when only a walk can say it exactly. */
static bool prepare_database(struct server *server, const struct database *db) {
    struct key_sizes_database *sizes = of_database(server, db->number);
    bool is_large = database_count(db) > KEY_SIZES_AT_ONCE;
    if (is_large && sizes->is_shown) return true;
    sizes->shown = (struct key_sizes_counts){0};
    sizes->is_shown = false;
    if (is_large && sizes->counted.keys >= KEY_SIZES_AT_ONCE)
        sizes->shown = sizes->counted;
    else
        count_some(db, 0, KEY_SIZES_AT_ONCE, &sizes->shown);
    extrapolate(&sizes->shown, database_count(db));
    return is_large;
}

void key_sizes_prepare(struct server *server) {
    struct key_sizes *sizes = &server->key_sizes;
    bool wants_walk = false;
    for (uint32_t i = 0; i < server->keyspace.database_count; i++) {
        const struct database *db = &server->keyspace.databases[i];
        if (database_count(db) > 0) wants_walk |= prepare_database(server, db);
    }
    if (!wants_walk || sizes->is_walking || server->monotonic_us < sizes->due_us) return;
    sizes->is_walking = true;
    sizes->at = 0;
    sizes->cursor = 0;
}

/* ---- the walk ---- */

static void end_database(struct server *server, struct key_sizes_database *sizes) {
    struct key_sizes *all = &server->key_sizes;
    sizes->shown = sizes->counted;
    sizes->is_shown = true;
    sizes->counted = (struct key_sizes_counts){0};
    all->at++;
}

void key_sizes_step(struct server *server) {
    struct key_sizes *sizes = &server->key_sizes;
    if (server->monotonic_us < sizes->due_us) return;
    sizes->due_us = server->monotonic_us + KEY_SIZES_STEP_US;
    while (sizes->at < server->keyspace.database_count &&
           database_count(&server->keyspace.databases[sizes->at]) <= KEY_SIZES_AT_ONCE)
        sizes->at++;
    if (sizes->at == server->keyspace.database_count) {
        sizes->is_walking = false;
        sizes->due_us = server->monotonic_us + KEY_SIZES_REST_US;
        return;
    }
    struct key_sizes_database *database = of_database(server, sizes->at);
    if (sizes->cursor == 0) database->counted = (struct key_sizes_counts){0};
    sizes->cursor = count_some(&server->keyspace.databases[sizes->at], sizes->cursor,
                               KEY_SIZES_STEP, &database->counted);
    if (sizes->cursor == 0) end_database(server, database);
}

/* ---- INFO ---- */

/* "0", "1", "512", "1K", "64M". */
static void append_bin(struct buffer *out, unsigned bin, uint64_t keys) {
    enum { BITS_OF_UNIT = 10 };
    static const char units[][2] = {"", "K", "M", "G", "T", "P", "E"};
    unsigned power = bin == 0 ? 0 : bin - 1;
    unsigned number = bin == 0 ? 0 : 1U << (power % BITS_OF_UNIT);
    buffer_append_format(out, "%u%s=%llu", number, units[power / BITS_OF_UNIT],
                         (unsigned long long)keys);
}

static void append_kind(struct buffer *out, uint32_t number, unsigned kind,
                        const struct key_sizes_counts *counts) {
    bool is_first = true;
    for (unsigned bin = 0; bin < KEY_SIZES_BINS; bin++) {
        uint64_t keys = counts->bins[kind][bin];
        if (keys == 0) continue;
        if (is_first)
            buffer_append_format(out, "db%u_distrib_%s:", number, kinds[kind].name);
        else
            buffer_append_byte(out, ',');
        append_bin(out, bin, keys);
        is_first = false;
    }
    if (!is_first) buffer_append_text(out, "\r\n");
}

uint64_t key_sizes_with_fields(const struct server *server, uint32_t database) {
    struct key_sizes_database *const *databases = server->key_sizes.databases;
    return databases && databases[database] ? databases[database]->shown.with_fields : 0;
}

void key_sizes_append(const struct server *server, struct buffer *out) {
    struct key_sizes_database *const *databases = server->key_sizes.databases;
    for (uint32_t i = 0; databases && i < server->keyspace.database_count; i++) {
        if (!databases[i] || database_count(&server->keyspace.databases[i]) == 0) continue;
        for (unsigned kind = 0; kind < KEY_SIZES_TYPES; kind++)
            append_kind(out, i, kind, &databases[i]->shown);
    }
}

/* debug_data.c: DEBUG's subcommands about keys and values: OBJECT, POPULATE, digests, the tables.
 */
#include "command/debug.h"

#include "base/memory.h"
#include "engine/config.h"
#include "engine/server.h"
#include "keyspace/digest.h"
#include "rdb/value.h"
#include "value/list.h"
#include <stdio.h>

/* ---- OBJECT ---- */

/* Of the call's key; the type is a collection's. */
static const struct object *object_at(struct call *call, const struct entry *entry,
                                      union object_room *room) {
    return entry_read_object(entry, &call->server->keyspace.world, room);
}

static bool has_encoding(const struct entry *entry, const char *name) {
    return strcmp(entry_encoding_name(entry), name) == 0;
}

struct measure {
    size_t bytes;
};

static bool measure_bytes(void *context, struct bytes bytes) {
    struct measure *measure = context;
    measure->bytes += bytes.size;
    return true;
}

/* Bytes of the value in an RDB file, as it is configured; made and thrown away. */
static size_t serialized_size(struct call *call, const struct entry *entry) {
    struct measure measure = {0};
    struct rdb_output output;
    struct record_world *world = &call->server->keyspace.world;
    rdb_output_init(&output, call->server->config->rdbcompression);
    output.write = measure_bytes;
    output.context = &measure;
    rdb_value_write(&output, rdb_value_form(&output, entry, world), entry, world);
    rdb_output_flush(&output);
    rdb_output_release(&output);
    return measure.bytes;
}

/* The tree of a large list, in the words that tools look for. */
static int describe_list(struct call *call, const struct entry *entry, char *out, size_t size) {
    union object_room room;
    const struct list *list = (const struct list *)object_at(call, entry, &room);
    double nodes = (double)list->tree.chunks;
    return snprintf(out, size,
                    " ql_nodes:%llu ql_avg_node:%.2f ql_listpack_max:%lld ql_compressed:0 "
                    "ql_uncompressed_size:%zu",
                    (unsigned long long)list->tree.chunks, (double)list_count(list) / nodes,
                    (long long)call->server->config->list_max_listpack_size, list->tree.bytes);
}

void debug_object(struct call *call) {
    char text[512];
    const struct entry *entry = call_peek(call, 2);
    if (!entry) {
        call_error_no_key(call);
        return;
    }
    int size = snprintf(
        text, sizeof text,
        "Value at:%p refcount:%lld encoding:%s serializedlength:%zu lru:%u lru_seconds_idle:%u",
        (const void *)entry, (long long)entry_reference_count(entry), entry_encoding_name(entry),
        serialized_size(call, entry), entry_clock(entry),
        use_idle_s(&call->server->keyspace.use, entry));
    if (has_encoding(entry, "quicklist"))
        describe_list(call, entry, text + size, sizeof text - (size_t)size);
    reply_simple(call->reply, text);
}

/* ---- SDSLEN ---- */

/* In Redis's words: how long a key and its text are, what stands free behind them, and the bytes of
 * both, which are one block here unless the text has its own. */
void debug_sdslen(struct call *call) {
    const struct entry *entry = call_peek(call, 2);
    if (!entry) {
        call_error_no_key(call);
        return;
    }
    if (entry_type(entry) != VALUE_STRING || entry_encoding(entry) == ENTRY_INTEGER) {
        call_error(call, "ERR Not an sds encoded string.");
        return;
    }
    bool has_blob = entry_encoding(entry) == ENTRY_BLOB;
    size_t size = entry_string_size(entry);
    size_t capacity = has_blob ? entry_blob(entry)->capacity : size;
    char text[256];
    snprintf(text, sizeof text,
             "key_sds_len:%zu, key_sds_avail:0, key_zmalloc: %zu, val_sds_len:%zu, "
             "val_sds_avail:%zu, val_zmalloc: %zu",
             entry_key(entry).size, entry_size(entry), size, capacity - size,
             has_blob ? sizeof(struct blob) + capacity : size);
    reply_simple(call->reply, text);
}

/* ---- POPULATE ---- */

struct population {
    int64_t count;
    struct bytes prefix;
    size_t value_size; /* 0: as long as its text */
    char *value;       /* room for value_size bytes */
    struct buffer key;
};

static const char must_be_positive[] = "ERR value is out of range, must be positive";

static bool parse_population(struct call *call, struct population *population) {
    int64_t size = 0, size_max = (int64_t)call->server->config->proto_max_bulk_len;
    population->prefix = call->argc > 3 ? call->argv[3] : BYTES("key");
    if (!call_parse_range(call, 2, 0, INT64_MAX, &population->count, must_be_positive))
        return false;
    if (call->argc > 4 && !call_parse_range(call, 4, 0, size_max, &size, must_be_positive))
        return false;
    population->value_size = (size_t)size;
    return true;
}

/* The n-th value: "value:<n>", cut or filled with zeros to the size that was asked for. */
static struct bytes population_value(struct population *population, int64_t number,
                                     char text[NUMBER_I64_TEXT_MAX + 6]) {
    size_t size = 6;
    memcpy(text, "value:", 6);
    size += number_format_i64(text + size, number);
    if (population->value_size == 0) return bytes_make(text, size);
    memcpy(population->value, text, size < population->value_size ? size : population->value_size);
    return bytes_make(population->value, population->value_size);
}

static void populate_one(struct call *call, struct population *population, int64_t number) {
    char text[NUMBER_I64_TEXT_MAX + 6];
    buffer_clear(&population->key);
    buffer_append(&population->key, population->prefix.data, population->prefix.size);
    buffer_append_byte(&population->key, ':');
    buffer_append_i64(&population->key, number);
    struct key key = key_make(&call->server->keyspace, buffer_bytes(&population->key));
    struct spot spot = call_locate_key(call, call->database, &key);
    if (spot.entry) return;
    struct bytes words[] = {BYTES("SET"), key.name, population_value(population, number, text)};
    database_put_string(call->database, &key, &spot, words[2], ENTRY_NO_EXPIRY);
    call_changed_silently(call, call->database, key.name);
    call_effect(call, call->database, words, 3);
}

/* Keys that exist stay as they are. */
void debug_populate(struct call *call) {
    struct population population = {.count = 0};
    if (!parse_population(call, &population)) return;
    population.value = memory_try_alloc(population.value_size + 1);
    if (population.value == NULL) {
        call_error(call, "ERR there is no memory for values of that size");
        return;
    }
    memset(population.value, 0, population.value_size + 1);
    for (int64_t number = 0; number < population.count; number++)
        populate_one(call, &population, number);
    memory_free(population.value);
    buffer_release(&population.key);
    reply_ok(call->reply);
}

/* ---- digests: see keyspace/digest.h ---- */

static void reply_digest(struct reply *reply, const struct digest *digest) {
    char text[DIGEST_TEXT_SIZE + 1];
    digest_format(digest, text);
    reply_simple(reply, text);
}

void debug_digest(struct call *call) {
    struct digest digest = digest_fold_keyspace(&call->server->keyspace, call->now_ms);
    reply_digest(call->reply, &digest);
}

void debug_digest_exact(struct call *call) {
    struct digest digest = digest_keyspace(&call->server->keyspace, call->now_ms);
    reply_digest(call->reply, &digest);
}

/* A key that is absent has the digest 0. */
void debug_digest_value(struct call *call) {
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        const struct entry *entry = call_peek(call, i);
        struct digest digest = {.bytes = {0}};
        if (entry) digest = digest_fold_value(entry);
        reply_digest(call->reply, &digest);
    }
}

/* ---- HTSTATS ---- */

void debug_htstats(struct call *call) {
    struct server *server = call->server;
    char text[256];
    int64_t number;
    if (!call_parse_i64(call, 2, &number, NULL)) return;
    if (number < 0 || number >= server->keyspace.database_count) {
        call_error(call, "ERR Out of range database");
        return;
    }
    const struct store *store = server->keyspace.databases[number].store;
    struct slab_report slab = slab_report(&store->slab);
    int size = snprintf(text, sizeof text,
                        "segment table: %zu elements (%zu expiring), %zu bytes; entries: %zu bytes "
                        "in blocks, %zu in pages, %zu in chunks, %zu outside\n",
                        table_count(&store->table), store->expiring, table_size(&store->table),
                        slab.block_bytes, slab.page_bytes, slab.chunk_bytes, store->outside_bytes);
    reply_verbatim(call->reply, "txt", bytes_make(text, (size_t)size));
}

void debug_htstats_key(struct call *call) {
    const struct entry *entry = call_peek(call, 2);
    union object_room room;
    char text[128];
    if (!entry) {
        call_error_no_key(call);
        return;
    }
    if (!has_encoding(entry, "hashtable") && !has_encoding(entry, "skiplist")) {
        call_error(call, "ERR The value stored at the specified key is not represented using an "
                         "hash table");
        return;
    }
    const struct object *object = object_at(call, entry, &room);
    int size = snprintf(text, sizeof text, "record table: %llu elements, %zu bytes\n",
                        (unsigned long long)object_count(object), object_bytes(object));
    reply_verbatim(call->reply, "txt", bytes_make(text, (size_t)size));
}

/* ---- LISTPACK, QUICKLIST: to the log, which is where the standard output goes ---- */

static void log_shape(struct call *call, const struct entry *entry) {
    union object_room room;
    const struct object *object = object_at(call, entry, &room);
    struct bytes key = entry_key(entry);
    log_warning(call->server->log, "%s of %.*s: %llu elements, %zu bytes%s",
                entry_encoding_name(entry), (int)(key.size < 128 ? key.size : 128), key.data,
                (unsigned long long)object_count(object), object_bytes(object),
                object_is_flat(object) ? ", in one block" : "");
}

static void show_shape(struct call *call, const char *wanted, const char *refusal,
                       const char *reply) {
    const struct entry *entry = call_peek(call, 2);
    if (!entry) {
        call_error_no_key(call);
    } else if (!wanted ? entry_type(entry) != VALUE_LIST : !has_encoding(entry, wanted)) {
        call_error(call, "%s", refusal);
    } else {
        log_shape(call, entry);
        reply_simple(call->reply, reply);
    }
}

void debug_listpack(struct call *call) {
    show_shape(call, "listpack", "ERR Not a listpack encoded object.",
               "Listpack structure printed on stdout");
}

/* Every list, whether it is flat or not. */
void debug_quicklist(struct call *call) {
    show_shape(call, NULL, "ERR Not a quicklist encoded object.",
               "Quicklist structure printed on stdout");
}

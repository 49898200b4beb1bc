/* test_view_collections.c: a keyspace with a large collection of each type is frozen; a worker
 * takes fingerprints of what the view shows while the owner changes all of it, again and again.
 * They are what they were when the view was opened.
 *
 * REDSTART_TEST_COLLECTION_BYTES=100000000 makes each collection so large (default: small ones, in
 * seconds, also with sanitizers); how long opening took is printed, not judged. */
#include "../base/cmocka_all.h"
#include "../base/random.h"
#include "io/io.h"
#include "keyspace/digest.h"
#include "keyspace/edit.h"
#include "keyspace/keyspace.h"
#include "value/hash.h"
#include "value/list.h"
#include "value/set.h"
#include "value/sorted_set.h"
#include "value/stream.h"

#include <stdlib.h>
#include <time.h>

enum {
    BYTES_DEFAULT = 300 * 1000,
    ROUNDS = 4,
    CHANGES_MIN = 4000, /* of each view, at least */
    TEXT_MAX = 64,
};

struct keeping {
    struct keyspace keyspace;
    struct random random;
    uint64_t next; /* number of the next element */
};

static const struct list_limits list_limits = {-2};
static const struct set_limits set_limits = {512, 128, 64};
static const struct hash_limits hash_limits = {128, 64};
static const struct sorted_set_limits zset_limits = {128, 64};
static const struct stream_limits stream_limits = {4096, 100};

static struct item element(uint64_t number, char text[TEXT_MAX]) {
    int size = snprintf(text, TEXT_MAX, "element:%" PRIu64 ":%.*s", number, (int)(number % 20),
                        "abcdefghijklmnopqrstuvwxyz");
    return item_make(bytes_make(text, (size_t)size));
}

/* ---- one more element, or one changed, or one less ---- */

static void change_list(struct keeping *k, struct list *list, bool grow) {
    char text[TEXT_MAX];
    struct item item = element(k->next++, text);
    uint64_t count = list_count(list);
    if (grow || count < 2) {
        list_push(list, &list_limits, &item, random_below(&k->random, 2));
        return;
    }
    uint64_t index = random_below(&k->random, count);
    switch (random_below(&k->random, 3)) {
    case 0: list_set(list, &list_limits, index, &item); break;
    case 1: list_insert(list, &list_limits, index, &item); break;
    default: list_remove(list, &list_limits, index, 1);
    }
}

static void change_set(struct keeping *k, struct set *set, bool grow) {
    char text[TEXT_MAX];
    struct item item = element(grow ? k->next++ : random_below(&k->random, k->next), text);
    if (!set_add(set, &set_limits, &item)) set_remove(set, &item);
}

static void change_hash(struct keeping *k, struct hash *hash, bool grow) {
    char text[TEXT_MAX], value_text[TEXT_MAX];
    struct record record = {element(grow ? k->next++ : random_below(&k->random, k->next), text),
                            element(k->next, value_text), RECORD_NO_EXPIRY};
    if (grow || random_below(&k->random, 2) || !hash_remove(hash, &record.key))
        hash_put(hash, &hash_limits, &record);
}

static void change_zset(struct keeping *k, struct sorted_set *set, bool grow) {
    char text[TEXT_MAX];
    struct item item = element(grow ? k->next++ : random_below(&k->random, k->next), text);
    double score = (double)random_below(&k->random, 1000000);
    if (grow || random_below(&k->random, 2) || !sorted_set_remove(set, &item))
        sorted_set_add(set, &item, &score, 0, &zset_limits);
}

static void change_stream(struct keeping *k, struct stream *stream, bool grow) {
    char text[TEXT_MAX];
    struct item item = element(k->next++, text);
    struct bytes words[] = {BYTES("field"), bytes_make(text, item.size)};
    struct stream_id id = {k->next, 0};
    if (grow || random_below(&k->random, 2)) {
        stream_add(stream, &id, words, 1, &stream_limits);
        return;
    }
    id.ms = random_below(&k->random, k->next);
    stream_remove(stream, &id, STREAM_REFERENCES_KEPT);
}

static void change_string(struct keeping *k, size_t size) {
    struct database *db = &k->keyspace.databases[0];
    struct key key = key_make(&k->keyspace, BYTES("string"));
    struct spot spot = database_locate(db, &key);
    char *bytes = database_resize_string(db, &key, &spot, size);
    bytes[random_below(&k->random, size)]++;
}

static void change(struct keeping *k, enum value_type type, struct object *object, bool grow) {
    switch (type) {
    case VALUE_LIST: change_list(k, (struct list *)object, grow); break;
    case VALUE_SET: change_set(k, (struct set *)object, grow); break;
    case VALUE_HASH: change_hash(k, (struct hash *)object, grow); break;
    case VALUE_SORTED_SET: change_zset(k, (struct sorted_set *)object, grow); break;
    default: change_stream(k, (struct stream *)object, grow); break;
    }
}

static const enum value_type collections[] = {VALUE_LIST, VALUE_SET, VALUE_HASH, VALUE_SORTED_SET,
                                              VALUE_STREAM};
enum { COLLECTIONS = sizeof collections / sizeof collections[0] };

static struct key key_of(const struct keeping *k, enum value_type type) {
    static const char *const names = "0123456789";
    return key_make(&k->keyspace, bytes_make(&names[type], 1));
}

static void edit_open(struct keeping *k, enum value_type type, struct edit *edit) {
    struct database *db = &k->keyspace.databases[0];
    struct key key = key_of(k, type);
    struct spot spot = database_locate(db, &key);
    edit_begin(edit, db, &key, &spot, type);
}

static void fill(struct keeping *k, size_t bytes) {
    for (size_t i = 0; i < COLLECTIONS; i++) {
        struct edit edit;
        edit_open(k, collections[i], &edit);
        for (size_t made = 0; made % 256 != 0 || object_bytes(edit.object) < bytes; made++)
            change(k, collections[i], edit.object, true);
        edit_end(&edit);
    }
    change_string(k, bytes);
}

/* ---- reading ---- */

enum { VALUES = COLLECTIONS + 1 };

/* By key; what has none has the digest 0. */
struct fingerprints {
    struct digest by_key[VALUES];
    size_t count;
};

static void note(struct fingerprints *prints, const struct entry *entry) {
    struct bytes key = entry_key(entry);
    size_t at = COLLECTIONS;
    for (size_t i = 0; i < COLLECTIONS; i++)
        if (key.data[0] == '0' + (char)collections[i]) at = i;
    prints->by_key[at] = digest_value(entry);
    prints->count++;
}

static void note_entry(void *context, const struct entry *entry) {
    note(context, entry);
}

struct reading {
    struct view *view;
    struct fingerprints prints;
    bool done;
};

static void read_view(void *context) {
    struct reading *reading = context;
    uint64_t cursor = 0;
    do
        cursor = view_scan(reading->view, 0, cursor, note_entry, &reading->prints);
    while (cursor != 0);
}

static void read_done(void *context) {
    ((struct reading *)context)->done = true;
}

static struct fingerprints now(const struct keeping *k) {
    struct fingerprints prints = {.count = 0};
    uint64_t cursor = 0;
    do
        cursor = database_scan(&k->keyspace.databases[0], cursor, note_entry, &prints);
    while (cursor != 0);
    return prints;
}

static double microseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static void change_one(struct keeping *k) {
    enum value_type type = collections[random_below(&k->random, COLLECTIONS)];
    struct edit edit;
    edit_open(k, type, &edit);
    change(k, type, edit.object, random_below(&k->random, 4) == 0);
    edit_end(&edit);
}

/* All but a few members of the sorted set go at once: another object takes its place. */
static void exchange(struct keeping *k) {
    struct edit edit;
    union object_room room;
    edit_open(k, VALUE_SORTED_SET, &edit);
    struct sorted_set *set = (struct sorted_set *)edit.object;
    uint64_t count = sorted_set_count(set);
    struct sorted_set_span span = {count / 10, count - count / 5};
    assert_true(sorted_set_leaves_few(set, &span));
    sorted_set_copy_others((struct sorted_set *)&room.object, set, &span);
    edit_exchange(&edit, &room.object);
    edit_end(&edit);
    edit_open(k, VALUE_SORTED_SET, &edit);
    assert_int_equal(sorted_set_count((struct sorted_set *)edit.object), count - span.count);
    sorted_set_check((struct sorted_set *)edit.object);
    edit_end(&edit);
}

static void read_while_changing(struct keeping *k, struct io *io, size_t bytes, bool exchanges) {
    struct fingerprints before = now(k);
    struct reading reading = {.done = false};
    struct io_event events[8];
    size_t changes = 0;
    assert_int_equal(before.count, VALUES);
    double begin = microseconds();
    reading.view = view_open(&k->keyspace);
    double opened = microseconds() - begin;
    io_submit(io, IO_LANE_FREE, read_view, read_done, &reading);
    change_string(k, bytes);
    if (exchanges) exchange(k);
    for (; !reading.done || changes < CHANGES_MIN; changes++) {
        change_one(k);
        if (changes % 64 == 0) io_wait(io, events, 8, 0);
    }
    view_close(&k->keyspace, reading.view);
    struct fingerprints after = now(k);
    assert_int_equal(reading.prints.count, VALUES);
    for (size_t i = 0; i < VALUES; i++) {
        assert_memory_equal(&reading.prints.by_key[i], &before.by_key[i], sizeof before.by_key[i]);
        assert_memory_not_equal(&after.by_key[i], &before.by_key[i], sizeof before.by_key[i]);
    }
    print_message("view opened in %.2f us, %zu changes while it was read\n", opened, changes);
    while (!keyspace_drain(&k->keyspace, 1000)) {
    }
}

static void test_collections(void **state) {
    (void)state;
    const char *given = getenv("REDSTART_TEST_COLLECTION_BYTES");
    size_t bytes = given ? strtoull(given, NULL, 10) : BYTES_DEFAULT;
    struct hash_secret secret;
    struct keeping k = {.random = random_from_seed(), .next = 1};
    char error[200];
    struct io *io = io_real_open(1, error, sizeof error);
    assert_non_null(io);
    for (size_t i = 0; i < sizeof secret; i++)
        secret.bytes[i] = (uint8_t)random_next(&k.random);
    keyspace_init(&k.keyspace, 1, &secret);
    fill(&k, bytes);
    for (int i = 0; i < ROUNDS; i++)
        read_while_changing(&k, io, bytes, i == ROUNDS - 1);
    assert_int_equal(k.keyspace.epochs.limbo_count, 0);
    keyspace_release(&k.keyspace);
    io_close(io);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_collections)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

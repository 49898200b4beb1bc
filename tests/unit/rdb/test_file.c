/* test_file.c: a keyspace of all types into a file of the simulated disk and back; the same with
 * every byte cut off or changed, and with a disk that is full or fails. */
#include "../base/cmocka_all.h"
#include "../base/effort.h"
#include "../base/random.h"
#include "base/memory.h"
#include "io/simulation.h"
#include "keyspace/digest.h"
#include "keyspace/edit.h"
#include "rdb/load.h"
#include "rdb/save.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { DATABASES = 4, NOW_MS = 1000 };
static const char path[] = "dump.rdb", temporary[] = "temp.rdb";

static const struct rdb_limits limits = {
    .list = {-2}, .set = {16, 16, 64}, .hash = {16, 64}, .sorted_set = {16, 64}};

struct world {
    struct simulation *simulation;
    struct io *io;
    struct keyspace keyspace;
    struct random random;
    uint64_t loaded_bytes; /* of the file, by the last load */
};

static void keyspace_make(struct keyspace *keyspace, uint8_t byte) {
    struct hash_secret secret;
    memset(&secret, byte, sizeof secret);
    keyspace_init(keyspace, DATABASES, &secret);
}

static void world_open(struct world *w) {
    w->simulation = simulation_open(7);
    w->io = simulation_host(w->simulation, "h");
    w->random = random_from_seed();
    keyspace_make(&w->keyspace, 3);
}

static void world_close(struct world *w) {
    keyspace_release(&w->keyspace);
    simulation_close(w->simulation);
}

/* ---- content ---- */

static struct bytes random_text(struct random *random, char *room, size_t size_max) {
    size_t size = (size_t)random_below(random, size_max);
    if (random_below(random, 3) == 0)
        return bytes_make(room, number_format_i64(room, (int64_t)random_next(random) >>
                                                            random_below(random, 63)));
    for (size_t i = 0; i < size; i++)
        room[i] = (char)('a' + random_below(random, 6));
    return bytes_make(room, size);
}

static void add_element(struct random *random, struct object *object, const struct item *item,
                        uint64_t number) {
    struct list_limits list = limits.list;
    double score = (double)random_below(random, 1000) / 7;
    struct item field = item_integer((int64_t)number);
    struct record record = {field, *item, RECORD_NO_EXPIRY};
    switch ((enum value_type)object->type) {
    case VALUE_LIST: list_push((struct list *)object, &list, item, false); break;
    case VALUE_SET: set_add((struct set *)object, &limits.set, item); break;
    case VALUE_HASH:
        if (random_below(random, 20) == 0)
            record.expiry = NOW_MS + 1 + (int64_t)random_below(random, 1000000);
        hash_put((struct hash *)object, &limits.hash, &record);
        break;
    case VALUE_SORTED_SET:
        sorted_set_add((struct sorted_set *)object, item, &score, 0, &limits.sorted_set);
        break;
    default: fail_msg("no such type here");
    }
}

static void put_random(struct world *w, struct database *db, struct bytes name, uint64_t elements) {
    static const enum value_type types[] = {VALUE_STRING, VALUE_LIST, VALUE_SET, VALUE_HASH,
                                            VALUE_SORTED_SET};
    enum { TEXT_MAX = 100 };
    char text[TEXT_MAX];
    struct key key = key_make(&w->keyspace, name);
    struct spot spot = database_locate(db, &key);
    enum value_type type = types[random_below(&w->random, sizeof types / sizeof types[0])];
    int64_t expiry = random_below(&w->random, 4) == 0
                         ? NOW_MS + 1 + (int64_t)random_below(&w->random, 100000)
                         : ENTRY_NO_EXPIRY;
    if (type == VALUE_STRING) {
        database_put_string(db, &key, &spot, random_text(&w->random, text, TEXT_MAX), expiry);
        return;
    }
    union object_room room;
    object_init(&room.object, type, &w->keyspace.world);
    for (uint64_t i = 0; i <= elements; i++) {
        struct item item = item_make(random_text(&w->random, text, TEXT_MAX));
        add_element(&w->random, &room.object, &item, i);
    }
    database_put_object(db, &key, &spot, &room.object, expiry);
}

static void fill(struct world *w, uint64_t keys, uint64_t elements_max) {
    char name[64];
    for (uint64_t i = 0; i < keys; i++) {
        size_t size = (size_t)snprintf(name, sizeof name, "key:%llu", (unsigned long long)i);
        struct database *db = &w->keyspace.databases[random_below(&w->random, DATABASES)];
        put_random(w, db, bytes_make(name, size), random_below(&w->random, elements_max));
    }
}

/* ---- saving and loading ---- */

static struct rdb_save save_of(struct world *w, struct view *view) {
    return (struct rdb_save){.io = w->io,
                             .folder = "/",
                             .path = path,
                             .temporary = temporary,
                             .content = {.view = view,
                                         .world = &w->keyspace.world,
                                         .redis_version = "7.4.0",
                                         .compresses = true,
                                         .checksums = true}};
}

static bool save(struct world *w, int *error) {
    struct view *view = view_open(&w->keyspace);
    struct rdb_save job = save_of(w, view);
    bool good = rdb_save_run(&job);
    if (error) *error = job.error;
    if (good) assert_int_equal(job.keys_done, keyspace_count(&w->keyspace));
    view_close(&w->keyspace, view);
    return good;
}

/* Until a worker has more. */
static void await_worker(struct world *w) {
    struct io_event events[4];
    if (w->simulation)
        w->io->operations->finish_work(w->io);
    else
        io_wait(w->io, events, 4, -1);
}

struct loaded {
    enum rdb_load_failure failure;
    char error[256];
    uint64_t offset, keys;
    struct digest digest;
};

/* Into an empty keyspace. */
static struct loaded load_so(struct world *w, bool uses_worker) {
    struct keyspace fresh;
    struct rdb_load job;
    struct loaded loaded = {0};
    enum { STEP = 1000 };
    keyspace_make(&fresh, 9);
    struct rdb_load_options options = {.io = w->io,
                                       .keyspace = &fresh,
                                       .limits = &limits,
                                       .now_ms = NOW_MS,
                                       .checksums = true,
                                       .uses_worker = uses_worker};
    if (rdb_load_begin(&job, &options, path)) {
        enum rdb_load_state state;
        while ((state = rdb_load_step(&job, STEP)) == RDB_LOAD_MORE || state == RDB_LOAD_WAITS)
            if (state == RDB_LOAD_WAITS) await_worker(w);
        assert_int_equal(state == RDB_LOAD_DONE, job.failure == RDB_LOAD_GOOD);
    }
    loaded.failure = job.failure;
    loaded.offset = rdb_load_offset(&job);
    loaded.keys = job.keys;
    memcpy(loaded.error, job.error, sizeof loaded.error);
    rdb_load_end(&job);
    loaded.digest = digest_keyspace(&fresh, NOW_MS);
    keyspace_release(&fresh);
    return loaded;
}

/* The digest is what was loaded, also of a file that is not good to its end. With a worker that
 * reads ahead all is the same. */
static enum rdb_load_failure load(struct world *w, struct digest *digest) {
    struct loaded alone = load_so(w, false), ahead = load_so(w, true);
    assert_int_equal(alone.failure, ahead.failure);
    assert_string_equal(alone.error, ahead.error);
    /* A key that is there twice is found by who puts it, behind what was read by then. */
    if (!strstr(alone.error, "there twice")) assert_int_equal(alone.offset, ahead.offset);
    assert_int_equal(alone.keys, ahead.keys);
    assert_memory_equal(alone.digest.bytes, ahead.digest.bytes, DIGEST_SIZE);
    *digest = alone.digest;
    w->loaded_bytes = alone.offset;
    return alone.failure;
}

static void expect_equal(struct world *w) {
    struct digest loaded, here = digest_keyspace(&w->keyspace, NOW_MS);
    assert_int_equal(load(w, &loaded), RDB_LOAD_GOOD);
    assert_memory_equal(loaded.bytes, here.bytes, DIGEST_SIZE);
}

static void test_round_trip(void **state) {
    (void)state;
    struct world w;
    world_open(&w);
    assert_true(save(&w, NULL));
    expect_equal(&w);
    fill(&w, 2000, 40);
    fill(&w, 20, 5000);
    assert_true(save(&w, NULL));
    expect_equal(&w);
    world_close(&w);
}

/* ---- broken files ---- */

static struct bytes read_file(struct world *w) {
    const struct io_operations *files = w->io->operations;
    struct io_file_status status;
    assert_int_equal(files->status(w->io, path, &status), 0);
    io_file file = files->open(w->io, path, IO_READ, 0);
    char *bytes = memory_alloc(status.size);
    size_t got = 0;
    while (got < status.size) {
        int64_t more = files->read(w->io, file, bytes + got, status.size - got);
        assert_true(more > 0);
        got += (size_t)more;
    }
    files->close(w->io, file);
    return bytes_make(bytes, got);
}

static void write_file(struct world *w, struct bytes bytes) {
    const struct io_operations *files = w->io->operations;
    io_file file = files->open(w->io, path, IO_WRITE | IO_CREATE | IO_TRUNCATE, 0644);
    assert_true(file >= 0);
    while (bytes.size > 0) {
        int64_t written = files->write(w->io, file, bytes.data, bytes.size);
        assert_true(written > 0);
        bytes = bytes_make(bytes.data + written, bytes.size - (size_t)written);
    }
    files->close(w->io, file);
}

static void test_every_byte(void **state) {
    (void)state;
    struct world w;
    struct digest digest;
    world_open(&w);
    fill(&w, 12, 6);
    assert_true(save(&w, NULL));
    struct bytes whole = read_file(&w);
    char *bytes = memory_copy(whole.data, whole.size);
    for (size_t at = 0; at < whole.size; at++) {
        write_file(&w, bytes_make(bytes, at));
        assert_int_not_equal(load(&w, &digest), RDB_LOAD_GOOD);
        char kept = bytes[at];
        bytes[at] = (char)(kept ^ (1 << random_below(&w.random, 8)));
        write_file(&w, bytes_make(bytes, whole.size));
        /* Where a byte is taken for the end of all and zeros follow, it is a file without checksum,
         * and shorter. */
        if (load(&w, &digest) == RDB_LOAD_GOOD) assert_true(w.loaded_bytes < whole.size);
        bytes[at] = kept;
    }
    write_file(&w, whole);
    expect_equal(&w);
    memory_free(bytes);
    memory_free((void *)(uintptr_t)whole.data);
    world_close(&w);
}

/* ---- broken disks ---- */

/* Unless removing failed, too. */
static bool has_temporary(struct world *w) {
    struct io_file_status status;
    return w->io->operations->status(w->io, temporary, &status) == 0;
}

/* What was saved before stays, whatever happens; but when only the folder could not be synced, the
 * new file may be there. */
static void test_failing_disk(void **state) {
    (void)state;
    enum { ROUNDS = EFFORT(200), MILLION = 1000000 };
    struct world w;
    struct digest loaded, before;
    struct digest now;
    int error, failures = 0, left_over = 0;
    world_open(&w);
    fill(&w, 300, 20);
    assert_true(save(&w, NULL));
    before = digest_keyspace(&w.keyspace, NOW_MS);
    for (int round = 0; round < ROUNDS; round++) {
        struct simulation_disk_faults *disk = simulation_disk(w.io);
        fill(&w, 20, 20);
        struct simulation_disk_faults kept = *disk;
        disk->partial_write = MILLION / 2;
        disk->write_error = random_below(&w.random, 2) == 0 ? MILLION / 4 : 0;
        disk->sync_error = random_below(&w.random, 4) == 0 ? MILLION / 2 : 0;
        if (random_below(&w.random, 3) == 0)
            disk->capacity_bytes = 1 + random_below(&w.random, 200000);
        bool good = save(&w, &error);
        *disk = kept;
        now = digest_keyspace(&w.keyspace, NOW_MS);
        if (good) before = now;
        failures += !good;
        assert_int_equal(good, error == 0);
        left_over += has_temporary(&w);
        assert_int_equal(load(&w, &loaded), RDB_LOAD_GOOD);
        if (!good && memcmp(loaded.bytes, now.bytes, DIGEST_SIZE) == 0) before = now;
        assert_memory_equal(loaded.bytes, before.bytes, DIGEST_SIZE);
    }
    assert_true(failures > ROUNDS / 20 && left_over < failures / 2);
    world_close(&w);
}

/* Keys that are past their time, and fields, are left out. */
static struct bytes read_opened(struct world *w, io_file file, size_t size) {
    char *bytes = memory_alloc(size);
    size_t got = 0;
    int64_t more;
    while (got < size && (more = w->io->operations->read(w->io, file, bytes + got, size - got)) > 0)
        got += (size_t)more;
    return bytes_make(bytes, got);
}

/* Who reads what it has saved gets that, whatever has taken the name since. */
static void test_reader(void **state) {
    (void)state;
    struct world w;
    world_open(&w);
    fill(&w, 100, 40);
    struct view *view = view_open(&w.keyspace);
    struct rdb_save job = save_of(&w, view);
    io_file file = IO_NONE;
    job.reader = &file;
    assert_true(rdb_save_run(&job));
    view_close(&w.keyspace, view);
    struct bytes saved = read_file(&w);
    assert_int_equal(saved.size, job.bytes);
    fill(&w, 50, 40);
    assert_true(save(&w, NULL));
    struct bytes later = read_file(&w), read = read_opened(&w, file, saved.size + 1);
    assert_int_equal(read.size, saved.size);
    assert_memory_equal(read.data, saved.data, saved.size);
    assert_true(later.size != saved.size || memcmp(later.data, saved.data, saved.size) != 0);
    w.io->operations->close(w.io, file);
    memory_free((char *)saved.data);
    memory_free((char *)later.data);
    memory_free((char *)read.data);
    world_close(&w);
}

static void test_expired(void **state) {
    (void)state;
    struct world w;
    struct digest digest;
    world_open(&w);
    struct key key = key_make(&w.keyspace, BYTES("gone"));
    struct database *db = &w.keyspace.databases[1];
    struct spot spot = database_locate(db, &key);
    database_put_string(db, &key, &spot, BYTES("x"), NOW_MS);
    key = key_make(&w.keyspace, BYTES("emptied"));
    spot = database_locate(db, &key);
    union object_room room;
    struct record record = {item_integer(1), item_integer(2), NOW_MS - 1};
    object_init(&room.object, VALUE_HASH, &w.keyspace.world);
    hash_put((struct hash *)&room.object, &limits.hash, &record);
    database_put_object(db, &key, &spot, &room.object, ENTRY_NO_EXPIRY);
    assert_true(save(&w, NULL));
    assert_int_equal(load(&w, &digest), RDB_LOAD_GOOD);
    static const struct digest nothing;
    assert_memory_equal(digest.bytes, nothing.bytes, DIGEST_SIZE);
    world_close(&w);
}

/* Given up in the middle: what was read ahead goes, too. */
static void test_given_up(void **state) {
    (void)state;
    struct world w;
    world_open(&w);
    fill(&w, 8000, 40);
    assert_true(save(&w, NULL));
    for (int steps = 0; steps < 20; steps++) {
        struct keyspace fresh;
        struct rdb_load job;
        keyspace_make(&fresh, 9);
        struct rdb_load_options options = {
            .io = w.io, .keyspace = &fresh, .limits = &limits, .uses_worker = true};
        assert_true(rdb_load_begin(&job, &options, path));
        for (int i = 0; i < steps; i++)
            if (rdb_load_step(&job, 1) == RDB_LOAD_WAITS && i % 2 == 0) await_worker(&w);
        rdb_load_end(&job);
        keyspace_release(&fresh);
    }
    world_close(&w);
}

/* The system's threads and files; small collections, large ones and long strings. */
static void test_threads(void **state) {
    (void)state;
    char folder[] = "/tmp/redstart-test-XXXXXX", error[128], filling[40000];
    struct world w = {.random = random_from_seed()};
    assert_non_null(mkdtemp(folder));
    w.io = io_real_open(2, error, sizeof error);
    assert_non_null(w.io);
    assert_int_equal(w.io->operations->change_directory(w.io, folder), 0);
    keyspace_make(&w.keyspace, 3);
    fill(&w, 20000, 20);
    fill(&w, 10, 5000);
    for (int i = 0; i < 300; i++) {
        char name[16];
        struct database *db = &w.keyspace.databases[0];
        struct key key = key_make(
            &w.keyspace, bytes_make(name, (size_t)snprintf(name, sizeof name, "long:%d", i)));
        struct spot spot = database_locate(db, &key);
        memset(filling, 'a' + i % 26, sizeof filling);
        database_put_string(db, &key, &spot, bytes_make(filling, sizeof filling), ENTRY_NO_EXPIRY);
    }
    struct view *view = view_open(&w.keyspace);
    struct rdb_save job = save_of(&w, view);
    job.folder = ".";
    assert_true(rdb_save_run(&job));
    view_close(&w.keyspace, view);
    expect_equal(&w);
    assert_int_equal(w.io->operations->remove(w.io, path), 0);
    keyspace_release(&w.keyspace);
    io_close(w.io);
    rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_failing_disk), cmocka_unit_test(test_expired),
        cmocka_unit_test(test_given_up),     cmocka_unit_test(test_threads),
        cmocka_unit_test(test_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Real files: what is written is read, errors are errnos, paths follow the io's directory. */
#include "io/io.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
    struct io *io;
    const struct io_operations *call;
    char directory[64], before[1024];
};

static int enter(void **state) {
    struct world *world = calloc(1, sizeof(*world));
    char error[256];
    world->io = io_real_open(1, error, sizeof(error));
    assert_non_null(world->io);
    world->call = world->io->operations;
    strcpy(world->directory, "/tmp/redstart-files-XXXXXX");
    assert_non_null(mkdtemp(world->directory));
    assert_int_equal(world->call->directory(world->io, world->before, sizeof(world->before)), 0);
    assert_int_equal(world->call->change_directory(world->io, world->directory), 0);
    *state = world;
    return 0;
}

static int leave(void **state) {
    struct world *world = *state;
    assert_int_equal(world->call->change_directory(world->io, world->before), 0);
    io_close(world->io);
    assert_int_equal(rmdir(world->directory), 0);
    free(world);
    return 0;
}

static void count_name(void *context, const char *name) {
    int *count = context;
    assert_true(name[0] != '.');
    (*count)++;
}

static void test_write_and_read(void **state) {
    struct world *w = *state;
    struct io *io = w->io;
    io_file file = w->call->open(io, "a", IO_READ | IO_WRITE | IO_CREATE | IO_EXCLUSIVE, 0600);
    assert_true(file >= 0);
    assert_int_equal(w->call->open(io, "a", IO_WRITE | IO_CREATE | IO_EXCLUSIVE, 0600), -EEXIST);
    assert_int_equal(w->call->write(io, file, "hello world", 11), 11);
    assert_int_equal(w->call->sync(io, file, true), 0);
    assert_int_equal(w->call->sync(io, file, false), 0);
    char text[32];
    assert_int_equal(w->call->read(io, file, text, sizeof(text)), 0);
    assert_int_equal(w->call->read_at(io, file, text, sizeof(text), 6), 5);
    assert_memory_equal(text, "world", 5);
    assert_int_equal(w->call->truncate(io, file, 5), 0);
    assert_int_equal(w->call->write_at(io, file, "J", 1, 0), 1);
    w->call->close(io, file);
    file = w->call->open(io, "a", IO_WRITE | IO_APPEND, 0);
    assert_int_equal(w->call->write(io, file, "!", 1), 1);
    w->call->close(io, file);
    file = w->call->open(io, "a", IO_READ, 0);
    assert_int_equal(w->call->read(io, file, text, sizeof(text)), 6);
    assert_memory_equal(text, "Jello!", 6);
    w->call->close(io, file);
    struct io_file_status status;
    assert_int_equal(w->call->status(io, "a", &status), 0);
    assert_int_equal(status.kind, IO_KIND_FILE);
    assert_int_equal(status.size, 6);
    assert_int_equal(status.mode, 0600);
    assert_true(llabs(status.modified_ms - io_wall_us(io) / 1000) < 60000);
    assert_int_equal(w->call->remove(io, "a"), 0);
}

static void test_directories(void **state) {
    struct world *w = *state;
    struct io *io = w->io;
    char path[1024];
    assert_int_equal(w->call->directory(io, path, sizeof(path)), 0);
    assert_string_equal(path, w->directory);
    assert_int_equal(w->call->directory(io, path, 4), -ENAMETOOLONG);
    assert_int_equal(w->call->make_directory(io, "d", 0755), 0);
    assert_int_equal(w->call->make_directory(io, "d", 0755), -EEXIST);
    io_file file = w->call->open(io, "d/one", IO_WRITE | IO_CREATE, 0644);
    assert_true(file >= 0);
    w->call->close(io, file);
    assert_int_equal(w->call->rename(io, "d/one", "d/two"), 0);
    assert_int_equal(w->call->sync_directory(io, "d"), 0);
    int count = 0;
    assert_int_equal(w->call->list(io, "d", count_name, &count), 0);
    assert_int_equal(count, 1);
    struct io_file_status status;
    assert_int_equal(w->call->status(io, "d", &status), 0);
    assert_int_equal(status.kind, IO_KIND_DIRECTORY);
    assert_int_equal(w->call->status(io, "d/one", &status), -ENOENT);
    assert_int_equal(w->call->open(io, "nowhere/x", IO_WRITE | IO_CREATE, 0644), -ENOENT);
    assert_int_equal(w->call->list(io, "nowhere", count_name, &count), -ENOENT);
    assert_int_equal(w->call->sync_directory(io, "nowhere"), -ENOENT);
    assert_int_equal(w->call->change_directory(io, "nowhere"), -ENOENT);
    /* Two worlds in one process do not share a directory. */
    char error[256];
    struct io *other = io_real_open(1, error, sizeof(error));
    assert_int_equal(w->call->change_directory(io, "d"), 0);
    assert_int_equal(w->call->status(io, "two", &status), 0);
    assert_int_equal(other->operations->status(other, "two", &status), -ENOENT);
    assert_int_equal(other->operations->status(other, "d/two", &status), 0);
    io_close(other);
    assert_int_equal(w->call->remove(io, "two"), 0);
    assert_int_equal(w->call->change_directory(io, ".."), 0);
    assert_int_equal(rmdir("d"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_write_and_read, enter, leave),
        cmocka_unit_test_setup_teardown(test_directories, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

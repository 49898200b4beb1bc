/* fuzz_rdb_file.c: a file of any bytes is loaded or refused. */
#include "io/simulation.h"
#include "rdb/load.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct rdb_limits limits = {
    .list = {4}, .set = {8, 8, 16}, .hash = {8, 16}, .sorted_set = {8, 16}};

static void write_file(struct io *io, const uint8_t *data, size_t size) {
    io_file file = io->operations->open(io, "/f", IO_WRITE | IO_CREATE | IO_TRUNCATE, 0644);
    if (file < 0 || io->operations->write(io, file, data, size) != (int64_t)size) abort();
    io->operations->close(io, file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct hash_secret secret;
    struct simulation *simulation = simulation_open(1);
    struct io *io = simulation_host(simulation, "h");
    struct keyspace keyspace;
    struct rdb_load load;
    enum { STEP = 64, NOW_MS = 1000 };
    keyspace_init(&keyspace, 4, &secret);
    if (size > 0) write_file(io, data, size);
    struct rdb_load_options options = {
        .io = io, .keyspace = &keyspace, .limits = &limits, .now_ms = NOW_MS};
    if (rdb_load_begin(&load, &options, "/f")) {
        while (rdb_load_step(&load, STEP) == RDB_LOAD_MORE) {
        }
        if (rdb_load_offset(&load) > size) abort();
    }
    rdb_load_end(&load);
    keyspace_release(&keyspace);
    simulation_close(simulation);
    return 0;
}

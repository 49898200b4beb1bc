/* fuzz_aof_start.c: a server starts on an append-only file of any bytes: it has run them, or has
 * cut what is torn, or it refuses to start. Then it starts again on what it has left. */
#include "engine/command.h"
#include "engine/config.h"
#include "engine/loading.h"
#include "engine/server.h"
#include "fuzz_commands.h"
#include "io/simulation.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern const struct command_set command_table;

static void write_file(struct io *io, const char *path, struct bytes bytes) {
    io_file file = io->operations->open(io, path, IO_WRITE | IO_CREATE | IO_TRUNCATE, 0644);
    if (file < 0 || (bytes.size > 0 && io->operations->write(io, file, bytes.data, bytes.size) !=
                                           (int64_t)bytes.size))
        abort();
    io->operations->close(io, file);
}

/* Does it start? */
static bool start(struct simulation *simulation, struct io *io) {
    enum { LOADING_US = 1000, LOADING_MAX = 100000 };
    char error[256];
    struct config *config = config_open();
    struct log log = {
        .level = LOG_NOTHING, .wall_us = fuzz_wall_us, .write = fuzz_log, .context = io};
    config->appendonly = true;
    struct server_options options = {
        .io = io, .config = config, .log = &log, .commands = &command_table};
    struct server *server = server_open(&options, error, sizeof error);
    if (!server) abort();
    simulation_set_turn(io, fuzz_turn, server);
    bool started = loading_begin(server);
    for (int i = 0; started && server->loading && !server->stopped; i++) {
        if (i == LOADING_MAX) abort();
        simulation_run_for(simulation, LOADING_US);
    }
    started = started && !server->stopped;
    simulation_set_turn(io, NULL, NULL);
    server_close(server);
    config_close(config);
    return started;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (fuzz_leaves_out(data, size)) return 0;
    struct simulation *simulation = simulation_open(1);
    struct io *io = simulation_host(simulation, "h");
    io->operations->make_directory(io, "appendonlydir", 0755);
    write_file(io, "appendonlydir/appendonly.aof.manifest",
               BYTES("file appendonly.aof.1.incr.aof seq 1 type i\n"));
    write_file(io, "appendonlydir/appendonly.aof.1.incr.aof", bytes_make(data, size));
    if (start(simulation, io) && !start(simulation, io)) abort();
    simulation_close(simulation);
    return 0;
}

/* fuzz_link.c: a replica whose primary says anything: in the place of its replies, of the dataset,
 * or of the stream. It takes what can be taken, and tries again otherwise.
 *
 * The first byte says where the others stand. */
#include "engine/command.h"
#include "engine/config.h"
#include "fuzz_commands.h"
#include "io/simulation.h"
#include "repl/replicator.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern const struct command_set command_table;

enum place { AS_REPLIES, AS_DATASET, AS_MARKED_DATASET, AS_STREAM, PLACES };

static const char id[] = "0123456789abcdef0123456789abcdef01234567";

static void say(struct buffer *out, enum place place, struct bytes bytes) {
    static const char empty[] = "REDIS0010\xff\0\0\0\0\0\0\0"; /* and the last zero */
    if (place != AS_REPLIES)
        buffer_append_format(out, "+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC %s 7\r\n", id);
    if (place == AS_DATASET) buffer_append_format(out, "$%zu\r\n", bytes.size);
    if (place == AS_MARKED_DATASET) buffer_append_format(out, "$EOF:%s\r\n", id);
    if (place == AS_STREAM) {
        buffer_append_format(out, "$%zu\r\n", sizeof empty);
        buffer_append(out, empty, sizeof empty);
    }
    buffer_append(out, bytes.data, bytes.size);
    if (place == AS_MARKED_DATASET) buffer_append_text(out, id);
}

static struct server *start(struct io *io, struct config *config, struct log *log) {
    char error[256];
    struct bytes primary[] = {BYTES("primary"), BYTES("6379")};
    struct server_options options = {
        .io = io, .config = config, .log = log, .commands = &command_table};
    config_amend_words(config, CONFIG_replicaof, primary, 2);
    struct server *server = server_open(&options, error, sizeof error);
    if (!server) abort();
    replicator_attach(server);
    server->replication.hooks->start(server);
    simulation_set_turn(io, fuzz_turn, server);
    return server;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { STEP_US = 20000, STEPS = 40 };
    char error[256];
    struct buffer text = {0};
    if (size < 1 || fuzz_leaves_out(data, size)) return 0;
    struct simulation *simulation = simulation_open(1);
    struct io *io = simulation_host(simulation, "replica");
    struct io *primary = simulation_host(simulation, "primary");
    struct config *config = config_open();
    struct log log = {
        .level = LOG_NOTHING, .wall_us = fuzz_wall_us, .write = fuzz_log, .context = io};
    struct io_listen_tcp where = {.address = "*", .port = 6379, .backlog = 10};
    io_socket listener = primary->operations->listen_tcp(primary, &where, error, sizeof error);
    if (listener < 0) abort();
    struct server *server = start(io, config, &log);
    say(&text, data[0] % PLACES, bytes_make(data + 1, size - 1));
    io_socket peer = IO_NONE;
    size_t sent = 0;
    for (int i = 0; i < STEPS; i++) {
        simulation_run_for(simulation, STEP_US);
        if (peer < 0) peer = primary->operations->accept(primary, listener);
        if (peer < 0 || sent == text.size) continue;
        struct bytes rest = bytes_make(text.data + sent, text.size - sent);
        int64_t took = io_send(primary, peer, &rest, 1);
        if (took > 0) sent += (size_t)took;
    }
    simulation_set_turn(io, NULL, NULL);
    server_close(server);
    config_close(config);
    simulation_close(simulation);
    buffer_release(&text);
    return 0;
}

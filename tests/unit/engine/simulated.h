/* simulated.h: a whole server in a simulated world, and what clients of it need. */
#ifndef REDSTART_TESTS_ENGINE_SIMULATED_H
#define REDSTART_TESTS_ENGINE_SIMULATED_H

#include "../base/cmocka_all.h"
#include "../base/effort.h"
#include "base/invariant.h"
#include "base/memory.h"
#include "engine/command.h"
#include "engine/config.h"
#include "engine/server.h"
#include "io/simulation.h"
#include "resp/answer.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

extern const struct command_set command_table;

struct simulated {
    struct io *io;
    struct config *config;
    struct log log;
    struct server *server;
};

static inline int64_t simulated_wall_us(void *io) {
    return io_wall_us(io);
}

static inline void simulated_log(void *context, enum log_level level, struct bytes line) {
    (void)context;
    (void)level;
    fwrite(line.data, 1, line.size, stderr);
}

static inline void simulated_turn(void *server) {
    server_turn(server);
}

/* A world and a configuration, for a server on port 6379 of the host of that name. */
static inline void simulated_configure(struct simulated *s, struct simulation *simulation,
                                       const char *name) {
    *s = (struct simulated){.io = simulation_host(simulation, name), .config = config_open()};
    s->log = (struct log){.level = LOG_NOTHING,
                          .role = 'M',
                          .pid = 1,
                          .wall_us = simulated_wall_us,
                          .write = simulated_log,
                          .context = s->io};
    s->config->protected_mode = false;
}

/* It has these commands, and listens; nobody gives it turns yet. */
static inline void simulated_open(struct simulated *s, const struct command_set *commands) {
    char error[256] = "";
    struct server_options options = {
        .io = s->io, .config = s->config, .log = &s->log, .commands = commands};
    s->server = server_open(&options, error, sizeof error);
    INVARIANT(s->server != NULL);
    INVARIANT(server_listen(s->server, error, sizeof error));
}

static inline void simulated_start_with(struct simulated *s, struct simulation *simulation,
                                        const char *name, int64_t maxclients, int64_t timeout_s,
                                        const struct command_set *commands) {
    simulated_configure(s, simulation, name);
    s->config->maxclients = (typeof(s->config->maxclients))maxclients;
    s->config->timeout = (typeof(s->config->timeout))timeout_s;
    simulated_open(s, commands);
    simulation_set_turn(s->io, simulated_turn, s->server);
}

static inline void simulated_start(struct simulated *s, struct simulation *simulation,
                                   const char *name, int64_t maxclients, int64_t timeout_s) {
    simulated_start_with(s, simulation, name, maxclients, timeout_s, &command_table);
}

static inline void simulated_stop(struct simulated *s) {
    simulation_set_turn(s->io, NULL, NULL);
    server_close(s->server);
    config_close(s->config);
}

/* Bytes of keys and values, of tables and of what waits in limbo. */
static inline size_t simulated_keyspace_memory(const struct simulated *s) {
    const struct keyspace *keyspace = &s->server->keyspace;
    size_t bytes = keyspace->epochs.limbo_bytes;
    for (uint32_t i = 0; i < keyspace->database_count; i++)
        bytes += database_memory(&keyspace->databases[i]);
    return bytes;
}

/* From the command line: how many seeds, and the first. `--seeds N`, `--seed N`. */
struct simulated_seeds {
    uint64_t first, count;
};

static inline struct simulated_seeds simulated_seeds(int argc, char **argv, uint64_t count) {
    struct simulated_seeds seeds = {1, EFFORT(count)};
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t number = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--seeds") == 0) seeds.count = number;
        if (strcmp(argv[i], "--seed") == 0) seeds.first = number;
    }
    return seeds;
}

#endif

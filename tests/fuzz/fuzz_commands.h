/* fuzz_commands.h: what fuzzers share that run whole servers on commands of any bytes. */
#ifndef REDSTART_TESTS_FUZZ_COMMANDS_H
#define REDSTART_TESTS_FUZZ_COMMANDS_H

#include "engine/server.h"

#include <ctype.h>

static inline int64_t fuzz_wall_us(void *io) {
    return io_wall_us(io);
}

static inline void fuzz_log(void *context, enum log_level level, struct bytes line) {
    (void)context, (void)level, (void)line;
}

static inline void fuzz_turn(void *server) {
    server_turn(server);
}

/* A command that is made to crash, to wait or to take what memory it is told to take. */
static inline bool fuzz_leaves_out(const uint8_t *data, size_t size) {
    static const char *const words[] = {"debug",  "setrange", "setbit", "bitfield",
                                        "config", "shutdown", "bitop",  "lua",
                                        "eval",   "function", "script"};
    for (size_t at = 0; at < size; at++)
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            size_t length = strlen(words[i]), same = 0;
            while (same < length && at + same < size && tolower(data[at + same]) == words[i][same])
                same++;
            if (same == length) return true;
        }
    return false;
}

#endif

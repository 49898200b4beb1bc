/* loading.h: the dataset from its files, while clients that come early are told to wait: a slice
 * between two turns.
 *
 * A file that cannot be read, or is not whole, ends the server: nothing that is in it may be lost
 * silently. */
#ifndef REDSTART_ENGINE_LOADING_H
#define REDSTART_ENGINE_LOADING_H

#include <stdbool.h>
#include <stdint.h>

struct server;
struct loading;
struct rdb_limits;

/* What INFO tells. */
struct loading_report {
    uint64_t total_bytes, loaded_bytes;
    int64_t begun_s, took_s, eta_s;
};

/* What the configuration says of collections' encodings. */
void loading_limits(const struct server *server, struct rdb_limits *limits);

/* The files of the configuration, from now on, in the turns to come; where there is nothing to
 * load, server->loading is NULL afterwards. False: it cannot be, and why stands in the log. */
bool loading_begin(struct server *server);
/* A slice of it; at the end server->loading is NULL, or the server has stopped with exit code 1. */
void loading_step(struct server *server);
/* Give it up, if there is one. */
void loading_end(struct server *server);
struct loading_report loading_report(const struct server *server);
/* It waits for a worker: the engine may sleep. */
bool loading_waits(const struct server *server);
/* Load the RDB file at once (DEBUG RELOAD). False: why stands in the log; what was loaded remains.
 */
bool loading_run(struct server *server, bool merges);
/* The append-only file at once, which is then written on (DEBUG LOADAOF): appending_end was called.
 * False: why stands in the log. */
bool loading_run_log(struct server *server);

#endif

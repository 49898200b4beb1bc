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
struct rdb_history;
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
/* A slice of what is loaded; at the end server->loading and server->aside are NULL, or the server
 * has stopped with exit code 1. */
void loading_step(struct server *server);
/* Give both up, if there are any. */
void loading_end(struct server *server);
struct loading_report loading_report(const struct server *server);
/* One of them is under way, and waits for a worker: the engine may sleep. */
bool loading_waits(const struct server *server);
/* Another server's dataset, in an RDB file, in the place of this one's, in the turns to come.
 * Aside: clients are served from the old one until the new one is complete. A failure leaves an
 * empty dataset, or the old one. */
struct loading_replacement {
    const char *path; /* copied */
    bool is_aside;
    /* At the end: what the file says of its history; NULL: it failed, and why stands in the log. */
    void (*ended)(struct server *server, const struct rdb_history *history);
};
void loading_replace(struct server *server, const struct loading_replacement *replacement);
/* What is being loaded aside is not wanted any more; `ended` is not called. */
void loading_drop_aside(struct server *server);
/* Load the RDB file at once (DEBUG RELOAD). False: why stands in the log; what was loaded remains.
 */
bool loading_run(struct server *server, bool merges);
/* The append-only file at once, which is then written on (DEBUG LOADAOF): appending_end was called.
 * False: why stands in the log. */
bool loading_run_log(struct server *server);

#endif

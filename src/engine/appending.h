/* appending.h: the append-only file of this server: when it is written, rewritten and forgotten.
 *
 *     off ---- appending_switch ----> awaits its base ---- base is there ----> on
 *                                     (loading, or serving)
 *
 * What the file is and how it reaches the disk stands in journal/aof.h; how it is read in
 * engine/loading.h. A base is a view of the dataset, written by a worker, while the increment that
 * was begun at the view's moment gets what changes meanwhile. */
#ifndef REDSTART_ENGINE_APPENDING_H
#define REDSTART_ENGINE_APPENDING_H

#include "journal/aof.h"

struct server;
struct rewriting;

struct appending {
    struct aof aof;              /* when is_open */
    bool is_open;                /* its folder and names are known, the manifest was read */
    bool is_on;                  /* the journal is being written down */
    bool refuses;                /* writing fails: so are writes */
    struct rewriting *rewriting; /* a base under way; NULL: none */
    bool scheduled;              /* another one as soon as it can be */
    bool switches;               /* on or off, as `appendonly` says, as soon as it can be */
    bool rewrite_failed;         /* the last one did */
    uint64_t rewrites, failures_in_row;
    int64_t rewrite_took_s; /* -1: there was none */
    int64_t rewrite_not_before_us;
    uint64_t base_size; /* of the whole, when it was last rewritten or read */
    uint64_t copied;    /* bytes that the last rewriting made the engine copy, at most */
};

/* Read the manifest. False: it cannot be used, and why stands in the log. */
bool appending_open(struct server *server);
/* Write down what is committed from now on; what the manifest names makes the present dataset
 * (`is_complete`), or does not: then a base is written first. False: why stands in the log. */
bool appending_begin(struct server *server, bool is_complete);
/* The files make the dataset. */
static inline bool appending_is_established(const struct appending *appending) {
    return appending->is_on && appending->aof.is_established;
}
/* What is not on disk yet is written and synced, as far as the disk lets it, and nothing more is
 * written down. Waits for it. */
void appending_end(struct server *server);
/* False: the files do not make the dataset yet, which stands in the log. */
bool appending_may_end(const struct server *server);
/* As appending_end, and forgets all. */
void appending_close(struct server *server);

/* `appendonly` was changed. False, and why in `error`. */
bool appending_switch(struct server *server, bool on, char *error, size_t error_size);
/* Directives that the file depends on. */
void appending_observe(struct server *server);

/* After every commit: cheap when there is nothing to do. */
static inline void appending_step(struct appending *appending, int64_t now_us) {
    if (appending->is_on) aof_step(&appending->aof, now_us);
}
static inline int64_t appending_due_us(const struct appending *appending) {
    return appending->is_on ? aof_due_us(&appending->aof) : INT64_MAX;
}
/* Now and then: is it time to rewrite, to begin a new increment, to forget history? */
void appending_check(struct server *server);

/* Begin to write a new base. False: it cannot be, and why stands in the log. */
bool appending_rewrite(struct server *server);
static inline bool appending_is_rewriting(const struct appending *appending) {
    return appending->rewriting != NULL;
}
/* Give the base that is under way up, and wait for its end. */
void appending_cancel_rewrite(struct server *server);
int64_t appending_rewrite_seconds(const struct server *server); /* of the one under way; -1 */

#endif

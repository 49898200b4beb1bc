/* saving.h: RDB files of this server: SAVE, BGSAVE, save points.
 *
 *     engine    view_open ...... serves, copying what it changes ...... view_close, result
 *     worker             rdb_save_run (rdb/save.h): encode, write, sync, rename
 *
 * A save on the engine's own thread (SAVE, shutdown) is the same without the worker. */
#ifndef REDSTART_ENGINE_SAVING_H
#define REDSTART_ENGINE_SAVING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;
struct rdb_writer_options;
struct server;
struct saving_job;
struct view;

struct saving {
    struct saving_job *job; /* under way on a worker; NULL: none */
    bool scheduled;         /* another one as soon as it can be */
    bool failed;            /* the last one in the background did */
    bool tried;             /* there was one, or more */
    int64_t tried_s, took_s;
    uint64_t saves;  /* that succeeded */
    uint64_t copied; /* bytes that the last one made the engine copy, at most, at a time */
};

/* In front of the clients; false: why stands in the log. One in the background is cancelled. */
bool saving_run(struct server *server);
/* In the background; none is under way. False: why stands in the log. */
bool saving_begin(struct server *server);
/* The one that is under way, or scheduled, shall not be; it ends soon. False: there is none. */
bool saving_cancel(struct server *server);
static inline bool saving_is_running(const struct saving *saving) {
    return saving->job != NULL;
}
/* Is a save point due? Then a save begins. Now and then. */
void saving_check(struct server *server);
/* Are writes refused, because the last save failed? */
bool saving_refuses_writes(const struct server *server);

/* What RDB bytes of this dataset are to say and how, but for the sink. The libraries go into the
 * buffer, which is empty and has to live as long. */
void saving_describe(struct server *server, struct view *view, struct buffer *libraries,
                     struct rdb_writer_options *options);

struct saving_progress {
    uint64_t keys_total, keys_done, bytes;
    int64_t took_s;
};
/* Of the one that is under way; zeros and -1 when none is. */
struct saving_progress saving_progress(const struct server *server);

#endif

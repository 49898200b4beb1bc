/* plan.h: which files of an append-only log, and how much of them, make the dataset as it was at a
 * moment. Reads everything and changes nothing.
 *
 *     base            increment       increment            increment
 *     |---------------|###############|#########|..........|..............|
 *     of the manifest kept whole      cut here: what follows is dropped
 *     or its history
 *
 * The newest base that is not later than the moment is taken, with the increments that go on from
 * it. A command, or a unit between MULTI and EXEC, is kept whole or not at all. */
#ifndef REDSTART_TOOL_RESTORE_PLAN_H
#define REDSTART_TOOL_RESTORE_PLAN_H

#include "journal/manifest.h"
#include "journal/replay.h"
#include "tool/common/log_folder.h"
#include "tool/restore/moment.h"

struct wanted {
    struct moment until;
    const struct bytes *last; /* stop before the last command that begins with these words ... */
    size_t last_count;        /* ... 0: not asked for */
};

/* A place in an increment, between two commands. */
struct plan_place {
    size_t file;            /* in plan->increments */
    uint64_t at;            /* what is before is kept */
    uint64_t stretch_begin; /* of the announced stretch that `at` is inside of, with its line ... */
    uint64_t stretch_data;  /* ... and behind the line; 0: `at` is in none */
    struct annotation annotation;
    int64_t time_ms; /* of the last line before that says a time; 0: none */
    uint64_t offset; /* of the journal */
    bool has_offset;
    uint64_t commands; /* before it, in this file */
};

struct plan_increment {
    const struct manifest_file *file; /* of plan->manifest */
    uint64_t size, kept;              /* bytes */
    uint64_t commands, commands_kept;
    int64_t first_ms, last_ms; /* of what is kept; 0: it says no time */
};

enum { PLAN_NAMES = 32, PLAN_NAME_MAX = 24 };
struct plan_dropped {
    char name[PLAN_NAME_MAX];
    uint64_t count;
};

struct plan {
    struct io *io;
    const struct wanted *wanted;
    const struct log_folder *log;
    struct manifest manifest;
    const struct manifest_file *base; /* NULL: the log begins with nothing */
    int64_t base_ms;                  /* when it was made; 0: it does not say */
    uint64_t base_size;
    struct plan_increment *increments;
    size_t count;
    bool is_cut; /* at `end`; else everything is kept */
    struct plan_place end;
    struct plan_dropped dropped[PLAN_NAMES];
    size_t dropped_names;
    uint64_t commands_dropped, bytes_dropped;
    char error[512];
};

/* False: plan->error says why. To be ended by plan_release in any case. */
bool plan_make(struct plan *plan, struct io *io, const struct log_folder *log,
               const struct wanted *wanted);
void plan_release(struct plan *plan);
/* Make the folder `to`, which must not be there. False: plan->error. */
bool plan_write(struct plan *plan, const char *to);

#endif

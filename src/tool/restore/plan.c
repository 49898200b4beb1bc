/* plan.c: choosing the base, and finding the place where to stop.
 *
 * A first reading finds the place; it runs over the increments of the newest base that is early
 * enough, and when the command to stop before is not there, of the base before that. A second one
 * counts what is dropped. */
#include "tool/restore/plan.h"

#include "base/memory.h"
#include "io/files.h"
#include "rdb/load.h"
#include "tool/common/files.h"
#include "tool/common/say.h"
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { STEP = 256 };

__attribute__((format(printf, 2, 3))) static bool fail(struct plan *plan, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(plan->error, sizeof plan->error, format, arguments);
    va_end(arguments);
    return false;
}

static void path_of(const struct plan *plan, const char *name, struct buffer *out) {
    buffer_clear(out);
    buffer_append_format(out, "%s/%s", plan->log->folder.data, name);
    buffer_append_byte(out, 0);
}

static bool size_of(struct plan *plan, const char *name, uint64_t *size) {
    struct buffer path = {0};
    struct io_file_status status;
    path_of(plan, name, &path);
    int error = plan->io->operations->status(plan->io, path.data, &status);
    if (error < 0) fail(plan, "%s: %s", path.data, strerror(-error));
    buffer_release(&path);
    *size = error < 0 ? 0 : status.size;
    return error >= 0;
}

/* ---- one increment, read ---- */

struct reading {
    struct plan *plan;
    size_t index;
    struct replay replay;
    bool is_counting; /* the second reading */
    bool stopped;     /* at `found` */
    bool has_match;
    struct plan_place found, match, *last_match;
    int64_t time_ms;
    uint64_t offset; /* behind the last stretch */
    bool has_offset;
    bool any_time, any_offset;                /* in all files */
    uint64_t expected;                        /* where the next stretch must begin ... */
    char expected_id[ANNOTATION_ID_SIZE + 1]; /* ... of this history; "": not known */
    bool has_gap;
};

/* Where the stretch at hand begins behind its line; 0: there is none here. */
static uint64_t data_begin(const struct replay *replay) {
    return replay->stretch_end ? replay->stretch_end - replay->last.bytes : 0;
}

/* The place before what begins at `at`. */
static struct plan_place place_at(const struct reading *reading, uint64_t at) {
    const struct replay *replay = &reading->replay;
    struct plan_place place = {.file = reading->index,
                               .at = at,
                               .time_ms = reading->time_ms,
                               .offset = reading->offset,
                               .has_offset = reading->has_offset,
                               .commands = replay->commands};
    uint64_t data = data_begin(replay);
    if (data == 0 || at >= replay->stretch_end) return place;
    place.offset = replay->last.offset + (at > data ? at - data : 0);
    place.has_offset = true;
    if (at <= data) {
        if (at > replay->stretch_begin) place.at = replay->stretch_begin;
        return place;
    }
    place.stretch_begin = replay->stretch_begin;
    place.stretch_data = data;
    place.annotation = replay->last;
    return place;
}

static void stop(struct reading *reading, const struct plan_place *place) {
    reading->stopped = true;
    reading->found = *place;
}

static void see_line(void *context, struct bytes line) {
    struct reading *reading = context;
    const struct moment *until = &reading->plan->wanted->until;
    struct annotation annotation;
    int64_t time_ms = log_line_time(line, &annotation);
    if (time_ms == 0 || reading->stopped || reading->is_counting) return;
    bool is_ours = annotation.id[0] != 0;
    bool is_late = (until->kind == MOMENT_TIME && time_ms > until->time_ms) ||
                   (until->kind == MOMENT_OFFSET && is_ours && annotation.offset >= until->offset);
    reading->any_time = true;
    reading->any_offset = reading->any_offset || is_ours;
    if (is_late) {
        const struct replay *replay = &reading->replay;
        struct plan_place place = {.file = reading->index,
                                   .at = replay->in_unit ? replay->good : replay->offset,
                                   .time_ms = reading->time_ms,
                                   .offset = reading->offset,
                                   .has_offset = reading->has_offset,
                                   .commands = replay->commands};
        stop(reading, &place);
        return;
    }
    reading->time_ms = time_ms;
    struct plan_increment *increment = &reading->plan->increments[reading->index];
    if (increment->first_ms == 0) increment->first_ms = time_ms;
    increment->last_ms = time_ms;
    if (!is_ours) return;
    if (strcmp(reading->expected_id, annotation.id) == 0 && reading->expected != annotation.offset)
        reading->has_gap = true;
    reading->offset = reading->expected = annotation.offset + annotation.bytes;
    memcpy(reading->expected_id, annotation.id, sizeof reading->expected_id);
    reading->has_offset = true;
}

static bool words_match(const struct wanted *wanted, const struct request *request) {
    if (wanted->last_count == 0 || request->count < wanted->last_count) return false;
    for (size_t i = 0; i < wanted->last_count; i++) {
        struct bytes a = wanted->last[i], b = request->arguments[i];
        if (a.size != b.size) return false;
        for (size_t at = 0; at < a.size; at++)
            if (i == 0 ? tolower((unsigned char)a.data[at]) != tolower((unsigned char)b.data[at])
                       : a.data[at] != b.data[at])
                return false;
    }
    return true;
}

static void count_dropped(struct plan *plan, struct bytes name) {
    char upper[PLAN_NAME_MAX];
    size_t size = name.size < sizeof upper - 1 ? name.size : sizeof upper - 1;
    for (size_t i = 0; i < size; i++)
        upper[i] = (char)toupper((unsigned char)name.data[i]);
    upper[size] = 0;
    plan->commands_dropped++;
    for (size_t i = 0; i < plan->dropped_names; i++)
        if (strcmp(plan->dropped[i].name, upper) == 0) {
            plan->dropped[i].count++;
            return;
        }
    if (plan->dropped_names == PLAN_NAMES) return;
    struct plan_dropped *dropped = &plan->dropped[plan->dropped_names++];
    memcpy(dropped->name, upper, sizeof upper);
    dropped->count = 1;
}

static bool see_command(void *context, struct request *request, char *error, size_t error_size) {
    struct reading *reading = context;
    struct plan *plan = reading->plan;
    const struct replay *replay = &reading->replay;
    (void)error, (void)error_size;
    if (reading->is_counting) {
        bool is_kept = reading->index == plan->end.file &&
                       replay->offset <= plan->increments[reading->index].kept;
        if (!is_kept) count_dropped(plan, request->arguments[0]);
        return true;
    }
    if (reading->stopped) return false;
    uint64_t data = data_begin(replay), begin = replay->good > data ? replay->good : data;
    struct plan_place before = place_at(reading, begin);
    bool is_inside = data != 0 && replay->offset <= replay->stretch_end;
    const struct moment *until = &plan->wanted->until;
    if (until->kind == MOMENT_OFFSET && is_inside &&
        replay->last.offset + (replay->offset - data) > until->offset) {
        stop(reading, &before);
        return false;
    }
    if (words_match(plan->wanted, request)) {
        reading->has_match = true;
        reading->match = before;
    }
    return true;
}

/* From the reading's stop, or the file's end, what the increment keeps. */
static bool conclude_file(struct reading *reading, enum replay_result result) {
    struct plan *plan = reading->plan;
    struct plan_increment *increment = &plan->increments[reading->index];
    const struct replay *replay = &reading->replay;
    const char *name = increment->file->name;
    increment->commands_kept = increment->commands = replay->commands;
    increment->kept = increment->size;
    if (reading->has_gap)
        return fail(plan, "%s does not go on where the file before it ends: the history has a gap",
                    name);
    if (reading->stopped || result == REPLAY_DONE) return true;
    bool is_last =
        true; /* what was begun behind a torn file and could not be used does not count */
    for (size_t i = reading->index + 1; i < plan->count; i++)
        is_last = is_last && plan->increments[i].size == 0;
    const struct moment *until = &plan->wanted->until;
    bool is_there = until->kind == MOMENT_OFFSET && reading->has_offset &&
                    reading->offset >= until->offset && replay->good >= replay->stretch_end;
    bool is_tail = result == REPLAY_TORN || result == REPLAY_CORRUPT;
    if (is_there || (is_tail && is_last)) {
        struct plan_place place = place_at(reading, replay->good);
        stop(reading, &place);
        return true;
    }
    return fail(plan,
                "%s is damaged before that moment: %s%s. `redstart check aof` tells more; an "
                "earlier moment can be restored",
                name, replay->error, is_tail ? ", and it is not the last file" : "");
}

static bool read_increment(struct reading *reading) {
    struct plan *plan = reading->plan;
    struct plan_increment *increment = &plan->increments[reading->index];
    struct buffer path = {0};
    struct progress progress;
    path_of(plan, increment->file->name, &path);
    int error = replay_open(&reading->replay, plan->io, path.data, 0);
    if (error < 0) {
        fail(plan, "%s: %s", path.data, strerror(-error));
        buffer_release(&path);
        return false;
    }
    reading->replay.see_line = see_line;
    enum replay_result result;
    progress_begin(&progress, plan->io, increment->file->name, increment->size);
    do {
        result = replay_step(&reading->replay, STEP, see_command, reading);
        progress_step(&progress, reading->replay.offset);
    } while (result == REPLAY_MORE && !reading->stopped);
    progress_end(&progress);
    bool good = reading->is_counting || conclude_file(reading, result);
    replay_close(&reading->replay);
    buffer_release(&path);
    return good;
}

/* ---- the place ---- */

static void cut_at(struct plan *plan, const struct plan_place *place) {
    plan->is_cut = true;
    plan->end = *place;
    plan->increments[place->file].kept = place->at;
    plan->increments[place->file].commands_kept = place->commands;
    for (size_t i = place->file + 1; i < plan->count; i++)
        plan->increments[i].kept = plan->increments[i].commands_kept = 0;
}

/* Read what goes on from the base. False: an error, or (without one) the command to stop before is
 * not there. */
static bool find_place(struct plan *plan) {
    const struct wanted *wanted = plan->wanted;
    struct reading *reading = memory_alloc_zeroed(1, sizeof *reading);
    bool good = true;
    uint64_t commands = 0;
    reading->plan = plan;
    for (size_t i = 0; good && i < plan->count && !reading->stopped; i++) {
        reading->index = i;
        good = read_increment(reading);
        commands += plan->increments[i].commands;
    }
    if (good && wanted->until.kind == MOMENT_TIME && !reading->any_time && commands > 0)
        good =
            fail(plan, "the log says no times: aof-timestamp-enabled was off when another server "
                       "wrote it. --before-last works without");
    if (good && wanted->until.kind == MOMENT_OFFSET && !reading->any_offset && commands > 0)
        good = fail(plan, "the log says no offsets: another server wrote it. Name a time, or use "
                          "--before-last");
    if (good) {
        plan->end = (struct plan_place){.file = plan->count,
                                        .time_ms = reading->time_ms,
                                        .offset = reading->offset,
                                        .has_offset = reading->has_offset};
        if (reading->stopped) cut_at(plan, &reading->found);
        if (wanted->last_count > 0 && reading->has_match) cut_at(plan, &reading->match);
        good = wanted->last_count == 0 || reading->has_match;
    }
    memory_free(reading);
    return good;
}

/* Read again from there on, to say what is dropped. What is damaged there does not matter. */
static void count_the_rest(struct plan *plan) {
    struct reading *reading = memory_alloc_zeroed(1, sizeof *reading);
    reading->plan = plan;
    reading->is_counting = true;
    for (size_t i = plan->end.file; plan->is_cut && i < plan->count; i++) {
        reading->index = i;
        plan->bytes_dropped += plan->increments[i].size - plan->increments[i].kept;
        read_increment(reading);
    }
    plan->error[0] = 0;
    memory_free(reading);
}

/* ---- the base ---- */

/* When an RDB file says that it was made, in milliseconds since 1970; 0: it does not. */
static int64_t base_time(struct plan *plan, const struct manifest_file *base) {
    enum { HEAD = 512, PARTS = 4 };
    static const struct rdb_limits limits = {.list = {-2}};
    static const struct hash_secret secret;
    static const struct rdb_load_watch watch;
    struct keyspace keyspace;
    struct rdb_load *load = memory_alloc_zeroed(1, sizeof *load);
    struct buffer path = {0};
    path_of(plan, base->name, &path);
    keyspace_init(&keyspace, 1, &secret);
    struct rdb_load_options options = {
        .io = plan->io, .keyspace = &keyspace, .limits = &limits, .watch = &watch};
    if (rdb_load_begin(load, &options, path.data))
        for (int i = 0; i < PARTS && load->created_s == 0; i++)
            if (rdb_load_step(load, HEAD) != RDB_LOAD_MORE) break;
    int64_t time_ms = load->created_s > 0 ? load->created_s * 1000 : 0;
    rdb_load_end(load);
    keyspace_release(&keyspace);
    buffer_release(&path);
    memory_free(load);
    return time_ms;
}

/* The increments that go on from there: those of the manifest from the present base, also those of
 * history from a base of history. */
static bool list_increments(struct plan *plan) {
    const struct manifest *manifest = &plan->manifest;
    bool is_present = !plan->base || plan->base->type == MANIFEST_BASE;
    plan->count = 0;
    for (size_t i = 0; i < manifest->count; i++) {
        const struct manifest_file *file = &manifest->files[i];
        bool is_increment = strstr(file->name, ".incr.") != NULL;
        bool goes_on = file->type == MANIFEST_INCREMENT ||
                       (!is_present && file->type == MANIFEST_HISTORY && is_increment &&
                        file->start_offset >= plan->base->start_offset);
        if (!goes_on) continue;
        struct plan_increment increment = {.file = file};
        if (!size_of(plan, file->name, &increment.size)) return false;
        size_t at = plan->count++;
        for (; at > 0 && plan->increments[at - 1].file->sequence > file->sequence; at--)
            plan->increments[at] = plan->increments[at - 1];
        plan->increments[at] = increment;
    }
    return true;
}

/* The time that the lines say that the increments begin with, the latest that it may be: another
 * server's lines say whole seconds; 0: they say none. */
static int64_t first_time(const struct plan *plan) {
    enum { SECOND_LESS = 999, HEAD = 2 * ANNOTATION_SIZE_MAX };
    char head[HEAD];
    struct buffer path = {0};
    struct io *io = plan->io;
    if (plan->count == 0) return 0;
    path_of(plan, plan->increments[0].file->name, &path);
    io_file file = io->operations->open(io, path.data, IO_READ, 0);
    int64_t got = file < 0 ? 0 : io->operations->read_at(io, file, head, sizeof head, 0);
    if (file >= 0) io->operations->close(io, file);
    buffer_release(&path);
    int64_t time_ms = 0;
    const char *at = head, *end = head + (got > 0 ? got : 0);
    while (at < end && *at == '#') {
        struct annotation annotation;
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline) break;
        int64_t said_ms = log_line_time(bytes_make(at, (size_t)(newline - at) + 1), &annotation);
        if (said_ms > 0) time_ms = annotation.id[0] ? said_ms : said_ms + SECOND_LESS;
        at = newline + 1;
    }
    return time_ms;
}

/* The next older base of history that says where it stands. */
static const struct manifest_file *older_base(const struct manifest *manifest,
                                              const struct manifest_file *base) {
    const struct manifest_file *best = NULL;
    for (size_t i = 0; base && i < manifest->count; i++) {
        const struct manifest_file *file = &manifest->files[i];
        if (file->type == MANIFEST_HISTORY && strstr(file->name, ".base.") &&
            file->start_offset >= 0 && file->sequence < base->sequence &&
            (!best || file->sequence > best->sequence))
            best = file;
    }
    return best;
}

/* Is the base as it was at the moment, or earlier? */
static bool is_early_enough(struct plan *plan) {
    const struct moment *until = &plan->wanted->until;
    if (until->kind == MOMENT_END || !plan->base) return true;
    if (until->kind == MOMENT_OFFSET)
        return plan->base->start_offset < 0 || (uint64_t)plan->base->start_offset <= until->offset;
    /* An RDB file says the second in which it was made, and may have all of it. */
    enum { SECOND_LESS = 999 };
    if (plan->base_ms > 0) return plan->base_ms + SECOND_LESS <= until->time_ms;
    int64_t first_ms = first_time(plan);
    if (first_ms == 0) return older_base(&plan->manifest, plan->base) == NULL;
    return first_ms <= until->time_ms;
}

static bool try_base(struct plan *plan, const struct manifest_file *base, bool *is_early) {
    plan->base = base;
    plan->base_ms = 0;
    plan->base_size = 0;
    plan->is_cut = false;
    if (base && !size_of(plan, base->name, &plan->base_size)) return false;
    if (!list_increments(plan)) return false;
    if (base) plan->base_ms = base_time(plan, base);
    *is_early = is_early_enough(plan);
    return *is_early && find_place(plan);
}

static bool choose(struct plan *plan) {
    const struct manifest_file *base = manifest_base(&plan->manifest);
    bool is_early = false, any_early = false;
    do {
        if (try_base(plan, base, &is_early)) return true;
        if (plan->error[0]) return false;
        any_early = any_early || is_early;
        base = older_base(&plan->manifest, base);
    } while (base);
    if (any_early) return fail(plan, "no such command is in what is kept of the log");
    struct buffer text = {0};
    if (plan->base_ms > 0) say_append_time(&text, plan->base_ms);
    fail(plan, "the moment is before everything that is kept: the oldest base%s%.*s is later",
         text.size > 0 ? ", of " : "", (int)text.size, text.size > 0 ? text.data : "");
    buffer_release(&text);
    return false;
}

bool plan_make(struct plan *plan, struct io *io, const struct log_folder *log,
               const struct wanted *wanted) {
    struct buffer text = {0};
    char reason[256];
    *plan = (struct plan){.io = io, .log = log, .wanted = wanted};
    int error = io_read_file(io, log->path.data, MANIFEST_SIZE_MAX, &text);
    bool good = error == 0 || fail(plan, "%s: %s", log->path.data, strerror(-error));
    if (good && !manifest_parse(&plan->manifest, buffer_bytes(&text), reason, sizeof reason))
        good = fail(plan, "%s: %s", log->path.data, reason);
    buffer_release(&text);
    if (!good) return false;
    plan->increments = memory_alloc_zeroed(plan->manifest.count, sizeof *plan->increments);
    if (!choose(plan)) return false;
    count_the_rest(plan);
    return true;
}

void plan_release(struct plan *plan) {
    memory_free(plan->increments);
    manifest_release(&plan->manifest);
}

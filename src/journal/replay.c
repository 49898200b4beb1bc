/* replay.c: from a file's bytes to commands, and to a judgement of how it ends. Changes no file. */
#include "journal/replay.h"

#include "base/crc.h"
#include "base/memory.h"
#include "base/number.h"
#include <stdarg.h>
#include <stdio.h>

enum { READ_SIZE = 1 << 20, LINE_MAX_SIZE = 64 * 1024 };

struct replay_held {
    struct replay_held *next;
    struct request request;
    struct bytes words[];
};

int replay_open(struct replay *replay, struct io *io, const char *path, uint64_t offset) {
    *replay = (struct replay){.io = io, .offset = offset, .good = offset};
    replay->file = io->operations->open(io, path, IO_READ, 0);
    return replay->file < 0 ? replay->file : 0;
}

static void drop_held(struct replay *replay) {
    while (replay->held_first) {
        struct replay_held *held = replay->held_first;
        replay->held_first = held->next;
        request_release(&held->request);
        memory_free(held);
    }
    replay->held_last = NULL;
}

void replay_close(struct replay *replay) {
    drop_held(replay);
    if (replay->file >= 0) replay->io->operations->close(replay->io, replay->file);
    buffer_release(&replay->input);
    request_parser_release(&replay->parser);
    request_arena_release(&replay->arena);
}

__attribute__((format(printf, 3, 4))) static enum replay_result
fail(struct replay *replay, enum replay_result result, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(replay->error, sizeof replay->error, format, arguments);
    va_end(arguments);
    return result;
}

/* ---- input ---- */

static struct bytes unread(const struct replay *replay) {
    if (!replay->input.data) return (struct bytes){0};
    return bytes_make(replay->input.data + replay->position, replay->input.size - replay->position);
}

static void pass(struct replay *replay, size_t size) {
    replay->position += size;
    replay->offset += size;
}

/* More bytes from the file; false when there are none, or, with an error, when they cannot be read.
 */
static bool read_more(struct replay *replay) {
    if (replay->at_end) return false;
    buffer_consume(&replay->input, replay->position);
    replay->position = 0;
    char *room = buffer_reserve(&replay->input, READ_SIZE);
    int64_t got = replay->io->operations->read(replay->io, replay->file, room, READ_SIZE);
    if (got < 0) snprintf(replay->error, sizeof replay->error, "%s", strerror((int)-got));
    if (got <= 0) {
        replay->at_end = true;
        return false;
    }
    replay->input.size += (size_t)got;
    return true;
}

static enum replay_result unreadable(struct replay *replay, int64_t error) {
    return fail(replay, REPLAY_REFUSED, "%s", strerror((int)-error));
}

/* Pass over what stands before the offset at which reading begins. */
static bool skip_beginning(struct replay *replay, uint64_t skipped) {
    while (skipped > 0) {
        if (replay->position == replay->input.size && !read_more(replay)) return false;
        size_t size = replay->input.size - replay->position;
        if (size > skipped) size = (size_t)skipped;
        replay->position += size;
        skipped -= size;
    }
    return true;
}

/* ---- the end ---- */

/* What stands from `good` on is not whole. Is it a crash's leftover? `is_short`: it would be good
 * if only the file went on. Refused, when that is not known because it cannot be read. */
static enum replay_result judge_end(struct replay *replay, const char *what, bool is_short) {
    enum { OVERLAP = ANNOTATION_SIZE_MAX, BLOCK = 1 << 20 };
    if (replay->error[0]) return REPLAY_REFUSED;
    if (replay->good < replay->stretch_end)
        return fail(replay, REPLAY_ROTTEN, "%s at offset %llu, in a stretch that is as announced",
                    what, (unsigned long long)replay->good);
    char *block = memory_alloc(BLOCK);
    uint64_t at = replay->good;
    bool was_safe = false;
    int64_t got;
    for (;;) {
        got = replay->io->operations->read_at(replay->io, replay->file, block, BLOCK, at);
        if (got <= 0) break;
        if (annotation_find(bytes_make(block, (size_t)got), replay->good)) {
            was_safe = true;
            break;
        }
        if (got < BLOCK) break;
        at += BLOCK - OVERLAP;
    }
    memory_free(block);
    if (got < 0) return unreadable(replay, got);
    if (was_safe)
        return fail(replay, REPLAY_ROTTEN, "%s at offset %llu, which was safe on disk once", what,
                    (unsigned long long)replay->good);
    bool is_leftover = is_short || (!replay->is_foreign && !replay->was_whole);
    return fail(replay, is_leftover ? REPLAY_TORN : REPLAY_CORRUPT, "%s at offset %llu", what,
                (unsigned long long)replay->good);
}

/* ---- lines that begin with # ---- */

/* All of the announced stretch, behind a line of that size, is in the input and as it was written.
 */
static bool stretch_is_sound(struct replay *replay, const struct annotation *annotation,
                             size_t line) {
    while (replay->input.size - replay->position - line < annotation->bytes)
        if (!read_more(replay)) return false;
    struct bytes stretch =
        bytes_make(replay->input.data + replay->position + line, (size_t)annotation->bytes);
    return crc64(0, stretch) == annotation->crc;
}

enum pass { PASS_WHOLE, PASS_CUT, PASS_BAD };

/* "*3\r\n" or "$5\r\n": its number, which is passed. */
static enum pass pass_head(struct bytes *rest, char kind, int64_t *number) {
    enum { HEAD_SIZE_MAX = 32 };
    if (rest->size > 0 && rest->data[0] != kind) return PASS_BAD;
    size_t size = rest->size < HEAD_SIZE_MAX ? rest->size : HEAD_SIZE_MAX;
    const char *end = size > 0 ? memchr(rest->data, '\n', size) : NULL;
    if (!end) return size < HEAD_SIZE_MAX ? PASS_CUT : PASS_BAD;
    size = (size_t)(end - rest->data) + 1;
    if (size < 4 || end[-1] != '\r' ||
        !number_parse_i64(bytes_make(rest->data + 1, size - 3), number) || *number < 0)
        return PASS_BAD;
    *rest = bytes_make(end + 1, rest->size - size);
    return PASS_WHOLE;
}

static enum pass pass_command(struct bytes *rest) {
    struct bytes at = *rest;
    int64_t words, size;
    enum pass pass = pass_head(&at, '*', &words);
    for (int64_t i = 0; pass == PASS_WHOLE && i < words; i++) {
        pass = pass_head(&at, '$', &size);
        if (pass != PASS_WHOLE) break;
        if ((uint64_t)size + 2 > at.size) return PASS_CUT;
        if (memcmp(at.data + size, "\r\n", 2) != 0) return PASS_BAD;
        at = bytes_make(at.data + size + 2, at.size - (size_t)size - 2);
    }
    if (pass == PASS_WHOLE) *rest = at;
    return pass;
}

/* A stretch is not as it was announced. Has somebody who knows no announcements cut it behind a
 * whole command, and written on? Then commands follow one another beyond its end, or to an
 * announcement inside of it, or to the end of the file. What a crash leaves of a stretch breaks off
 * or has something else in it, and damage leaves its end, and the line behind that, where they
 * were. */
static bool was_written_on(struct replay *replay, uint64_t announced, size_t line) {
    enum { BEYOND_MAX = 16 << 20 };
    for (;;) {
        struct bytes rest = bytes_make(replay->input.data + replay->position + line,
                                       replay->input.size - replay->position - line);
        bool is_short = rest.size < announced;
        const char *begin = rest.data, *end = begin + (is_short ? rest.size : announced);
        enum pass pass = PASS_WHOLE;
        while (rest.data < end && (pass = pass_command(&rest)) == PASS_WHOLE)
            continue;
        if (pass == PASS_WHOLE && rest.data > begin)
            return is_short || rest.data > end || (rest.size > 0 && rest.data[0] == '*');
        if (pass == PASS_BAD) return rest.data > begin && rest.data[0] == '#';
        if (rest.size > announced + BEYOND_MAX || !read_more(replay)) return false;
    }
}

/* The same in the middle of an announcement: its beginning, and then a command. How much of the
 * line is before that; 0: it is not so. Reads more: what was taken of the input is no longer valid.
 */
static size_t beginning_of_damaged(struct replay *replay, size_t line) {
    enum { SELECTION_SIZE_MAX = 64 };
    while (replay->input.size - replay->position - line < SELECTION_SIZE_MAX && read_more(replay))
        continue;
    struct bytes rest = unread(replay);
    const char *star = memrchr(rest.data, '*', line);
    if (!star) return 0;
    struct bytes command = bytes_make(star, (size_t)(rest.data + rest.size - star));
    return pass_command(&command) == PASS_WHOLE ? (size_t)(star - rest.data) : 0;
}

/* What a crash leaves of a line may go on with zeros, up to the end of another line. */
static bool is_text(struct bytes line) {
    for (size_t i = 0; i < line.size; i++)
        if ((unsigned char)line.data[i] < ' ' && !strchr("\t\r\n", line.data[i])) return false;
    return memchr(line.data, 0, line.size) == NULL;
}

/* REPLAY_DONE: there was one, and it is passed. */
static enum replay_result take_line(struct replay *replay, void *context) {
    struct bytes rest = unread(replay);
    const char *end = memchr(rest.data, '\n', rest.size);
    if (!end) {
        if (rest.size < LINE_MAX_SIZE && read_more(replay)) return take_line(replay, context);
        return judge_end(replay, "a line without end", true);
    }
    size_t size = (size_t)(end - rest.data) + 1;
    struct annotation annotation;
    if (annotation_parse(bytes_make(rest.data, size), &annotation)) {
        if (stretch_is_sound(replay, &annotation, size)) {
            replay->last = annotation;
            replay->announced = true;
            replay->stretch_begin = replay->offset;
            replay->stretch_end = annotation.bytes ? replay->offset + size + annotation.bytes : 0;
        } else if (!was_written_on(replay, annotation.bytes, size)) {
            return judge_end(replay, "a stretch that is not as it was announced", false);
        }
    } else if (size >= 4 && memcmp(rest.data, "#RS:", 4) == 0) {
        size = beginning_of_damaged(replay, size);
        if (size == 0) return judge_end(replay, "a damaged announcement", false);
    } else if (!is_text(bytes_make(rest.data, size))) {
        return judge_end(replay, "a damaged announcement", false);
    }
    if (replay->see_line)
        replay->see_line(context, bytes_make(replay->input.data + replay->position, size));
    pass(replay, size);
    /* An announcement belongs to its stretch. */
    if (!replay->in_unit && replay->offset >= replay->stretch_end) replay->good = replay->offset;
    return REPLAY_DONE;
}

/* ---- commands ---- */

static void hold(struct replay *replay, struct request *request) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < request->count; i++)
        bytes += request->arguments[i].size;
    struct replay_held *held =
        memory_alloc(sizeof *held + request->count * sizeof held->words[0] + bytes);
    char *at = (char *)&held->words[request->count];
    for (uint32_t i = 0; i < request->count; i++) {
        memcpy(at, request->arguments[i].data, request->arguments[i].size);
        held->words[i] = bytes_make(at, request->arguments[i].size);
        at += request->arguments[i].size;
    }
    request_release(request);
    held->next = NULL;
    held->request = (struct request){.arguments = held->words, .count = request->count};
    if (replay->held_last)
        replay->held_last->next = held;
    else
        replay->held_first = held;
    replay->held_last = held;
}

static bool run(struct replay *replay, struct request *request, replay_execute *execute,
                void *context) {
    bool good = execute(context, request, replay->error, sizeof replay->error);
    request_release(request);
    replay->commands++;
    return good;
}

static bool end_unit(struct replay *replay, replay_execute *execute, void *context) {
    for (struct replay_held *held = replay->held_first; held; held = held->next)
        if (!run(replay, &held->request, execute, context)) return false;
    drop_held(replay);
    replay->in_unit = false;
    return true;
}

static bool has_zero(struct bytes word) {
    return memchr(word.data, 0, word.size) != NULL;
}

/* What a crash leaves of a selection, which no stretch announces, may go on with zeros. */
static bool is_leftover(const struct replay *replay, const struct request *request,
                        bool is_select) {
    return replay->offset > replay->stretch_end && request->count > 0 &&
           (has_zero(request->arguments[0]) || (is_select && has_zero(request->arguments[1])));
}

/* One whole request. */
static enum replay_result take_request(struct replay *replay, struct request *request,
                                       replay_execute *execute, void *context) {
    bool good = true;
    bool is_select = request->count == 2 && bytes_is(request->arguments[0], "select");
    if (is_leftover(replay, request, is_select)) {
        request_release(request);
        return judge_end(replay, "zeros in a command's name", false);
    }
    if (!is_select) replay->is_foreign = replay->offset > replay->stretch_end;
    replay->lines += 1 + 2 * (uint64_t)request->count;
    if (request->count == 0) {
        /* "*0": nothing */
        if (replay->in_unit) return REPLAY_MORE;
    } else if (request->count == 1 && bytes_is(request->arguments[0], "multi")) {
        request_release(request);
        if (replay->in_unit) return judge_end(replay, "a unit inside a unit", false);
        replay->in_unit = true;
        return REPLAY_MORE;
    } else if (request->count == 1 && bytes_is(request->arguments[0], "exec")) {
        request_release(request);
        if (!replay->in_unit)
            return judge_end(replay, "the end of a unit that has not begun", false);
        good = end_unit(replay, execute, context);
    } else if (replay->in_unit) {
        hold(replay, request);
        return REPLAY_MORE;
    } else {
        good = run(replay, request, execute, context);
    }
    if (!good) return REPLAY_REFUSED;
    replay->good = replay->offset;
    return REPLAY_MORE;
}

/* REPLAY_DONE at the end of the file. */
static enum replay_result take(struct replay *replay, replay_execute *execute, void *context) {
    static const struct request_limits limits = {.bulk_max = INT64_MAX, .authenticated = true};
    for (;;) {
        struct bytes rest = unread(replay);
        if (rest.size == 0 && replay->parser.state == 0) {
            if (read_more(replay)) continue;
            if (replay->error[0]) return REPLAY_REFUSED;
            return replay->in_unit ? judge_end(replay, "an unfinished unit", true) : REPLAY_DONE;
        }
        if (replay->parser.state == 0 && rest.data[0] == '#') {
            enum replay_result result = take_line(replay, context);
            if (result != REPLAY_DONE) return result;
            continue;
        }
        if (replay->parser.state == 0 && rest.data[0] != '*')
            return judge_end(replay, "no command", false);
        struct request request;
        size_t consumed = 0;
        const char *error;
        enum request_result result = request_parse(&replay->parser, rest, &limits, &replay->arena,
                                                   &request, &consumed, &error);
        if (result == REQUEST_ERROR) return judge_end(replay, error, false);
        pass(replay, consumed);
        if (result == REQUEST_READY) return take_request(replay, &request, execute, context);
        if (!read_more(replay)) return judge_end(replay, "an unfinished command", true);
    }
}

enum replay_result replay_step(struct replay *replay, size_t commands_max, replay_execute *execute,
                               void *context) {
    bool is_first = !replay->begun;
    replay->begun = true;
    if (is_first && !skip_beginning(replay, replay->offset))
        return replay->error[0] ? REPLAY_REFUSED
                                : fail(replay, REPLAY_TORN, "the file ends before offset %llu",
                                       (unsigned long long)replay->offset);
    request_arena_reset(&replay->arena);
    for (size_t i = 0; i < commands_max; i++) {
        enum replay_result result = take(replay, execute, context);
        if (result != REPLAY_MORE) return result;
    }
    return REPLAY_MORE;
}

/* replay.h: reading an append-only file: its commands, one after another.
 *
 * Stretches that are announced (annotation.h) are checked before any command of them is run. What
 * is not announced, because another server wrote it, is run command by command. Requests between
 * MULTI and EXEC are handed over together, when the EXEC is there. Other lines that begin with #
 * are skipped.
 *
 * How a file may end badly:
 *     torn     a stretch, command or unit is not whole, or what follows the last whole one is none
 *              of these: a crash's leftovers, which may be cut
 *     rotten   the same, but it was safe on disk once: cutting there would lose what was safe; or
 *              it is inside of a stretch that is as it was announced, which no crash leaves
 *     corrupt  commands that nobody announced, and then what is no command: another server's file,
 *              of which nobody knows how much behind that place was good
 *     refused  a command could not be run, or the file not be read */
#ifndef REDSTART_JOURNAL_REPLAY_H
#define REDSTART_JOURNAL_REPLAY_H

#include "base/buffer.h"
#include "io/io.h"
#include "journal/annotation.h"
#include "resp/request.h"

enum replay_result {
    REPLAY_MORE,
    REPLAY_DONE,
    REPLAY_TORN,
    REPLAY_ROTTEN,
    REPLAY_CORRUPT,
    REPLAY_REFUSED,
};

/* Run one. False, and why in `error`: it cannot be. May take the request's blobs. */
typedef bool replay_execute(void *context, struct request *request, char *error, size_t error_size);

struct replay_held;

struct replay {
    struct io *io;
    io_file file;
    uint64_t offset; /* in the file, of the next byte to parse */
    uint64_t good;   /* behind the last command or unit that was executed, and lines that follow */
    uint64_t commands;
    uint64_t
        lines; /* of the protocol: sizes and arguments alike, without those that begin with # */
    bool announced;  /* at least one stretch was */
    bool is_foreign; /* the last command was not; our own files have only SELECT so */
    /* Said by the caller: the file was on disk, whole, before anything counted on it, as a base is.
     * What is wrong with it is no crash's leftover, unless it only ends too early. */
    bool was_whole;
    struct annotation last;
    uint64_t stretch_begin, stretch_end; /* in the file, of `last` with its line; 0: none */
    char error[256];                     /* what is wrong */

    struct buffer input;
    size_t position; /* in it */
    bool at_end;     /* nothing more to read */
    bool begun;
    struct request_parser parser;
    struct request_arena arena;
    struct replay_held *held_first, *held_last; /* between MULTI and EXEC */
    bool in_unit;
    /* Gets each sound line that begins with #, while `offset` is where it begins; NULL: nobody. */
    void (*see_line)(void *context, struct bytes line);
};

/* From `offset` on (behind an RDB preamble). 0 or a negative errno. see_line may be set then. */
int replay_open(struct replay *replay, struct io *io, const char *path, uint64_t offset);
void replay_close(struct replay *replay);
/* Execute about so many commands. A file that cannot be read is refused: nothing is known of how it
 * ends. Behind another result than REPLAY_MORE only replay_close. */
enum replay_result replay_step(struct replay *replay, size_t commands_max, replay_execute *execute,
                               void *context);

#endif

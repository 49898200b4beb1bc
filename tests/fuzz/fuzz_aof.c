/* fuzz_aof.c: an append-only file of any bytes is run to its end or to where it breaks; when
 * that is a crash's leftover, what comes before is run again, the same, in a file that is cut
 * there. The first byte says what the others are: a file as it is, one stretch that is announced,
 * one behind what is not, or a manifest. */
#include "base/crc.h"
#include "base/hash.h"
#include "io/simulation.h"
#include "journal/manifest.h"
#include "journal/replay.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PLAIN, ANNOUNCED, HALF, MANIFEST, KINDS };

struct run {
    enum replay_result result;
    uint64_t good, commands, hash;
    struct hash_secret secret;
};

static void write_file(struct io *io, struct bytes bytes) {
    io_file file = io->operations->open(io, "/f", IO_WRITE | IO_CREATE | IO_TRUNCATE, 0644);
    if (file < 0) abort();
    if (bytes.size > 0 &&
        io->operations->write(io, file, bytes.data, bytes.size) != (int64_t)bytes.size)
        abort();
    io->operations->close(io, file);
}

static bool execute(void *context, struct request *request, char *error, size_t error_size) {
    struct run *run = context;
    (void)error, (void)error_size;
    for (uint32_t i = 0; i < request->count; i++)
        run->hash = run->hash * 31 + hash_bytes(&run->secret, request->arguments[i]);
    run->hash = run->hash * 31 + request->count;
    return true;
}

static struct run run_file(struct io *io) {
    struct replay replay;
    struct run run = {.result = REPLAY_MORE};
    enum { STEP = 7 };
    if (replay_open(&replay, io, "/f", 0) < 0) abort();
    while (run.result == REPLAY_MORE)
        run.result = replay_step(&replay, STEP, execute, &run);
    run.good = replay.good;
    run.commands = replay.commands;
    replay_close(&replay);
    return run;
}

static void check_file(struct io *io, struct bytes bytes) {
    write_file(io, bytes);
    struct run whole = run_file(io);
    if (whole.good > bytes.size) abort();
    if (whole.result == REPLAY_REFUSED) abort(); /* everything is read, and every command taken */
    if (whole.result != REPLAY_TORN) return;
    write_file(io, bytes_make(bytes.data, (size_t)whole.good));
    struct run cut = run_file(io);
    if (cut.result != REPLAY_DONE || cut.commands != whole.commands || cut.hash != whole.hash)
        abort();
}

static void check_manifest(struct bytes text) {
    struct manifest manifest, again;
    char error[256];
    if (!manifest_parse(&manifest, text, error, sizeof error)) return;
    struct buffer first = {0}, second = {0};
    manifest_format(&manifest, &first);
    if (!manifest_parse(&again, buffer_bytes(&first), error, sizeof error)) abort();
    manifest_format(&again, &second);
    if (!bytes_equal(buffer_bytes(&first), buffer_bytes(&second))) abort();
    manifest_release(&manifest);
    manifest_release(&again);
    buffer_release(&first);
    buffer_release(&second);
}

/* The bytes from `plain` on stand behind a line that announces them. */
static void announce(struct bytes bytes, size_t plain, struct buffer *out) {
    struct bytes rest = bytes_make(bytes.data + plain, bytes.size - plain);
    struct annotation annotation = {
        .offset = plain, .time_ms = 1, .bytes = rest.size, .crc = crc64(0, rest)};
    memset(annotation.id, 'a', ANNOTATION_ID_SIZE);
    buffer_append(out, bytes.data, plain);
    annotation_format(&annotation, out);
    buffer_append(out, rest.data, rest.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    struct bytes bytes = bytes_make(data + 1, size - 1);
    unsigned kind = data[0] % KINDS;
    if (kind == MANIFEST) {
        check_manifest(bytes);
        return 0;
    }
    struct simulation *simulation = simulation_open(1);
    struct io *io = simulation_host(simulation, "h");
    struct buffer file = {0};
    if (kind == PLAIN)
        check_file(io, bytes);
    else {
        announce(bytes, kind == HALF ? bytes.size / 2 : 0, &file);
        check_file(io, buffer_bytes(&file));
    }
    buffer_release(&file);
    simulation_close(simulation);
    return 0;
}

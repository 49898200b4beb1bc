/* journal.c: appending effects and handing them over. Owns the bytes between two commits, and no
 * file. */
#include "journal/journal.h"

#include "base/invariant.h"
#include "base/number.h"
#include "resp/reply.h"

enum { DATABASE_UNKNOWN = -1 };

void journal_init(struct journal *journal) {
    *journal = (struct journal){.horizon = JOURNAL_HORIZON_ALL, .database = DATABASE_UNKNOWN};
    for (int i = 0; i < JOURNAL_PROMISES; i++)
        journal->promised[i] = JOURNAL_HORIZON_ALL;
}

void journal_release(struct journal *journal) {
    buffer_release(&journal->pending);
}

static void append(struct journal *journal, const struct bytes *argv, size_t argc) {
    size_t before = journal->pending.size;
    request_encode(&journal->pending, argv, argc);
    journal->offset += journal->pending.size - before;
}

static void select_database(struct journal *journal, uint32_t database) {
    if (journal->database == (int64_t)database) return;
    char digits[NUMBER_I64_TEXT_MAX];
    struct bytes words[] = {BYTES("SELECT"),
                            bytes_make(digits, number_format_u64(digits, database))};
    append(journal, words, 2);
    journal->database = (int64_t)database;
}

/* A unit turned out to have a second command: put MULTI in front of its first. */
static void insert_multi(struct journal *journal) {
    static const char multi[] = "*1\r\n$5\r\nMULTI\r\n";
    const size_t size = sizeof multi - 1;
    struct buffer *pending = &journal->pending;
    buffer_reserve(pending, size);
    char *at = pending->data + journal->unit_start;
    memmove(at + size, at, pending->size - journal->unit_start);
    memcpy(at, multi, size);
    pending->size += size;
    journal->offset += size;
}

void journal_append(struct journal *journal, uint32_t database, const struct bytes *argv,
                    size_t argc) {
    if (!journal_active(journal) || journal->muted || journal->follows) return;
    select_database(journal, database);
    if (journal->unit_depth > 0) {
        journal->unit_count++;
        if (journal->unit_count == 1) journal->unit_start = journal->pending.size;
        if (journal->unit_count == 2) insert_multi(journal);
    }
    append(journal, argv, argc);
    journal->changed = journal->offset;
}

void journal_say(struct journal *journal, const struct bytes *argv, size_t argc) {
    if (!journal_active(journal) || journal->follows) return;
    INVARIANT(journal->unit_depth == 0);
    append(journal, argv, argc);
}

void journal_copy(struct journal *journal, struct bytes bytes) {
    INVARIANT(journal->follows && journal->unit_depth == 0);
    journal->offset += bytes.size;
    journal->changed = journal->offset;
    if (journal_active(journal))
        buffer_append(&journal->pending, bytes.data, bytes.size);
    else
        journal->committed = journal->offset;
}

void journal_begin_unit(struct journal *journal) {
    if (journal->unit_depth++ == 0) journal->unit_count = 0;
}

static void close_unit(struct journal *journal) {
    if (journal->unit_count > 1) {
        append(journal, &BYTES("EXEC"), 1);
        journal->changed = journal->offset;
    }
    journal->unit_count = 0;
}

void journal_end_unit(struct journal *journal) {
    INVARIANT(journal->unit_depth > 0);
    if (--journal->unit_depth == 0) close_unit(journal);
}

void journal_abandon_unit(struct journal *journal) {
    INVARIANT(journal->unit_depth > 0);
    journal->muted = true;
    if (journal->unit_count == 0) return;
    journal->offset -= journal->pending.size - journal->unit_start;
    journal->changed = journal->offset;
    journal->pending.size = journal->unit_start;
    journal->unit_count = 0;
}

void journal_commit(struct journal *journal) {
    if (journal->committed == journal->offset) return;
    if (journal->unit_depth > 0) close_unit(journal);
    struct bytes bytes = buffer_bytes(&journal->pending);
    INVARIANT(bytes.size == journal->offset - journal->committed);
    for (uint32_t i = 0; i < journal->reader_count; i++)
        journal->readers[i].consume(journal->readers[i].context, journal->committed, bytes);
    journal->committed = journal->offset;
    buffer_clear(&journal->pending);
}

/* Another server's stream does not say it once more. */
void journal_forget_database(struct journal *journal) {
    if (!journal->follows) journal->database = DATABASE_UNKNOWN;
}

void journal_set_database(struct journal *journal, int64_t database) {
    journal->database = database;
}

void journal_promise(struct journal *journal, enum journal_promise promise, uint64_t offset,
                     bool is_strict) {
    journal->promised[promise] = offset;
    journal->is_strict[promise] = is_strict;
    journal->horizon = JOURNAL_HORIZON_ALL;
    journal->horizon_is_strict = false;
    for (int i = 0; i < JOURNAL_PROMISES; i++) {
        if (journal->promised[i] < journal->horizon) journal->horizon = journal->promised[i];
        journal->horizon_is_strict |= journal->is_strict[i];
    }
}

void journal_continue(struct journal *journal, uint64_t offset) {
    INVARIANT(journal->offset == journal->committed);
    journal->offset = journal->committed = journal->changed = offset;
}

bool journal_add_reader(struct journal *journal, journal_consume *consume, void *context) {
    if (journal->reader_count == JOURNAL_READERS_MAX) return false;
    journal_commit(journal);
    journal->readers[journal->reader_count++] = (struct journal_reader){consume, context};
    journal_forget_database(journal);
    return true;
}

void journal_remove_reader(struct journal *journal, journal_consume *consume, void *context) {
    journal_commit(journal);
    for (uint32_t i = 0; i < journal->reader_count; i++) {
        struct journal_reader *reader = &journal->readers[i];
        if (reader->consume != consume || reader->context != context) continue;
        journal->readers[i] = journal->readers[--journal->reader_count];
        return;
    }
}

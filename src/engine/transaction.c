/* transaction.c: the queue of a transaction and its end. Owns the queued requests. */
#include "engine/transaction.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "engine/call.h"
#include "engine/command.h"
#include "engine/dispatch.h"
#include "engine/server.h"

enum {
    FIRST_COMMANDS = 8,
    IDLE_COMMANDS_MAX = 64, /* room for so many stays with a session that is in no transaction */
};

/* Words of the commands that one batch queued, and their bytes behind them. */
struct transaction_block {
    struct transaction_block *next;
    struct bytes words[];
};

/* ---- the queue ---- */

void transaction_begin(struct session *session) {
    if (!session->transaction)
        session->transaction = memory_alloc_zeroed(1, sizeof *session->transaction);
    session->flags |= SESSION_MULTI;
}

void transaction_queue(struct session *session, const struct command *command,
                       struct request *request, const uint64_t *hashes) {
    struct transaction *transaction = session->transaction;
    if (transaction->count == transaction->capacity) {
        transaction->capacity = transaction->capacity ? transaction->capacity * 2 : FIRST_COMMANDS;
        transaction->commands = memory_resize(
            transaction->commands, transaction->capacity * sizeof transaction->commands[0]);
    }
    transaction->commands[transaction->count++] =
        (struct transaction_command){command, *request, hashes};
    for (uint32_t i = 0; i < request->count; i++)
        transaction->bytes += request->arguments[i].size;
    transaction->command_flags |= command->flags;
    request->large = NULL;
    request->large_count = 0;
    request->kept = NULL;
}

void transaction_keep(struct session *session) {
    struct transaction *transaction = session->transaction;
    size_t word_count = 0, bytes = 0;
    for (uint32_t i = transaction->kept_count; i < transaction->count; i++) {
        word_count += transaction->commands[i].request.count;
        bytes += request_small_size(&transaction->commands[i].request);
    }
    if (word_count == 0) return;
    size_t size = sizeof(struct transaction_block) + word_count * sizeof(struct bytes) + bytes;
    struct transaction_block *block = memory_alloc(size);
    block->next = transaction->blocks;
    transaction->blocks = block;
    transaction->overhead += size - bytes;
    struct bytes *words = block->words;
    char *at = (char *)(words + word_count);
    for (uint32_t i = transaction->kept_count; i < transaction->count; i++) {
        struct transaction_command *queued = &transaction->commands[i];
        at = request_move_words(&queued->request, words, at);
        words += queued->request.count;
        queued->hashes = NULL;
    }
    transaction->kept_count = transaction->count;
}

void transaction_spoil(struct session *session) {
    session->flags |= SESSION_MULTI_BROKEN;
}

static void empty(struct transaction *transaction) {
    for (uint32_t i = 0; i < transaction->count; i++)
        request_release(&transaction->commands[i].request);
    while (unlikely(transaction->blocks != NULL)) {
        struct transaction_block *block = transaction->blocks;
        transaction->blocks = block->next;
        memory_free(block);
    }
    if (unlikely(transaction->capacity > IDLE_COMMANDS_MAX)) {
        memory_free(transaction->commands);
        transaction->commands = NULL;
        transaction->capacity = 0;
    }
    transaction->count = transaction->kept_count = 0;
    transaction->command_flags = 0;
    transaction->bytes = transaction->overhead = 0;
}

void transaction_discard(struct session *session) {
    if (session->transaction) empty(session->transaction);
    watching_drop(session);
    session->flags &= ~(uint32_t)(SESSION_MULTI | SESSION_MULTI_BROKEN | SESSION_WATCH_BROKEN);
}

void transaction_forget(struct session *session) {
    transaction_discard(session);
    if (!session->transaction) return;
    memory_free(session->transaction->commands);
    memory_free(session->transaction);
    session->transaction = NULL;
}

/* ---- EXEC ---- */

static void run_queued(struct call *call, struct transaction_command *queued) {
    struct server *server = call->server;
    struct session *session = call->session;
    struct call inner = {
        .server = server,
        .session = session,
        .command = queued->command,
        .argv = queued->request.arguments,
        .argc = queued->request.count,
        .hashes = queued->hashes,
        .request = &queued->request,
        .reply = call->reply,
        .database = &server->keyspace.databases[session->database],
        .now_ms = call->now_ms,
        .in_unit = true,
    };
    dispatch_in_unit(&inner);
}

static void run_all(struct call *call) {
    struct session *session = call->session;
    struct journal *journal = &call->server->journal;
    struct transaction *transaction = session->transaction;
    uint64_t before = journal->changed;
    watching_drop(session);
    reply_array(call->reply, transaction->count);
    journal_begin_unit(journal);
    for (uint32_t i = 0; i < transaction->count; i++)
        run_queued(call, &transaction->commands[i]);
    journal_end_unit(journal);
    if (journal->changed != before) session->wrote = journal->changed;
}

void transaction_execute(struct call *call) {
    struct session *session = call->session;
    if (!(session->flags & SESSION_MULTI)) {
        call_error(call, "ERR EXEC without MULTI");
        return;
    }
    if (session->flags & SESSION_MULTI_BROKEN)
        call_error(call, "EXECABORT Transaction discarded because of previous errors.");
    else if (session->flags & SESSION_WATCH_BROKEN ||
             (unlikely(session->watches != NULL) && watching_is_expired(session)))
        reply_null_array(call->reply);
    else
        run_all(call);
    transaction_discard(session);
}

/* ---- measures ---- */

uint32_t transaction_command_flags(const struct session *session) {
    return session->flags & SESSION_MULTI ? session->transaction->command_flags : 0;
}

size_t transaction_input(const struct session *session) {
    return session->transaction ? session->transaction->bytes : 0;
}

size_t transaction_memory(const struct session *session) {
    const struct transaction *transaction = session->transaction;
    size_t bytes = watching_memory(session);
    if (!transaction) return bytes;
    bytes += sizeof *transaction + transaction->capacity * sizeof transaction->commands[0];
    return bytes + transaction->overhead + transaction->bytes;
}

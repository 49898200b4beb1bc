/* turn.c: the phases of a batch. Knows sockets only in gather and reply, keys only in prefetch and
 * execute. */
#include "engine/turn.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "engine/command.h"
#include "engine/config.h"
#include "engine/dispatch.h"
#include "engine/server.h"
#include "engine/transaction.h"
#include <errno.h>

enum { DELIVERIES_TIMED = 8 }; /* the clock is asked after so many */

void turn_init(struct turn *turn) {
    *turn = (struct turn){0};
    turn->items = memory_alloc_zeroed(TURN_BATCH_REQUESTS, sizeof *turn->items);
    turn->inbox = memory_alloc_aligned(4096, TURN_INBOX_SIZE);
    turn->outbox = memory_alloc_aligned(4096, TURN_OUTBOX_SIZE);
    turn->hashes = memory_alloc(TURN_HASHES * sizeof *turn->hashes);
    turn->keys = memory_alloc(TURN_KEYS * sizeof *turn->keys);
}

void turn_release(struct turn *turn) {
    request_arena_release(&turn->arena);
    memory_free(turn->items);
    memory_free(turn->inbox);
    memory_free(turn->outbox);
    memory_free(turn->hashes);
    memory_free(turn->keys);
    memory_free(turn->discard);
}

/* ---- the line ---- */

void turn_enqueue(struct server *server, struct session *session) {
    struct turn *turn = &server->turn;
    if (session->flags & SESSION_QUEUED) return;
    session->flags |= SESSION_QUEUED;
    session->queue_next = NULL;
    if (turn->queue_last)
        turn->queue_last->queue_next = session;
    else
        turn->queue_first = session;
    turn->queue_last = session;
}

static struct session *dequeue(struct turn *turn) {
    struct session *session = turn->queue_first;
    if (!session) return NULL;
    turn->queue_first = session->queue_next;
    if (!turn->queue_first) turn->queue_last = NULL;
    session->flags &= ~(uint32_t)SESSION_QUEUED;
    return session;
}

static void leave_line(struct turn *turn, struct session *session) {
    struct session **link = &turn->queue_first, *before = NULL;
    while (*link != session) {
        before = *link;
        link = &before->queue_next;
    }
    *link = session->queue_next;
    if (turn->queue_last == session) turn->queue_last = before;
}

void turn_deliver_later(struct server *server, struct session *session) {
    struct turn *turn = &server->turn;
    if (session->flags & SESSION_DELIVERING) return;
    session->flags |= SESSION_DELIVERING;
    session->delivery_next = NULL;
    session->delivery_before = turn->delivery_last;
    if (turn->delivery_last)
        turn->delivery_last->delivery_next = session;
    else
        turn->delivery_first = session;
    turn->delivery_last = session;
}

static void leave_delivery(struct turn *turn, struct session *session) {
    struct session *before = session->delivery_before, *next = session->delivery_next;
    session->flags &= ~(uint32_t)SESSION_DELIVERING;
    if (before)
        before->delivery_next = next;
    else
        turn->delivery_first = next;
    if (next)
        next->delivery_before = before;
    else
        turn->delivery_last = before;
}

void turn_forget(struct server *server, struct session *session) {
    struct turn *turn = &server->turn;
    if (session->flags & SESSION_DELIVERING) leave_delivery(turn, session);
    if (session->flags & SESSION_QUEUED) leave_line(turn, session);
    if (session->flags & SESSION_FLUSHING) {
        struct session **link = &turn->flush_first;
        while (*link != session)
            link = &(*link)->flush_next;
        *link = session->flush_next;
    }
    if (session->flags & SESSION_AWAITS_HORIZON) {
        struct session **link = &turn->horizon_first;
        while (*link != session)
            link = &(*link)->horizon_next;
        *link = session->horizon_next;
    }
}

void turn_horizon_moved(struct server *server) {
    struct turn *turn = &server->turn;
    while (turn->horizon_first) {
        struct session *session = turn->horizon_first;
        turn->horizon_first = session->horizon_next;
        session->flags &= ~(uint32_t)SESSION_AWAITS_HORIZON;
        session_flush_later(session);
    }
}

/* ---- gather ---- */

static bool over_input_limit(struct session *session) {
    struct server *server = session->server;
    size_t held = session->input.size - session->input_position;
    held += request_parser_memory(&session->parser) + transaction_input(session);
    if (held <= server->config->client_query_buffer_limit || session->flags & SESSION_PRIMARY)
        return false;
    struct buffer text = {0};
    session_describe_in_log(session, &text);
    log_warning(server->log, "Closing client that reached max query buffer length: %.*s",
                (int)text.size, text.data);
    buffer_release(&text);
    server->statistics.query_buffer_disconnections++;
    session_close_later(session);
    return true;
}

/* The client sends nothing more. It may still read: replies that wait for what they depend on go
 * before it is closed. */
static void end_input(struct session *session) {
    enum { OTHERS = SESSION_REPLICATION | SESSION_SUBSCRIBED | SESSION_MONITOR };
    if (!(session->flags & SESSION_AWAITS_HORIZON) || session->flags & OTHERS) {
        session_close_later(session);
        return;
    }
    session->has_ended = true;
    session->flags |= SESSION_CLOSE_AFTER_REPLY;
    session_watch(session);
}

/* Receive once; false when there is nothing to parse now. */
static bool gather(struct server *server, struct session *session) {
    struct turn *turn = &server->turn;
    size_t room;
    char *into = request_parser_fill(&session->parser, &room);
    bool filling = into != NULL && session->input.size == session->input_position;
    bool own = !filling && session->input.size > session->input_position;
    if (!filling) {
        room = TURN_RECEIVE_SIZE;
        into = turn->inbox + turn->inbox_used;
    }
    int64_t size = io_receive(server->io, session->socket, into, room);
    if (size <= 0) {
        if (size == -EAGAIN) return false;
        if (size == 0)
            end_input(session);
        else
            session_close_later(session);
        return false;
    }
    server->statistics.reads++;
    server->statistics.bytes_in += (uint64_t)size;
    session->bytes_in += (uint64_t)size;
    if (unlikely(session->flags & SESSION_PRIMARY))
        server->statistics.replicated_in += (uint64_t)size;
    load_heard(&server->load, &session->load_window);
    session->active_ms = server->monotonic_ms;
    if (filling) {
        request_parser_filled(&session->parser, (size_t)size);
        session->unread = bytes_make(NULL, 0);
        return !over_input_limit(session);
    }
    if (own) {
        buffer_append(&session->input, into, (size_t)size);
        session->unread = bytes_make(session->input.data + session->input_position,
                                     session->input.size - session->input_position);
        return !over_input_limit(session);
    }
    session->unread = bytes_make(into, (size_t)size);
    turn->inbox_used += ((size_t)size + 63) & ~(size_t)63;
    return true;
}

/* ---- parse ---- */

static void refuse_protocol(struct session *session, const char *error) {
    struct buffer text = {0};
    struct server *server = session->server;
    session_describe_in_log(session, &text);
    log_verbose(server->log, "Protocol error (%s) from client: %.*s", error, (int)text.size,
                text.data);
    buffer_release(&text);
    session->protocol_error = error;
    session->unread = bytes_make(NULL, 0);
}

static const struct command *find_command(struct server *server, struct session *session,
                                          struct bytes name) {
    const struct command *last = session->last_command;
    if (last && bytes_equal_ignore_case(name, last->name) && server->rename_count == 0) return last;
    last = server_find_command(server, name);
    session->last_command = last;
    return last;
}

/* Cut requests into the batch until the input, the session's share or the batch is at its end. */
static void parse(struct server *server, struct session *session) {
    struct turn *turn = &server->turn;
    struct request_limits limits = {
        server->config->proto_max_bulk_len, session_is_authenticated(session),
        /* Who has asked before asks again, though the limit may have gone: it stands in a line. */
        .asks = session->room || (server->limit.is_set && !turn->interrupted &&
                                  !(session->flags & SESSION_PRIMARY))};
    /* What comes behind AUTH is judged by other limits. */
    uint32_t share = limits.authenticated ? TURN_SHARE : 1;
    session->flags &= ~(uint32_t)SESSION_MORE;
    while (true) {
        if (share == 0 || turn->item_count == TURN_BATCH_REQUESTS) {
            if (session->unread.size > 0) session->flags |= SESSION_MORE;
            return;
        }
        struct turn_item *item = &turn->items[turn->item_count];
        const char *error;
        size_t consumed;
        enum request_result result = request_parse(&session->parser, session->unread, &limits,
                                                   &turn->arena, &item->request, &consumed, &error);
        session->unread.data += consumed;
        session->unread.size -= consumed;
        if (result == REQUEST_PARTIAL) return;
        if (unlikely(result == REQUEST_ASKS)) {
            if (!memory_room_admit(session, request_parser_asks(&session->parser))) {
                session->flags |= SESSION_MORE;
                return;
            }
            request_parser_admit(&session->parser);
            continue;
        }
        if (result == REQUEST_ERROR) {
            refuse_protocol(session, error);
            return;
        }
        if (item->request.count == 0) continue;
        item->session = session;
        item->hashes = NULL;
        item->command = find_command(server, session, item->request.arguments[0]);
        turn->item_count++;
        share--;
    }
}

/* What was not parsed stays with the session. */
static void keep_unread(struct session *session) {
    if (session->input.size > session->input_position) {
        session->input_position = session->input.size - session->unread.size;
    } else if (session->unread.size > 0) {
        session->input_position = 0;
        buffer_append(&session->input, session->unread.data, session->unread.size);
    }
    session->unread = bytes_make(NULL, 0);
}

/* After the batch no slice points into the input any more. */
static void compact_input(struct session *session) {
    size_t left = session->input.size - session->input_position;
    if (left == 0) {
        if (session->input.capacity > 0) buffer_release(&session->input);
    } else if (session->input_position > left) {
        buffer_consume(&session->input, session->input_position);
    } else {
        return;
    }
    session->input_position = 0;
}

/* ---- prefetch ---- */

/* Is it the key that was hashed last? Runs of commands on one key are common: it is then looked for
 * only once. */
static bool is_last_key(const struct turn *turn, const struct database *db, struct bytes name) {
    const struct turn_key *last = turn->keys + turn->key_count - 1;
    return turn->key_count > 0 && last->database == db && bytes_equal(last->arguments[-1], name);
}

/* Hash the keys of one request and touch the directory. */
static void hash_keys(struct server *server, struct turn_item *item) {
    const struct command *command = item->command;
    struct turn *turn = &server->turn;
    uint32_t count = item->request.count;
    size_t first, last, step;
    if (!command || count > TURN_HASHES - turn->hashes_used) return;
    if (!command_key_range(command, count, &first, &last, &step)) return;
    item->hashes = turn->hashes + turn->hashes_used;
    turn->hashes_used += count;
    memset(item->hashes, 0, count * sizeof *item->hashes);
    const struct database *db = &server->keyspace.databases[item->session->database];
    uint32_t keys = 0;
    for (size_t i = first; i <= last && keys < TURN_PREFETCH_KEYS; i += step, keys++) {
        struct bytes name = item->request.arguments[i];
        bool again = is_last_key(turn, db, name);
        uint64_t hash = again ? turn->keys[turn->key_count - 1].hash
                              : hash_bytes(&server->keyspace.secret, name);
        item->hashes[i] = hash;
        turn->keys[turn->key_count++] = (struct turn_key){
            .database = db,
            .hash = hash,
            .is_again = again,
            .arguments = item->request.arguments + i + 1,
            .argument_count = count - (uint32_t)i - 1,
        };
        if (!again) database_prefetch_directory(db, hash);
    }
}

/* What the commands will look up in large collections. */
static void prefetch_elements(struct turn *turn) {
    const struct turn_key *end = turn->keys + turn->key_count;
    bool more = true;
    for (unsigned step = 0; more && step < OBJECT_PREFETCH_STEPS; step++) {
        more = false;
        for (struct turn_key *key = turn->keys; key < end; key++) {
            if (!key->entry || entry_encoding(key->entry) != ENTRY_OBJECT) continue;
            if (object_prefetch(entry_object(key->entry), key->arguments, key->argument_count, step,
                                &key->hash))
                more = true;
            else
                key->entry = NULL;
        }
    }
}

/* Each step touches what the step before has brought near: directory, bucket, entry, large value,
 * element. */
static void prefetch(struct server *server) {
    struct turn *turn = &server->turn;
    turn->hashes_used = 0;
    turn->key_count = 0;
    for (uint32_t i = 0; i < turn->item_count; i++)
        hash_keys(server, &turn->items[i]);
    const struct turn_key *end = turn->keys + turn->key_count;
    for (struct turn_key *key = turn->keys; key < end; key++)
        if (!key->is_again) database_prefetch_bucket(key->database, key->hash);
    for (struct turn_key *key = turn->keys; key < end; key++)
        if (!key->is_again)
            key->entry = database_prefetch_entry(key->database, key->hash, &key->is_elsewhere);
    bool objects = false;
    for (struct turn_key *key = turn->keys; key < end; key++) {
        if (key->is_again) {
            key->entry = key[-1].entry;
        } else if (key->entry) {
            database_prefetch_value(key->entry);
            objects |= entry_encoding(key->entry) == ENTRY_OBJECT;
        } else if (key->is_elsewhere) {
            key->entry = database_prefetch_displaced(key->database, key->hash);
            objects = true; /* perhaps */
        }
    }
    if (objects) prefetch_elements(turn);
}

/* ---- reply ---- */

static void flush_all(struct server *server) {
    struct turn *turn = &server->turn;
    while (turn->flush_first) {
        struct session *session = turn->flush_first;
        turn->flush_first = session->flush_next;
        session->flags &= ~(uint32_t)SESSION_FLUSHING;
        if (!session_flush(session)) session_close_later(session);
    }
}

/* Send messages for a while. */
static void deliver(struct server *server) {
    struct turn *turn = &server->turn;
    int64_t end_us = 0;
    for (uint32_t i = 1; turn->delivery_first; i++) {
        struct session *session = turn->delivery_first;
        leave_delivery(turn, session);
        if (!session_flush(session)) session_close_later(session);
        if (i % DELIVERIES_TIMED != 0) continue;
        int64_t now_us = io_monotonic_us(server->io);
        if (end_us == 0) end_us = now_us + TURN_DELIVERY_US;
        if (now_us >= end_us) return;
    }
}

/* An interrupted turn commits when it goes on. */
static void commit(struct server *server) {
    if (unlikely(server->turn.interrupted)) return;
    if (unlikely(server->replication.promises)) server->replication.hooks->before_commit(server);
    journal_commit(&server->journal);
    appending_step(&server->appending, server->monotonic_us);
}

/* The outbox is half full: send what the batch's first sessions have, while it is still in the
 * cache, and begin it anew. */
static void empty_outbox(struct server *server) {
    commit(server);
    flush_all(server);
    server->turn.outbox_used = 0;
    server->turn.ticks = io_ticks(server->io);
}

/* ---- execute ---- */

static void finish_session(struct session *session) {
    if (session->protocol_error && !session->held) session_answer_protocol_error(session);
    session_reply_end(session);
}

static void begin_time(struct server *server) {
    struct turn *turn = &server->turn;
    turn->ticks = io_ticks(server->io);
    turn->ticks_end =
        turn->ticks + (uint64_t)(TURN_EXECUTE_US * server->io->operations->ticks_per_us);
}

/* The batch's time is over: hold the request, if it may wait. */
static bool hold_late(struct session *session, struct request *request) {
    if (session->flags & (SESSION_CLOSE_NOW | SESSION_CLOSE_AFTER_REPLY | SESSION_PRIMARY))
        return false;
    if (!session->held) session->flags |= SESSION_LATE;
    session_hold(session, request);
    return true;
}

static void execute(struct server *server) {
    struct turn *turn = &server->turn;
    uint32_t i = 0;
    begin_time(server);
    while (i < turn->item_count) {
        struct session *session = turn->items[i].session;
        if (unlikely(turn->outbox_used > TURN_OUTBOX_SIZE / 2)) empty_outbox(server);
        session_reply_begin(session);
        turn->executing = session;
        for (; i < turn->item_count && turn->items[i].session == session; i++) {
            struct turn_item *item = &turn->items[i];
            turn->executing_item = item;
            if (likely(!turn_is_late(turn)) || !hold_late(session, &item->request))
                dispatch(session, item->command, &item->request, item->hashes);
            request_release(&item->request);
        }
        turn->executing = NULL;
        turn->executing_item = NULL;
        if (unlikely(session->flags & SESSION_MULTI)) {
            transaction_keep(session);
            over_input_limit(session);
        }
        finish_session(session);
    }
    waiting_resume(server);
}

/* ---- the batch ---- */

/* Fill the batch from the line; `last` is the last session of this turn's line. */
static uint32_t fill_batch(struct server *server, struct session *batch[],
                           const struct session *last, bool *at_end) {
    struct turn *turn = &server->turn;
    uint32_t count = 0;
    while (count < TURN_BATCH_SESSIONS && turn->item_count < TURN_BATCH_REQUESTS &&
           TURN_INBOX_SIZE - turn->inbox_used >= TURN_RECEIVE_SIZE) {
        if (count > 0 && turn->queue_first && turn->queue_first->flags & SESSION_LATE) break;
        struct session *session = dequeue(turn);
        if (!session) {
            *at_end = true;
            break;
        }
        batch[count++] = session;
        session->flags |= SESSION_IN_BATCH;
        if (session == last) *at_end = true;
        if (unlikely(session->flags & SESSION_LATE)) break;
        bool ready = !(session->flags & (SESSION_CLOSE_NOW | SESSION_CLOSE_AFTER_REPLY)) &&
                     !session->held && !session->protocol_error;
        if (ready && (session->flags & SESSION_MORE)) {
            session->unread = bytes_make(session->input.data + session->input_position,
                                         session->input.size - session->input_position);
        } else if (ready) {
            ready = gather(server, session);
        }
        if (ready) {
            uint32_t before = turn->item_count;
            parse(server, session);
            keep_unread(session);
            if (turn->item_count == before && session->protocol_error) {
                session_reply_begin(session);
                finish_session(session);
            }
        }
        if (*at_end) break;
    }
    return count;
}

/* A late session is a batch by itself: a command that lets others be served keeps nobody else. */
static void execute_late(struct server *server, struct session *session) {
    begin_time(server);
    server->turn.executing = session;
    dispatch_held(session);
    server->turn.executing = NULL;
    if (session->flags & SESSION_MULTI) over_input_limit(session);
    waiting_resume(server);
}

static void end_batch(struct server *server, struct session *batch[], uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        struct session *session = batch[i];
        session->flags &= ~(uint32_t)SESSION_IN_BATCH;
        compact_input(session);
        if (unlikely(server->client_limit.is_set)) client_limit_count(session);
        bool has_more = (session->flags & SESSION_MORE) && !session->held && !session->room;
        if (has_more || unlikely(session->flags & SESSION_LATE)) turn_enqueue(server, session);
    }
}

static bool turn_time_over(const struct server *server) {
    return io_monotonic_us(server->io) - server->monotonic_us >= TURN_US;
}

void turn_batches(struct server *server) {
    struct turn *turn = &server->turn;
    const struct session *last = turn->queue_last;
    bool at_end = turn->queue_first == NULL;
    /* What was resumed after a pause has its replies in the outbox, which the batches begin anew.
     */
    if (unlikely(server->tracking.has_changes)) tracking_broadcast(server);
    if (turn->flush_first) flush_all(server);
    while (!at_end) {
        struct session *batch[TURN_BATCH_SESSIONS];
        turn->item_count = 0;
        turn->inbox_used = 0;
        turn->outbox_used = 0;
        request_arena_reset(&turn->arena);
        uint32_t count = fill_batch(server, batch, last, &at_end);
        if (unlikely(count > 0 && batch[0]->flags & SESSION_LATE)) {
            execute_late(server, batch[0]);
        } else {
            if (turn->item_count > 1) prefetch(server);
            execute(server);
            record_memos_clear(&server->keyspace.memos);
        }
        if (unlikely(server->tracking.has_changes)) tracking_broadcast(server);
        commit(server);
        flush_all(server);
        end_batch(server, batch, count);
        if (turn->queue_first && turn_time_over(server)) break;
    }
    flush_all(server);
    if (turn->delivery_first) deliver(server);
    server_close_marked(server);
}

/* ---- interrupts ---- */

/* Lists of sessions go from one turn to another. */
static void move_lists(struct turn *to, struct turn *from) {
    to->queue_first = from->queue_first;
    to->queue_last = from->queue_last;
    to->flush_first = from->flush_first;
    to->horizon_first = from->horizon_first;
    to->delivery_first = from->delivery_first;
    to->delivery_last = from->delivery_last;
    from->queue_first = from->queue_last = from->flush_first = from->horizon_first = NULL;
    from->delivery_first = from->delivery_last = NULL;
}

/* Requests of the batch behind those of the session whose command runs. */
static void run_rest(struct turn *outer) {
    const struct turn_item *current = outer->executing_item;
    if (!current) return;
    uint32_t first = (uint32_t)(current - outer->items) + 1, count = outer->item_count;
    while (first < count && outer->items[first].session == outer->executing)
        first++;
    outer->item_count = first;
    for (uint32_t i = first; i < count;) {
        struct session *session = outer->items[i].session;
        session_reply_begin(session);
        for (; i < count && outer->items[i].session == session; i++) {
            struct turn_item *item = &outer->items[i];
            dispatch(session, item->command, &item->request, item->hashes);
            request_release(&item->request);
        }
        if (session->flags & SESSION_MULTI) transaction_keep(session);
        finish_session(session);
    }
}

void turn_interrupt_begin(struct server *server) {
    struct turn *outer = memory_alloc(sizeof *outer);
    INVARIANT(!server->turn.interrupted);
    for (uint32_t i = 0; i < server->session_count; i++) {
        struct session *session = server->sessions[i];
        if (session->flags & SESSION_IN_BATCH || !server->turn.executing)
            session->flags |= SESSION_PINNED;
    }
    *outer = server->turn;
    turn_init(&server->turn);
    move_lists(&server->turn, outer);
    server->turn.interrupted = outer;
    server->turn.ticks = io_ticks(server->io);
    /* In no line, though it seems to be: nobody puts it in one. */
    if (outer->writer->flags & SESSION_QUEUED) leave_line(&server->turn, outer->writer);
    outer->writer->flags |= SESSION_QUEUED;
    run_rest(outer);
    flush_all(server);
}

void turn_interrupt(struct server *server) {
    server_serve_others(server);
}

void turn_interrupt_end(struct server *server) {
    struct turn *outer = server->turn.interrupted;
    struct session *writer = outer->writer;
    flush_all(server); /* what stands in the outbox that goes */
    move_lists(outer, &server->turn);
    turn_release(&server->turn);
    server->turn = *outer;
    memory_free(outer);
    server->turn.ticks = io_ticks(server->io);
    for (uint32_t i = 0; i < server->session_count; i++) {
        struct session *session = server->sessions[i];
        session->flags &= ~(uint32_t)SESSION_PINNED;
        if (session->flags & SESSION_PRIMARY && session->held) server->resume_held = true;
    }
    writer->flags &= ~(uint32_t)SESSION_QUEUED;
    turn_enqueue(server, writer);
}

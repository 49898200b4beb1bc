/* session.c: opening, describing and closing sessions, and what they send. */
#include "engine/session.h"
#include "engine/acl.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "engine/command.h"
#include "engine/config.h"
#include "engine/pubsub.h"
#include "engine/server.h"
#include "engine/transaction.h"
#include <errno.h>
#include <stdio.h>

enum {
    OUTBOX_LEAST = 4096,
    OUTBOX_KEPT = 1024, /* by a session whose reply is interrupted by another's */
    OUTBOX_ALIGNMENT = 64,
    FIRST_REGISTRY = 64,
    CHUNK_SIZE_MAX = 1 << 20,
    SENT_AT_ONCE_MAX = 256 * 1024, /* to one session; the rest is for the next turn */
};

/* ---- replies ---- */

static void reply_grow(struct reply *reply, size_t size);

/* Write into the last chunk, or a new one with room for `size` bytes. */
static void use_chunk(struct session *session, size_t size) {
    struct output_chunk *chunk = session->output.last;
    if (!chunk || chunk->capacity - chunk->size < size) {
        size_t capacity = session->output.chunk_bytes;
        if (capacity > CHUNK_SIZE_MAX) capacity = CHUNK_SIZE_MAX;
        chunk = output_add_chunk(&session->output, size > capacity ? size : capacity);
    }
    session->flags &= ~(uint32_t)SESSION_IN_OUTBOX;
    session->reply_base = session->reply.cursor = chunk->data + chunk->size;
    session->reply.end = chunk->data + chunk->capacity;
}

/* The session that is writing leaves the rest of the outbox to another. */
static void share_outbox(struct turn *turn, struct session *writer) {
    struct reply *reply = writer->muted ? writer->muted : &writer->reply;
    if (!(writer->flags & SESSION_IN_OUTBOX)) return;
    size_t used = (size_t)(reply->cursor - turn->outbox) + OUTBOX_KEPT;
    used = (used + OUTBOX_ALIGNMENT - 1) & ~(size_t)(OUTBOX_ALIGNMENT - 1);
    size_t end = (size_t)(reply->end - turn->outbox);
    if (used < end) {
        reply->end = turn->outbox + used;
        end = used;
    }
    if (end > turn->outbox_used) turn->outbox_used = end;
}

void session_reply_begin(struct session *session) {
    struct turn *turn = &session->server->turn;
    INVARIANT(session->reply_base == NULL);
    session->outer = turn->writer;
    if (unlikely(turn->writer != NULL)) share_outbox(turn, turn->writer);
    turn->writer = session;
    session->reply.protocol = session->protocol;
    if (output_pending(&session->output) == 0 && !(session->flags & SESSION_INTERNAL) &&
        TURN_OUTBOX_SIZE - turn->outbox_used >= OUTBOX_LEAST) {
        session->flags |= SESSION_IN_OUTBOX;
        session->reply_base = session->reply.cursor = turn->outbox + turn->outbox_used;
        session->reply.end = turn->outbox + TURN_OUTBOX_SIZE;
    } else {
        use_chunk(session, 1);
    }
}

/* Count what was written since the base. */
static void settle(struct session *session) {
    size_t size = (size_t)(session->reply.cursor - session->reply_base);
    if (session->flags & SESSION_IN_OUTBOX) {
        struct turn *turn = &session->server->turn;
        session->output.piece = bytes_make(session->reply_base, size);
        size_t used = (size_t)(session->reply.cursor - turn->outbox);
        used = (used + OUTBOX_ALIGNMENT - 1) & ~(size_t)(OUTBOX_ALIGNMENT - 1);
        if (used > turn->outbox_used) turn->outbox_used = used;
    } else {
        session->output.last->size += size;
        session->output.chunk_bytes += size;
    }
    session->reply_base = session->reply.cursor;
}

/* One command may reply with more than all memory: what is over the hard limit is not kept until
 * the reply's end. */
static bool is_over_hard_limit(const struct session *session) {
    const struct config *config = session->server->config;
    uint64_t limit = config->client_output_buffer_limit.of[session->class].hard;
    if (limit == 0 || session->class == SESSION_CLASS_REPLICA || session->flags & SESSION_INTERNAL)
        return false;
    return session_output_size(session) + session->output.piece.size >= limit;
}

static void throw_away(struct session *session) {
    output_release(&session->output);
    session->flags &= ~(uint32_t)SESSION_IN_OUTBOX;
    session->clear_bytes = session->marked_bytes = 0;
}

static void reply_grow(struct reply *reply, size_t size) {
    struct session *session = reply->context;
    if (reply->muted) {
        struct turn *turn = &session->server->turn;
        if (turn->discard_size < size) {
            turn->discard = memory_resize(turn->discard, size);
            turn->discard_size = size;
        }
        reply->cursor = turn->discard;
        reply->end = turn->discard + turn->discard_size;
        return;
    }
    INVARIANT(session->reply_base != NULL);
    settle(session);
    if (unlikely(!session->overflows && is_over_hard_limit(session)))
        session->overflows = !session_check_output(session);
    if (unlikely(session->overflows)) {
        session_close_later(session);
        throw_away(session);
    }
    use_chunk(session, size);
}

void session_reply_end(struct session *session) {
    settle(session);
    session->server->turn.writer = session->outer;
    session->reply_base = NULL;
    session->reply.cursor = session->reply.end = NULL;
    session->flags &= ~(uint32_t)SESSION_IN_OUTBOX;
    /* Without output, too, it is to be closed, but who asked for a shutdown is told by its end. */
    bool closes = session->flags & SESSION_CLOSE_AFTER_REPLY && !session->server->shutdown_wanted;
    if (output_pending(&session->output) > 0 || closes) session_flush_later(session);
}

void session_unmute(struct session *session) {
    if (!session->muted) return;
    uint8_t protocol = session->reply.protocol;
    session->reply = *session->muted;
    session->reply.protocol = protocol;
    session->muted = NULL;
}

/* ---- messages ---- */

/* A message for a session that was writing. */
struct session_message {
    struct session_message *next;
    struct session *session;
    size_t size;
    char data[];
};

static void keep_message(struct server *server, struct session_message *message) {
    if (server->put_off_last)
        server->put_off_last->next = message;
    else
        server->put_off_first = message;
    server->put_off_last = message;
}

static void put_off(struct session *session, struct bytes encoded) {
    struct session_message *message = memory_alloc(sizeof *message + encoded.size);
    message->next = NULL;
    message->session = session;
    message->size = encoded.size;
    memcpy(message->data, encoded.data, encoded.size);
    keep_message(session->server, message);
}

void session_send(struct session *session, struct bytes encoded) {
    if (session->flags & (SESSION_CLOSE_NOW | SESSION_CLOSE_AFTER_REPLY)) return;
    if (session->reply_base) {
        put_off(session, encoded);
        return;
    }
    session->flags |= SESSION_TOLD;
    session_reply_begin(session);
    reply_raw(&session->reply, encoded);
    session_reply_end(session);
}

/* Between two of its commands, or behind the last. */
static void send_now(struct session_message *message) {
    struct session *session = message->session;
    struct bytes encoded = bytes_make(message->data, message->size);
    session->flags |= SESSION_TOLD;
    if (session->reply_base)
        reply_raw(&session->reply, encoded);
    else
        session_send(session, encoded);
    memory_free(message);
}

void session_send_put_off(struct server *server) {
    const struct turn *interrupted = server->turn.interrupted;
    struct session_message *message = server->put_off_first;
    server->put_off_first = server->put_off_last = NULL;
    while (message) {
        struct session_message *next = message->next;
        message->next = NULL;
        if (unlikely(interrupted != NULL) && message->session == interrupted->writer)
            keep_message(server, message); /* its command still runs */
        else
            send_now(message);
        message = next;
    }
}

void session_send_shared(struct session *session, struct output_shared *shared, size_t from,
                         size_t size) {
    INVARIANT(!session->reply_base);
    if (session->flags & (SESSION_CLOSE_NOW | SESSION_CLOSE_AFTER_REPLY)) return;
    output_append_shared(&session->output, shared, from, size);
    session->flags |= SESSION_TOLD;
    if (unlikely(session->flags & (SESSION_WANTS_WRITE | SESSION_AWAITS_HORIZON)) ||
        is_over_hard_limit(session)) {
        if (!session_check_output(session)) session_close_later(session);
    } else if (!(session->flags & (SESSION_FLUSHING | SESSION_INTERNAL))) {
        turn_deliver_later(session->server, session);
    }
}

void session_flush_later(struct session *session) {
    struct turn *turn = &session->server->turn;
    if (session->flags & (SESSION_FLUSHING | SESSION_INTERNAL)) return;
    session->flags |= SESSION_FLUSHING;
    session->flush_next = turn->flush_first;
    turn->flush_first = session;
}

size_t session_output_size(const struct session *session) {
    return session->output.chunk_bytes + session->output.chunk_count * sizeof(struct output_chunk);
}

/* A replica's limits are for the stream, which the backlog keeps anyway as far as it reaches: they
 * are never below its size. */
static size_t waits_for_replica(const struct session *session) {
    const struct replication *replication = &session->server->replication;
    return replication->host ? replication->hooks->waits_for(session) : 0;
}

bool session_check_output(struct session *session) {
    struct server *server = session->server;
    const struct config_output_limit *limit =
        &server->config->client_output_buffer_limit.of[session->class];
    bool is_replica = session->class == SESSION_CLASS_REPLICA;
    size_t size = is_replica ? waits_for_replica(session) : session_output_size(session);
    uint64_t least = is_replica ? server->config->repl_backlog_size : 0;
    bool hard = limit->hard > 0 && size >= limit->hard && size >= least;
    bool soft = limit->soft > 0 && size >= limit->soft && size >= least;
    if (!soft)
        session->soft_limit_since_ms = 0;
    else if (session->soft_limit_since_ms == 0)
        session->soft_limit_since_ms = server->monotonic_ms;
    if (soft && !hard)
        hard = server->monotonic_ms - session->soft_limit_since_ms >
               (int64_t)limit->soft_seconds * 1000;
    if (!hard) return true;
    struct buffer text = {0};
    session_describe_in_log(session, &text);
    log_warning(server->log, "Client %.*s closed for overcoming of output buffer limits.",
                (int)text.size, text.data);
    buffer_release(&text);
    server->statistics.output_buffer_disconnections++;
    return false;
}

/* No more than so many parts' bytes. */
static int cut_parts(struct bytes *parts, int count, size_t limit) {
    for (int i = 0; i < count; i++) {
        if (parts[i].size >= limit) {
            parts[i].size = limit;
            return i + 1;
        }
        limit -= parts[i].size;
    }
    return count;
}

/* What is clear to leave. A system that takes all that it is given copies it meanwhile: whoever
 * gets a lot gets it in portions. */
static bool send_some(struct session *session) {
    struct server *server = session->server;
    struct bytes parts[OUTPUT_PARTS_MAX];
    size_t room = SENT_AT_ONCE_MAX;
    while (session->clear_bytes > 0 && room > 0) {
        int count = output_parts(&session->output, parts);
        count = cut_parts(parts, count, session->clear_bytes < room ? session->clear_bytes : room);
        size_t offered = 0;
        for (int i = 0; i < count; i++)
            offered += parts[i].size;
        int64_t sent = io_send(server->io, session->socket, parts, count);
        if (sent == -EAGAIN) return true;
        if (sent < 0) return false;
        server->statistics.writes++;
        server->statistics.bytes_out += (uint64_t)sent;
        session->bytes_out += (uint64_t)sent;
        if (unlikely(session->class == SESSION_CLASS_REPLICA))
            server->statistics.replicated_out += (uint64_t)sent;
        else if (likely(!(session->flags & SESSION_PRIMARY)))
            session->active_ms = server->monotonic_ms; /* of a link what it hears counts */
        session->clear_bytes -= (size_t)sent;
        room -= (size_t)sent;
        output_sent(&session->output, (size_t)sent);
        if ((size_t)sent < offered) return true;
    }
    return true;
}

/* How much of the output depends on nothing beyond the horizon? */
static void clear_output(struct session *session) {
    const struct journal *journal = &session->server->journal;
    size_t pending = output_pending(&session->output);
    uint64_t wanted = 0;
    if (unlikely(journal->horizon != JOURNAL_HORIZON_ALL) &&
        session->class != SESSION_CLASS_REPLICA) {
        if (session->flags & SESSION_TOLD) session->depends_on = session->wrote = journal->changed;
        wanted = journal->horizon_is_strict ? session->depends_on : session->wrote;
    }
    session->flags &= ~(uint32_t)SESSION_TOLD;
    if (likely(wanted <= journal->horizon)) {
        session->clear_bytes = pending;
        session->marked_bytes = 0;
        return;
    }
    if (session->marked_bytes > 0 && session->mark <= journal->horizon) {
        session->clear_bytes += session->marked_bytes;
        session->marked_bytes = 0;
    }
    if (session->marked_bytes > 0 || session->clear_bytes == pending) return;
    session->marked_bytes = pending - session->clear_bytes;
    session->mark = wanted;
}

static void await_horizon(struct session *session) {
    struct turn *turn = &session->server->turn;
    if (session->flags & SESSION_AWAITS_HORIZON) return;
    session->flags |= SESSION_AWAITS_HORIZON;
    session->horizon_next = turn->horizon_first;
    turn->horizon_first = session;
}

bool session_flush(struct session *session) {
    if (session->flags & SESSION_CLOSE_NOW) {
        session->output.piece = bytes_make(NULL, 0);
        return true;
    }
    /* Its reply is being written, into what would be sent and freed: session_reply_end is next. */
    if (session->reply_base) return true;
    clear_output(session);
    bool alive = send_some(session);
    output_keep(&session->output);
    if (unlikely(session->server->client_limit.is_set)) client_limit_count(session);
    if (!alive) return false;
    size_t left = output_pending(&session->output);
    if (left == 0 && (session->flags & SESSION_CLOSE_AFTER_REPLY)) return false;
    if (session->clear_bytes > 0)
        session->flags |= SESSION_WANTS_WRITE;
    else
        session->flags &= ~(uint32_t)SESSION_WANTS_WRITE;
    if (unlikely(session->marked_bytes > 0)) await_horizon(session);
    session_watch(session);
    return left == 0 || session_check_output(session);
}

void session_watch(struct session *session) {
    uint32_t interest = 0;
    if (!session->held && !session->room &&
        !(session->flags & (SESSION_CLOSE_AFTER_REPLY | SESSION_CLOSE_NOW | SESSION_DEAF)))
        interest |= IO_READABLE;
    if (session->flags & SESSION_WANTS_WRITE) interest |= IO_WRITABLE;
    if (session->has_ended && interest == 0) { /* its end is known */
        io_unwatch(session->server->io, session->socket);
        session->watched = 0;
        return;
    }
    if (interest == session->watched || session->socket == IO_NONE) return;
    session->watched = interest;
    io_watch(session->server->io, session->socket, interest, session);
}

/* ---- held requests ---- */

static size_t word_bytes(const struct request *request) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < request->count; i++)
        bytes += request->arguments[i].size;
    return bytes;
}

bool session_is_blocked(const struct session *session) {
    return session->held && !(session->flags & SESSION_LATE);
}

void session_hold(struct session *session, struct request *request) {
    size_t words = request->count * sizeof(struct bytes), bytes = request_small_size(request);
    struct session_held *held = memory_alloc(sizeof *held + words + bytes);
    held->next = NULL;
    held->bytes = sizeof *held + words + word_bytes(request);
    held->command = NULL;
    held->muted = false;
    held->request = *request;
    request_move_words(&held->request, held->words, (char *)held->words + words);
    request->large = NULL;
    request->large_count = 0;
    struct session_held **end = &session->held;
    while (*end)
        end = &(*end)->next;
    *end = held;
    session->held_bytes += held->bytes;
}

void session_answer_protocol_error(struct session *session) {
    if (session->flags & (SESSION_CLOSE_AFTER_REPLY | SESSION_CLOSE_NOW)) return;
    char text[128];
    int size = snprintf(text, sizeof text, "ERR Protocol error: %s", session->protocol_error);
    reply_error(&session->reply, bytes_make(text, (size_t)size));
    session->flags |= SESSION_CLOSE_AFTER_REPLY;
}

void session_drop_held(struct session *session, struct session_held *held) {
    session->held_bytes -= held->bytes;
    request_release(&held->request);
    memory_free(held);
}

void session_drop_first_held(struct session *session) {
    struct session_held *first = session->held;
    session->held = first->next;
    session_drop_held(session, first);
}

/* ---- life ---- */

struct session *session_open(struct server *server, io_socket socket, uint16_t listener) {
    struct session *session = memory_alloc_zeroed(1, sizeof *session);
    session->server = server;
    session->socket = socket;
    session->listener = listener;
    session->id = ++server->session_next_id;
    session->created_ms = session->active_ms = server->monotonic_ms;
    session->reply.grow = reply_grow;
    session->reply.context = session;
    if (socket == IO_NONE)
        session->flags |= SESSION_INTERNAL;
    else if (server->listeners[listener].is_unix)
        session->flags |= SESSION_UNIX;
    session_reset(session);
    if (server->session_count == server->session_capacity) {
        uint32_t capacity =
            server->session_capacity ? server->session_capacity * 2 : FIRST_REGISTRY;
        server->sessions = memory_resize(server->sessions, capacity * sizeof(struct session *));
        server->session_capacity = capacity;
    }
    session->index = server->session_count;
    server->sessions[server->session_count++] = session;
    session_watch(session);
    return session;
}

void session_close(struct session *session) {
    struct server *server = session->server;
    if (unlikely(session->flags & SESSION_REPLICATION)) server->replication.hooks->gone(session);
    turn_forget(server, session);
    if (session->socket != IO_NONE) {
        io_unwatch(server->io, session->socket);
        io_close_socket(server->io, session->socket);
    }
    client_limit_forget(session);
    memory_room_forget(session);
    struct session *moved = server->sessions[--server->session_count];
    server->sessions[session->index] = moved;
    moved->index = session->index;
    waiting_forget(session);
    transaction_forget(session);
    monitor_remove(session);
    pubsub_forget(session);
    tracking_forget(session);
    while (session->held)
        session_drop_first_held(session);
    request_parser_release(&session->parser);
    buffer_release(&session->input);
    output_release(&session->output);
    memory_free(session->name);
    memory_free(session->library_name);
    memory_free(session->library_version);
    memory_free(session);
}

void session_close_later(struct session *session) {
    struct server *server = session->server;
    if (session->flags & SESSION_CLOSE_NOW) return;
    waiting_cancel(session);
    session->flags |= SESSION_CLOSE_NOW;
    session->close_next = server->close_first;
    server->close_first = session;
}

void session_reset(struct session *session) {
    transaction_discard(session);
    monitor_remove(session);
    pubsub_forget(session);
    tracking_end(session);
    session->database = 0;
    session->protocol = 2;
    session->reply.protocol = 2;
    session->flags &= ~(uint32_t)(SESSION_NO_EVICT | SESSION_NO_TOUCH | SESSION_REPLY_OFF |
                                  SESSION_REPLY_SKIP_NEXT);
    acl_begin_session(session);
    session_set_text(&session->name, NULL);
}

bool session_is_authenticated(const struct session *session) {
    return session->authenticated || acl_is_open(session->server);
}

void session_set_text(char **place, const struct bytes *text) {
    memory_free(*place);
    *place = text ? memory_copy(text->data, text->size) : NULL;
}

/* ---- description ---- */

void session_address(const struct session *session, char out[IO_ADDRESS_TEXT_MAX]) {
    struct io *io = session->server->io;
    if (session->socket == IO_NONE)
        memcpy(out, "?:0", 4);
    else
        io->operations->peer_name(io, session->socket, out);
}

void session_local_address(const struct session *session, char out[IO_ADDRESS_TEXT_MAX]) {
    struct io *io = session->server->io;
    if (session->socket == IO_NONE)
        memcpy(out, "?:0", 4);
    else
        io->operations->local_name(io, session->socket, out);
}

size_t session_memory(const struct session *session) {
    return sizeof *session + session->input.capacity + session_output_size(session) +
           request_parser_memory(&session->parser) + session->held_bytes +
           transaction_memory(session) + pubsub_memory(session);
}

static void describe_flags(const struct session *session, struct buffer *out) {
    size_t before = out->size;
    if (session->flags & SESSION_MONITOR) buffer_append_byte(out, 'O');
    if (session->flags & SESSION_REPLICA) buffer_append_byte(out, 'S');
    if (session->flags & (SESSION_PRIMARY | SESSION_RAW)) buffer_append_byte(out, 'M');
    if (session->flags & SESSION_SUBSCRIBED) buffer_append_byte(out, 'P');
    if (session->flags & SESSION_MULTI) buffer_append_byte(out, 'x');
    if (session_is_blocked(session)) buffer_append_byte(out, 'b');
    if (tracking_mode(session) & TRACKING_ON) buffer_append_byte(out, 't');
    if (tracking_mode(session) & TRACKING_BROKEN) buffer_append_byte(out, 'R');
    if (tracking_mode(session) & TRACKING_BCAST) buffer_append_byte(out, 'B');
    if (session->flags & SESSION_WATCH_BROKEN) buffer_append_byte(out, 'd');
    if (session->flags & SESSION_CLOSE_AFTER_REPLY) buffer_append_byte(out, 'c');
    if (session->flags & SESSION_CLOSE_NOW) buffer_append_byte(out, 'A');
    if (session->flags & SESSION_UNIX) buffer_append_byte(out, 'U');
    if (session->flags & SESSION_NO_EVICT) buffer_append_byte(out, 'e');
    if (session->flags & SESSION_NO_TOUCH) buffer_append_byte(out, 'T');
    if (out->size == before) buffer_append_byte(out, 'N');
}

static const char *shown(const char *name, bool is_hidden) {
    if (!name) return "";
    return is_hidden ? "*redacted*" : name;
}

/* The request that it is executing, as it came; NULL: none, or one that was held. */
static const struct request *executing_request(const struct session *session) {
    const struct turn *turn = &session->server->turn;
    return turn->executing == session && turn->executing_item ? &turn->executing_item->request
                                                              : NULL;
}

static size_t executing_size(const struct session *session) {
    const struct request *request = executing_request(session);
    return request ? request->size : 0;
}

/* Bytes of the words that are being read, executed or held. */
static size_t argument_memory(const struct session *session) {
    const struct request *request = executing_request(session);
    size_t bytes = request_parser_memory(&session->parser);
    if (request) bytes += word_bytes(request);
    for (const struct session_held *held = session->held; held; held = held->next)
        bytes += word_bytes(&held->request);
    return bytes;
}

static void describe(const struct session *session, bool hides_names, struct buffer *out) {
    const struct server *server = session->server;
    struct bytes user = acl_user_name(session->user);
    char peer[IO_ADDRESS_TEXT_MAX], local[IO_ADDRESS_TEXT_MAX];
    session_address(session, peer);
    session_local_address(session, local);
    int fd = session->socket == IO_NONE
                 ? -1
                 : server->io->operations->socket_number(server->io, session->socket);
    size_t waiting = session->input.size - session->input_position;
    buffer_append_format(out, "id=%llu addr=%s laddr=%s fd=%d name=%s age=%lld idle=%lld flags=",
                         (unsigned long long)session->id, peer, local, fd,
                         shown(session->name, hides_names),
                         (long long)(server->monotonic_ms - session->created_ms) / 1000,
                         (long long)(server->monotonic_ms - session->active_ms) / 1000);
    describe_flags(session, out);
    buffer_append_format(
        out,
        " db=%u sub=%u psub=%u ssub=%u multi=%d watch=%u qbuf=%zu qbuf-free=%zu argv-mem=%zu"
        " multi-mem=%zu"
        " rbs=0 rbp=0 obl=%zu oll=%u omem=%zu tot-mem=%zu events=%s%s cmd=",
        session->database, pubsub_count(session, PUBSUB_CHANNEL),
        pubsub_count(session, PUBSUB_PATTERN), pubsub_count(session, PUBSUB_SHARD),
        session->flags & SESSION_MULTI ? (int)session->transaction->count : -1,
        session->watch_count, waiting + executing_size(session),
        session->input.capacity - session->input.size, argument_memory(session),
        session->flags & SESSION_MULTI || session->watches ? transaction_memory(session) : 0,
        session->output.piece.size, session->output.chunk_count, session_output_size(session),
        session_memory(session), session->watched & IO_READABLE ? "r" : "",
        session->watched & IO_WRITABLE ? "w" : "");
    if (session->last_executed)
        buffer_append(out, session->last_executed->full_name.data,
                      session->last_executed->full_name.size);
    else
        buffer_append_text(out, "NULL");
    buffer_append_format(out, " user=%.*s redir=%lld resp=%d lib-name=%s lib-ver=%s",
                         (int)user.size, user.data, (long long)tracking_target(session),
                         session->protocol, shown(session->library_name, hides_names),
                         shown(session->library_version, hides_names));
}

void session_describe(const struct session *session, struct buffer *out) {
    describe(session, false, out);
}

void session_describe_in_log(const struct session *session, struct buffer *out) {
    describe(session, session->server->config->hide_user_data_from_log, out);
}

/* link.c: the connection to the primary: what is said at its beginning, and the stream. Owns the
 * link's session while there is one. */
#include "repl/link.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "engine/config.h"
#include "engine/dispatch.h"
#include "engine/server.h"
#include "engine/session.h"
#include "rdb/writer.h"
#include "repl/receive.h"
#include "repl/replicator.h"
#include <errno.h>
#include <stdio.h>

enum {
    SECOND_US = 1000000,
    FIRST_TRY_US = 100000,
    LINE_MAX_SIZE = 4096,
    HEARD_BYTES = 64 * 1024,   /* received at once before the stream */
    EVENT_BYTES = 1024 * 1024, /* of a dataset, in one turn */
};

static struct link *link_of(const struct server *server) {
    return &replicator_of(server)->link;
}

bool link_is_up(const struct server *server) {
    return link_of(server)->state == LINK_UP;
}

void link_acknowledge_soon(struct server *server) {
    link_of(server)->ack_wanted = true;
    server->replication.wanted = true;
}

/* ---- breaking off ---- */

static void end_receiving(struct link *link, bool keeps) {
    if (link->receive) receive_end(link->receive, keeps);
    link->receive = NULL;
}

/* What is left of the connection goes; the next try is in a while. */
static void rest(struct server *server) {
    struct link *link = link_of(server);
    if (link->state == LINK_UP) link->down_since_us = server->monotonic_us;
    if (link->state != LINK_LOADS) end_receiving(link, false); /* it is loaded all the same */
    buffer_release(&link->input);
    buffer_release(&link->unit);
    link->session = NULL;
    link->connecting = NULL; /* its end finds that nobody waits for it */
    if (link->state == LINK_LOADS) return;
    link->try_us = server->monotonic_us + (link->failures++ == 0 ? FIRST_TRY_US : SECOND_US);
    link->state = LINK_WANTED;
    replicator_due(server, link->try_us);
}

void link_break(struct server *server) {
    struct link *link = link_of(server);
    struct session *session = link->session;
    if (link->state == LINK_NONE || link->state == LINK_WANTED) return;
    if (session) {
        session->flags &= ~(uint32_t)SESSION_REPLICATION;
        session_close_later(session);
    }
    rest(server);
}

void link_forget(struct session *session) {
    struct server *server = session->server;
    struct link *link = link_of(server);
    if (link->session != session) return;
    if (link->state == LINK_UP) {
        log_notice(server->log, "Connection with master lost.");
        log_notice(server->log, "Caching the disconnected master state.");
    } else {
        log_warning(server->log, "The connection with the master was lost before it was in sync");
    }
    rest(server);
}

/* Say why in the log, and break off. */
#define give_up(server, ...) (log_warning((server)->log, __VA_ARGS__), link_break(server))

/* ---- what is said at the beginning ---- */

enum step { SAY_PING, SAY_AUTH, SAY_PORT, SAY_ADDRESS, SAY_CAPABILITIES, SAY_PSYNC };

static void say(struct link *link, const struct bytes *words, size_t count) {
    struct buffer text = {0};
    request_encode(&text, words, count);
    session_send(link->session, buffer_bytes(&text));
    buffer_release(&text);
}

static void say_auth(struct server *server) {
    const struct config *config = server->config;
    struct bytes words[3] = {BYTES("AUTH")};
    size_t count = 1;
    if (config->masteruser.size > 0) words[count++] = config->masteruser;
    words[count++] = config->masterauth;
    say(link_of(server), words, count);
}

static void say_port(struct server *server) {
    const struct config *config = server->config;
    char digits[NUMBER_I64_TEXT_MAX];
    int64_t port = config->replica_announce_port ? config->replica_announce_port : config->port;
    struct bytes words[] = {BYTES("REPLCONF"), BYTES("listening-port"),
                            bytes_make(digits, number_format_i64(digits, port))};
    say(link_of(server), words, 3);
}

static void say_psync(struct server *server) {
    struct link *link = link_of(server);
    char digits[NUMBER_I64_TEXT_MAX];
    struct bytes words[] = {BYTES("PSYNC"), BYTES("?"), BYTES("-1"), BYTES("FAILOVER")};
    if (link->has_history) {
        words[1] = bytes_from_text(server->replication.id);
        words[2] =
            bytes_make(digits, number_format_i64(digits, (int64_t)server->journal.offset + 1));
        log_notice(server->log, "Trying a partial resynchronization (request %s:%.*s).",
                   server->replication.id, (int)words[2].size, words[2].data);
    } else {
        log_notice(server->log, "Partial resynchronization not possible (no cached master)");
    }
    say(link, words, link->steps_down ? 4 : 3);
}

/* False: this step has nothing to say here. */
static bool say_step(struct server *server) {
    struct link *link = link_of(server);
    const struct config *config = server->config;
    switch ((enum step)link->step) {
    case SAY_PING: say(link, &BYTES("PING"), 1); return true;
    case SAY_AUTH:
        if (config->masterauth.size == 0) return false;
        say_auth(server);
        return true;
    case SAY_PORT: say_port(server); return true;
    case SAY_ADDRESS: {
        struct bytes words[] = {BYTES("REPLCONF"), BYTES("ip-address"),
                                config->replica_announce_ip};
        if (words[2].size == 0) return false;
        say(link, words, 3);
        return true;
    }
    case SAY_CAPABILITIES: {
        struct bytes words[] = {BYTES("REPLCONF"), BYTES("capa"), BYTES("eof"), BYTES("capa"),
                                BYTES("psync2")};
        say(link, words, 5);
        return true;
    }
    case SAY_PSYNC: say_psync(server); return true;
    }
    return true;
}

static void next_step(struct server *server) {
    struct link *link = link_of(server);
    do
        link->step++;
    while (!say_step(server));
}

static bool begins(struct bytes line, const char *text) {
    size_t size = strlen(text);
    return line.size >= size && memcmp(line.data, text, size) == 0;
}

/* What came behind the lines is the stream's. */
static void come_up(struct server *server) {
    struct link *link = link_of(server);
    struct session *session = link->session;
    session->flags = (session->flags & ~(uint32_t)(SESSION_RAW | SESSION_DEAF)) | SESSION_PRIMARY;
    session->database = server->journal.database < 0 ? 0 : (uint32_t)server->journal.database;
    INVARIANT(session->database < server->keyspace.database_count);
    link->state = LINK_UP;
    link->failures = 0;
    link->has_history = true;
    link->steps_down = false;
    failover_end(server, true);
    buffer_release(&link->unit);
    if (link->input.size > 0) {
        buffer_append(&session->input, link->input.data, link->input.size);
        session->flags |= SESSION_MORE;
        turn_enqueue(server, session);
    }
    buffer_release(&link->input);
    session->active_ms = server->monotonic_ms;
    session_watch(session);
    link_acknowledge_soon(server);
    primary_open_backlog(server);
}

static void take_continue(struct server *server, struct bytes line) {
    static const char word[] = "+CONTINUE ";
    log_notice(server->log, "Successful partial resynchronization with master.");
    if (begins(line, word) && line.size >= sizeof word - 1 + LINK_ID_SIZE) {
        char id[LINK_ID_SIZE + 1] = {0};
        memcpy(id, line.data + sizeof word - 1, LINK_ID_SIZE);
        if (strcmp(id, server->replication.id) != 0) {
            struct replication *replication = &server->replication;
            memcpy(replication->second_id, replication->id, sizeof replication->second_id);
            replication->second_offset = server->journal.offset;
            replication_set_id(server, id);
            log_notice(server->log, "Master replication ID changed to %s", id);
            primary_drop_replicas(server); /* who come again to learn it */
        }
    }
    come_up(server);
}

static void take_full(struct server *server, struct bytes line) {
    struct link *link = link_of(server);
    enum { ID_AT = 12, OFFSET_AT = ID_AT + LINK_ID_SIZE + 1 };
    if (line.size <= OFFSET_AT || line.data[OFFSET_AT - 1] != ' ' ||
        !number_parse_u64(bytes_make(line.data + OFFSET_AT, line.size - OFFSET_AT),
                          &link->offset)) {
        give_up(server, "Master replied with wrong +FULLRESYNC syntax.");
        return;
    }
    memcpy(link->id, line.data + ID_AT, LINK_ID_SIZE);
    link->id[LINK_ID_SIZE] = 0;
    log_notice(server->log, "Full resync from master: %s:%llu", link->id,
               (unsigned long long)link->offset);
    link->step++; /* the dataset's head comes next */
}

static void take_head(struct server *server, struct bytes line) {
    struct link *link = link_of(server);
    if (line.data[0] != '$') {
        give_up(server, "Bad protocol from MASTER, the first byte is not '$' (%.*s)",
                (int)line.size, line.data);
        return;
    }
    link->receive = receive_begin(server, bytes_make(line.data + 1, line.size - 1));
    if (!link->receive) {
        give_up(server, "Bad protocol from MASTER: %.*s", (int)line.size, line.data);
        return;
    }
    link->state = LINK_RECEIVES;
    int64_t total = receive_total(link->receive);
    if (total < 0)
        log_notice(server->log, "MASTER <-> REPLICA sync: receiving streamed RDB from master with "
                                "EOF to disk");
    else
        log_notice(server->log, "MASTER <-> REPLICA sync: receiving %lld bytes from master to disk",
                   (long long)total);
}

static void take_psync(struct server *server, struct bytes line) {
    if (begins(line, "+CONTINUE")) {
        if (link_of(server)->has_history)
            take_continue(server, line);
        else
            give_up(server, "Master continues a history that was not asked for");
    } else if (begins(line, "+FULLRESYNC ")) {
        take_full(server, line);
    } else {
        give_up(server, "Unexpected reply to PSYNC from master: %.*s", (int)line.size, line.data);
        if (line.data[0] == '-') failover_end(server, false);
    }
}

static void take_line(struct server *server, struct bytes line) {
    struct link *link = link_of(server);
    bool failed = line.data[0] == '-';
    switch (link->step) {
    case SAY_PING:
        if (failed && !begins(line, "-NOAUTH") && !begins(line, "-NOPERM") &&
            !begins(line, "-ERR operation not permitted")) {
            give_up(server, "Error reply to PING from master: '%.*s'", (int)line.size, line.data);
            return;
        }
        log_notice(server->log, "Master replied to PING, replication can continue...");
        break;
    case SAY_AUTH:
        if (failed) {
            give_up(server, "Unable to AUTH to MASTER: %.*s", (int)line.size, line.data);
            return;
        }
        break;
    case SAY_PORT:
    case SAY_ADDRESS:
    case SAY_CAPABILITIES:
        if (failed)
            log_notice(server->log, "(Non critical) Master does not understand REPLCONF: %.*s",
                       (int)line.size, line.data);
        break;
    case SAY_PSYNC: take_psync(server, line); return;
    default: take_head(server, line); return;
    }
    next_step(server);
}

/* Lines, as long as lines are expected. */
static void take_lines(struct server *server) {
    struct link *link = link_of(server);
    while (link->state == LINK_SPEAKS) {
        const char *end =
            link->input.size ? memchr(link->input.data, '\n', link->input.size) : NULL;
        if (!end) {
            if (link->input.size > LINE_MAX_SIZE) give_up(server, "Bad protocol from MASTER");
            return;
        }
        char text[LINE_MAX_SIZE + HEARD_BYTES];
        size_t size = (size_t)(end - link->input.data), length = size;
        memcpy(text, link->input.data, size);
        buffer_consume(&link->input, size + 1);
        if (length > 0 && text[length - 1] == '\r') length--;
        if (length > 0) take_line(server, bytes_make(text, length)); /* else a sign of life */
    }
}

/* ---- the dataset ---- */

/* Bytes that came with the lines. */
static void pass_on(struct server *server) {
    struct link *link = link_of(server);
    size_t at = 0;
    while (at < link->input.size && !receive_is_whole(link->receive)) {
        size_t room, size = link->input.size - at;
        char *into = receive_room(link->receive, &room);
        if (!into) break;
        if (size > room) size = room;
        memcpy(into, link->input.data + at, size);
        at += size - receive_filled(link->receive, size);
    }
    if (at > 0) buffer_consume(&link->input, at);
}

static void load(struct server *server);

/* All is there, or cannot be. */
static void check_dataset(struct server *server) {
    struct link *link = link_of(server);
    if (link->state != LINK_RECEIVES) return;
    int error = receive_error(link->receive);
    if (error < 0)
        give_up(server,
                "Write error or short write writing to the DB dump file needed for "
                "MASTER <-> REPLICA synchronization: %s",
                strerror(-error));
    else if (receive_is_written(link->receive))
        load(server);
}

/* Up to `room` bytes from the primary; as io_receive. */
static int64_t hear(struct session *session, char *into, size_t room) {
    struct server *server = session->server;
    int64_t size = io_receive(server->io, session->socket, into, room);
    if (size <= 0) return size;
    session->active_ms = server->monotonic_ms;
    session->bytes_in += (uint64_t)size;
    server->statistics.bytes_in += (uint64_t)size;
    server->statistics.replicated_in += (uint64_t)size;
    return size;
}

static void hear_dataset(struct session *session) {
    struct server *server = session->server;
    struct link *link = link_of(server);
    size_t heard = 0;
    pass_on(server);
    while (link->state == LINK_RECEIVES && !receive_is_whole(link->receive) &&
           heard < EVENT_BYTES) {
        size_t room;
        char *into = receive_room(link->receive, &room);
        if (!into) { /* until the worker has written */
            session->flags |= SESSION_DEAF;
            session_watch(session);
            break;
        }
        int64_t size = hear(session, into, room);
        if (size == -EAGAIN) break;
        if (size <= 0) {
            give_up(server, "I/O error trying to sync with MASTER: %s",
                    size < 0 ? strerror((int)-size) : "connection lost");
            return;
        }
        heard += (size_t)size;
        size_t beyond = receive_filled(link->receive, (size_t)size);
        if (beyond > 0) buffer_append(&link->input, into + size - beyond, beyond);
    }
    if (link->state == LINK_RECEIVES && receive_is_whole(link->receive)) {
        session->flags |= SESSION_DEAF;
        session_watch(session);
    }
    check_dataset(server);
}

static bool is_empty(const struct server *server) {
    return keyspace_count(&server->keyspace) == 0;
}

/* The stream that was ends here: nobody may read on. */
static void leave_history(struct server *server) {
    primary_drop_replicas(server);
    server_close_marked(server);
    journal_commit(&server->journal);
    appending_end(server);
    primary_close_backlog(server);
}

/* The part was changed while the dataset of another one was being loaded: what is there now stands
 * nowhere in any history. */
static void forsake(struct server *server) {
    leave_history(server);
    link_of(server)->has_history = false;
    replication_forget(server);
    if (server->config->appendonly && !appending_begin(server, false))
        server->appending.switches = true;
}

static void loaded(struct server *server, const struct rdb_history *history) {
    struct link *link = link_of(server);
    bool still_wanted = link->state == LINK_LOADS;
    if (!still_wanted || !history) {
        end_receiving(link, false);
        if (!history)
            log_warning(server->log, "Failed trying to load the MASTER synchronization DB from "
                                     "disk, check server logs.");
        if (!still_wanted) {
            forsake(server);
            return;
        }
        link->has_history = false;
        link->state = LINK_SPEAKS; /* which rests */
        link_break(server);
        return;
    }
    leave_history(server);
    struct replication *replication = &server->replication;
    replication->second_id[0] = 0;
    replication->second_offset = 0;
    replication_set_id(server, link->id);
    journal_continue(&server->journal, link->offset);
    /* Which the stream says itself before its first command. */
    bool is_there = history->database >= 0 && history->database < server->keyspace.database_count;
    journal_set_database(&server->journal, is_there ? history->database : 0);
    replication->is_loaded = false;
    link->has_history = true;
    const struct config *config = server->config;
    end_receiving(link, config->save.count > 0 && !config->appendonly);
    log_notice(server->log, "MASTER <-> REPLICA sync: Finished with success");
    if (config->appendonly && !appending_begin(server, false)) server->appending.switches = true;
    if (link->session) {
        come_up(server);
    } else {
        link->state = LINK_SPEAKS;
        rest(server);
    }
}

static void load(struct server *server) {
    struct link *link = link_of(server);
    bool aside = server->config->repl_diskless_load == DISKLESS_LOAD_SWAPDB && !is_empty(server);
    const struct loading_replacement replacement = {
        .path = receive_path(link->receive), .is_aside = aside, .ended = loaded};
    link->state = LINK_LOADS;
    log_notice(server->log, "MASTER <-> REPLICA sync: %s",
               aside ? "Loading DB aside, the old one answers meanwhile" : "Flushing old data");
    if (!aside) {
        saving_cancel(server);
        leave_history(server);
        link->has_history = false;
        log_notice(server->log, "MASTER <-> REPLICA sync: Loading DB in memory");
    }
    loading_replace(server, &replacement);
}

/* ---- events ---- */

static void connected(struct server *server) {
    struct link *link = link_of(server);
    int result = server->io->operations->connect_result(server->io, link->session->socket);
    if (result < 0) {
        give_up(server, "Error condition on socket for SYNC: %s", strerror(-result));
        return;
    }
    log_notice(server->log, "Non blocking connect for SYNC fired the event.");
    link->state = LINK_SPEAKS;
    link->step = SAY_PING;
    say_step(server);
    link->session->flags &= ~(uint32_t)SESSION_WANTS_WRITE;
    session_watch(link->session);
}

static void hear_lines(struct session *session) {
    struct server *server = session->server;
    struct link *link = link_of(server);
    char *into = buffer_reserve(&link->input, HEARD_BYTES);
    int64_t size = hear(session, into, HEARD_BYTES);
    if (size == -EAGAIN) return;
    if (size <= 0) {
        give_up(server, "Failed to read response from the server: %s",
                size < 0 ? strerror((int)-size) : "the connection was closed");
        return;
    }
    link->input.size += (size_t)size;
    take_lines(server);
    if (link->state == LINK_RECEIVES) hear_dataset(session);
}

void link_event(struct session *session, uint32_t ready) {
    struct server *server = session->server;
    struct link *link = link_of(server);
    if (link->session != session || server->turn.interrupted) return; /* it is told again */
    if (session->flags & SESSION_DEAF) {
        /* It is read again later, and then found to be closed. */
        if (ready & IO_HANGUP) {
            io_unwatch(server->io, session->socket);
            session->watched = 0;
        }
        return;
    }
    if (link->state == LINK_CONNECTING) {
        if (ready & (IO_WRITABLE | IO_HANGUP)) connected(server);
        return;
    }
    if (!(ready & (IO_READABLE | IO_HANGUP))) return;
    if (link->state == LINK_SPEAKS)
        hear_lines(session);
    else if (link->state == LINK_RECEIVES)
        hear_dataset(session);
}

/* ---- the stream ---- */

static void report_failure(struct server *server, const struct request *request) {
    struct bytes name = request->arguments[0];
    log_warning(server->log,
                "== CRITICAL == This replica is sending an error to its master: the command "
                "'%.*s' of the stream could not be run",
                (int)(name.size < 64 ? name.size : 64), name.data);
    server->statistics.unexpected_errors++;
    if (server->config->propagation_error_behavior != PROPAGATION_IGNORE)
        invariant_panic("The command '%.*s' of the primary's stream could not be run",
                        (int)(name.size < 64 ? name.size : 64), name.data);
}

void link_apply(struct session *session, const struct command *command, struct request *request,
                const uint64_t *hashes) {
    struct server *server = session->server;
    struct link *link = link_of(server);
    if (link->session != session) return;
    size_t before = link->unit.size;
    request_encode(&link->unit, request->arguments, request->count);
    if (link->unit.size - before != request->size) {
        link->has_history = false;
        give_up(server, "The stream of the master is not as it should be: all is read anew");
        return;
    }
    if (!dispatch_replicated(session, command, request, hashes)) report_failure(server, request);
    if (session->flags & SESSION_MULTI) return;
    journal_copy(&server->journal, buffer_bytes(&link->unit));
    journal_set_database(&server->journal, session->database);
    buffer_clear(&link->unit);
}

/* What is acknowledged is on disk. */
static bool promises_disk(const struct server *server) {
    return server->config->appendonly && server->config->appendfsync == FSYNC_ALWAYS;
}

static void acknowledge(struct server *server) {
    struct link *link = link_of(server);
    const struct appending *appending = &server->appending;
    char offset[NUMBER_I64_TEXT_MAX], safe[NUMBER_I64_TEXT_MAX];
    struct bytes words[] = {
        BYTES("REPLCONF"), BYTES("ACK"),
        bytes_make(offset, number_format_u64(offset, server->journal.offset)), BYTES("FACK"),
        bytes_make(safe, number_format_u64(safe, aof_safe_offset(&appending->aof)))};
    /* Until the dataset is in its files nothing is as safe as it was promised to be; all the same
     * the primary learns that this replica is there. */
    if (promises_disk(server) && !appending_is_established(appending))
        words[2] = words[4] = BYTES("0");
    link->ack_wanted = false;
    link->acked_us = server->monotonic_us;
    say(link, words, appending->is_on ? 5 : 3);
}

/* ---- time ---- */

static void open_session(struct server *server, io_socket socket) {
    struct link *link = link_of(server);
    if (socket < 0) {
        log_warning(server->log, "Unable to connect to MASTER: %s", strerror(-socket));
        rest(server);
        return;
    }
    log_notice(server->log, "MASTER <-> REPLICA sync started");
    server->io->operations->set_no_delay(server->io, socket, true);
    link->session = session_open(server, socket, 0);
    link->session->flags &= ~(uint32_t)SESSION_UNIX;
    link->session->user = NULL;
    link->session->authenticated = true;
    link->session->restricted = false;
    link->session->flags |= SESSION_RAW | SESSION_WANTS_WRITE | SESSION_NO_EVICT;
    link->session->active_ms = server->monotonic_ms;
    link->state = LINK_CONNECTING;
    session_watch(link->session);
}

/* A connection whose host has to be looked up, which may take as long as the network likes. */
struct connecting {
    struct server *server;
    char host[LINK_HOST_SIZE];
    char *source; /* NULL: any */
    uint16_t port;
    io_socket socket;
};

static void connect_now(struct connecting *connecting) {
    struct io *io = connecting->server->io;
    connecting->socket =
        io->operations->connect_tcp(io, connecting->host, connecting->port, connecting->source);
}

static void connect_work(void *connecting) {
    connect_now(connecting);
}

/* Is it still wanted? */
static void connect_done(void *context) {
    struct connecting *connecting = context;
    struct server *server = connecting->server;
    struct link *link = link_of(server);
    bool is_wanted = link->connecting == connecting;
    if (is_wanted) {
        link->connecting = NULL;
        open_session(server, connecting->socket);
    } else if (connecting->socket >= 0) {
        io_close_socket(server->io, connecting->socket);
    }
    memory_free(connecting->source);
    memory_free(connecting);
}

/* Nobody has to be asked where it is. */
static bool is_address(const char *host) {
    return strchr(host, ':') || host[strspn(host, "0123456789.")] == 0;
}

static void connect_to(struct server *server) {
    struct link *link = link_of(server);
    struct bytes source = server->config->bind_source_addr;
    log_notice(server->log, "Connecting to MASTER %s:%u", link->host, link->port);
    struct connecting *connecting = memory_alloc_zeroed(1, sizeof *connecting);
    connecting->server = server;
    connecting->port = link->port;
    memcpy(connecting->host, link->host, sizeof connecting->host);
    if (source.size > 0) connecting->source = memory_copy_text(source.data);
    link->connecting = connecting;
    link->state = LINK_CONNECTING;
    if (is_address(link->host)) {
        connect_now(connecting);
        connect_done(connecting);
    } else {
        io_submit(server->io, IO_LANE_FREE, connect_work, connect_done, connecting);
    }
}

static void check_silence(struct server *server) {
    struct link *link = link_of(server);
    if (!link->session || link->state == LINK_LOADS || link->session->flags & SESSION_DEAF) return;
    if (server->monotonic_ms - link->session->active_ms <= server->config->repl_timeout * 1000)
        return;
    static const char *const texts[] = {
        [LINK_CONNECTING] = "Timeout connecting to the MASTER...",
        [LINK_SPEAKS] = "Timeout connecting to the MASTER...",
        [LINK_RECEIVES] = "Timeout receiving bulk data from MASTER... If the problem persists try "
                          "to set the 'repl-timeout' parameter in redis.conf to a larger value.",
        [LINK_UP] = "MASTER timeout: no data nor PING received...",
        [LINK_LOADS] = "",
    };
    give_up(server, "%s", texts[link->state]);
}

void link_step(struct server *server) {
    struct link *link = link_of(server);
    if (link->state == LINK_NONE) return;
    if (link->state == LINK_WANTED && server->monotonic_us >= link->try_us && !server->loading &&
        !server->aside)
        connect_to(server);
    if (link->state == LINK_RECEIVES) {
        struct session *session = link->session;
        if (session->flags & SESSION_DEAF && !receive_is_whole(link->receive)) {
            session->flags &= ~(uint32_t)SESSION_DEAF;
            session_watch(session);
        }
        check_dataset(server);
    }
    check_silence(server);
    if (link->state == LINK_WANTED) {
        replicator_due(server, server->loading || server->aside
                                   ? server->monotonic_us + FIRST_TRY_US
                                   : link->try_us);
        return;
    }
    bool is_time = server->monotonic_us - link->acked_us >= SECOND_US;
    if (link->state == LINK_UP && (link->ack_wanted || is_time)) acknowledge(server);
    if (link->state == LINK_LOADS && is_time && link->session) { /* a sign of life */
        link->acked_us = server->monotonic_us;
        session_send(link->session, BYTES("\n"));
    }
    replicator_due(server, server->monotonic_us + SECOND_US -
                               (server->monotonic_us - link->acked_us) % SECOND_US);
}

void link_follow(struct server *server, const char *host, uint16_t port) {
    struct link *link = link_of(server);
    link_break(server);
    if (link->state == LINK_LOADS) end_receiving(link, false);
    link->state = LINK_NONE;
    if (!host) return;
    snprintf(link->host, sizeof link->host, "%s", host);
    link->port = port;
    link->state = LINK_WANTED;
    link->failures = 0;
    link->try_us = server->monotonic_us;
    link->down_since_us = server->monotonic_us;
    server->replication.wanted = true;
}

void link_close(struct server *server) {
    struct link *link = link_of(server);
    link_break(server);
    server->io->operations->finish_work(server->io);
    end_receiving(link, false);
    link->state = LINK_NONE;
}

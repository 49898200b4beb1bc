/* replication.c: the history's ids. */
#include "engine/replication.h"

#include "engine/config.h"
#include "engine/server.h"
#include "rdb/writer.h"

void replication_set_id(struct server *server, const char *id) {
    memcpy(server->replication.id, id, REPLICATION_ID_SIZE);
    if (server->appending.is_open) aof_set_id(&server->appending.aof, id);
}

static void make_id(struct server *server) {
    char id[REPLICATION_ID_SIZE + 1];
    server_make_id(server->io, id);
    replication_set_id(server, id);
}

void replication_history(const struct server *server, struct rdb_history *history) {
    const struct journal *journal = &server->journal;
    *history = (struct rdb_history){.database = -1};
    if (!journal_active(journal)) return;
    memcpy(history->id, server->replication.id, REPLICATION_ID_SIZE);
    history->offset = journal->offset;
    history->database = journal->database;
}

void replication_begin_epoch(struct server *server) {
    struct replication *replication = &server->replication;
    memcpy(replication->second_id, replication->id, sizeof replication->second_id);
    replication->second_offset = server->journal.offset;
    make_id(server);
    journal_forget_database(&server->journal);
}

void replication_forget(struct server *server) {
    struct replication *replication = &server->replication;
    replication->second_id[0] = 0;
    replication->second_offset = 0;
    make_id(server);
}

/* Bytes from a file: a server that has more databases may have written it, or nobody. */
static bool can_go_on(const struct server *server, const struct rdb_history *history) {
    static const char digits[] = "0123456789abcdef";
    return strspn(history->id, digits) == REPLICATION_ID_SIZE && history->offset <= INT64_MAX &&
           history->database < (int64_t)server->keyspace.database_count;
}

void replication_continue(struct server *server, const struct rdb_history *history) {
    struct replication *replication = &server->replication;
    if (!can_go_on(server, history)) return;
    replication_set_id(server, history->id);
    journal_continue(&server->journal, history->offset);
    journal_set_database(&server->journal, history->database);
    replication->is_loaded = true;
}

void replication_loaded(struct server *server) {
    bool follows = server->config->replicaof.host.size > 0;
    if (server->replication.is_loaded && !follows) replication_begin_epoch(server);
}

void replication_start(struct server *server) {
    if (server->replication.host) server->replication.hooks->start(server);
}

void replication_count(struct server *server) {
    struct replication *replication = &server->replication;
    if (!journal_active(&server->journal) && !replication->is_loaded && !replication->is_replica)
        replication_forget(server);
    replication->is_loaded = false;
}

/* memory.c: MEMORY: what memory is used for. */
#include "command/command_handlers.h"

#include "base/memory.h"
#include "engine/call.h"
#include "engine/config.h"
#include "engine/report.h"
#include "engine/server.h"
#include <stdio.h>

/* SAMPLES is checked and changes nothing: the size of every value is known. */
static bool parse_samples(struct call *call) {
    int64_t samples;
    for (uint32_t i = 3; i < call->argc; i += 2) {
        if (!call_argument_is(call, i, "samples") || i + 1 >= call->argc) {
            call_error_syntax(call);
            return false;
        }
        if (!call_parse_i64(call, i + 1, &samples, NULL)) return false;
        if (samples >= 0) continue;
        call_error_syntax(call);
        return false;
    }
    return true;
}

void command_memory_usage(struct call *call) {
    if (!parse_samples(call)) return;
    const struct entry *entry = call_peek(call, 2);
    if (entry)
        reply_integer(call->reply, (int64_t)database_entry_memory(call->database, entry));
    else
        reply_null(call->reply);
}

/* ---- STATS ---- */

/* A ratio as a number of RESP3, with all its digits. */
static double ratio(double whole, double part) {
    return part > 0 ? whole / part : 0;
}

static void field(struct call *call, const char *name, int64_t number) {
    reply_bulk_text(call->reply, name);
    reply_integer(call->reply, number);
}

static void field_ratio(struct call *call, const char *name, double value) {
    reply_bulk_text(call->reply, name);
    reply_double(call->reply, value);
}

/* Both how many times as large, and how much more, one is than the other. */
static void field_excess(struct call *call, const char *ratio_name, const char *bytes_name,
                         size_t whole, size_t part) {
    field_ratio(call, ratio_name, ratio((double)whole, (double)part));
    field(call, bytes_name, (int64_t)(whole - part));
}

static size_t databases_in_use(const struct server *server) {
    size_t count = 0;
    for (uint32_t i = 0; i < server->keyspace.database_count; i++)
        count += database_count(&server->keyspace.databases[i]) > 0;
    return count;
}

/* Keys without a time of expiry and keys with one stand in the same table. */
static void databases(struct call *call) {
    const struct keyspace *keyspace = &call->server->keyspace;
    for (uint32_t i = 0; i < keyspace->database_count; i++) {
        const struct database *db = &keyspace->databases[i];
        char name[32];
        if (database_count(db) == 0) continue;
        snprintf(name, sizeof name, "db.%u", i);
        reply_bulk_text(call->reply, name);
        reply_map(call->reply, 3);
        field(call, "overhead.hashtable.main", (int64_t)table_size(&db->store->table));
        field(call, "overhead.hashtable.expires", 0);
        field(call, "overhead.hashtable.slot-to-keys", 0);
    }
}

static void stats_of_allocator(struct call *call, const struct report_memory *memory) {
    struct io_process_status process;
    call->server->io->operations->process_status(call->server->io, &process);
    size_t resident = process.memory_resident;
    size_t mapped = memory->resident > 0 ? memory->resident : resident;
    size_t active = memory->active > 0 ? memory->active : memory->used;
    field(call, "allocator.allocated", (int64_t)memory->used);
    field(call, "allocator.active", (int64_t)active);
    field(call, "allocator.resident", (int64_t)mapped);
    field(call, "allocator.muzzy", (int64_t)memory->muzzy);
    field_excess(call, "allocator-fragmentation.ratio", "allocator-fragmentation.bytes", active,
                 memory->used);
    field_excess(call, "allocator-rss.ratio", "allocator-rss.bytes", mapped, active);
    field_excess(call, "rss-overhead.ratio", "rss-overhead.bytes", resident, mapped);
    field_excess(call, "fragmentation", "fragmentation.bytes", resident, memory->used);
}

void command_memory_stats(struct call *call) {
    enum { FIELDS = 28 };
    const struct server *server = call->server;
    const struct report_memory memory = report_memory(server);
    struct scripting_report scripts = {0};
    if (server->scripting.measure) server->scripting.measure(server->scripting.host, &scripts);
    size_t keys = keyspace_count(&server->keyspace);
    size_t grown = memory.used > memory.startup ? memory.used - memory.startup : 0;
    reply_map(call->reply, FIELDS + databases_in_use(server));
    field(call, "peak.allocated", (int64_t)memory.peak);
    field(call, "total.allocated", (int64_t)memory.used);
    field(call, "startup.allocated", (int64_t)memory.startup);
    field(call, "replication.backlog", (int64_t)memory.backlog);
    field(call, "clients.slaves", (int64_t)memory.replicas);
    field(call, "clients.normal", (int64_t)memory.clients);
    field(call, "cluster.links", 0);
    field(call, "aof.buffer", (int64_t)server->journal.pending.capacity);
    field(call, "lua.caches", (int64_t)scripts.cache_bytes);
    field(call, "functions.caches", (int64_t)scripts.library_bytes);
    databases(call);
    field(call, "overhead.total", (int64_t)memory.overhead);
    field(call, "keys.count", (int64_t)keys);
    field(call, "keys.bytes-per-key", keys > 0 ? (int64_t)(grown / keys) : 0);
    field(call, "dataset.bytes", (int64_t)memory.dataset);
    field_ratio(call, "dataset.percentage", 100 * ratio((double)memory.dataset, (double)grown));
    field_ratio(call, "peak.percentage", 100 * ratio((double)memory.used, (double)memory.peak));
    stats_of_allocator(call, &memory);
}

/* ---- DOCTOR ---- */

struct finding {
    bool applies;
    const char *advice;
};

void command_memory_doctor(struct call *call) {
    enum { SMALL = 5 << 20, MUCH = 10 << 20, CLIENT_BYTES = 200 * 1024 };
    const struct server *server = call->server;
    const struct report_memory memory = report_memory(server);
    struct io_process_status process;
    server->io->operations->process_status(server->io, &process);
    size_t resident = process.memory_resident, clients = server->session_count;
    const struct finding findings[] = {
        {memory.peak > memory.used * 3 / 2, "Peak: much more was in use before than is now, and "
                                            "not all of it may have gone back to the "
                                            "system. MEMORY PURGE gives back what can be.\n"},
        {resident > memory.used * 7 / 5 && resident - memory.used > MUCH,
         "Fragmentation: the process holds much more memory than is in use. MEMORY PURGE gives "
         "pages "
         "back that are empty; the others fill up again as keys come.\n"},
        {clients > 0 && memory.clients / clients > CLIENT_BYTES,
         "Clients: their buffers are large. CLIENT LIST says whose; some may not read their "
         "replies, "
         "or send very large requests. maxmemory-clients and client-output-buffer-limit set "
         "bounds.\n"},
        {server->config->maxmemory > 0 && memory.used > server->config->maxmemory,
         "Limit: more is in use than maxmemory allows. INFO stats says what is evicted.\n"},
        {server->keyspace.epochs.limbo_bytes > memory.used / 4,
         "Views: much is kept for a save that is under way, and will be free when it ends.\n"},
    };
    struct buffer text = {0};
    for (size_t i = 0; i < sizeof findings / sizeof findings[0]; i++)
        if (findings[i].applies) buffer_append_text(&text, findings[i].advice);
    if (memory.used < SMALL) {
        text.size = 0;
        buffer_append_text(&text, "There is too little in memory to judge it.\n");
    } else if (text.size == 0) {
        buffer_append_text(&text, "Nothing is unusual about the memory in use.\n");
    }
    reply_verbatim(call->reply, "txt", buffer_bytes(&text));
    buffer_release(&text);
}

/* ---- the allocator ---- */

static void append_text(void *context, const char *text) {
    buffer_append_text(context, text);
}

void command_memory_malloc_stats(struct call *call) {
    struct buffer text = {0};
    memory_describe(append_text, &text);
    reply_verbatim(call->reply, "txt", buffer_bytes(&text));
    buffer_release(&text);
}

void command_memory_purge(struct call *call) {
    memory_purge();
    reply_ok(call->reply);
}

/* report_memory.c: how much memory is in use, and for what.
 *
 * "Used" is what the allocator has handed out to the engine's thread and to finished work of
 * others, less the room in the chunks of slabs and pools in which no entry and no segment of a
 * table stands: to the allocator a chunk is one block of 2 MiB. Two servers of one thread both
 * report the sum. Where the allocator does not count (sanitizer builds) it is the sum of the parts
 * that we know. */
#include "base/invariant.h"
#include "base/memory.h"
#include "engine/config.h"
#include "engine/report_section.h"
#include "engine/server.h"

static size_t clients_memory(const struct server *server) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < server->session_count; i++)
        if (server->sessions[i]->class != SESSION_CLASS_REPLICA)
            bytes += session_memory(server->sessions[i]);
    return bytes;
}

/* Their outputs are stretches of blocks that are counted once, whoever gets them. */
static size_t replicas_memory(const struct server *server) {
    const struct replication_memory *memory = &server->replication.memory;
    size_t bytes = memory->blocks - memory->backlog;
    for (uint32_t i = 0; i < server->session_count; i++) {
        const struct session *session = server->sessions[i];
        if (session->class == SESSION_CLASS_REPLICA)
            bytes += session_memory(session) - session->output.chunk_bytes;
    }
    return bytes;
}

static size_t keyspace_memory(const struct server *server) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < server->keyspace.database_count; i++)
        bytes += database_memory(&server->keyspace.databases[i]);
    return bytes;
}

static size_t tables_memory(const struct server *server) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < server->keyspace.database_count; i++)
        bytes += table_size(&server->keyspace.databases[i].store->table);
    return bytes;
}

static size_t sum_of_parts(const struct server *server) {
    return server->startup_memory + keyspace_memory(server) + clients_memory(server) +
           replicas_memory(server) + server->replication.memory.backlog +
           server->journal.pending.capacity;
}

/* Of the slabs of the engine's own tables. */
static size_t of_engine_slabs(const struct server *server,
                              size_t (*bytes_of)(const struct slab *)) {
    const struct pubsub *pubsub = &server->pubsub;
    size_t bytes = bytes_of(&pubsub->slab);
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        bytes += bytes_of(&pubsub->topics[kind].slab);
    return bytes + bytes_of(&server->watching.keys.slab) + bytes_of(&server->waiting.keys.slab) +
           bytes_of(&server->tracking.keys.slab);
}

/* A slab's first block reserves a chunk, of which no page is resident before it is used: that is
 * not used memory. */
size_t server_used_memory(const struct server *server) {
    if (unlikely(!server->meter.given)) return sum_of_parts(server);
    return server_used_memory_at_most(server) - keyspace_unused(&server->keyspace) -
           of_engine_slabs(server, slab_unused);
}

void server_note_memory(struct server *server) {
    size_t used = server_used_memory(server);
    if (used > server->statistics.memory_peak) server->statistics.memory_peak = used;
}

/* What slabs gave back to the system though to the allocator it is part of their chunks. */
static size_t discarded(const struct server *server) {
    size_t bytes = of_engine_slabs(server, slab_discarded);
    for (uint32_t i = 0; i < server->keyspace.database_count; i++)
        bytes += slab_discarded(&server->keyspace.databases[i].store->slab);
    return bytes;
}

static size_t less(size_t whole, size_t part) {
    return whole > part ? whole - part : 0;
}

static struct report_memory gather(const struct server *server,
                                   const struct memory_report *allocator) {
    struct report_memory memory = {.used = server_used_memory(server),
                                   .peak = server->statistics.memory_peak,
                                   .startup = server->startup_memory,
                                   .tables = tables_memory(server),
                                   .clients = clients_memory(server),
                                   .replicas = replicas_memory(server),
                                   .backlog = server->replication.memory.backlog,
                                   .active = less(allocator->active, discarded(server)),
                                   .resident = less(allocator->resident, discarded(server)),
                                   .muzzy = allocator->muzzy};
    if (memory.peak < memory.used) memory.peak = memory.used;
    memory.overhead =
        memory.startup + memory.tables + memory.clients + memory.replicas + memory.backlog;
    if (memory.overhead > memory.used) memory.overhead = memory.used;
    memory.dataset = memory.used - memory.overhead;
    return memory;
}

struct report_memory report_memory(const struct server *server) {
    struct memory_report allocator = memory_report();
    return gather(server, &allocator);
}

/* ---- INFO's section ---- */

static double ratio(uint64_t part, uint64_t whole) {
    return whole > 0 ? (double)part / (double)whole : 0;
}

static void append_both(struct report *report, const char *name, uint64_t bytes) {
    char human[64] = "";
    report_number(report, name, bytes);
    strncat(human, name, sizeof human - sizeof "_human");
    strcat(human, "_human");
    report_human(report, human, bytes);
}

static void append_percent(struct report *report, const char *name, double part) {
    buffer_append_format(report->out, "%s:%.2f%%\r\n", name, part * 100);
}

/* How much larger than its part, as a ratio and in bytes, which may be negative. */
static void append_excess(struct report *report, const char *name, const char *bytes_name,
                          uint64_t whole, uint64_t part) {
    report_decimal(report, name, ratio(whole, part));
    buffer_append_format(report->out, "%s:%lld\r\n", bytes_name, (long long)(whole - part));
}

static void append_usage(struct report *report, const struct report_memory *memory) {
    append_both(report, "used_memory", memory->used);
    append_both(report, "used_memory_rss", report->process.memory_resident);
    append_both(report, "used_memory_peak", memory->peak);
    append_percent(report, "used_memory_peak_perc", ratio(memory->used, memory->peak));
    report_number(report, "used_memory_overhead", memory->overhead);
    report_number(report, "used_memory_startup", memory->startup);
    report_number(report, "used_memory_dataset", memory->dataset);
    uint64_t grown = memory->used > memory->startup ? memory->used - memory->startup : 0;
    append_percent(report, "used_memory_dataset_perc", ratio(memory->dataset, grown));
    report_number(report, "allocator_allocated", memory->used);
    report_number(report, "allocator_active", memory->active);
    report_number(report, "allocator_resident", memory->resident);
    report_number(report, "allocator_muzzy", memory->muzzy);
    append_both(report, "total_system_memory", report->process.memory_total);
}

static void append_scripts(struct report *report) {
    const struct scripting *scripting = &report->server->scripting;
    struct scripting_report scripts = {0};
    if (scripting->measure) scripting->measure(scripting->host, &scripts);
    report_number(report, "used_memory_lua", scripts.eval_bytes);
    report_number(report, "used_memory_vm_eval", scripts.eval_bytes);
    report_human(report, "used_memory_lua_human", scripts.eval_bytes);
    report_number(report, "used_memory_scripts_eval", scripts.cache_bytes);
    report_number(report, "number_of_cached_scripts", scripts.scripts);
    report_number(report, "number_of_functions", scripts.functions);
    report_number(report, "number_of_libraries", scripts.libraries);
    report_number(report, "used_memory_vm_functions", scripts.function_bytes);
    append_both(report, "used_memory_vm_total", scripts.eval_bytes + scripts.function_bytes);
    report_number(report, "used_memory_functions", scripts.library_bytes);
    append_both(report, "used_memory_scripts", scripts.cache_bytes + scripts.library_bytes);
}

static void append_ratios(struct report *report, const struct report_memory *memory) {
    uint64_t resident = report->process.memory_resident;
    append_excess(report, "allocator_frag_ratio", "allocator_frag_bytes", memory->active,
                  memory->active > 0 ? memory->used : 0);
    append_excess(report, "allocator_rss_ratio", "allocator_rss_bytes", memory->resident,
                  memory->active);
    append_excess(report, "rss_overhead_ratio", "rss_overhead_bytes", resident,
                  memory->resident > 0 ? memory->resident : resident);
    append_excess(report, "mem_fragmentation_ratio", "mem_fragmentation_bytes", resident,
                  memory->used);
}

static void append_clients(struct report *report, const struct report_memory *memory) {
    report_number(report, "mem_not_counted_for_evict", memory_limit_apart(report->server));
    report_number(report, "mem_replication_backlog", memory->backlog);
    report_number(report, "mem_total_replication_buffers",
                  report->server->replication.memory.blocks);
    report_number(report, "mem_clients_slaves", memory->replicas);
    report_number(report, "mem_clients_normal", memory->clients);
    report_number(report, "mem_cluster_links", 0);
    report_number(report, "mem_aof_buffer", report->server->journal.pending.capacity);
    report_text(report, "mem_allocator", memory_allocator_name());
    report_number(report, "mem_overhead_db_hashtable_rehashing", 0);
    report_number(report, "redstart_mem_views", report->server->keyspace.epochs.limbo_bytes);
    report_number(report, "active_defrag_running", report->server->defragmenting.effort);
    report_number(report, "lazyfree_pending_objects", report->server->disposals);
    report_number(report, "lazyfreed_objects", report->server->disposed);
}

void report_append_memory(struct report *report) {
    struct memory_report allocator = {.allocated = 0};
    if (!report->is_crash) allocator = memory_report();
    const struct report_memory memory = gather(report->server, &allocator);
    append_usage(report, &memory);
    append_scripts(report);
    append_both(report, "maxmemory", report->server->config->maxmemory);
    report_directive(report, "maxmemory_policy", "maxmemory-policy");
    append_ratios(report, &memory);
    append_clients(report, &memory);
}

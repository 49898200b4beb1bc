/* host.c: what runs scripts, from the server's start to its end; and compiling. */
#include "script/host.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "engine/command.h"
#include "engine/server.h"
#include "script/function.h"
#include <lauxlib.h>

/* ---- where commands of scripts write their replies ---- */

static void sink_grow(struct reply *reply, size_t size) {
    struct script_host *host = reply->context;
    host->sink.size = (size_t)(reply->cursor - host->sink.data);
    reply->cursor = buffer_reserve(&host->sink, size);
    reply->end = host->sink.data + host->sink.capacity;
}

static void open_sink(struct script_host *host) {
    buffer_reserve(&host->sink, SCRIPT_SINK_KEPT);
    host->reply = (struct reply){.cursor = host->sink.data,
                                 .end = host->sink.data + host->sink.capacity,
                                 .protocol = 2,
                                 .grow = sink_grow,
                                 .context = host};
}

/* ---- compiling ---- */

/* Gives Lua a blank before the text, so that it is never taken for bytecode. */
struct source {
    struct bytes text;
    bool begun;
};

static const char *read_source(lua_State *lua, void *context, size_t *size) {
    struct source *source = context;
    if (!source->begun) {
        source->begun = true;
        *size = 1;
        return " ";
    }
    const char *piece = source->text.data;
    *size = source->text.size < SCRIPT_LOOK_BYTES ? source->text.size : SCRIPT_LOOK_BYTES;
    source->text = bytes_make(piece + *size, source->text.size - *size);
    script_poll_after(lua, *size);
    return piece;
}

int script_load_text(lua_State *lua, struct bytes text, const char *name) {
    struct source source = {.text = text};
    luaL_checkstack(lua, 2, "too many nested functions");
    lua_pushstring(lua, name); /* Lua's compiler does not hold it, and may collect it as it works */
    int status = lua_load(lua, read_source, &source, name);
    lua_remove(lua, -2);
    return status;
}

const char *script_compile(struct script_vm *vm, struct bytes text, const char *name) {
    vm->limited = true;
    int status = script_load_text(vm->lua, text, name);
    vm->limited = false;
    return status == 0 ? NULL : lua_tostring(vm->lua, -1);
}

/* ---- life ---- */

static void measure(const struct script_host *host, struct scripting_report *report) {
    *report = (struct scripting_report){
        .eval_bytes = host->eval ? host->eval->bytes : 0,
        .function_bytes = host->functions ? host->functions->bytes : 0,
        .cache_bytes = host->cache.bytes,
        .scripts = host->cache.count,
        .scripts_evicted = host->cache.evicted,
    };
    function_measure(host, report);
}

static bool load_library(struct script_host *host, struct bytes text) {
    struct buffer error = {0};
    struct bytes name;
    bool good = function_load(host->server, text, true, &name, &error);
    if (!good)
        log_warning(host->server->log, "A library of functions cannot be loaded: %.*s",
                    (int)error.size, error.data);
    buffer_release(&error);
    return good;
}

static void flush_libraries(struct script_host *host) {
    function_flush(host->server, false);
}

static bool only_reads(struct script_host *host, const struct call *call) {
    struct bytes name = call->command->full_name;
    uint32_t flags = 0;
    if (call->argc < 2) return false;
    if (bytes_is(name, "fcall"))
        flags = function_flags_of(host, call->argv[1]);
    else if (bytes_is(name, "eval"))
        flags = script_flags_of_text(call->argv[1]);
    else if (bytes_is(name, "evalsha"))
        flags = script_flags_of_digest(host, call->argv[1]);
    return flags & SCRIPT_NO_WRITES;
}

static void close(struct script_host *host) {
    if (host->eval) script_vm_close(host->eval);
    script_cache_release(&host->cache);
    function_close(host);
    buffer_release(&host->sink);
    memory_free(host->argv);
    memory_free(host->numbers);
    memory_free(host);
}

struct script_host *script_host_of(struct server *server) {
    if (likely(server->scripting.host != NULL)) return server->scripting.host;
    struct script_host *host = memory_alloc_zeroed(1, sizeof *host);
    host->server = server;
    script_cache_init(&host->cache);
    open_sink(host);
    host->session = (struct session){.server = server,
                                     .socket = IO_NONE,
                                     .flags = SESSION_INTERNAL | SESSION_SCRIPT,
                                     .protocol = 2,
                                     .authenticated = true};
    server->scripting.host = host;
    server->scripting.measure = measure;
    server->scripting.close = close;
    server->scripting.encode_libraries = function_encode;
    server->scripting.load_library = load_library;
    server->scripting.flush_libraries = flush_libraries;
    server->scripting.only_reads = only_reads;
    return host;
}

void script_attach(struct server *server) {
    script_host_of(server);
}

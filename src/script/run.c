/* run.c: running what has been compiled: once, in a protected call, under the clock, with its
 * effects as one unit. */
#include "base/invariant.h"
#include "base/memory.h"
#include "engine/command.h"
#include "engine/config.h"
#include "engine/server.h"
#include "script/host.h"
#include <lauxlib.h>
#include <stdio.h>

enum { SERVE_OTHERS_US = 1000 }; /* how often, once a script is slow */

static const char killed_text[] = "ERR Script killed by user with SCRIPT KILL...";

/* ---- the clock ---- */

static void become_slow(struct script_host *host, int64_t elapsed_us) {
    struct script_run *run = &host->run;
    run->slow = true;
    host->server->scripting.busy = true;
    log_warning(host->server->log,
                "Slow script detected: still in execution after %lld milliseconds. You can try "
                "killing the script using the %s KILL command. Script name is: %.*s.",
                (long long)(elapsed_us / 1000), run->is_function ? "FUNCTION" : "SCRIPT",
                (int)run->name.size, run->name.data);
    turn_interrupt_begin(host->server);
}

static void raise_killed(lua_State *lua) {
    /* At once again, wherever the error is caught. */
    lua_sethook(lua, script_count_hook, LUA_MASKCOUNT, 1);
    lua_createtable(lua, 0, 1); /* to which nothing adds a place, as it would to a text */
    lua_pushlstring(lua, killed_text, sizeof killed_text - 1);
    lua_setfield(lua, -2, "err");
    lua_error(lua);
}

/* A library's code only registers functions: that takes no time. */
static void check_loading(lua_State *lua, const struct script_host *host) {
    if (io_monotonic_us(host->server->io) < host->loading_until_us) return;
    lua_sethook(lua, script_count_hook, LUA_MASKCOUNT, 1);
    lua_createtable(lua, 0, 1);
    lua_pushliteral(lua, "ERR FUNCTION LOAD timeout");
    lua_setfield(lua, -2, "err");
    lua_error(lua);
}

void script_poll(lua_State *lua) {
    struct script_host *host = script_vm_of(lua)->host;
    struct script_run *run = &host->run;
    struct server *server = host->server;
    if (unlikely(host->loading != NULL)) check_loading(lua, host);
    if (!run->outer) return;
    if (run->killed) raise_killed(lua);
    int64_t now_us = io_monotonic_us(server->io), elapsed_us = now_us - run->begun_us;
    if (!run->slow) {
        int64_t limit_ms = server->config->busy_reply_threshold;
        if (limit_ms == 0 || elapsed_us / 1000 < limit_ms) return;
        if (!server->turn.writer) return; /* read back from files: there is no turn */
        become_slow(host, elapsed_us);
    } else if (now_us - run->served_us < SERVE_OTHERS_US) {
        return;
    }
    turn_interrupt(server);
    run->served_us = io_monotonic_us(server->io);
    if (server->shutdown_wanted) run->killed = true;
    if (run->killed) raise_killed(lua);
}

/* The clock was looked at: so many instructions that it will be again about when it should. */
static void set_pace(lua_State *lua, struct script_vm *vm) {
    int64_t now_us = io_monotonic_us(vm->host->server->io), took_us = now_us - vm->looked_us;
    int period = lua_gethookcount(lua), wanted = period;
    vm->looked_us = now_us;
    if (took_us > SCRIPT_LOOK_US)
        wanted = took_us / SCRIPT_LOOK_US < period ? period / (int)(took_us / SCRIPT_LOOK_US) : 1;
    else if (took_us < SCRIPT_LOOK_US / 2 && period < SCRIPT_HOOK_PERIOD)
        wanted = period * 2 < SCRIPT_HOOK_PERIOD ? period * 2 : SCRIPT_HOOK_PERIOD;
    if (unlikely(wanted != period)) lua_sethook(lua, script_count_hook, LUA_MASKCOUNT, wanted);
}

void script_count_hook(lua_State *lua, lua_Debug *about) {
    (void)about;
    script_poll(lua);
    set_pace(lua, script_vm_of(lua));
}

void script_kill(struct call *call, bool function) {
    struct script_host *host = script_host_of(call->server);
    struct script_run *run = &host->run;
    if (!run->outer || !run->slow) {
        call_error(call, "NOTBUSY No scripts in execution right now.");
        return;
    }
    if (run->is_function != function) {
        call_error_busy(call);
        return;
    }
    if (run->wrote) {
        call_error(call, "UNKILLABLE Sorry the script already executed write commands against the "
                         "dataset. You can either wait the script termination or kill the server "
                         "in a hard way using the SHUTDOWN NOSAVE command.");
        return;
    }
    run->killed = true;
    log_warning(call->server->log, "Lua script killed by user with SCRIPT KILL.");
    reply_ok(call->reply);
}

/* ---- errors ---- */

int script_note_error(lua_State *lua) {
    struct script_run *run = &script_vm_of(lua)->host->run;
    lua_Debug where;
    run->error_source[0] = 0;
    for (int level = 1; lua_getstack(lua, level, &where); level++) {
        if (!lua_getinfo(lua, "Sl", &where) || where.currentline < 0) continue;
        snprintf(run->error_source, sizeof run->error_source, "%s", where.source);
        run->error_line = where.currentline;
        break;
    }
    lua_settop(lua, 1);
    return 1;
}

static const char unknown[] = "unknown error";

/* An error that is no text: what tostring says of it, unless that is an address. */
static const char *describe_other(lua_State *lua) {
    if (lua_isnil(lua, -1)) return "nil";
    if (lua_isboolean(lua, -1)) return lua_toboolean(lua, -1) ? "true" : "false";
    return unknown;
}

bool script_describe_error(lua_State *lua, struct buffer *out) {
    bool counts = true, coded = false;
    if (lua_istable(lua, -1)) {
        lua_pushliteral(lua, "ignore_error_stats_update");
        lua_rawget(lua, -2);
        counts = !lua_toboolean(lua, -1);
        lua_pop(lua, 1);
        lua_pushliteral(lua, "err");
        lua_rawget(lua, -2);
        coded = lua_isstring(lua, -1);
    } else {
        lua_pushvalue(lua, -1);
    }
    size_t size;
    const char *text = lua_tolstring(lua, -1, &size);
    if (!text) text = coded ? unknown : describe_other(lua), size = strlen(text);
    bool has_code = coded || (size >= 4 && memcmp(text, "ERR ", 4) == 0);
    if (!has_code) buffer_append_text(out, "ERR ");
    buffer_append(out, text, size);
    lua_pop(lua, 1);
    return counts;
}

static void reply_failure(struct script_host *host, lua_State *lua) {
    struct script_run *run = &host->run;
    struct buffer text = {0};
    bool counts = script_describe_error(lua, &text);
    buffer_append_format(&text, " script: %.*s", (int)run->name.size, run->name.data);
    if (run->error_source[0])
        buffer_append_format(&text, ", on %s:%d.", run->error_source, run->error_line);
    else
        buffer_append_text(&text, ".");
    call_error_text(run->outer, buffer_bytes(&text), counts);
    buffer_release(&text);
}

/* ---- running ---- */

static void begin(struct script_host *host, const struct script_run *run) {
    const struct session *session = run->outer->session;
    host->run = *run;
    host->run.begun_us = io_monotonic_us(host->server->io);
    host->run.protocol = 2;
    host->run.repl = SCRIPT_REPL_ALL;
    host->session.database = session->database;
    host->session.user = session->user;
    host->session.flags = SESSION_INTERNAL | SESSION_SCRIPT | (session->flags & SESSION_NO_TOUCH);
    run->vm->limited = true;
    run->vm->looked_us = host->run.begun_us;
}

static void end_unit(struct script_host *host) {
    struct script_run *run = &host->run;
    struct server *server = host->server;
    if (!run->unit_begun) return;
    if (run->killed && server->shutdown_wanted) journal_abandon_unit(&server->journal);
    uint64_t offset = server->journal.offset;
    journal_end_unit(&server->journal);
    if (run->unit_offset != offset) run->outer->session->wrote = server->journal.offset;
}

/* Before the reply is written: it goes where the turn that was interrupted has it. */
static void end_interrupt(struct script_host *host) {
    if (!host->run.slow) return;
    host->run.slow = false;
    host->server->scripting.busy = false;
    turn_interrupt_end(host->server);
}

static void end(struct script_host *host) {
    struct script_run *run = &host->run;
    struct script_vm *vm = run->vm;
    end_unit(host);
    if (run->killed && host->server->shutdown_wanted) session_close_later(run->outer->session);
    if (run->killed) lua_sethook(vm->lua, script_count_hook, LUA_MASKCOUNT, SCRIPT_HOOK_PERIOD);
    if (unlikely(host->sink.capacity > SCRIPT_SINK_KEPT)) {
        buffer_release(&host->sink);
        buffer_reserve(&host->sink, SCRIPT_SINK_KEPT);
        host->reply.cursor = host->sink.data;
        host->reply.end = host->sink.data + host->sink.capacity;
    }
    *run = (struct script_run){.outer = NULL};
}

void script_execute(struct script_host *host, const struct script_run *run, int argument_count) {
    struct script_vm *vm = run->vm;
    lua_State *lua = vm->lua;
    begin(host, run);
    int function = lua_gettop(lua) - argument_count;
    lua_rawgeti(lua, LUA_REGISTRYINDEX, vm->handler);
    lua_insert(lua, function);
    int status = lua_pcall(lua, argument_count, 1, function);
    vm->limited = false;
    end_interrupt(host);
    if (likely(status == 0))
        script_reply_value(run->outer, lua, host->run.protocol);
    else
        reply_failure(host, lua);
    lua_settop(lua, function - 1);
    end(host);
    if (unlikely(vm->bytes > vm->bytes_max / 2)) lua_gc(lua, LUA_GCCOLLECT, 0);
}

/* redis_library.c: the table `redis` that scripts have: calling commands, and what else the server
 * does for them. */
#include "base/invariant.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/number.h"
#include "engine/acl.h"
#include "engine/command.h"
#include "engine/dispatch.h"
#include "engine/server.h"
#include "engine/version.h"
#include "script/function.h"
#include "script/host.h"
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>

/* ---- errors ---- */

/* As redis.call raises and redis.pcall returns them: {err = text}. */
static void push_error(lua_State *lua, const char *text) {
    lua_createtable(lua, 0, 1);
    lua_pushstring(lua, text);
    lua_setfield(lua, -2, "err");
}

static int raise(lua_State *lua, const char *text) {
    push_error(lua, text);
    return lua_error(lua);
}

/* ---- redis.call ---- */

size_t script_format_number(double number, char out[SCRIPT_NUMBER_SIZE]) {
    const double limit = 1e17; /* from there on %.17g writes an exponent */
    if (number > -limit && number < limit && number == (double)(int64_t)number &&
        (number != 0 || !signbit(number)))
        return number_format_i64(out, (int64_t)number);
    return (size_t)snprintf(out, SCRIPT_NUMBER_SIZE, "%.17g", number);
}

static void make_room(struct script_host *host, uint32_t count) {
    if (likely(count <= host->argv_capacity)) return;
    uint32_t capacity = host->argv_capacity ? host->argv_capacity : 16;
    while (capacity < count)
        capacity *= 2;
    host->argv = memory_resize(host->argv, capacity * sizeof *host->argv);
    host->numbers = memory_resize(host->numbers, capacity * sizeof *host->numbers);
    host->argv_capacity = capacity;
}

/* The arguments of the Lua function as words; NULL, or what is wrong with them. */
static const char *gather_words(lua_State *lua, struct script_host *host, uint32_t *count) {
    int top = lua_gettop(lua);
    if (top == 0) return "ERR Please specify at least one argument for this redis lib call";
    make_room(host, (uint32_t)top);
    for (int i = 1; i <= top; i++) {
        struct bytes *word = &host->argv[i - 1];
        switch (lua_type(lua, i)) {
        case LUA_TSTRING: word->data = lua_tolstring(lua, i, &word->size); break;
        case LUA_TNUMBER:
            word->size = script_format_number(lua_tonumber(lua, i), host->numbers[i - 1]);
            word->data = host->numbers[i - 1];
            break;
        default: return "ERR Lua redis lib command arguments must be strings or integers";
        }
    }
    *count = (uint32_t)top;
    return NULL;
}

/* Scripts call the same few commands again and again, by the same spelling. */
static const struct command *find_command(struct script_host *host, struct bytes name) {
    if (unlikely(name.size == 0 || name.size > SCRIPT_KNOWN_SIZE))
        return server_find_command(host->server, name);
    unsigned mixed =
        (unsigned)name.size * 7 + (uint8_t)name.data[0] * 3 + (uint8_t)name.data[name.size - 1];
    struct script_known *known = &host->known[mixed % SCRIPT_KNOWN];
    if (likely(known->size == name.size && memcmp(known->name, name.data, name.size) == 0))
        return known->command;
    const struct command *command = server_find_command(host->server, name);
    if (!command) return NULL;
    known->command = command;
    known->size = (uint8_t)name.size;
    memcpy(known->name, name.data, name.size);
    return command;
}

/* The command of the words, the subcommand where it has some; NULL: there is none. */
static const struct command *resolve(struct script_host *host, uint32_t count) {
    const struct command *command = find_command(host, host->argv[0]);
    if (command && command->subcommand_count > 0 && count > 1)
        return command_find_subcommand(host->server->commands, command, host->argv[1]);
    return command;
}

/* Why a script may not run it; NULL: it may. */
static const char *refusal(const struct script_run *run, const struct command *command,
                           uint32_t count) {
    if (!command) return "ERR Unknown Redis command called from script";
    if (!command_arity_fits(command, count) || !command->handler)
        return "ERR Wrong number of args calling Redis command from script";
    if (command->flags & COMMAND_NOSCRIPT)
        return "ERR This Redis command is not allowed from script";
    if (command->flags & (COMMAND_WRITE | COMMAND_MAY_REPLICATE) && run->read_only)
        return "ERR Write commands are not allowed from read-only scripts.";
    if (unlikely(run->out_of_memory) && command->flags & COMMAND_DENYOOM && !run->wrote &&
        !(run->flags & SCRIPT_ALLOW_OOM))
        return "OOM command not allowed when used memory > 'maxmemory'.";
    return NULL;
}

static void note_write(struct script_host *host, const struct command *command) {
    struct script_run *run = &host->run;
    if (command->flags & COMMAND_WRITE) run->wrote = true;
    if (run->unit_begun) return;
    run->unit_begun = true;
    run->unit_offset = host->server->journal.offset;
    journal_begin_unit(&host->server->journal);
}

/* Run it, or say why not; the reply goes into the sink. A script of a file or a primary's stream
 * (its time is 0) does what it did there. */
static void run_command(struct script_host *host, const struct command *command, uint32_t count) {
    struct server *server = host->server;
    struct script_run *run = &host->run;
    host->reply.cursor = host->sink.data;
    host->reply.protocol = run->protocol;
    struct call call = {
        .server = server,
        .session = &host->session,
        .command = command,
        .argv = host->argv,
        .argc = count,
        .reply = &host->reply,
        .database = &server->keyspace.databases[host->session.database],
        .now_ms = run->outer->now_ms,
        .in_unit = true,
    };
    /* What the script reads is noted for who runs it. */
    host->session.tracker = run->outer->session->tracker;
    host->session.flags &= ~(uint32_t)SESSION_TRACKING;
    host->session.flags |= run->outer->session->flags & SESSION_TRACKING;
    const char *error = refusal(run, command, count);
    struct session *caller = run->outer->session;
    if (unlikely(error != NULL)) {
        call_error_text(&call, bytes_from_text(error), true);
    } else if (unlikely(caller->restricted) && acl_refuses_script(&call, caller)) {
        return;
    } else if (call_is_replayed(&call) || !unlikely(dispatch_refused_by_state(&call))) {
        if (command->flags & (COMMAND_WRITE | COMMAND_MAY_REPLICATE)) note_write(host, command);
        server->turn.ticks = io_ticks(server->io);
        bool is_muted = server->journal.muted; /* for good, when a shutdown ended another */
        server->journal.muted = is_muted || run->repl == SCRIPT_REPL_NONE;
        dispatch_in_unit(&call);
        server->journal.muted = is_muted;
    }
}

/* The result, or an error as a table, on the top: false for an error. */
static bool call_command(lua_State *lua) {
    struct script_host *host = script_vm_of(lua)->host;
    uint32_t count;
    if (!host->run.outer) {
        push_error(lua, "ERR redis.call/pcall can only be called inside a script invocation");
        return false;
    }
    const char *error = gather_words(lua, host, &count);
    if (unlikely(error != NULL)) {
        push_error(lua, error);
        return false;
    }
    run_command(host, resolve(host, count), count);
    lua_settop(lua, 0);
    script_push_reply(lua, host->sink.data);
    script_poll_after(lua, (size_t)(host->reply.cursor - host->sink.data));
    return host->sink.data[0] != '-';
}

static int redis_call(lua_State *lua) {
    return call_command(lua) ? 1 : lua_error(lua);
}

static int redis_pcall(lua_State *lua) {
    call_command(lua);
    return 1;
}

/* ---- small things ---- */

static int make_reply(lua_State *lua, const char *field) {
    if (lua_gettop(lua) != 1 || lua_type(lua, 1) != LUA_TSTRING) {
        push_error(lua, "ERR wrong number or type of arguments");
        return 1;
    }
    lua_createtable(lua, 0, 1);
    lua_pushvalue(lua, 1);
    lua_setfield(lua, -2, field);
    return 1;
}

static int redis_status_reply(lua_State *lua) {
    return make_reply(lua, "ok");
}

/* A text of one word gets a code before it. */
static int redis_error_reply(lua_State *lua) {
    if (lua_gettop(lua) == 1 && lua_type(lua, 1) == LUA_TSTRING) {
        size_t size;
        const char *text = lua_tolstring(lua, 1, &size);
        bool dashed = size > 0 && text[0] == '-';
        bool worded = memchr(text, ' ', size) != NULL;
        if (!worded)
            lua_pushfstring(lua, "ERR %s", text + dashed);
        else
            lua_pushlstring(lua, text + dashed, size - dashed);
        lua_replace(lua, 1);
    }
    return make_reply(lua, "err");
}

static int redis_sha1hex(lua_State *lua) {
    char digest[SHA1_TEXT_SIZE + 1];
    size_t size = 0;
    if (lua_gettop(lua) != 1) return raise(lua, "ERR wrong number of arguments");
    const char *text = lua_tolstring(lua, 1, &size);
    sha1_text(bytes_make(text, text ? size : 0), digest);
    script_poll_after(lua, size);
    lua_pushlstring(lua, digest, SHA1_TEXT_SIZE);
    return 1;
}

static int redis_log(lua_State *lua) {
    static const enum log_level log_levels[] = {LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING};
    int count = lua_gettop(lua);
    if (count < 2) return raise(lua, "ERR redis.log() requires two arguments or more.");
    if (!lua_isnumber(lua, 1))
        return raise(lua, "ERR First argument must be a number (log level).");
    double level = lua_tonumber(lua, 1);
    if (!(level >= 0 && level < 4)) return raise(lua, "ERR Invalid debug level.");
    luaL_Buffer text;
    luaL_buffinit(lua, &text);
    for (int i = 2; i <= count; i++) {
        size_t size;
        if (!lua_isstring(lua, i)) continue;
        const char *part = lua_tolstring(lua, i, &size);
        if (i > 2) luaL_addchar(&text, ' ');
        luaL_addlstring(&text, part, size);
    }
    luaL_pushresult(&text);
    log_line(script_vm_of(lua)->host->server->log, log_levels[(int)level], "%s",
             lua_tostring(lua, -1));
    return 0;
}

static int redis_setresp(lua_State *lua) {
    if (lua_gettop(lua) != 1) return raise(lua, "ERR redis.setresp() requires one argument.");
    double version = lua_tonumber(lua, 1);
    if (version != 2 && version != 3) return raise(lua, "ERR RESP version must be 2 or 3.");
    script_vm_of(lua)->host->run.protocol = (uint8_t)version;
    return 0;
}

static int redis_set_repl(lua_State *lua) {
    if (lua_gettop(lua) != 1) return raise(lua, "ERR redis.set_repl() requires two arguments.");
    double flags = lua_tonumber(lua, 1);
    if (!(flags > -1 && flags < SCRIPT_REPL_ALL + 1))
        return raise(lua, "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or "
                          "REPL_NONE.");
    script_vm_of(lua)->host->run.repl = (uint8_t)flags;
    return 0;
}

static int redis_replicate_commands(lua_State *lua) {
    lua_pushboolean(lua, 1);
    return 1;
}

/* There is no debugger here. */
static int redis_breakpoint(lua_State *lua) {
    lua_pushboolean(lua, 0);
    return 1;
}

static int redis_debug(lua_State *lua) {
    (void)lua;
    return 0;
}

static int redis_acl_check_cmd(lua_State *lua) {
    struct script_host *host = script_vm_of(lua)->host;
    uint32_t count;
    if (!host->run.outer)
        return raise(lua, "ERR redis.acl_check_cmd can only be called inside a "
                          "script invocation");
    const char *error = gather_words(lua, host, &count);
    if (error) return raise(lua, error);
    const struct command *command = resolve(host, count);
    if (!command) return raise(lua, "ERR Invalid command passed to redis.acl_check_cmd()");
    uint32_t position;
    const struct user *user = host->run.outer->session->user;
    lua_pushboolean(lua, acl_check(user, command, host->argv, count, &position) == ACL_ALLOWED);
    return 1;
}

/* ---- the table ---- */

struct constant {
    const char *name; /* NULL: the end */
    int number;
};

static const struct constant levels[] = {
    {"LOG_DEBUG", 0}, {"LOG_VERBOSE", 1}, {"LOG_NOTICE", 2}, {"LOG_WARNING", 3}, {NULL, 0}};
static const struct constant repl_flags[] = {
    {"REPL_NONE", SCRIPT_REPL_NONE},     {"REPL_AOF", SCRIPT_REPL_AOF},
    {"REPL_SLAVE", SCRIPT_REPL_REPLICA}, {"REPL_REPLICA", SCRIPT_REPL_REPLICA},
    {"REPL_ALL", SCRIPT_REPL_ALL},       {NULL, 0}};

static const luaL_Reg shared[] = {{"call", redis_call},
                                  {"pcall", redis_pcall},
                                  {"status_reply", redis_status_reply},
                                  {"error_reply", redis_error_reply},
                                  {"sha1hex", redis_sha1hex},
                                  {"log", redis_log},
                                  {"setresp", redis_setresp},
                                  {"set_repl", redis_set_repl},
                                  {"acl_check_cmd", redis_acl_check_cmd},
                                  {NULL, NULL}};
static const luaL_Reg eval_only[] = {{"replicate_commands", redis_replicate_commands},
                                     {"breakpoint", redis_breakpoint},
                                     {"debug", redis_debug},
                                     {NULL, NULL}};
static const luaL_Reg loading_only[] = {
    {"register_function", function_register}, {"log", redis_log}, {NULL, NULL}};

static void add_functions(lua_State *lua, const luaL_Reg *list) {
    for (; list->name; list++) {
        lua_pushcfunction(lua, list->func);
        lua_setfield(lua, -2, list->name);
    }
}

static void add_constants(lua_State *lua, const struct constant *list) {
    for (; list->name; list++) {
        lua_pushinteger(lua, list->number);
        lua_setfield(lua, -2, list->name);
    }
}

/* 7.4.0 as 0x00070400 */
static int version_number(void) {
    unsigned major = 0, minor = 0, patch = 0;
    sscanf(REDIS_VERSION, "%u.%u.%u", &major, &minor, &patch);
    return (int)(major << 16 | minor << 8 | patch);
}

int script_open_redis(lua_State *lua, enum script_redis kind) {
    lua_newtable(lua);
    add_functions(lua, kind == SCRIPT_REDIS_LOADING ? loading_only : shared);
    if (kind == SCRIPT_REDIS_EVAL) add_functions(lua, eval_only);
    add_constants(lua, levels);
    if (kind != SCRIPT_REDIS_LOADING) add_constants(lua, repl_flags);
    lua_pushliteral(lua, REDIS_VERSION);
    lua_setfield(lua, -2, "REDIS_VERSION");
    lua_pushinteger(lua, version_number());
    lua_setfield(lua, -2, "REDIS_VERSION_NUM");
    lua_pushliteral(lua, "redstart");
    lua_setfield(lua, -2, "SERVER_NAME");
    lua_pushliteral(lua, REDSTART_VERSION);
    lua_setfield(lua, -2, "SERVER_VERSION");
    return 1;
}

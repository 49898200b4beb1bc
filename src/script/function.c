/* function.c: loading libraries of functions, finding and running functions. */
#include "script/function.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "engine/server.h"
#include "rdb/format.h"
#include "rdb/input.h"
#include "rdb/output.h"
#include "script/host.h"
#include <ctype.h>
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>

enum { BUCKETS = 1024, LOAD_US_MAX = 500000 };

struct function_registry {
    struct function_library *first, **last;
    uint32_t library_count, function_count;
    size_t bytes;
    struct function *buckets[BUCKETS];
};

__attribute__((format(printf, 2, 3))) static bool refuse(struct buffer *error, const char *format,
                                                         ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    buffer_clear(error);
    buffer_append_text(error, text);
    return false;
}

/* ---- the registry ---- */

static struct function_registry *registry_open(void) {
    struct function_registry *registry = memory_alloc_zeroed(1, sizeof *registry);
    registry->last = &registry->first;
    return registry;
}

static struct function_registry *registry_of(struct script_host *host) {
    if (!host->registry) host->registry = registry_open();
    return host->registry;
}

static struct function **bucket_of(struct function_registry *registry, struct bytes name) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < name.size; i++)
        hash = (hash ^ (uint8_t)byte_to_lower(name.data[i])) * 16777619u;
    return &registry->buckets[hash % BUCKETS];
}

static struct function *find_function(struct function_registry *registry, struct bytes name) {
    struct function *function = *bucket_of(registry, name);
    while (function && !bytes_equal_ignore_case(function->name, name))
        function = function->bucket_next;
    return function;
}

static struct function_library **find_library(struct function_registry *registry,
                                              struct bytes name) {
    struct function_library **link = &registry->first;
    while (*link && !bytes_equal((*link)->name, name))
        link = &(*link)->next;
    return link;
}

static size_t bytes_of(const struct function_library *library) {
    size_t bytes = sizeof *library + library->name.size + library->text.size;
    for (const struct function *one = library->first; one; one = one->next)
        bytes += sizeof *one + one->name.size + one->description.size;
    return bytes;
}

static void registry_add(struct function_registry *registry, struct function_library *library) {
    library->next = NULL;
    *registry->last = library;
    registry->last = &library->next;
    registry->library_count++;
    registry->function_count += library->count;
    registry->bytes += bytes_of(library);
    for (struct function *one = library->first; one; one = one->next) {
        struct function **bucket = bucket_of(registry, one->name);
        one->bucket_next = *bucket;
        *bucket = one;
    }
}

/* It is taken out, and the caller's. */
static struct function_library *registry_take(struct function_registry *registry,
                                              struct function_library **link) {
    struct function_library *library = *link;
    *link = library->next;
    if (!*link) registry->last = link;
    registry->library_count--;
    registry->function_count -= library->count;
    registry->bytes -= bytes_of(library);
    for (struct function *one = library->first; one; one = one->next) {
        struct function **bucket = bucket_of(registry, one->name);
        while (*bucket != one)
            bucket = &(*bucket)->bucket_next;
        *bucket = one->bucket_next;
    }
    return library;
}

static void library_free(struct script_host *host, struct function_library *library) {
    while (library->first) {
        struct function *function = library->first;
        library->first = function->next;
        if (host->functions)
            luaL_unref(host->functions->lua, LUA_REGISTRYINDEX, function->reference);
        memory_free((char *)(uintptr_t)function->name.data);
        memory_free((char *)(uintptr_t)function->description.data);
        memory_free(function);
    }
    memory_free((char *)(uintptr_t)library->name.data);
    memory_free((char *)(uintptr_t)library->text.data);
    memory_free(library);
}

static void registry_close(struct script_host *host, struct function_registry *registry) {
    while (registry->first)
        library_free(host, registry_take(registry, &registry->first));
    memory_free(registry);
}

/* ---- redis.register_function ---- */

static bool is_name(struct bytes name) {
    for (size_t i = 0; i < name.size; i++)
        if (!isalnum((uint8_t)name.data[i]) && name.data[i] != '_') return false;
    return name.size > 0;
}

static const char name_error[] =
    "Library names can only contain letters, numbers, or underscores(_) "
    "and must be at least one character long";

static int raise(lua_State *lua, const char *text) {
    lua_createtable(lua, 0, 1);
    lua_pushfstring(lua, "ERR %s", text);
    lua_setfield(lua, -2, "err");
    return lua_error(lua);
}

static struct bytes text_at(lua_State *lua, int index) {
    size_t size;
    const char *text = lua_tolstring(lua, index, &size);
    return bytes_make(text, size);
}

/* The flags of the list on the top. */
static uint32_t read_flags(lua_State *lua) {
    uint32_t flags = 0;
    for (int i = 1;; i++) {
        lua_rawgeti(lua, -1, i);
        if (lua_isnil(lua, -1)) break;
        uint32_t flag = lua_type(lua, -1) == LUA_TSTRING ? script_flag_find(text_at(lua, -1)) : 0;
        if (flag == 0) raise(lua, "unknown flag given");
        flags |= flag;
        lua_pop(lua, 1);
    }
    lua_pop(lua, 1);
    return flags;
}

/* Name, callback, description and flags of the table at 1 go to 2, 3, 4; returns the flags. */
static uint32_t read_named(lua_State *lua) {
    uint32_t flags = 0;
    lua_settop(lua, 4);
    for (lua_pushnil(lua); lua_next(lua, 1); lua_pop(lua, 1)) {
        struct bytes key =
            lua_type(lua, -2) == LUA_TSTRING ? text_at(lua, -2) : bytes_make(NULL, 0);
        if (bytes_equal(key, BYTES("function_name"))) {
            if (!lua_isstring(lua, -1))
                raise(lua, "function_name argument given to redis.register_function must be a "
                           "string");
            lua_pushvalue(lua, -1);
            lua_replace(lua, 2);
        } else if (bytes_equal(key, BYTES("description"))) {
            if (!lua_isstring(lua, -1))
                raise(lua, "description argument given to redis.register_function must be a "
                           "string");
            lua_pushvalue(lua, -1);
            lua_replace(lua, 4);
        } else if (bytes_equal(key, BYTES("callback"))) {
            if (!lua_isfunction(lua, -1))
                raise(lua, "callback argument given to redis.register_function must be a function");
            lua_pushvalue(lua, -1);
            lua_replace(lua, 3);
        } else if (bytes_equal(key, BYTES("flags"))) {
            if (!lua_istable(lua, -1))
                raise(lua, "flags argument to redis.register_function must be a table "
                           "representing function flags");
            flags = read_flags(lua);
        } else {
            raise(lua, "unknown argument given to redis.register_function");
        }
    }
    return flags;
}

static struct bytes copy(struct bytes text) {
    return bytes_make(memory_copy(text.data, text.size), text.size);
}

/* Name at 2, callback at 3, description at 4, or nil. */
static void add_function(lua_State *lua, struct function_library *library, uint32_t flags) {
    struct bytes name = text_at(lua, 2);
    for (const struct function *one = library->first; one; one = one->next)
        if (bytes_equal_ignore_case(one->name, name))
            raise(lua, "Function already exists in the library");
    lua_pushvalue(lua, 3);
    int reference = luaL_ref(lua, LUA_REGISTRYINDEX);
    struct function *function = memory_alloc_zeroed(1, sizeof *function);
    function->library = library;
    function->name = copy(name);
    if (lua_isstring(lua, 4)) function->description = copy(text_at(lua, 4));
    function->flags = flags;
    function->reference = reference;
    *library->last = function;
    library->last = &function->next;
    library->count++;
}

int function_register(lua_State *lua) {
    struct function_library *library = script_vm_of(lua)->host->loading;
    int count = lua_gettop(lua);
    uint32_t flags = 0;
    if (!library) raise(lua, "redis.register_function can only be called on FUNCTION LOAD command");
    if (count < 1 || count > 2) raise(lua, "wrong number of arguments to redis.register_function");
    if (count == 1) {
        if (!lua_istable(lua, 1))
            raise(lua, "calling redis.register_function with a single argument is only applicable "
                       "to Lua table (representing named arguments).");
        flags = read_named(lua);
        if (lua_isnil(lua, 2))
            raise(lua, "redis.register_function must get a function name argument");
        if (lua_isnil(lua, 3)) raise(lua, "redis.register_function must get a callback argument");
    } else {
        lua_settop(lua, 3);
        lua_insert(lua, 1);
        lua_settop(lua, 4);
        if (!lua_isfunction(lua, 3))
            raise(lua, "second argument to redis.register_function must be a function");
    }
    if (!lua_isstring(lua, 2))
        raise(lua, "first argument to redis.register_function must be a string");
    if (!is_name(text_at(lua, 2))) raise(lua, name_error);
    add_function(lua, library, flags);
    return 0;
}

/* ---- loading ---- */

/* "#!lua name=x": the library's name, and the code with the line's end in front. */
static bool parse_head(struct bytes text, struct bytes *name, struct bytes *code,
                       struct buffer *error) {
    struct bytes engine = {NULL, 0};
    *name = engine;
    if (text.size < 2 || memcmp(text.data, "#!", 2) != 0)
        return refuse(error, "Missing library metadata");
    const char *end = memchr(text.data, '\n', text.size);
    if (!end) return refuse(error, "Invalid library metadata");
    *code = bytes_make(end, (size_t)(text.data + text.size - end));
    for (const char *at = text.data + 2; at < end;) {
        const char *from = at;
        while (at < end && *at != ' ')
            at++;
        struct bytes word = bytes_make(from, (size_t)(at - from));
        if (at < end) at++;
        if (word.size == 0) continue;
        if (!engine.data) {
            engine = word;
        } else if (word.size < 5 || memcmp(word.data, "name=", 5) != 0) {
            return refuse(error, "Invalid metadata value given: %.*s", (int)word.size, word.data);
        } else if (name->data) {
            return refuse(error, "Invalid metadata value, name argument was given multiple times");
        } else {
            *name = bytes_make(word.data + 5, word.size - 5);
        }
    }
    if (!name->data) return refuse(error, "Library name was not given");
    if (!is_name(*name)) return refuse(error, "%s", name_error);
    if (!bytes_is(engine, "lua"))
        return refuse(error, "Engine '%.*s' not found", (int)engine.size, engine.data);
    return true;
}

/* What the code of a library sees while it is run: which table, stands behind the globals. */
static void use_globals(struct script_vm *vm, int reference) {
    lua_State *lua = vm->lua;
    lua_pushvalue(lua, LUA_GLOBALSINDEX);
    lua_getmetatable(lua, -1);
    lua_pushliteral(lua, "__index");
    lua_rawgeti(lua, LUA_REGISTRYINDEX, reference);
    lua_rawset(lua, -3);
    lua_pop(lua, 2);
}

/* Run the code on the top of the stack, which fills the library. */
static bool run_code(struct script_host *host, struct function_library *library,
                     struct buffer *error) {
    struct script_vm *vm = host->functions;
    host->loading = library;
    host->loading_until_us = io_monotonic_us(host->server->io) + LOAD_US_MAX;
    use_globals(vm, vm->loading_globals);
    vm->limited = true;
    int status = lua_pcall(vm->lua, 0, 0, 0);
    vm->limited = false;
    use_globals(vm, vm->globals);
    host->loading = NULL;
    lua_sethook(vm->lua, script_count_hook, LUA_MASKCOUNT, SCRIPT_HOOK_PERIOD);
    if (status == 0) return true;
    struct buffer text = {0};
    script_describe_error(vm->lua, &text);
    lua_pop(vm->lua, 1);
    refuse(error, "Error registering functions: %.*s", (int)text.size, text.data);
    buffer_release(&text);
    return false;
}

/* A library of the text, in no registry; NULL with an error. */
static struct function_library *make_library(struct script_host *host, struct bytes text,
                                             struct buffer *error) {
    struct bytes name, code;
    if (!parse_head(text, &name, &code, error)) return NULL;
    if (!host->functions) host->functions = script_vm_open(host, true);
    const char *compile_error = script_compile(host->functions, code, "@user_function");
    if (compile_error) {
        refuse(error, "Error compiling function: %s", compile_error);
        lua_pop(host->functions->lua, 1);
        return NULL;
    }
    struct function_library *library = memory_alloc_zeroed(1, sizeof *library);
    library->last = &library->first;
    library->name = copy(name);
    library->text = copy(text);
    bool good = run_code(host, library, error);
    if (good && library->count == 0) good = refuse(error, "No functions registered");
    if (good) return library;
    library_free(host, library);
    return NULL;
}

/* Does a function of the library have the name of one of another library? */
static bool collides(struct function_registry *registry, const struct function_library *library,
                     struct buffer *error) {
    for (const struct function *one = library->first; one; one = one->next) {
        const struct function *other = find_function(registry, one->name);
        if (other && !bytes_equal(other->library->name, library->name)) {
            refuse(error, "Function %.*s already exists", (int)one->name.size, one->name.data);
            return true;
        }
    }
    return false;
}

/* It goes into the registry, or is freed. */
static bool enter(struct script_host *host, struct function_registry *registry,
                  struct function_library *library, bool replaces, struct buffer *error) {
    struct function_library **old = find_library(registry, library->name);
    bool good = true;
    if (*old && !replaces)
        good = refuse(error, "Library '%.*s' already exists", (int)library->name.size,
                      library->name.data);
    else
        good = !collides(registry, library, error);
    if (!good) {
        library_free(host, library);
        return false;
    }
    if (*old) library_free(host, registry_take(registry, old));
    registry_add(registry, library);
    return true;
}

bool function_load(struct server *server, struct bytes text, bool replaces, struct bytes *name,
                   struct buffer *error) {
    struct script_host *host = script_host_of(server);
    struct function_registry *registry = registry_of(host);
    struct bytes head_name, code;
    /* What is there already is said before the code is looked at. */
    if (!parse_head(text, &head_name, &code, error)) return false;
    if (!replaces && *find_library(registry, head_name))
        return refuse(error, "Library '%.*s' already exists", (int)head_name.size, head_name.data);
    struct function_library *library = make_library(host, text, error);
    if (!library || !enter(host, registry, library, replaces, error)) return false;
    *name = library->name;
    return true;
}

bool function_delete(struct server *server, struct bytes name) {
    struct script_host *host = script_host_of(server);
    struct function_registry *registry = registry_of(host);
    struct function_library **link = find_library(registry, name);
    if (!*link) return false;
    library_free(host, registry_take(registry, link));
    return true;
}

void function_flush(struct server *server, bool in_background) {
    struct script_host *host = script_host_of(server);
    struct script_vm *vm = host->functions;
    host->functions = NULL; /* its references go with it */
    if (host->registry) registry_close(host, host->registry);
    host->registry = NULL;
    script_dispose_vm(host, vm, in_background);
}

/* ---- all of them as bytes ---- */

void function_encode(struct script_host *host, bool compresses, struct buffer *out) {
    struct rdb_output encoded;
    if (!host->registry) return;
    rdb_output_init(&encoded, compresses);
    for (const struct function_library *one = host->registry->first; one; one = one->next) {
        rdb_output_byte(&encoded, RDB_FUNCTION_2);
        rdb_output_string(&encoded, one->text);
    }
    buffer_append(out, encoded.buffer.data, encoded.buffer.size);
    rdb_output_release(&encoded);
}

/* Libraries of the bytes into a registry of their own. */
static bool decode(struct script_host *host, struct function_registry *registry,
                   struct bytes encoded, struct buffer *error) {
    struct rdb_input in = rdb_input_of(encoded);
    struct buffer room = {0};
    bool good = true;
    while (good && rdb_input_left(&in) > 0) {
        uint8_t kind;
        struct bytes text;
        good = rdb_input_byte(&in, &kind) && kind == RDB_FUNCTION_2 &&
               rdb_input_string(&in, &room, &text);
        if (!good) {
            refuse(error, "given type is not a function");
            break;
        }
        struct function_library *library = make_library(host, text, error);
        good = library && enter(host, registry, library, false, error);
    }
    buffer_release(&room);
    return good;
}

/* May all of `added` go into the registry? With `replaces`, libraries of the same names go first.
 */
static bool may_join(struct function_registry *registry, const struct function_registry *added,
                     bool replaces, struct buffer *error) {
    for (const struct function_library *one = added->first; one; one = one->next) {
        if (!replaces && *find_library(registry, one->name))
            return refuse(error, "Library %.*s already exists", (int)one->name.size,
                          one->name.data);
    }
    for (const struct function_library *one = added->first; one; one = one->next) {
        for (const struct function *function = one->first; function; function = function->next) {
            const struct function *other = find_function(registry, function->name);
            if (!other) continue;
            bool goes = false;
            for (const struct function_library *new = added->first; new && !goes; new = new->next)
                goes = bytes_equal(new->name, other->library->name);
            if (!goes)
                return refuse(error, "Function %.*s already exists", (int)function->name.size,
                              function->name.data);
        }
    }
    return true;
}

static void join(struct script_host *host, struct function_registry *added) {
    struct function_registry *registry = registry_of(host);
    for (const struct function_library *one = added->first; one; one = one->next) {
        struct function_library **old = find_library(registry, one->name);
        if (*old) library_free(host, registry_take(registry, old));
    }
    while (added->first)
        registry_add(registry, registry_take(added, &added->first));
}

bool function_restore(struct server *server, struct bytes encoded, enum function_policy policy,
                      struct buffer *error) {
    struct script_host *host = script_host_of(server);
    struct function_registry *added = registry_open();
    bool good = decode(host, added, encoded, error);
    if (good && policy != FUNCTION_FLUSH)
        good = may_join(registry_of(host), added, policy == FUNCTION_REPLACE, error);
    if (good) {
        struct function_registry *registry = registry_of(host);
        while (policy == FUNCTION_FLUSH && registry->first)
            library_free(host, registry_take(registry, &registry->first));
        join(host, added);
    }
    registry_close(host, added);
    return good;
}

/* ---- running ---- */

void function_call(struct call *call, bool read_only) {
    struct script_host *host = script_host_of(call->server);
    const struct function *function = find_function(registry_of(host), call->argv[1]);
    uint32_t key_count;
    insight_begin(call);
    if (!function) {
        call_error(call, "ERR Function not found");
        return;
    }
    if (!script_parse_key_count(call, &key_count, "ERR Bad number of keys provided")) return;
    bool out_of_memory;
    if (!script_may_run(call, function->flags, read_only, &out_of_memory)) return;
    struct script_run run = {
        .outer = call,
        .vm = host->functions,
        .name = function->name,
        .flags = function->flags,
        .out_of_memory = out_of_memory,
        .read_only = read_only || (function->flags & SCRIPT_NO_WRITES),
        .is_function = true,
    };
    lua_State *lua = host->functions->lua;
    lua_rawgeti(lua, LUA_REGISTRYINDEX, function->reference);
    script_push_words(lua, call->argv + 3, key_count);
    script_push_words(lua, call->argv + 3 + key_count, call->argc - 3 - key_count);
    script_execute(host, &run, 2);
}

uint32_t function_flags_of(struct script_host *host, struct bytes name) {
    const struct function *function = find_function(registry_of(host), name);
    return function ? function->flags : SCRIPT_UNDECLARED;
}

/* ---- what is said about them ---- */

const struct function_library *function_first(struct server *server) {
    return registry_of(script_host_of(server))->first;
}

uint32_t function_library_count(struct server *server) {
    return registry_of(script_host_of(server))->library_count;
}

uint32_t function_count(struct server *server) {
    return registry_of(script_host_of(server))->function_count;
}

static void reply_running(struct call *call, const struct script_run *run) {
    const struct call *outer = run->outer;
    if (!outer || !run->is_function) {
        reply_null(call->reply);
        return;
    }
    int64_t elapsed_us = io_monotonic_us(call->server->io) - run->begun_us;
    reply_map(call->reply, 3);
    reply_bulk_text(call->reply, "name");
    reply_bulk(call->reply, run->name);
    reply_bulk_text(call->reply, "command");
    reply_array(call->reply, outer->argc);
    for (uint32_t i = 0; i < outer->argc; i++)
        reply_bulk(call->reply, outer->argv[i]);
    reply_bulk_text(call->reply, "duration_ms");
    reply_integer(call->reply, elapsed_us / 1000);
}

void function_reply_stats(struct call *call) {
    struct script_host *host = script_host_of(call->server);
    const struct script_run *run = &host->run;
    if (run->outer && !run->is_function && run->slow) {
        call_error_busy(call);
        return;
    }
    reply_map(call->reply, 2);
    reply_bulk_text(call->reply, "running_script");
    reply_running(call, run);
    reply_bulk_text(call->reply, "engines");
    reply_map(call->reply, 1);
    reply_bulk_text(call->reply, "LUA");
    reply_map(call->reply, 2);
    reply_bulk_text(call->reply, "libraries_count");
    reply_integer(call->reply, function_library_count(call->server));
    reply_bulk_text(call->reply, "functions_count");
    reply_integer(call->reply, function_count(call->server));
}

void function_measure(const struct script_host *host, struct scripting_report *report) {
    if (!host->registry) return;
    report->libraries = host->registry->library_count;
    report->functions = host->registry->function_count;
    report->library_bytes = host->registry->bytes;
}

void function_close(struct script_host *host) {
    if (host->functions) script_vm_close(host->functions);
    host->functions = NULL;
    if (host->registry) registry_close(host, host->registry);
    host->registry = NULL;
}

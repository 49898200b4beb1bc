/* vm.c: making a Lua state, its memory, and the tables that scripts cannot change. Runs no scripts.
 */
#include "script/vm.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "engine/config.h"
#include "engine/server.h"
#include "script/host.h"
#include <lauxlib.h>
#include <lualib.h>

/* The key, in a metatable, of the tables that scripts cannot change: its address. */
static const char protected_mark;

/* ---- memory ---- */

/* A few instructions may move as many bytes as the bound allows ("..", for example): then the next
 * one looks at the clock. A coroutine's look comes with its own count. */
enum { LARGE = 64 * 1024, LARGE_PER_LOOK = 64 << 20 };

static void note_large(struct script_vm *vm, size_t size) {
    vm->moved += size;
    if (vm->moved < LARGE_PER_LOOK || !vm->limited) return;
    vm->moved = 0;
    lua_sethook(vm->lua, script_count_hook, LUA_MASKCOUNT, 1);
}

static void *allocate(void *context, void *block, size_t old_size, size_t size) {
    struct script_vm *vm = context;
    if (size == 0) {
        vm->bytes -= old_size;
        memory_free(block);
        return NULL;
    }
    size_t others = vm->bytes - old_size;
    if (unlikely(vm->limited) && size > old_size &&
        (size > vm->bytes_max || others > vm->bytes_max - size))
        return NULL;
    void *moved = memory_try_resize(block, size);
    if (!moved) return NULL;
    vm->bytes = others + size;
    if (unlikely(size >= LARGE)) note_large(vm, size);
    return moved;
}

static int panic(lua_State *lua) {
    const char *text = lua_tostring(lua, -1);
    invariant_panic("Lua outside of a protected call: %s", text ? text : "?");
}

/* ---- text ---- */

void script_scratch_begin(lua_State *lua) {
    struct script_vm *vm = script_vm_of(lua);
    vm->scratch_user = lua;
    if (vm->scratch.capacity > SCRIPT_SINK_KEPT) buffer_release(&vm->scratch);
    buffer_clear(&vm->scratch);
}

void script_scratch_add(struct script_vm *vm, const void *data, size_t size) {
    if (vm->bytes + vm->scratch.size + size > vm->bytes_max)
        luaL_error(vm->scratch_user, "not enough memory");
    buffer_append(&vm->scratch, data, size);
}

void script_scratch_push(struct script_vm *vm) {
    lua_pushlstring(vm->scratch_user, vm->scratch.data, vm->scratch.size);
}

/* ---- functions around others ---- */

int script_call_inner(lua_State *lua, const char *complaint) {
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_insert(lua, 1);
    int status = lua_pcall(lua, lua_gettop(lua) - 1, LUA_MULTRET, 0);
    if (status == 0) return lua_gettop(lua);
    if (status == LUA_ERRRUN && lua_type(lua, -1) == LUA_TSTRING &&
        strncmp(lua_tostring(lua, -1), complaint, strlen(complaint)) == 0) {
        luaL_where(lua, 1);
        lua_insert(lua, -2);
        lua_concat(lua, 2);
    }
    return lua_error(lua);
}

/* ---- protected tables ---- */

static int refuse_write(lua_State *lua) {
    return luaL_error(lua, "Attempt to modify a readonly table");
}

static int refuse_unknown(lua_State *lua) {
    const char *name = lua_tostring(lua, 2);
    return luaL_error(lua, "Script attempted to access nonexistent global variable '%s'",
                      name ? name : luaL_typename(lua, 2));
}

void script_protect(lua_State *lua) {
    lua_newtable(lua);
    lua_createtable(lua, 0, 3);
    lua_pushlightuserdata(lua, (void *)(uintptr_t)&protected_mark);
    lua_pushboolean(lua, 1);
    lua_rawset(lua, -3);
    lua_pushvalue(lua, -3);
    lua_setfield(lua, -2, "__index");
    lua_pushcfunction(lua, refuse_write);
    lua_setfield(lua, -2, "__newindex");
    lua_setmetatable(lua, -2);
    lua_remove(lua, -2);
}

bool script_is_protected(lua_State *lua, int index) {
    if (!lua_istable(lua, index) || !lua_getmetatable(lua, index)) return false;
    lua_pushlightuserdata(lua, (void *)(uintptr_t)&protected_mark);
    lua_rawget(lua, -2);
    bool is = lua_toboolean(lua, -1);
    lua_pop(lua, 2);
    return is;
}

void script_refuse_protected(lua_State *lua, int index) {
    if (likely(!script_is_protected(lua, index))) return;
    lua_pushliteral(lua, "Attempt to modify a readonly table");
    lua_error(lua);
}

void script_push_protected(lua_State *lua, int index) {
    lua_getmetatable(lua, index);
    lua_pushliteral(lua, "__index");
    lua_rawget(lua, -2);
    lua_remove(lua, -2);
}

/* ---- opening ---- */

static void open_library(lua_State *lua, const char *name, lua_CFunction open) {
    lua_pushcfunction(lua, open);
    lua_pushstring(lua, name);
    lua_call(lua, 1, 0);
}

/* Of a table on the top, nothing but the names in the list stays. */
static void keep_only(lua_State *lua, const char *const *names) {
    lua_pushnil(lua);
    while (lua_next(lua, -2)) {
        lua_pop(lua, 1);
        bool kept = false;
        for (const char *const *name = names; *name && !kept; name++)
            kept = lua_type(lua, -1) == LUA_TSTRING && strcmp(lua_tostring(lua, -1), *name) == 0;
        if (kept) continue;
        lua_pushvalue(lua, -1);
        lua_pushnil(lua);
        lua_rawset(lua, -4);
    }
}

static const char *const base_names[] = {
    "_VERSION", "assert",   "collectgarbage", "coroutine", "error",  "gcinfo",       "getmetatable",
    "ipairs",   "load",     "loadstring",     "math",      "next",   "os",           "pairs",
    "pcall",    "rawequal", "rawget",         "rawset",    "select", "setmetatable", "string",
    "table",    "tonumber", "tostring",       "type",      "unpack", "xpcall",       NULL};
static const char *const os_names[] = {"clock", NULL};
static const char *const string_names[] = {"byte",   "char",    "find", "format", "gfind",
                                           "gmatch", "gsub",    "len",  "lower",  "match",
                                           "rep",    "reverse", "sub",  "upper",  NULL};

static void open_lua_libraries(lua_State *lua) {
    open_library(lua, "", luaopen_base);
    open_library(lua, LUA_TABLIBNAME, luaopen_table);
    open_library(lua, LUA_STRLIBNAME, luaopen_string);
    open_library(lua, LUA_MATHLIBNAME, luaopen_math);
    open_library(lua, LUA_OSLIBNAME, luaopen_os);
}

/* Strings find their methods in the library itself; whoever asks for the metatable gets another
 * one, which cannot be changed and shows the protected library. */
static void protect_strings(lua_State *lua) {
    struct script_vm *vm = script_vm_of(lua);
    lua_newtable(lua);
    lua_getfield(lua, -2, "string"); /* protected already */
    lua_setfield(lua, -2, "__index");
    script_protect(lua);
    lua_pushlightuserdata(lua, &vm->random);
    lua_insert(lua, -2);
    lua_rawset(lua, LUA_REGISTRYINDEX);
}

void script_push_string_metatable(lua_State *lua) {
    struct script_vm *vm = script_vm_of(lua);
    lua_pushlightuserdata(lua, &vm->random);
    lua_rawget(lua, LUA_REGISTRYINDEX);
}

static void add_library(lua_State *lua, const char *name, int (*open)(lua_State *)) {
    open(lua);
    script_protect(lua);
    lua_setfield(lua, -2, name);
}

/* With the globals on the top. */
static void protect_libraries(lua_State *lua) {
    static const char *const names[] = {"coroutine", "math", "os", "string", "table", NULL};
    for (const char *const *name = names; *name; name++) {
        lua_getfield(lua, -1, *name);
        script_protect(lua);
        lua_setfield(lua, -2, *name);
    }
}

/* An error for who asks the table on the top for a name that is not there. */
static void refuse_others(lua_State *lua) {
    lua_newtable(lua);
    lua_pushcfunction(lua, refuse_unknown);
    lua_setfield(lua, -2, "__index");
    lua_setmetatable(lua, -2);
}

/* The table on the top goes into the globals below it, by both of its names. */
static void add_redis(lua_State *lua) {
    script_protect(lua);
    lua_pushvalue(lua, -1);
    lua_setfield(lua, -3, "redis");
    lua_setfield(lua, -2, "server");
}

static void open_loading_globals(lua_State *lua, struct script_vm *vm) {
    lua_newtable(lua);
    script_open_redis(lua, SCRIPT_REDIS_LOADING);
    refuse_others(lua);
    add_redis(lua);
    refuse_others(lua);
    vm->loading_globals = luaL_ref(lua, LUA_REGISTRYINDEX);
}

static int open_all(lua_State *lua) {
    bool functions = lua_toboolean(lua, 1);
    struct script_vm *vm = script_vm_of(lua);
    open_lua_libraries(lua);
    lua_pushvalue(lua, LUA_GLOBALSINDEX);
    lua_getfield(lua, -1, "os");
    keep_only(lua, os_names);
    lua_pop(lua, 1);
    lua_getfield(lua, -1, "string");
    keep_only(lua, string_names);
    script_replace_string(lua);
    lua_pop(lua, 1);
    keep_only(lua, base_names);
    script_replace_base(lua);
    protect_libraries(lua);
    protect_strings(lua);
    add_library(lua, "bit", script_open_bit);
    add_library(lua, "struct", script_open_struct);
    add_library(lua, "cmsgpack", script_open_msgpack);
    add_library(lua, "cjson", script_open_json);
    script_open_redis(lua, functions ? SCRIPT_REDIS_FUNCTIONS : SCRIPT_REDIS_EVAL);
    add_redis(lua);
    refuse_others(lua);
    if (functions) open_loading_globals(lua, vm);
    lua_pushvalue(lua, -1);
    vm->globals = luaL_ref(lua, LUA_REGISTRYINDEX);
    lua_pushvalue(lua, -1);
    script_protect(lua);
    lua_pushvalue(lua, -1);
    lua_replace(lua, LUA_GLOBALSINDEX);
    lua_setfield(lua, -2, "_G");
    return 0;
}

struct script_vm *script_vm_open(struct script_host *host, bool functions) {
    struct script_vm *vm = memory_alloc_zeroed(1, sizeof *vm);
    vm->host = host;
    vm->bytes_max = host->server->config->script_memory_max;
    vm->lua = lua_newstate(allocate, vm);
    INVARIANT(vm->lua != NULL);
    lua_atpanic(vm->lua, panic);
    lua_pushcfunction(vm->lua, open_all);
    lua_pushboolean(vm->lua, functions);
    lua_call(vm->lua, 1, 0);
    lua_pushcfunction(vm->lua, script_note_error);
    vm->handler = luaL_ref(vm->lua, LUA_REGISTRYINDEX);
    lua_sethook(vm->lua, script_count_hook, LUA_MASKCOUNT, SCRIPT_HOOK_PERIOD);
    return vm;
}

void script_vm_close(void *context) {
    struct script_vm *vm = context;
    lua_close(vm->lua);
    INVARIANT(vm->bytes == 0);
    buffer_release(&vm->scratch);
    memory_free(vm);
}

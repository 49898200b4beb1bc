/* base_library.c: functions of Lua's base, coroutine, table and math libraries that are ours here:
 * because they would change tables that scripts may not change, take bytecode, catch the end of a
 * script that was killed, or share their state with the process. They do and say what Lua's and
 * Redis's do. */
#include "base/invariant.h"
#include "script/host.h"
#include <lauxlib.h>
#include <limits.h>
#include <math.h>

/* ---- tables and their metatables ---- */

static int base_getmetatable(lua_State *lua) {
    luaL_checkany(lua, 1);
    if (lua_type(lua, 1) == LUA_TSTRING) {
        script_push_string_metatable(lua);
        return 1;
    }
    if (script_is_protected(lua, 1)) {
        /* There is nothing to be seen; as in Redis, the globals have one and libraries have not. */
        if (!lua_rawequal(lua, 1, LUA_GLOBALSINDEX)) {
            lua_pushnil(lua);
            return 1;
        }
        lua_newtable(lua);
        script_protect(lua);
        return 1;
    }
    if (!lua_getmetatable(lua, 1)) {
        lua_pushnil(lua);
        return 1;
    }
    luaL_getmetafield(lua, 1, "__metatable");
    return 1;
}

static int base_setmetatable(lua_State *lua) {
    int type = lua_type(lua, 2);
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_argcheck(lua, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table expected");
    script_refuse_protected(lua, 1);
    if (luaL_getmetafield(lua, 1, "__metatable"))
        luaL_error(lua, "cannot change a protected metatable");
    lua_settop(lua, 2);
    lua_setmetatable(lua, 1);
    return 1;
}

/* The first argument is a table; one that cannot be changed is read through. */
static void take_table(lua_State *lua, int arguments) {
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_settop(lua, arguments);
    if (!script_is_protected(lua, 1)) return;
    script_push_protected(lua, 1);
    lua_replace(lua, 1);
}

static int base_rawget(lua_State *lua) {
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_checkany(lua, 2);
    take_table(lua, 2);
    lua_rawget(lua, 1);
    return 1;
}

static int base_rawset(lua_State *lua) {
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_checkany(lua, 2);
    luaL_checkany(lua, 3);
    lua_settop(lua, 3);
    script_refuse_protected(lua, 1);
    lua_rawset(lua, 1);
    return 1;
}

static int base_next(lua_State *lua) {
    take_table(lua, 2);
    if (lua_next(lua, 1)) return 2;
    lua_pushnil(lua);
    return 1;
}

static int base_pairs(lua_State *lua) {
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_pushvalue(lua, 1);
    lua_pushnil(lua);
    return 3;
}

/* Ours because the count of Lua 5.1.5's overflows, and what it then reads and writes lies beyond
 * its stack. */
static int base_unpack(lua_State *lua) {
    luaL_checktype(lua, 1, LUA_TTABLE);
    int64_t first = luaL_optint(lua, 2, 1);
    int64_t last = lua_isnoneornil(lua, 3) ? (int64_t)lua_objlen(lua, 1) : luaL_checkint(lua, 3);
    int64_t count = last - first + 1;
    if (count <= 0) return 0;
    if (count >= INT_MAX || !lua_checkstack(lua, (int)count))
        return luaL_error(lua, "too many results to unpack");
    for (int64_t i = first; i <= last; i++)
        lua_rawgeti(lua, 1, (int)i);
    return (int)count;
}

/* ---- errors ---- */

/* Nobody outlives SCRIPT KILL. */
static void pass_on_kill(lua_State *lua) {
    if (unlikely(script_vm_of(lua)->host->run.killed)) script_poll(lua);
}

/* An error that redis.call raised is a table; here scripts find its text. */
static int base_pcall(lua_State *lua) {
    luaL_checkany(lua, 1);
    int status = lua_pcall(lua, lua_gettop(lua) - 1, LUA_MULTRET, 0);
    pass_on_kill(lua);
    if (status != 0 && lua_istable(lua, -1)) {
        lua_pushliteral(lua, "err");
        lua_rawget(lua, -2);
        if (lua_isnil(lua, -1))
            lua_pop(lua, 1);
        else
            lua_remove(lua, -2);
    }
    lua_pushboolean(lua, status == 0);
    lua_insert(lua, 1);
    return lua_gettop(lua);
}

/* The script's handler, as upvalue: but a kill is raised where hooks do not work, and so no code of
 * the script may run before it is caught. */
static int handle_error(lua_State *lua) {
    if (script_vm_of(lua)->host->run.killed) return 1;
    lua_settop(lua, 1);
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_insert(lua, 1);
    lua_call(lua, 1, 1);
    return 1;
}

static int base_xpcall(lua_State *lua) {
    luaL_checkany(lua, 2);
    lua_settop(lua, 2);
    lua_pushcclosure(lua, handle_error, 1);
    lua_insert(lua, 1);
    int status = lua_pcall(lua, 0, LUA_MULTRET, 1);
    pass_on_kill(lua);
    lua_pushboolean(lua, status == 0);
    lua_replace(lua, 1);
    return lua_gettop(lua);
}

/* Lua's own, as upvalue. */
static int coroutine_resume(lua_State *lua) {
    luaL_argcheck(lua, lua_tothread(lua, 1) != NULL, 1, "coroutine expected");
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_insert(lua, 1);
    lua_call(lua, lua_gettop(lua) - 1, LUA_MULTRET);
    pass_on_kill(lua);
    return lua_gettop(lua);
}

/* ---- code ---- */

static int loaded(lua_State *lua, int status) {
    if (status == 0) return 1;
    pass_on_kill(lua);
    lua_pushnil(lua);
    lua_insert(lua, -2);
    return 2;
}

static int base_loadstring(lua_State *lua) {
    size_t size;
    const char *text = luaL_checklstring(lua, 1, &size);
    const char *name = luaL_optstring(lua, 2, text);
    return loaded(lua, script_load_text(lua, bytes_make(text, size), name));
}

/* The function at 1 gives pieces; the one at hand stands at 3. */
static const char *read_pieces(lua_State *lua, void *context, size_t *size) {
    bool *begun = context;
    if (!*begun) {
        *begun = true;
        *size = 1;
        return " ";
    }
    script_poll(lua);
    luaL_checkstack(lua, 2, "too many nested functions");
    lua_pushvalue(lua, 1);
    lua_call(lua, 0, 1);
    if (lua_isnil(lua, -1)) {
        *size = 0;
        return NULL;
    }
    if (!lua_isstring(lua, -1)) luaL_error(lua, "reader function must return a string");
    lua_replace(lua, 3);
    return lua_tolstring(lua, 3, size);
}

static int base_load(lua_State *lua) {
    bool begun = false;
    const char *name = luaL_optstring(lua, 2, "=(load)");
    luaL_checktype(lua, 1, LUA_TFUNCTION);
    lua_settop(lua, 3);
    lua_pushstring(lua, name); /* held, as in script_load_text */
    return loaded(lua, lua_load(lua, read_pieces, &begun, name));
}

static int base_collectgarbage(lua_State *lua) {
    static const char *const names[] = {"stop", "restart",  "collect",    "count",
                                        "step", "setpause", "setstepmul", NULL};
    enum { STOP, RESTART, COLLECT, COUNT, STEP };
    int option = luaL_checkoption(lua, 1, "collect", names);
    int argument = luaL_optint(lua, 2, 0);
    switch (option) {
    case COUNT:
        lua_pushnumber(lua, lua_gc(lua, LUA_GCCOUNT, 0) + lua_gc(lua, LUA_GCCOUNTB, 0) / 1024.0);
        return 1;
    case STEP:
        lua_pushboolean(lua, lua_gc(lua, LUA_GCSTEP, argument));
        script_poll(lua);
        return 1;
    case COLLECT:
        lua_gc(lua, LUA_GCCOLLECT, 0);
        script_poll(lua);
        break;
    default: break; /* how the collector works is not for scripts to say */
    }
    lua_pushinteger(lua, option > STEP ? LUAI_GCPAUSE : 0);
    return 1;
}

/* ---- tables as lists ---- */

enum { ELEMENTS_PER_LOOK = 1 << 16 }; /* moved between two looks at the clock */

static int list_insert(lua_State *lua) {
    luaL_checktype(lua, 1, LUA_TTABLE);
    int end = (int)lua_objlen(lua, 1) + 1, at = end;
    int arguments = lua_gettop(lua);
    if (arguments == 3) {
        at = luaL_checkint(lua, 2);
        script_refuse_protected(lua, 1);
        for (int i = at > end ? at : end; i > at; i--) {
            if (i % ELEMENTS_PER_LOOK == 0) script_poll(lua);
            lua_rawgeti(lua, 1, i - 1);
            lua_rawseti(lua, 1, i);
        }
    } else if (arguments != 2) {
        return luaL_error(lua, "wrong number of arguments to 'insert'");
    }
    script_refuse_protected(lua, 1);
    lua_rawseti(lua, 1, at);
    return 0;
}

static int list_remove(lua_State *lua) {
    luaL_checktype(lua, 1, LUA_TTABLE);
    int end = (int)lua_objlen(lua, 1);
    int at = luaL_optint(lua, 2, end);
    if (at < 1 || at > end) return 0;
    script_refuse_protected(lua, 1);
    lua_rawgeti(lua, 1, at);
    for (; at < end; at++) {
        if (at % ELEMENTS_PER_LOOK == 0) script_poll(lua);
        lua_rawgeti(lua, 1, at + 1);
        lua_rawseti(lua, 1, at);
    }
    lua_pushnil(lua);
    lua_rawseti(lua, 1, end);
    return 1;
}

/* Order of two elements, with the count of comparisons as upvalue. */
static int list_less(lua_State *lua) {
    double count = lua_tonumber(lua, lua_upvalueindex(1)) + 1;
    if (count >= ELEMENTS_PER_LOOK) {
        script_poll(lua);
        count = 0;
    }
    lua_pushnumber(lua, count);
    lua_replace(lua, lua_upvalueindex(1));
    lua_pushboolean(lua, lua_lessthan(lua, 1, 2));
    return 1;
}

/* Lua's own, as upvalue: long lists without an order of their own get one that looks at the clock.
 */
static int list_sort(lua_State *lua) {
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_settop(lua, 2);
    if (lua_isnil(lua, 2) && lua_objlen(lua, 1) > ELEMENTS_PER_LOOK) {
        lua_pushinteger(lua, 0);
        lua_pushcclosure(lua, list_less, 1);
        lua_replace(lua, 2);
    }
    return script_call_inner(lua, "invalid order function");
}

/* ---- random numbers ---- */

/* The 48 bits of POSIX's lrand48, of which it gives 31; so that seeds mean what they mean in
 * Redis. */
static uint32_t draw(struct script_vm *vm) {
    vm->random = (vm->random * UINT64_C(0x5deece66d) + 0xb) & ((UINT64_C(1) << 48) - 1);
    return (uint32_t)(vm->random >> 17);
}

void script_seed(struct script_vm *vm, uint32_t seed) {
    vm->random = (uint64_t)seed << 16 | 0x330e;
}

static int math_random(lua_State *lua) {
    double part = (double)(draw(script_vm_of(lua)) % INT32_MAX) / (double)INT32_MAX;
    int low = 1, high;
    switch (lua_gettop(lua)) {
    case 0: lua_pushnumber(lua, part); return 1;
    case 1:
        high = luaL_checkint(lua, 1);
        luaL_argcheck(lua, 1 <= high, 1, "interval is empty");
        break;
    case 2:
        low = luaL_checkint(lua, 1);
        high = luaL_checkint(lua, 2);
        luaL_argcheck(lua, low <= high, 2, "interval is empty");
        break;
    default: return luaL_error(lua, "wrong number of arguments");
    }
    lua_pushnumber(lua, floor(part * ((double)high - low + 1)) + low);
    return 1;
}

static int math_randomseed(lua_State *lua) {
    script_seed(script_vm_of(lua), (uint32_t)luaL_checkint(lua, 1));
    return 0;
}

/* ---- putting them in place ---- */

static const luaL_Reg base[] = {{"getmetatable", base_getmetatable},
                                {"setmetatable", base_setmetatable},
                                {"rawget", base_rawget},
                                {"rawset", base_rawset},
                                {"next", base_next},
                                {"unpack", base_unpack},
                                {"pcall", base_pcall},
                                {"xpcall", base_xpcall},
                                {"collectgarbage", base_collectgarbage},
                                {"load", base_load},
                                {"loadstring", base_loadstring},
                                {NULL, NULL}};

/* The function of a library that is a field of the globals on the top. */
static void replace(lua_State *lua, const char *library, const char *name, lua_CFunction function) {
    lua_getfield(lua, -1, library);
    lua_pushcfunction(lua, function);
    lua_setfield(lua, -2, name);
    lua_pop(lua, 1);
}

/* A function of ours that has the table's own, of the table on the top, as upvalue. */
static void wrap(lua_State *lua, const char *name, lua_CFunction function) {
    lua_getfield(lua, -1, name);
    lua_pushcclosure(lua, function, 1);
    lua_setfield(lua, -2, name);
}

void script_replace_base(lua_State *lua) {
    for (const luaL_Reg *entry = base; entry->name; entry++) {
        lua_pushcfunction(lua, entry->func);
        lua_setfield(lua, -2, entry->name);
    }
    lua_getfield(lua, -1, "next");
    lua_pushcclosure(lua, base_pairs, 1);
    lua_setfield(lua, -2, "pairs");
    replace(lua, "table", "insert", list_insert);
    replace(lua, "table", "remove", list_remove);
    replace(lua, "math", "random", math_random);
    replace(lua, "math", "randomseed", math_randomseed);
    lua_getfield(lua, -1, "table");
    wrap(lua, "sort", list_sort);
    lua_pop(lua, 1);
    lua_getfield(lua, -1, "coroutine");
    wrap(lua, "resume", coroutine_resume);
    lua_pop(lua, 1);
    script_seed(script_vm_of(lua), 0);
}

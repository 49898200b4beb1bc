/* json_library.c: the table `cjson`, of lua-cjson: with a guard before its encoder, whose text is
 * in memory that Lua does not count, and would else grow beyond what a script may have; without
 * that text staying behind the call; and with a decoder of our own, which can be interrupted
 * (json_decode.c). */
#include "base/invariant.h"
#include "script/json_decode.h"
#include "script/vm.h"
#include <lauxlib.h>
#include <lua-cjson.h>

enum {
    TEXT_MAX = 512 << 20, /* bytes of JSON */
    BYTES_PER_CHARACTER = 6,
    BYTES_PER_VALUE = 32,
    DEPTH_MAX = 1000,
    VALUES_PER_LOOK = 1 << 14,
};

struct estimate {
    lua_State *lua;
    size_t bytes, bytes_max;
    uint32_t values;
};

/* Counts the value on the top, and pops it. */
static void add_value(struct estimate *estimate, unsigned depth) {
    lua_State *lua = estimate->lua;
    estimate->bytes += BYTES_PER_VALUE;
    if (++estimate->values % VALUES_PER_LOOK == 0) script_poll(lua);
    if (lua_type(lua, -1) == LUA_TSTRING)
        estimate->bytes += lua_objlen(lua, -1) * BYTES_PER_CHARACTER;
    if (estimate->bytes > estimate->bytes_max) luaL_error(lua, "not enough memory");
    if (lua_istable(lua, -1) && depth < DEPTH_MAX && lua_checkstack(lua, 4)) {
        for (lua_pushnil(lua); lua_next(lua, -2);) {
            if (lua_type(lua, -2) == LUA_TSTRING)
                estimate->bytes += lua_objlen(lua, -2) * BYTES_PER_CHARACTER;
            add_value(estimate, depth + 1);
        }
    }
    lua_pop(lua, 1);
}

/* lua-cjson's own, as upvalue. */
static int json_encode(lua_State *lua) {
    int arguments = lua_gettop(lua);
    if (arguments == 1 && (lua_istable(lua, 1) || lua_type(lua, 1) == LUA_TSTRING)) {
        const struct script_vm *vm = script_vm_of(lua);
        size_t left = vm->bytes < vm->bytes_max ? vm->bytes_max - vm->bytes : 0;
        struct estimate estimate = {.lua = lua, .bytes_max = left < TEXT_MAX ? left : TEXT_MAX};
        lua_pushvalue(lua, 1);
        add_value(&estimate, 0);
    }
    return script_call_inner(lua, "Cannot serialise");
}

/* ---- settings ---- */

/* An argument that says yes or no, in lua-cjson's ways; none: as it is. */
static bool wants(lua_State *lua, bool now) {
    static const char *const names[] = {"off", "on", NULL};
    luaL_argcheck(lua, lua_gettop(lua) <= 1, 2, "found too many arguments");
    if (lua_isnoneornil(lua, 1)) return now;
    return lua_isboolean(lua, 1) ? lua_toboolean(lua, 1) : luaL_checkoption(lua, 1, NULL, names);
}

/* It says what it says elsewhere; the text never stays. */
static int json_keep_buffer(lua_State *lua) {
    lua_pushboolean(lua, wants(lua, true));
    return 1;
}

static int json_invalid_numbers(lua_State *lua) {
    struct script_json *json = &script_vm_of(lua)->json;
    json->invalid_numbers = wants(lua, json->invalid_numbers);
    lua_pushboolean(lua, json->invalid_numbers);
    return 1;
}

static int json_depth(lua_State *lua) {
    struct script_json *json = &script_vm_of(lua)->json;
    luaL_argcheck(lua, lua_gettop(lua) <= 1, 2, "found too many arguments");
    if (!lua_isnoneornil(lua, 1)) {
        lua_Integer depth = luaL_checkinteger(lua, 1);
        luaL_argcheck(lua, depth >= 1 && depth <= INT32_MAX, 1,
                      "expected integer between 1 and 2147483647");
        json->depth_max = (int)depth;
    }
    lua_pushinteger(lua, json->depth_max);
    return 1;
}

static void set_function(lua_State *lua, const char *name, lua_CFunction function) {
    lua_pushcfunction(lua, function);
    lua_setfield(lua, -2, name);
}

int script_open_json(lua_State *lua) {
    lua_pushcfunction(lua, luaopen_cjson);
    lua_call(lua, 0, 1);
    lua_getfield(lua, -1, "encode_keep_buffer");
    lua_pushboolean(lua, 0);
    lua_call(lua, 1, 0);
    set_function(lua, "encode_keep_buffer", json_keep_buffer);
    lua_getfield(lua, -1, "encode");
    lua_pushcclosure(lua, json_encode, 1);
    lua_setfield(lua, -2, "encode");
    script_vm_of(lua)->json = (struct script_json){.depth_max = DEPTH_MAX, .invalid_numbers = true};
    set_function(lua, "decode", script_json_decode);
    set_function(lua, "decode_max_depth", json_depth);
    set_function(lua, "decode_invalid_numbers", json_invalid_numbers);
    lua_pushnil(lua);
    lua_setfield(lua, -2, "new"); /* its encoder would have no guard */
    return 1;
}

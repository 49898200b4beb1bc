/* to_lua.c: a reply that a command wrote, as Lua values. The bytes are our own: whole, and well
 * formed. */
#include "base/invariant.h"
#include "base/number.h"
#include "script/host.h"
#include <lauxlib.h>

/* A number and its CRLF. */
static const char *read_number(const char *at, int64_t *number) {
    bool negative = *at == '-';
    uint64_t value = 0;
    if (negative) at++;
    while (*at != '\r')
        value = value * 10 + (uint64_t)(*at++ - '0');
    *number = negative ? (int64_t)(0 - value) : (int64_t)value;
    return at + 2;
}

static struct bytes read_line(const char *at) {
    const char *end = at;
    while (*end != '\r')
        end++;
    return bytes_make(at, (size_t)(end - at));
}

/* {name = text} */
static const char *push_named_line(lua_State *lua, const char *name, const char *at) {
    struct bytes line = read_line(at);
    lua_createtable(lua, 0, 1);
    lua_pushlstring(lua, line.data, line.size);
    lua_setfield(lua, -2, name);
    return line.data + line.size + 2;
}

static const char *push_bulk(lua_State *lua, const char *at) {
    int64_t size;
    at = read_number(at, &size);
    if (size < 0) {
        lua_pushboolean(lua, 0);
        return at;
    }
    lua_pushlstring(lua, at, (size_t)size);
    return at + size + 2;
}

static const char *push_array(lua_State *lua, const char *at) {
    int64_t count;
    at = read_number(at, &count);
    if (count < 0) {
        lua_pushboolean(lua, 0);
        return at;
    }
    lua_createtable(lua, (int)count, 0);
    for (int64_t i = 1; i <= count; i++) {
        at = script_push_reply(lua, at);
        lua_rawseti(lua, -2, (int)i);
    }
    return at;
}

/* {map = {...}}, or {set = {x = true ...}} */
static const char *push_pairs(lua_State *lua, const char *at, bool is_map) {
    int64_t count;
    at = read_number(at, &count);
    lua_createtable(lua, 0, 1);
    lua_createtable(lua, 0, (int)count);
    for (int64_t i = 0; i < count; i++) {
        at = script_push_reply(lua, at);
        if (is_map)
            at = script_push_reply(lua, at);
        else
            lua_pushboolean(lua, 1);
        if (lua_isnil(lua, -2))
            lua_pop(lua, 2);
        else
            lua_rawset(lua, -3);
    }
    lua_setfield(lua, -2, is_map ? "map" : "set");
    return at;
}

static const char *push_double(lua_State *lua, const char *at) {
    struct bytes line = read_line(at);
    double number = 0;
    if (!number_parse_double(line, &number)) INVARIANT(bytes_is(line, "nan"));
    lua_createtable(lua, 0, 1);
    lua_pushnumber(lua, number);
    lua_setfield(lua, -2, "double");
    return line.data + line.size + 2;
}

static const char *push_verbatim(lua_State *lua, const char *at) {
    int64_t size;
    at = read_number(at, &size);
    lua_createtable(lua, 0, 1);
    lua_createtable(lua, 0, 2);
    lua_pushlstring(lua, at + 4, (size_t)size - 4);
    lua_setfield(lua, -2, "string");
    lua_pushlstring(lua, at, 3);
    lua_setfield(lua, -2, "format");
    lua_setfield(lua, -2, "verbatim_string");
    return at + size + 2;
}

/* What is said about a reply is not for scripts. */
static const char *skip_attribute(lua_State *lua, const char *at) {
    int64_t pairs;
    at = read_number(at, &pairs);
    for (int64_t i = 0; i < 2 * pairs; i++) {
        at = script_push_reply(lua, at);
        lua_pop(lua, 1);
    }
    return script_push_reply(lua, at);
}

const char *script_push_reply(lua_State *lua, const char *at) {
    int64_t number;
    char kind = *at++;
    luaL_checkstack(lua, 6, "reply nested too deep");
    switch (kind) {
    case ':':
        at = read_number(at, &number);
        lua_pushnumber(lua, (double)number);
        return at;
    case '$': return push_bulk(lua, at);
    case '+': return push_named_line(lua, "ok", at);
    case '-':
        at = push_named_line(lua, "err", at);
        lua_pushboolean(lua, 1);
        lua_setfield(lua, -2, "ignore_error_stats_update");
        return at;
    case '>':
    case '*': return push_array(lua, at);
    case '%': return push_pairs(lua, at, true);
    case '~': return push_pairs(lua, at, false);
    case '_': lua_pushnil(lua); return at + 2;
    case '#': lua_pushboolean(lua, *at == 't'); return at + 3;
    case ',': return push_double(lua, at);
    case '(': return push_named_line(lua, "big_number", at);
    case '=': return push_verbatim(lua, at);
    case '|': return skip_attribute(lua, at);
    default: invariant_panic("a reply of the kind %d", kind);
    }
}

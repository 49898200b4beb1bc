/* to_reply.c: what a script returned, as a reply. Asks no metatable and calls no Lua, so that
 * nothing here can fail or take long without reason. */
#include "base/invariant.h"
#include "base/memory.h"
#include "engine/server.h"
#include "engine/statistics.h"
#include "script/host.h"
#include <math.h>

enum { STACK_NEEDED = 6 };

static void write_value(struct call *call, lua_State *lua, uint8_t protocol);

/* As Redis's machine does it: what does not fit is the smallest. */
static int64_t to_integer(double number) {
    const double limit = 9223372036854775808.0; /* 2^63 */
    if (!(number > -limit && number < limit)) return INT64_MIN;
    return (int64_t)number;
}

static struct bytes text_at(lua_State *lua, int index) {
    size_t size;
    const char *text = lua_tolstring(lua, index, &size);
    return bytes_make(text, size);
}

/* Push a field of the table on the top. */
static int push_field(lua_State *lua, const char *name) {
    lua_pushstring(lua, name);
    lua_rawget(lua, -2);
    return lua_type(lua, -1);
}

/* A line without its breaks, to be freed. */
static char *one_line(struct bytes text) {
    char *line = memory_copy(text.data, text.size);
    for (size_t i = 0; i < text.size; i++)
        if (line[i] == '\r' || line[i] == '\n') line[i] = ' ';
    return line;
}

static void write_error(struct call *call, lua_State *lua) {
    struct bytes text = text_at(lua, -1);
    text.size = strnlen(text.data, text.size); /* a zero ends it, as in Redis */
    lua_pushliteral(lua, "ignore_error_stats_update");
    lua_rawget(lua, -3);
    bool counted = lua_toboolean(lua, -1);
    lua_pop(lua, 1);
    call_error_text(call, text, !counted);
}

static void write_status(struct call *call, lua_State *lua) {
    struct bytes text = text_at(lua, -1);
    char *line = one_line(text);
    reply_raw(call->reply, BYTES("+"));
    reply_raw(call->reply, bytes_make(line, text.size));
    reply_raw(call->reply, BYTES("\r\n"));
    memory_free(line);
}

static void write_big_number(struct call *call, lua_State *lua) {
    struct bytes text = text_at(lua, -1);
    char *line = one_line(text);
    reply_big_number(call->reply, bytes_make(line, text.size));
    memory_free(line);
}

/* The pairs of the table on the top: with their values, or the names alone. */
static void write_pairs(struct call *call, lua_State *lua, uint8_t protocol, bool is_map) {
    size_t count = 0;
    for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1))
        count++;
    if (is_map)
        reply_map(call->reply, count);
    else
        reply_set(call->reply, count);
    for (lua_pushnil(lua); lua_next(lua, -2);) {
        lua_pushvalue(lua, -2);
        write_value(call, lua, protocol);
        if (is_map)
            write_value(call, lua, protocol);
        else
            lua_pop(lua, 1);
    }
}

/* False when it is none. */
static bool write_verbatim(struct call *call, lua_State *lua) {
    bool is = push_field(lua, "format") == LUA_TSTRING;
    struct bytes format = is ? text_at(lua, -1) : bytes_make(NULL, 0);
    lua_pop(lua, 1);
    is = push_field(lua, "string") == LUA_TSTRING && is;
    if (is) {
        char letters[3] = {' ', ' ', ' '};
        memcpy(letters, format.data, format.size < 3 ? format.size : 3);
        reply_verbatim(call->reply, letters, text_at(lua, -1));
    }
    lua_pop(lua, 1);
    return is;
}

static void write_array(struct call *call, lua_State *lua, uint8_t protocol) {
    size_t count = 0;
    while (true) {
        lua_rawgeti(lua, -1, (int)count + 1);
        bool ends = lua_isnil(lua, -1);
        lua_pop(lua, 1);
        if (ends) break;
        count++;
    }
    reply_array(call->reply, count);
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(lua, -1, (int)i);
        write_value(call, lua, protocol);
    }
}

enum { FORM_ERROR, FORM_STATUS, FORM_DOUBLE, FORM_MAP, FORM_SET, FORM_BIG, FORM_VERBATIM, FORMS };

static const struct {
    const char *field;
    int type;
} forms[FORMS] = {{"err", LUA_TSTRING},
                  {"ok", LUA_TSTRING},
                  {"double", LUA_TNUMBER},
                  {"map", LUA_TTABLE},
                  {"set", LUA_TTABLE},
                  {"big_number", LUA_TSTRING},
                  {"verbatim_string", LUA_TTABLE}};

/* The field that says what the table is, on the top; false for a table that is not of that form. */
static bool write_form(struct call *call, lua_State *lua, uint8_t protocol, unsigned form) {
    switch (form) {
    case FORM_ERROR: write_error(call, lua); return true;
    case FORM_STATUS: write_status(call, lua); return true;
    case FORM_DOUBLE: reply_double(call->reply, lua_tonumber(lua, -1)); return true;
    case FORM_MAP: write_pairs(call, lua, protocol, true); return true;
    case FORM_SET: write_pairs(call, lua, protocol, false); return true;
    case FORM_BIG: write_big_number(call, lua); return true;
    default: return write_verbatim(call, lua);
    }
}

static void write_table(struct call *call, lua_State *lua, uint8_t protocol) {
    for (unsigned form = 0; form < FORMS; form++) {
        bool is = push_field(lua, forms[form].field) == forms[form].type;
        if (is) is = write_form(call, lua, protocol, form);
        lua_pop(lua, 1);
        if (is) return;
    }
    write_array(call, lua, protocol);
}

/* The value on the top, which is popped. */
static void write_value(struct call *call, lua_State *lua, uint8_t protocol) {
    if (!lua_checkstack(lua, STACK_NEEDED)) {
        call_error_text(call, BYTES("ERR reached lua stack limit"), true);
        lua_pop(lua, 1);
        return;
    }
    switch (lua_type(lua, -1)) {
    case LUA_TSTRING: reply_bulk(call->reply, text_at(lua, -1)); break;
    case LUA_TNUMBER: reply_integer(call->reply, to_integer(lua_tonumber(lua, -1))); break;
    case LUA_TBOOLEAN:
        if (protocol >= 3)
            reply_boolean(call->reply, lua_toboolean(lua, -1));
        else if (lua_toboolean(lua, -1))
            reply_integer(call->reply, 1);
        else
            reply_null(call->reply);
        break;
    case LUA_TTABLE: write_table(call, lua, protocol); break;
    default: reply_null(call->reply);
    }
    lua_pop(lua, 1);
}

void script_reply_value(struct call *call, lua_State *lua, uint8_t protocol) {
    write_value(call, lua, protocol);
}

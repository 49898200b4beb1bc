/* to_reply.c: what a script returned, as a reply. Asks no metatable and calls no Lua, so that
 * nothing here can fail or take long without reason. */
#include "base/invariant.h"
#include "base/memory.h"
#include "engine/server.h"
#include "engine/statistics.h"
#include "script/host.h"
#include <math.h>

enum { STACK_NEEDED = 6 };

/* One script's reply. A table that contains itself twice has no end, whatever bounds its depth: so
 * there is a budget, and the client of a reply beyond it is closed, as it would be for any reply
 * that cannot be whole. */
struct writer {
    struct call *call;
    lua_State *lua;
    uint8_t protocol;
    size_t budget; /* bytes that may still come, as a script's memory counts them */
};
enum { BYTES_PER_VALUE = 16, BYTES_PER_TABLE = 64 }; /* in Lua's memory, at least */

static void write_value(struct writer *writer);

static void spend(struct writer *writer, size_t bytes) {
    writer->budget = bytes < writer->budget ? writer->budget - bytes : 0;
}

/* The text on the top, which will be written. */
static struct bytes take_text(struct writer *writer) {
    size_t size;
    const char *text = lua_tolstring(writer->lua, -1, &size);
    spend(writer, size);
    return bytes_make(text, size);
}

/* As Redis's machine does it: what does not fit is the smallest. */
static int64_t to_integer(double number) {
    const double limit = 9223372036854775808.0; /* 2^63 */
    if (!(number > -limit && number < limit)) return INT64_MIN;
    return (int64_t)number;
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

static void write_error(struct writer *writer) {
    lua_State *lua = writer->lua;
    struct bytes text = take_text(writer);
    text.size = strnlen(text.data, text.size); /* a zero ends it, as in Redis */
    lua_pushliteral(lua, "ignore_error_stats_update");
    lua_rawget(lua, -3);
    bool counted = lua_toboolean(lua, -1);
    lua_pop(lua, 1);
    call_error_text(writer->call, text, !counted);
}

static void write_status(struct writer *writer) {
    struct bytes text = take_text(writer);
    char *line = one_line(text);
    reply_raw(writer->call->reply, BYTES("+"));
    reply_raw(writer->call->reply, bytes_make(line, text.size));
    reply_raw(writer->call->reply, BYTES("\r\n"));
    memory_free(line);
}

static void write_big_number(struct writer *writer) {
    struct bytes text = take_text(writer);
    char *line = one_line(text);
    reply_big_number(writer->call->reply, bytes_make(line, text.size));
    memory_free(line);
}

/* The pairs of the table on the top: with their values, or the names alone. */
static void write_pairs(struct writer *writer, bool is_map) {
    lua_State *lua = writer->lua;
    size_t count = 0;
    for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1))
        count++;
    if (is_map)
        reply_map(writer->call->reply, count);
    else
        reply_set(writer->call->reply, count);
    for (lua_pushnil(lua); lua_next(lua, -2);) {
        if (writer->budget == 0) {
            lua_pop(lua, 2);
            return;
        }
        lua_pushvalue(lua, -2);
        write_value(writer);
        if (is_map)
            write_value(writer);
        else
            lua_pop(lua, 1);
    }
}

/* False when it is none. */
static bool write_verbatim(struct writer *writer) {
    lua_State *lua = writer->lua;
    bool is = push_field(lua, "format") == LUA_TSTRING;
    struct bytes format = is ? take_text(writer) : bytes_make(NULL, 0);
    lua_pop(lua, 1);
    is = push_field(lua, "string") == LUA_TSTRING && is;
    if (is) {
        char letters[3] = {' ', ' ', ' '};
        memcpy(letters, format.data, format.size < 3 ? format.size : 3);
        reply_verbatim(writer->call->reply, letters, take_text(writer));
    }
    lua_pop(lua, 1);
    return is;
}

static void write_array(struct writer *writer) {
    lua_State *lua = writer->lua;
    size_t count = 0;
    while (true) {
        lua_rawgeti(lua, -1, (int)count + 1);
        bool ends = lua_isnil(lua, -1);
        lua_pop(lua, 1);
        if (ends) break;
        count++;
    }
    reply_array(writer->call->reply, count);
    for (size_t i = 1; i <= count && writer->budget > 0; i++) {
        lua_rawgeti(lua, -1, (int)i);
        write_value(writer);
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
static bool write_form(struct writer *writer, unsigned form) {
    switch (form) {
    case FORM_ERROR: write_error(writer); return true;
    case FORM_STATUS: write_status(writer); return true;
    case FORM_DOUBLE: reply_double(writer->call->reply, lua_tonumber(writer->lua, -1)); return true;
    case FORM_MAP: write_pairs(writer, true); return true;
    case FORM_SET: write_pairs(writer, false); return true;
    case FORM_BIG: write_big_number(writer); return true;
    default: return write_verbatim(writer);
    }
}

static void write_table(struct writer *writer) {
    lua_State *lua = writer->lua;
    for (unsigned form = 0; form < FORMS; form++) {
        bool is = push_field(lua, forms[form].field) == forms[form].type;
        if (is) is = write_form(writer, form);
        lua_pop(lua, 1);
        if (is) return;
    }
    write_array(writer);
}

/* The value on the top, which is popped. */
static void write_value(struct writer *writer) {
    lua_State *lua = writer->lua;
    if (!lua_checkstack(lua, STACK_NEEDED)) {
        spend(writer, BYTES_PER_TABLE);
        call_error_text(writer->call, BYTES("ERR reached lua stack limit"), true);
        lua_pop(lua, 1);
        return;
    }
    spend(writer, BYTES_PER_VALUE);
    switch (lua_type(lua, -1)) {
    case LUA_TSTRING: reply_bulk(writer->call->reply, take_text(writer)); break;
    case LUA_TNUMBER: reply_integer(writer->call->reply, to_integer(lua_tonumber(lua, -1))); break;
    case LUA_TBOOLEAN:
        if (writer->protocol >= 3)
            reply_boolean(writer->call->reply, lua_toboolean(lua, -1));
        else if (lua_toboolean(lua, -1))
            reply_integer(writer->call->reply, 1);
        else
            reply_null(writer->call->reply);
        break;
    case LUA_TTABLE:
        spend(writer, BYTES_PER_TABLE);
        write_table(writer);
        break;
    default: reply_null(writer->call->reply);
    }
    lua_pop(lua, 1);
}

void script_reply_value(struct call *call, lua_State *lua, uint8_t protocol) {
    size_t bytes_max = script_vm_of(lua)->bytes_max;
    struct writer writer = {.call = call, .lua = lua, .protocol = protocol, .budget = bytes_max};
    write_value(&writer);
    if (likely(writer.budget > 0)) return;
    log_warning(call->server->log,
                "A script's reply is larger than script-max-memory (%zu bytes): its client is "
                "closed.",
                bytes_max);
    session_close_later(call->session);
}

/* json_decode.c: cjson.decode: what lua-cjson 2.1 makes of a text, in its words where it makes
 * nothing, but in steps that look at the clock, and with nothing in memory that Lua does not know:
 * an error in the middle (a limit, a kill) loses nothing.
 *
 * A zero byte ends the text, as there. Must never keep a pointer to a string that is not on Lua's
 * stack. */
#include "script/json_decode.h"
#include "base/invariant.h"
#include "script/vm.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <strings.h>

enum { VALUES_PER_LOOK = 1 << 14, LEVEL_SLOTS = 3 };

enum token {
    TOKEN_OBJECT_BEGIN,
    TOKEN_OBJECT_END,
    TOKEN_ARRAY_BEGIN,
    TOKEN_ARRAY_END,
    TOKEN_STRING,
    TOKEN_NUMBER,
    TOKEN_TRUE,
    TOKEN_FALSE,
    TOKEN_NULL,
    TOKEN_COLON,
    TOKEN_COMMA,
    TOKEN_END,
    TOKEN_ERROR,
};

static const char *const token_names[] = {
    [TOKEN_OBJECT_BEGIN] = "T_OBJ_BEGIN",
    [TOKEN_OBJECT_END] = "T_OBJ_END",
    [TOKEN_ARRAY_BEGIN] = "T_ARR_BEGIN",
    [TOKEN_ARRAY_END] = "T_ARR_END",
    [TOKEN_STRING] = "T_STRING",
    [TOKEN_NUMBER] = "T_NUMBER",
    [TOKEN_TRUE] = "T_BOOLEAN",
    [TOKEN_FALSE] = "T_BOOLEAN",
    [TOKEN_NULL] = "T_NULL",
    [TOKEN_COLON] = "T_COLON",
    [TOKEN_COMMA] = "T_COMMA",
    [TOKEN_END] = "T_END",
};

struct decoder {
    lua_State *lua;
    const struct script_json *settings;
    const char *begin, *at; /* the text ends with a zero */
    const char *token_at;   /* where the token at hand begins, or what is wrong about it */
    const char *error;      /* of TOKEN_ERROR */
    double number;          /* of TOKEN_NUMBER */
    struct bytes string;    /* of TOKEN_STRING, between the quotes */
    bool has_escapes;       /* in it */
    int depth;
    uint32_t values;
};

/* ---- tokens ---- */

static enum token fail(struct decoder *d, const char *at, const char *error) {
    d->token_at = at;
    d->error = error;
    return TOKEN_ERROR;
}

/* What JSON does not have: a plus, leading zeros, hexadecimal digits, infinities and such. */
static bool is_odd_number(const char *p) {
    if (*p == '+') return true;
    if (*p == '-') p++;
    if (*p == '0') return (p[1] | 0x20) == 'x' || (p[1] >= '0' && p[1] <= '9');
    if (*p >= '1' && *p <= '9') return false;
    return strncasecmp(p, "inf", 3) == 0 || strncasecmp(p, "nan", 3) == 0;
}

static enum token read_number(struct decoder *d) {
    char *end;
    d->number = strtod(d->at, &end);
    if (end == d->at) return fail(d, d->at, "invalid number");
    d->at = end;
    return TOKEN_NUMBER;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') return (c | 0x20) - 'a' + 10;
    return -1;
}

/* Four digits; -1: they are not. */
static int32_t read_hex(const char *p) {
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* Behind "\u"; how many bytes of text it takes, 0: it is none. */
static size_t read_code_point(const char *p, int32_t *code) {
    enum { PLANE = 0x10000, HIGH = 0xd800, LOW = 0xdc00, KIND = 0xfc00 };
    *code = read_hex(p);
    if (*code < 0 || (*code & KIND) == LOW) return 0;
    if ((*code & KIND) != HIGH) return 4;
    if (p[4] != '\\' || p[5] != 'u') return 0;
    int32_t low = read_hex(p + 6);
    if (low < 0 || (low & KIND) != LOW) return 0;
    *code = PLANE + ((*code - HIGH) << 10) + (low - LOW);
    return 10;
}

/* The byte that a backslash and this one stand for; 0: they stand for none. */
static char escaped(char c) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *found = c ? strchr(from, c) : NULL;
    return found ? to[found - from] : 0;
}

static enum token read_string(struct decoder *d) {
    const char *p = d->at + 1;
    d->has_escapes = false;
    while (*p != '"') {
        int32_t code;
        size_t size = 1;
        if (*p == 0) return fail(d, p, "unexpected end of string");
        if (*p == '\\') {
            d->has_escapes = true;
            size = 2;
            if (p[1] == 'u') {
                size_t digits = read_code_point(p + 2, &code);
                if (digits == 0) return fail(d, p, "invalid unicode escape code");
                size += digits;
            } else if (!escaped(p[1])) {
                return fail(d, p, "invalid escape code");
            }
        }
        p += size;
    }
    d->string = bytes_make(d->at + 1, (size_t)(p - d->at - 1));
    d->at = p + 1;
    return TOKEN_STRING;
}

static bool take_word(struct decoder *d, const char *word) {
    size_t size = strlen(word);
    if (strncmp(d->at, word, size) != 0) return false;
    d->at += size;
    return true;
}

static enum token read_word(struct decoder *d) {
    if (take_word(d, "true")) return TOKEN_TRUE;
    if (take_word(d, "false")) return TOKEN_FALSE;
    if (take_word(d, "null")) return TOKEN_NULL;
    if (d->settings->invalid_numbers && is_odd_number(d->at)) return read_number(d);
    return fail(d, d->at, "invalid token");
}

static enum token read_sign(struct decoder *d, enum token token) {
    d->at++;
    return token;
}

static enum token next_token(struct decoder *d) {
    while (*d->at == ' ' || *d->at == '\t' || *d->at == '\n' || *d->at == '\r')
        d->at++;
    d->token_at = d->at;
    switch (*d->at) {
    case 0: return TOKEN_END;
    case '{': return read_sign(d, TOKEN_OBJECT_BEGIN);
    case '}': return read_sign(d, TOKEN_OBJECT_END);
    case '[': return read_sign(d, TOKEN_ARRAY_BEGIN);
    case ']': return read_sign(d, TOKEN_ARRAY_END);
    case ':': return read_sign(d, TOKEN_COLON);
    case ',': return read_sign(d, TOKEN_COMMA);
    case '"': return read_string(d);
    default: break;
    }
    if (*d->at != '-' && (*d->at < '0' || *d->at > '9')) return read_word(d);
    if (!d->settings->invalid_numbers && is_odd_number(d->at))
        return fail(d, d->at, "invalid number");
    return read_number(d);
}

static void refuse(struct decoder *d, const char *expected, enum token found) {
    luaL_error(d->lua, "Expected %s but found %s at character %d", expected,
               found == TOKEN_ERROR ? d->error : token_names[found],
               (int)(d->token_at - d->begin) + 1);
}

/* ---- values: each is pushed ---- */

static void read_value(struct decoder *d, enum token token);

static void add_code_point(struct script_vm *vm, int32_t code) {
    char bytes[4];
    size_t size;
    if (code < 0x80) {
        bytes[0] = (char)code;
        size = 1;
    } else if (code < 0x800) {
        bytes[0] = (char)(0xc0 | code >> 6);
        size = 2;
    } else if (code < 0x10000) {
        bytes[0] = (char)(0xe0 | code >> 12);
        size = 3;
    } else {
        bytes[0] = (char)(0xf0 | code >> 18);
        size = 4;
    }
    for (size_t i = 1; i < size; i++)
        bytes[i] = (char)(0x80 | (code >> (6 * (size - 1 - i)) & 0x3f));
    script_scratch_add(vm, bytes, size);
}

static void push_unescaped(struct decoder *d) {
    struct script_vm *vm = script_vm_of(d->lua);
    const char *p = d->string.data, *end = p + d->string.size;
    script_scratch_begin(d->lua);
    while (p < end) {
        const char *backslash = memchr(p, '\\', (size_t)(end - p));
        if (!backslash) backslash = end;
        if (backslash > p) script_scratch_add(vm, p, (size_t)(backslash - p));
        p = backslash;
        if (p == end) break;
        if (p[1] == 'u') {
            int32_t code;
            p += 2;
            p += read_code_point(p, &code);
            add_code_point(vm, code);
        } else {
            char byte = escaped(p[1]);
            script_scratch_add(vm, &byte, 1);
            p += 2;
        }
    }
    script_scratch_push(vm);
}

static void push_string(struct decoder *d) {
    size_t size = d->string.size;
    if (d->has_escapes)
        push_unescaped(d);
    else
        lua_pushlstring(d->lua, d->string.data, size);
    script_poll_after(d->lua, size);
}

static void begin_level(struct decoder *d) {
    if (++d->depth > d->settings->depth_max || !lua_checkstack(d->lua, LEVEL_SLOTS))
        luaL_error(d->lua, "Found too many nested data structures (%d) at character %d", d->depth,
                   (int)(d->at - d->begin));
    lua_newtable(d->lua);
}

static void read_object(struct decoder *d) {
    begin_level(d);
    enum token token = next_token(d);
    while (token != TOKEN_OBJECT_END) {
        if (token != TOKEN_STRING) refuse(d, "object key string", token);
        push_string(d);
        token = next_token(d);
        if (token != TOKEN_COLON) refuse(d, "colon", token);
        read_value(d, next_token(d));
        lua_rawset(d->lua, -3);
        token = next_token(d);
        if (token == TOKEN_OBJECT_END) break;
        if (token != TOKEN_COMMA) refuse(d, "comma or object end", token);
        token = next_token(d);
        if (token == TOKEN_OBJECT_END) refuse(d, "object key string", token);
    }
    d->depth--;
}

static void read_array(struct decoder *d) {
    begin_level(d);
    enum token token = next_token(d);
    for (int i = 1; token != TOKEN_ARRAY_END; i++) {
        read_value(d, token);
        lua_rawseti(d->lua, -2, i);
        token = next_token(d);
        if (token == TOKEN_ARRAY_END) break;
        if (token != TOKEN_COMMA) refuse(d, "comma or array end", token);
        token = next_token(d);
        if (token == TOKEN_ARRAY_END) refuse(d, "value", token);
    }
    d->depth--;
}

static void read_value(struct decoder *d, enum token token) {
    if (++d->values % VALUES_PER_LOOK == 0) script_poll(d->lua);
    switch (token) {
    case TOKEN_STRING: push_string(d); break;
    case TOKEN_NUMBER: lua_pushnumber(d->lua, d->number); break;
    case TOKEN_TRUE:
    case TOKEN_FALSE: lua_pushboolean(d->lua, token == TOKEN_TRUE); break;
    case TOKEN_NULL: lua_pushlightuserdata(d->lua, NULL); break;
    case TOKEN_OBJECT_BEGIN: read_object(d); break;
    case TOKEN_ARRAY_BEGIN: read_array(d); break;
    default: refuse(d, "value", token);
    }
}

int script_json_decode(lua_State *lua) {
    size_t size;
    luaL_argcheck(lua, lua_gettop(lua) == 1, 1, "expected 1 argument");
    const char *text = luaL_checklstring(lua, 1, &size);
    if (size >= 2 && (!text[0] || !text[1]))
        return luaL_error(lua, "JSON parser does not support UTF-16 or UTF-32");
    struct decoder d = {
        .lua = lua, .settings = &script_vm_of(lua)->json, .begin = text, .at = text};
    luaL_checkstack(lua, LEVEL_SLOTS, "too many nested functions");
    read_value(&d, next_token(&d));
    enum token token = next_token(&d);
    if (token != TOKEN_END) refuse(&d, "the end", token);
    return 1;
}

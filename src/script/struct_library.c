/* struct_library.c: the table `struct`: values to and from bytes as C lays them out, as
 * http://www.inf.puc-rio.br/~roberto/struct/ describes it.
 *
 * A format is a row of letters: > big endian, < little endian, = the machine's; !n aligns to at
 * most n; x a byte to be skipped; b B h H l L T i I (i and I with a size) whole numbers; f d
 * floating; cn n characters (c0: as many as the number before says); s a text with its zero. */
#include "base/bytes.h"
#include "base/invariant.h"
#include "script/vm.h"
#include <ctype.h>
#include <lauxlib.h>

enum { INTEGER_MAX = 32, ALIGNMENT_DEFAULT = 8 };

struct layout {
    lua_State *lua;
    const char *at; /* in the format */
    bool little;
    size_t alignment; /* at most */
};

static bool is_number_next(const struct layout *layout) {
    return isdigit((uint8_t)*layout->at);
}

static size_t read_size(struct layout *layout, size_t otherwise) {
    size_t size = 0;
    if (!is_number_next(layout)) return otherwise;
    do {
        size_t digit = (size_t)(*layout->at++ - '0');
        if (size > (INT32_MAX - digit) / 10) luaL_error(layout->lua, "integral size overflow");
        size = size * 10 + digit;
    } while (is_number_next(layout));
    return size;
}

/* Bytes of the item that the letter begins; what stands behind the letter is read. */
static size_t item_size(struct layout *layout, char letter) {
    switch (letter) {
    case 'B':
    case 'b': return sizeof(char);
    case 'H':
    case 'h': return sizeof(short);
    case 'L':
    case 'l': return sizeof(long);
    case 'T': return sizeof(size_t);
    case 'f': return sizeof(float);
    case 'd': return sizeof(double);
    case 'x': return 1;
    case 'c': return read_size(layout, 1);
    case 'i':
    case 'I': {
        size_t size = read_size(layout, sizeof(int));
        if (size > INTEGER_MAX)
            luaL_error(layout->lua, "integral size %d is larger than limit of %d", (int)size,
                       INTEGER_MAX);
        return size;
    }
    default: return 0;
    }
}

/* How many bytes to skip before an item of this size. */
static size_t gap(const struct layout *layout, size_t position, char letter, size_t size) {
    if (size == 0 || letter == 'c' || letter == 's' || letter == 'x') return 0;
    size_t alignment = size < layout->alignment ? size : layout->alignment;
    if (alignment <= 1) return 0;
    return (alignment - (position & (alignment - 1))) & (alignment - 1);
}

/* A letter that is no item. */
static void control(struct layout *layout, char letter) {
    size_t alignment;
    switch (letter) {
    case ' ': return;
    case '>': layout->little = false; return;
    case '<': layout->little = true; return;
    case '=': layout->little = true; return; /* this machine's */
    case '!':
        alignment = read_size(layout, ALIGNMENT_DEFAULT);
        if (alignment == 0 || (alignment & (alignment - 1)) != 0)
            luaL_error(layout->lua, "alignment is not a power of 2");
        layout->alignment = alignment;
        return;
    default:
        luaL_argerror(layout->lua, 1,
                      lua_pushfstring(layout->lua, "invalid format option '%c'", letter));
    }
}

static struct layout begin_layout(lua_State *lua) {
    return (struct layout){
        .lua = lua, .at = luaL_checkstring(lua, 1), .little = true, .alignment = 1};
}

/* ---- pack ---- */

static uint64_t integer_bits(double number) {
    const double limit = 9223372036854775808.0;
    if (number != number) return 0;
    if (number >= limit) return number < 2 * limit ? (uint64_t)number : UINT64_MAX;
    if (number < -limit) return (uint64_t)INT64_MIN;
    return (uint64_t)(int64_t)number;
}

static void pack_integer(const struct layout *layout, luaL_Buffer *out, double number,
                         size_t size) {
    char bytes[INTEGER_MAX];
    uint64_t bits = integer_bits(number);
    char fill = number < 0 ? (char)0xff : 0;
    for (size_t i = 0; i < size; i++) {
        char byte = i < sizeof bits ? (char)(bits >> 8 * i) : fill;
        bytes[layout->little ? i : size - 1 - i] = byte;
    }
    luaL_addlstring(out, bytes, size);
}

static void add_ordered(const struct layout *layout, luaL_Buffer *out, char *bytes, size_t size) {
    for (size_t i = 0; !layout->little && i < size / 2; i++) {
        char byte = bytes[i];
        bytes[i] = bytes[size - 1 - i];
        bytes[size - 1 - i] = byte;
    }
    luaL_addlstring(out, bytes, size);
}

/* A text argument of an item; the bytes added. */
static size_t pack_text(lua_State *lua, luaL_Buffer *out, int argument, char letter, size_t size) {
    size_t length;
    const char *text = luaL_checklstring(lua, argument, &length);
    if (letter == 'c' && size == 0) size = length;
    luaL_argcheck(lua, letter == 's' || length >= size, argument, "string too short");
    if (letter == 's') size = length;
    luaL_addlstring(out, text, size);
    if (letter == 's') luaL_addchar(out, 0);
    return size + (letter == 's');
}

static void pack_number(const struct layout *layout, luaL_Buffer *out, int argument, char letter,
                        size_t size) {
    double number = luaL_checknumber(layout->lua, argument);
    if (letter == 'f') {
        float narrow = (float)number;
        add_ordered(layout, out, (char *)&narrow, sizeof narrow);
    } else if (letter == 'd') {
        add_ordered(layout, out, (char *)&number, sizeof number);
    } else {
        pack_integer(layout, out, number, size);
    }
}

static int struct_pack(lua_State *lua) {
    struct layout layout = begin_layout(lua);
    size_t total = 0;
    int argument = 2;
    luaL_Buffer out;
    lua_pushnil(lua); /* what reads behind the last argument finds nothing */
    luaL_buffinit(lua, &out);
    while (*layout.at) {
        char letter = *layout.at++;
        size_t size = item_size(&layout, letter);
        size_t skipped = gap(&layout, total, letter, size);
        for (size_t i = 0; i < skipped; i++)
            luaL_addchar(&out, 0);
        total += skipped;
        if (letter == 'x') {
            luaL_addchar(&out, 0);
        } else if (letter == 'c' || letter == 's') {
            total += pack_text(lua, &out, argument++, letter, size);
            continue;
        } else if (size > 0) {
            pack_number(&layout, &out, argument++, letter, size);
        } else {
            control(&layout, letter);
        }
        total += size;
    }
    luaL_pushresult(&out);
    return 1;
}

/* ---- unpack ---- */

static double unpack_integer(const struct layout *layout, const char *at, size_t size,
                             bool is_signed) {
    uint64_t bits = 0;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)at[layout->little ? i : size - 1 - i];
        if (i < sizeof bits) bits |= (uint64_t)byte << 8 * i;
    }
    if (!is_signed) return (double)bits;
    if (size > 0 && size < sizeof bits && (bits >> (8 * size - 1) & 1))
        bits |= UINT64_MAX << 8 * size;
    return (double)(int64_t)bits;
}

static void push_number(const struct layout *layout, const char *at, char letter, size_t size) {
    char bytes[sizeof(double)];
    if (letter != 'f' && letter != 'd') {
        lua_pushnumber(layout->lua, unpack_integer(layout, at, size, islower((uint8_t)letter)));
        return;
    }
    for (size_t i = 0; i < size; i++)
        bytes[layout->little ? i : size - 1 - i] = at[i];
    if (letter == 'f') {
        float narrow;
        memcpy(&narrow, bytes, sizeof narrow);
        lua_pushnumber(layout->lua, narrow);
    } else {
        double number;
        memcpy(&number, bytes, sizeof number);
        lua_pushnumber(layout->lua, number);
    }
}

/* c0: the size is the number that was just unpacked, which is no result then. */
static size_t counted_size(lua_State *lua, int results) {
    if (results == 0 || !lua_isnumber(lua, -1))
        luaL_error(lua, "format 'c0' needs a previous size");
    double size = lua_tonumber(lua, -1);
    lua_pop(lua, 1);
    if (!(size >= 0 && size <= INT32_MAX)) luaL_argerror(lua, 2, "data string too short");
    return (size_t)size;
}

static int struct_unpack(lua_State *lua) {
    struct layout layout = begin_layout(lua);
    size_t size_all;
    const char *data = luaL_checklstring(lua, 2, &size_all);
    ptrdiff_t from = luaL_optinteger(lua, 3, 1);
    luaL_argcheck(lua, from > 0, 3, "offset must be 1 or greater");
    size_t at = (size_t)from - 1;
    int results = 0;
    while (*layout.at) {
        char letter = *layout.at++;
        size_t size = item_size(&layout, letter);
        at += gap(&layout, at, letter, size);
        luaL_argcheck(lua, at <= size_all && size <= size_all - at, 2, "data string too short");
        luaL_checkstack(lua, 2, "too many results");
        switch (letter) {
        case 'x': break;
        case 'c':
            if (size == 0) {
                size = counted_size(lua, results--);
                luaL_argcheck(lua, size <= size_all - at, 2, "data string too short");
            }
            lua_pushlstring(lua, data + at, size);
            results++;
            break;
        case 's': {
            const char *end = memchr(data + at, 0, size_all - at);
            if (!end) luaL_error(lua, "unfinished string in data");
            lua_pushlstring(lua, data + at, (size_t)(end - (data + at)));
            size = (size_t)(end - (data + at)) + 1;
            results++;
            break;
        }
        default:
            if (size == 0) {
                control(&layout, letter);
                break;
            }
            push_number(&layout, data + at, letter, size);
            results++;
        }
        at += size;
    }
    lua_pushinteger(lua, (lua_Integer)at + 1);
    return results + 1;
}

static int struct_size(lua_State *lua) {
    struct layout layout = begin_layout(lua);
    size_t total = 0;
    while (*layout.at) {
        char letter = *layout.at++;
        size_t size = item_size(&layout, letter);
        total += gap(&layout, total, letter, size);
        if (letter == 's')
            luaL_argerror(lua, 1, "variable-size format for strings");
        else if (letter == 'c' && size == 0)
            luaL_argerror(lua, 1, "variable-length format");
        else if (size == 0)
            control(&layout, letter);
        if (total > INT32_MAX - size) luaL_argerror(lua, 1, "format result too large");
        total += size;
    }
    lua_pushinteger(lua, (lua_Integer)total);
    return 1;
}

static const luaL_Reg functions[] = {
    {"pack", struct_pack}, {"unpack", struct_unpack}, {"size", struct_size}, {NULL, NULL}};

int script_open_struct(lua_State *lua) {
    lua_newtable(lua);
    for (const luaL_Reg *entry = functions; entry->name; entry++) {
        lua_pushcfunction(lua, entry->func);
        lua_setfield(lua, -2, entry->name);
    }
    return 1;
}

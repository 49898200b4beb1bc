/* msgpack_library.c: the table `cmsgpack`: values to and from MessagePack
 * (https://github.com/msgpack/msgpack/blob/master/spec.md).
 *
 * A table whose keys are 1 to n is an array, any other a map; tables deeper than LEVELS_MAX become
 * nil. Whole numbers take the least bytes; a fraction that a float has exactly takes four. */
#include "base/invariant.h"
#include "script/vm.h"
#include <lauxlib.h>

enum {
    LEVELS_MAX = 16,  /* tables in each other, encoded */
    DEPTH_MAX = 1000, /* aggregates in each other, decoded */
    STACK_NEEDED = 8,
    VALUES_PER_LOOK = 1 << 14, /* between two looks at the clock */
};

/* ---- pack ---- */

static void add_big(struct script_vm *vm, uint8_t head, uint64_t number, unsigned size) {
    char bytes[9] = {(char)head};
    for (unsigned i = 0; i < size; i++)
        bytes[1 + i] = (char)(number >> 8 * (size - 1 - i));
    script_scratch_add(vm, bytes, size + 1);
}

static void add_byte(struct script_vm *vm, uint8_t byte) {
    script_scratch_add(vm, &byte, 1);
}

static void pack_unsigned(struct script_vm *vm, uint64_t number) {
    if (number <= 127)
        add_byte(vm, (uint8_t)number);
    else if (number <= UINT8_MAX)
        add_big(vm, 0xcc, number, 1);
    else if (number <= UINT16_MAX)
        add_big(vm, 0xcd, number, 2);
    else if (number <= UINT32_MAX)
        add_big(vm, 0xce, number, 4);
    else
        add_big(vm, 0xcf, number, 8);
}

static void pack_negative(struct script_vm *vm, int64_t number) {
    if (number >= -32)
        add_byte(vm, (uint8_t)number);
    else if (number >= INT8_MIN)
        add_big(vm, 0xd0, (uint64_t)number, 1);
    else if (number >= INT16_MIN)
        add_big(vm, 0xd1, (uint64_t)number, 2);
    else if (number >= INT32_MIN)
        add_big(vm, 0xd2, (uint64_t)number, 4);
    else
        add_big(vm, 0xd3, (uint64_t)number, 8);
}

static void pack_number(struct script_vm *vm, double number) {
    const double limit = 9223372036854775808.0; /* 2^63 */
    if (number >= -limit && number < limit && number == (double)(int64_t)number) {
        int64_t whole = (int64_t)number;
        if (whole >= 0)
            pack_unsigned(vm, (uint64_t)whole);
        else
            pack_negative(vm, whole);
        return;
    }
    float narrow = (float)number;
    uint32_t bits32;
    uint64_t bits64;
    memcpy(&bits32, &narrow, sizeof bits32);
    memcpy(&bits64, &number, sizeof bits64);
    if ((double)narrow == number)
        add_big(vm, 0xca, bits32, 4);
    else
        add_big(vm, 0xcb, bits64, 8);
}

static void pack_string(struct script_vm *vm, lua_State *lua) {
    size_t size;
    const char *text = lua_tolstring(lua, -1, &size);
    if (size < 32)
        add_byte(vm, (uint8_t)(0xa0 | size));
    else if (size <= UINT8_MAX)
        add_big(vm, 0xd9, size, 1);
    else if (size <= UINT16_MAX)
        add_big(vm, 0xda, size, 2);
    else
        add_big(vm, 0xdb, size, 4);
    script_scratch_add(vm, text, size);
}

/* The head of an array (0x90, 0xdc) or a map (0x80, 0xde). */
static void add_count(struct script_vm *vm, size_t count, uint8_t small, uint8_t large) {
    if (count < 16)
        add_byte(vm, (uint8_t)(small | count));
    else if (count <= UINT16_MAX)
        add_big(vm, large, count, 2);
    else
        add_big(vm, (uint8_t)(large + 1), count, 4);
}

/* Are the keys 1 to n? The number of keys in any case. */
static bool is_array(lua_State *lua, size_t *count) {
    size_t last = 0;
    bool is = true;
    *count = 0;
    for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1)) {
        double key = lua_type(lua, -2) == LUA_TNUMBER ? lua_tonumber(lua, -2) : 0;
        if (!(key >= 1 && key <= INT32_MAX) || key != (double)(size_t)key)
            is = false;
        else if ((size_t)key > last)
            last = (size_t)key;
        ++*count;
    }
    return is && last == *count;
}

static void pack_value(struct script_vm *vm, lua_State *lua, unsigned level);

static void pack_table(struct script_vm *vm, lua_State *lua, unsigned level) {
    size_t count;
    if (is_array(lua, &count)) {
        add_count(vm, count, 0x90, 0xdc);
        for (size_t i = 1; i <= count; i++) {
            if (i % VALUES_PER_LOOK == 0) script_poll(lua);
            lua_rawgeti(lua, -1, (int)i);
            pack_value(vm, lua, level + 1);
        }
        return;
    }
    size_t packed = 0;
    add_count(vm, count, 0x80, 0xde);
    for (lua_pushnil(lua); lua_next(lua, -2);) {
        if (++packed % VALUES_PER_LOOK == 0) script_poll(lua);
        lua_pushvalue(lua, -2);
        pack_value(vm, lua, level + 1);
        pack_value(vm, lua, level + 1);
    }
}

/* The value on the top, which is popped. */
static void pack_value(struct script_vm *vm, lua_State *lua, unsigned level) {
    luaL_checkstack(lua, STACK_NEEDED, "in function cmsgpack.pack");
    switch (lua_type(lua, -1)) {
    case LUA_TSTRING: pack_string(vm, lua); break;
    case LUA_TBOOLEAN: add_byte(vm, lua_toboolean(lua, -1) ? 0xc3 : 0xc2); break;
    case LUA_TNUMBER: pack_number(vm, lua_tonumber(lua, -1)); break;
    case LUA_TTABLE:
        if (level < LEVELS_MAX) {
            pack_table(vm, lua, level);
            break;
        }
        add_byte(vm, 0xc0);
        break;
    default: add_byte(vm, 0xc0);
    }
    lua_pop(lua, 1);
}

static int msgpack_pack(lua_State *lua) {
    struct script_vm *vm = script_vm_of(lua);
    int count = lua_gettop(lua);
    if (count == 0) return luaL_argerror(lua, 0, "MessagePack pack needs input.");
    script_scratch_begin(lua);
    for (int i = 1; i <= count; i++) {
        luaL_checkstack(lua, 1, "too many arguments for MessagePack pack.");
        lua_pushvalue(lua, i);
        pack_value(vm, lua, 0);
    }
    script_scratch_push(vm);
    return 1;
}

/* ---- unpack ---- */

struct input {
    lua_State *lua;
    const uint8_t *at, *end;
    unsigned depth;
    uint32_t values;
};

static const uint8_t *take(struct input *input, uint64_t size) {
    if ((uint64_t)(input->end - input->at) < size)
        luaL_error(input->lua, "Missing bytes in input.");
    const uint8_t *at = input->at;
    input->at += size;
    return at;
}

static uint64_t take_big(struct input *input, unsigned size) {
    const uint8_t *at = take(input, size);
    uint64_t number = 0;
    for (unsigned i = 0; i < size; i++)
        number = number << 8 | at[i];
    return number;
}

static void unpack_value(struct input *input);

static void unpack_text(struct input *input, uint64_t size) {
    const uint8_t *text = take(input, size);
    lua_pushlstring(input->lua, (const char *)text, (size_t)size);
}

/* An element takes a byte at least: more than there are bytes cannot be. */
static void check_count(struct input *input, uint64_t count) {
    if (count > (uint64_t)(input->end - input->at))
        luaL_error(input->lua, "Missing bytes in input.");
    if (++input->depth > DEPTH_MAX) luaL_error(input->lua, "Bad data format in input.");
    luaL_checkstack(input->lua, STACK_NEEDED, "in function cmsgpack.unpack");
}

static void unpack_array(struct input *input, uint64_t count) {
    check_count(input, count);
    lua_newtable(input->lua);
    for (uint64_t i = 1; i <= count; i++) {
        unpack_value(input);
        lua_rawseti(input->lua, -2, (int)i);
    }
    input->depth--;
}

static void unpack_map(struct input *input, uint64_t count) {
    check_count(input, count);
    lua_newtable(input->lua);
    for (uint64_t i = 0; i < count; i++) {
        unpack_value(input);
        unpack_value(input);
        double key = lua_tonumber(input->lua, -2);
        if (lua_isnil(input->lua, -2) || key != key)
            luaL_error(input->lua, "Bad data format in input.");
        lua_rawset(input->lua, -3);
    }
    input->depth--;
}

static void unpack_float(struct input *input) {
    uint32_t bits = (uint32_t)take_big(input, 4);
    float number;
    memcpy(&number, &bits, sizeof number);
    lua_pushnumber(input->lua, number);
}

static void unpack_double(struct input *input) {
    uint64_t bits = take_big(input, 8);
    double number;
    memcpy(&number, &bits, sizeof number);
    lua_pushnumber(input->lua, number);
}

static void unpack_signed(struct input *input, unsigned size) {
    uint64_t bits = take_big(input, size);
    unsigned shift = 64 - 8 * size;
    lua_pushnumber(input->lua, (double)((int64_t)(bits << shift) >> shift));
}

/* Heads from 0xc0 to 0xdf. */
static void unpack_long(struct input *input, uint8_t head) {
    lua_State *lua = input->lua;
    switch (head) {
    case 0xc0: lua_pushnil(lua); return;
    case 0xc2: lua_pushboolean(lua, 0); return;
    case 0xc3: lua_pushboolean(lua, 1); return;
    case 0xca: unpack_float(input); return;
    case 0xcb: unpack_double(input); return;
    case 0xcc ... 0xcf: lua_pushnumber(lua, (double)take_big(input, 1u << (head - 0xcc))); return;
    case 0xd0 ... 0xd3: unpack_signed(input, 1u << (head - 0xd0)); return;
    case 0xc4 ... 0xc6: unpack_text(input, take_big(input, 1u << (head - 0xc4))); return;
    case 0xd9 ... 0xdb: unpack_text(input, take_big(input, 1u << (head - 0xd9))); return;
    case 0xdc:
    case 0xdd: unpack_array(input, take_big(input, head == 0xdc ? 2 : 4)); return;
    case 0xde:
    case 0xdf: unpack_map(input, take_big(input, head == 0xde ? 2 : 4)); return;
    default: luaL_error(lua, "Bad data format in input.");
    }
}

static void unpack_value(struct input *input) {
    uint8_t head = *take(input, 1);
    if (++input->values % VALUES_PER_LOOK == 0) script_poll(input->lua);
    if (head < 0x80)
        lua_pushnumber(input->lua, head);
    else if (head < 0x90)
        unpack_map(input, head & 15);
    else if (head < 0xa0)
        unpack_array(input, head & 15);
    else if (head < 0xc0)
        unpack_text(input, head & 31);
    else if (head >= 0xe0)
        lua_pushnumber(input->lua, (int8_t)head);
    else
        unpack_long(input, head);
}

/* `limit` values, all there are when it is 0, from an offset on; with `tells` preceded by where the
 * next one begins, -1: there is none. */
static int unpack_some(lua_State *lua, lua_Integer limit, lua_Integer offset, bool tells) {
    size_t size;
    const char *data = luaL_checklstring(lua, 1, &size);
    if (offset < 0 || limit < 0)
        return luaL_error(lua, "Invalid request to unpack with offset of %d and limit of %d.",
                          (int)offset, (int)size);
    if ((size_t)offset > size)
        return luaL_error(lua, "Start offset %d greater than input length %d.", (int)offset,
                          (int)size);
    struct input input = {
        .lua = lua, .at = (const uint8_t *)data + offset, .end = (const uint8_t *)data + size};
    lua_settop(lua, 1);
    if (tells) lua_pushnil(lua);
    int count = 0;
    while (input.at < input.end && (limit == 0 || count < limit)) {
        luaL_checkstack(lua, STACK_NEEDED, "in function cmsgpack.unpack");
        unpack_value(&input);
        count++;
    }
    if (!tells) return count;
    lua_pushinteger(lua,
                    input.at < input.end ? (lua_Integer)(input.at - (const uint8_t *)data) : -1);
    lua_replace(lua, 2);
    return count + 1;
}

static int msgpack_unpack(lua_State *lua) {
    return unpack_some(lua, 0, 0, false);
}

static int msgpack_unpack_one(lua_State *lua) {
    return unpack_some(lua, 1, luaL_optinteger(lua, 2, 0), true);
}

static int msgpack_unpack_limit(lua_State *lua) {
    lua_Integer limit = luaL_checkinteger(lua, 2);
    return unpack_some(lua, limit, luaL_optinteger(lua, 3, 0), true);
}

static const luaL_Reg functions[] = {{"pack", msgpack_pack},
                                     {"unpack", msgpack_unpack},
                                     {"unpack_one", msgpack_unpack_one},
                                     {"unpack_limit", msgpack_unpack_limit},
                                     {NULL, NULL}};

int script_open_msgpack(lua_State *lua) {
    lua_newtable(lua);
    for (const luaL_Reg *entry = functions; entry->name; entry++) {
        lua_pushcfunction(lua, entry->func);
        lua_setfield(lua, -2, entry->name);
    }
    lua_pushliteral(lua, "cmsgpack");
    lua_setfield(lua, -2, "_NAME");
    return 1;
}

/* bit_library.c: the table `bit`: operations on 32 bits, as https://bitop.luajit.org says. Numbers
 * are taken modulo 2^32, results are signed. */
#include "base/bytes.h"
#include "script/vm.h"
#include <lauxlib.h>
#include <math.h>

enum { BITS = 32, HEX_DIGITS = 8 };

static uint32_t check_bits(lua_State *lua, int index) {
    const double modulus = 4294967296.0, exact = 4503599627370496.0; /* 2^32, 2^52 */
    double number = luaL_checknumber(lua, index);
    if (!(fabs(number) < exact * 2)) {
        /* Beyond what has all its bits: the bits of the number with 2^52 and 2^51 added. */
        number = fmod(number, modulus);
        if (number != number) return 0;
    }
    number = nearbyint(number);
    return (uint32_t)(int64_t)number;
}

static int push_bits(lua_State *lua, uint32_t bits) {
    lua_pushnumber(lua, (double)(int32_t)bits);
    return 1;
}

static int bit_tobit(lua_State *lua) {
    return push_bits(lua, check_bits(lua, 1));
}

static int bit_bnot(lua_State *lua) {
    return push_bits(lua, ~check_bits(lua, 1));
}

static int bit_band(lua_State *lua) {
    uint32_t bits = check_bits(lua, 1);
    for (int i = lua_gettop(lua); i > 1; i--)
        bits &= check_bits(lua, i);
    return push_bits(lua, bits);
}

static int bit_bor(lua_State *lua) {
    uint32_t bits = check_bits(lua, 1);
    for (int i = lua_gettop(lua); i > 1; i--)
        bits |= check_bits(lua, i);
    return push_bits(lua, bits);
}

static int bit_bxor(lua_State *lua) {
    uint32_t bits = check_bits(lua, 1);
    for (int i = lua_gettop(lua); i > 1; i--)
        bits ^= check_bits(lua, i);
    return push_bits(lua, bits);
}

static int bit_lshift(lua_State *lua) {
    uint32_t bits = check_bits(lua, 1);
    return push_bits(lua, bits << (check_bits(lua, 2) % BITS));
}

static int bit_rshift(lua_State *lua) {
    uint32_t bits = check_bits(lua, 1);
    return push_bits(lua, bits >> (check_bits(lua, 2) % BITS));
}

static int bit_arshift(lua_State *lua) {
    int32_t bits = (int32_t)check_bits(lua, 1);
    return push_bits(lua, (uint32_t)(bits >> (check_bits(lua, 2) % BITS)));
}

static uint32_t rotate(uint32_t bits, uint32_t count) {
    count %= BITS;
    return count == 0 ? bits : bits << count | bits >> (BITS - count);
}

static int bit_rol(lua_State *lua) {
    uint32_t bits = check_bits(lua, 1);
    return push_bits(lua, rotate(bits, check_bits(lua, 2)));
}

static int bit_ror(lua_State *lua) {
    uint32_t bits = check_bits(lua, 1);
    return push_bits(lua, rotate(bits, BITS - check_bits(lua, 2) % BITS));
}

static int bit_bswap(lua_State *lua) {
    return push_bits(lua, __builtin_bswap32(check_bits(lua, 1)));
}

static int bit_tohex(lua_State *lua) {
    uint32_t bits = check_bits(lua, 1);
    int32_t wanted = lua_isnone(lua, 2) ? HEX_DIGITS : (int32_t)check_bits(lua, 2);
    const char *digits = wanted < 0 ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[HEX_DIGITS];
    uint32_t size = wanted < 0 ? 0 - (uint32_t)wanted : (uint32_t)wanted;
    if (size > HEX_DIGITS) size = HEX_DIGITS;
    for (uint32_t i = size; i-- > 0; bits >>= 4)
        text[i] = digits[bits & 15];
    lua_pushlstring(lua, text, size);
    return 1;
}

static const luaL_Reg functions[] = {
    {"tobit", bit_tobit}, {"bnot", bit_bnot},     {"band", bit_band},     {"bor", bit_bor},
    {"bxor", bit_bxor},   {"lshift", bit_lshift}, {"rshift", bit_rshift}, {"arshift", bit_arshift},
    {"rol", bit_rol},     {"ror", bit_ror},       {"bswap", bit_bswap},   {"tohex", bit_tohex},
    {NULL, NULL}};

int script_open_bit(lua_State *lua) {
    lua_newtable(lua);
    for (const luaL_Reg *entry = functions; entry->name; entry++) {
        lua_pushcfunction(lua, entry->func);
        lua_setfield(lua, -2, entry->name);
    }
    return 1;
}

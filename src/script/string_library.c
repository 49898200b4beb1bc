/* string_library.c: string.rep, and the functions of patterns: find, match, gmatch, gsub.
 *
 * They do and say what Lua 5.1's do (its reference manual, section 5.4). Ours because Lua's can be
 * made to work for years, or to use up the machine's stack, within one call, where no count of
 * instructions helps: here every so many steps the clock is looked at, and depth has a bound. */
#include "base/bytes.h"
#include "base/invariant.h"
#include "script/host.h"
#include <ctype.h>
#include <lauxlib.h>

enum {
    CAPTURES_MAX = 32,
    DEPTH_MAX = 200 * 16,   /* matchers in each other */
    STEPS_PER_LOOK = 50000, /* between two looks at the clock */
    OPEN = -1,              /* size of a capture that has no end yet */
    POSITION = -2,          /* size of "()" */
};
static const char escape = '%';
static const char specials[] = "^$*+?.([%-";

struct match {
    lua_State *lua;
    const char *begin, *end, *pattern_end;
    int level; /* captures */
    int depth;
    uint32_t steps;
    struct {
        const char *at;
        ptrdiff_t size;
    } captures[CAPTURES_MAX];
};

static const char *match_here(struct match *match, const char *at, const char *pattern);

static void count_step(struct match *match) {
    if (likely(++match->steps % STEPS_PER_LOOK != 0)) return;
    script_poll(match->lua);
}

/* ---- single characters ---- */

/* Behind the class that begins at `pattern`. */
static const char *class_end(const struct match *match, const char *pattern) {
    if (pattern == match->pattern_end) luaL_error(match->lua, "malformed pattern (ends with '%%')");
    char first = *pattern++;
    if (first == escape) {
        if (pattern == match->pattern_end)
            luaL_error(match->lua, "malformed pattern (ends with '%%')");
        return pattern + 1;
    }
    if (first != '[') return pattern;
    if (pattern < match->pattern_end && *pattern == '^') pattern++;
    do { /* a ']' that comes first is a member */
        if (pattern == match->pattern_end)
            luaL_error(match->lua, "malformed pattern (missing ']')");
        if (*pattern++ == escape && pattern < match->pattern_end) pattern++;
    } while (pattern == match->pattern_end || *pattern != ']');
    return pattern + 1;
}

/* Does the byte belong to %a, %d ...? */
static bool in_class(uint8_t byte, uint8_t letter) {
    bool is;
    switch (tolower(letter)) {
    case 'a': is = isalpha(byte); break;
    case 'c': is = iscntrl(byte); break;
    case 'd': is = isdigit(byte); break;
    case 'l': is = islower(byte); break;
    case 'p': is = ispunct(byte); break;
    case 's': is = isspace(byte); break;
    case 'u': is = isupper(byte); break;
    case 'w': is = isalnum(byte); break;
    case 'x': is = isxdigit(byte); break;
    case 'z': is = byte == 0; break;
    default: return letter == byte;
    }
    return isupper(letter) ? !is : is;
}

/* `set` is at '[', `last` at its ']'. */
static bool in_set(uint8_t byte, const char *set, const char *last) {
    bool wanted = true;
    if (set[1] == '^') {
        wanted = false;
        set++;
    }
    while (++set < last) {
        if (*set == escape) {
            set++;
            if (in_class(byte, (uint8_t)*set)) return wanted;
        } else if (set[1] == '-' && set + 2 < last) {
            if ((uint8_t)set[0] <= byte && byte <= (uint8_t)set[2]) return wanted;
            set += 2;
        } else if ((uint8_t)*set == byte) {
            return wanted;
        }
    }
    return !wanted;
}

static bool matches_one(const struct match *match, const char *at, const char *pattern,
                        const char *next) {
    if (at >= match->end) return false;
    uint8_t byte = (uint8_t)*at;
    switch (*pattern) {
    case '.': return true;
    case '%': return in_class(byte, (uint8_t)pattern[1]);
    case '[': return in_set(byte, pattern, next - 1);
    default: return (uint8_t)*pattern == byte;
    }
}

/* ---- repetitions ---- */

static const char *match_most(struct match *match, const char *at, const char *pattern,
                              const char *next) {
    ptrdiff_t count = 0;
    while (matches_one(match, at + count, pattern, next)) {
        count_step(match);
        count++;
    }
    for (; count >= 0; count--) {
        const char *end = match_here(match, at + count, next + 1);
        if (end) return end;
    }
    return NULL;
}

static const char *match_fewest(struct match *match, const char *at, const char *pattern,
                                const char *next) {
    while (true) {
        const char *end = match_here(match, at, next + 1);
        if (end) return end;
        if (!matches_one(match, at, pattern, next)) return NULL;
        at++;
    }
}

/* "%bxy": from an x to its y. */
static const char *match_balance(struct match *match, const char *at, const char *pattern) {
    if (match->pattern_end - pattern < 2) luaL_error(match->lua, "unbalanced pattern");
    if (at >= match->end || *at != *pattern) return NULL;
    char opening = pattern[0], closing = pattern[1];
    size_t open = 1;
    while (++at < match->end) {
        count_step(match);
        if (*at == closing) {
            if (--open == 0) return at + 1;
        } else if (*at == opening) {
            open++;
        }
    }
    return NULL;
}

/* ---- captures ---- */

static const char *match_opening(struct match *match, const char *at, const char *pattern,
                                 ptrdiff_t size) {
    int level = match->level;
    if (level >= CAPTURES_MAX) luaL_error(match->lua, "too many captures");
    match->captures[level].at = at;
    match->captures[level].size = size;
    match->level = level + 1;
    const char *end = match_here(match, at, pattern);
    if (!end) match->level--;
    return end;
}

static const char *match_closing(struct match *match, const char *at, const char *pattern) {
    int level = match->level - 1;
    while (level >= 0 && match->captures[level].size != OPEN)
        level--;
    if (level < 0) luaL_error(match->lua, "invalid pattern capture");
    match->captures[level].size = at - match->captures[level].at;
    const char *end = match_here(match, at, pattern);
    if (!end) match->captures[level].size = OPEN;
    return end;
}

/* "%1": the same text once more. */
static const char *match_reference(struct match *match, const char *at, char digit) {
    int level = digit - '1';
    if (level < 0 || level >= match->level || match->captures[level].size == OPEN)
        luaL_error(match->lua, "invalid capture index");
    size_t size = (size_t)match->captures[level].size;
    if ((size_t)(match->end - at) < size) return NULL;
    return memcmp(match->captures[level].at, at, size) == 0 ? at + size : NULL;
}

/* "%f[set]": here the set begins. */
static bool at_frontier(const struct match *match, const char *at, const char *pattern,
                        const char **next) {
    if (pattern >= match->pattern_end || *pattern != '[')
        luaL_error(match->lua, "missing '[' after '%%f' in pattern");
    *next = class_end(match, pattern);
    uint8_t before = at == match->begin ? 0 : (uint8_t)at[-1];
    uint8_t here = at == match->end ? 0 : (uint8_t)*at;
    return !in_set(before, pattern, *next - 1) && in_set(here, pattern, *next - 1);
}

/* ---- the pattern, item by item ---- */

/* Items that begin with '%' and are no class: false when it is one. */
static bool match_escaped(struct match *match, const char **at, const char **pattern) {
    const char *next;
    if (match->pattern_end - *pattern < 2) return false;
    char letter = (*pattern)[1];
    switch (letter) {
    case 'b':
        *at = match_balance(match, *at, *pattern + 2);
        *pattern += 4;
        return true;
    case 'f':
        if (!at_frontier(match, *at, *pattern + 2, &next)) *at = NULL;
        *pattern = next;
        return true;
    case '0' ... '9':
        *at = match_reference(match, *at, letter);
        *pattern += 2;
        return true;
    default: return false;
    }
}

/* A class with what stands behind it. True: go on with *at (NULL: no match) and *pattern; false:
 * *at is the result. */
static bool match_class(struct match *match, const char **at, const char **pattern) {
    const char *next = class_end(match, *pattern), *end;
    bool one = matches_one(match, *at, *pattern, next);
    switch (next < match->pattern_end ? *next : 0) {
    case '?':
        if (one && (end = match_here(match, *at + 1, next + 1))) {
            *at = end;
            return false;
        }
        *pattern = next + 1;
        return true;
    case '*': *at = match_most(match, *at, *pattern, next); return false;
    case '+': *at = one ? match_most(match, *at + 1, *pattern, next) : NULL; return false;
    case '-': *at = match_fewest(match, *at, *pattern, next); return false;
    default:
        *at = one ? *at + 1 : NULL;
        *pattern = next;
        return true;
    }
}

static const char *match_item(struct match *match, const char *at, const char *pattern) {
    while (at && pattern < match->pattern_end) {
        count_step(match);
        if (*pattern == '(') {
            bool position = pattern + 1 < match->pattern_end && pattern[1] == ')';
            return match_opening(match, at, pattern + 1 + position, position ? POSITION : OPEN);
        }
        if (*pattern == ')') return match_closing(match, at, pattern + 1);
        if (*pattern == '$' && pattern + 1 == match->pattern_end)
            return at == match->end ? at : NULL;
        if (*pattern == escape && match_escaped(match, &at, &pattern)) continue;
        if (!match_class(match, &at, &pattern)) return at;
    }
    return at;
}

/* Behind the match that begins at `at`, or NULL. */
static const char *match_here(struct match *match, const char *at, const char *pattern) {
    if (++match->depth > DEPTH_MAX) luaL_error(match->lua, "pattern too complex");
    count_step(match);
    const char *end = match_item(match, at, pattern);
    match->depth--;
    return end;
}

/* ---- results ---- */

static void push_capture(struct match *match, int index, const char *at, const char *end) {
    if (index >= match->level) {
        if (index != 0) luaL_error(match->lua, "invalid capture index");
        lua_pushlstring(match->lua, at, (size_t)(end - at));
        return;
    }
    ptrdiff_t size = match->captures[index].size;
    if (size == OPEN) luaL_error(match->lua, "unfinished capture");
    if (size == POSITION)
        lua_pushinteger(match->lua, match->captures[index].at - match->begin + 1);
    else
        lua_pushlstring(match->lua, match->captures[index].at, (size_t)size);
}

/* All captures; the whole match when there are none and `at` is not NULL. */
static int push_captures(struct match *match, const char *at, const char *end) {
    int count = match->level == 0 && at ? 1 : match->level;
    luaL_checkstack(match->lua, count, "too many captures");
    for (int i = 0; i < count; i++)
        push_capture(match, i, at, end);
    return count;
}

static struct match begin_match(lua_State *lua, int text, int pattern) {
    struct match match = {.lua = lua};
    size_t size;
    match.begin = luaL_checklstring(lua, text, &size);
    match.end = match.begin + size;
    const char *begin = luaL_checklstring(lua, pattern, &size);
    match.pattern_end = begin + size;
    return match;
}

static const char *try_match(struct match *match, const char *at, const char *pattern) {
    match->level = 0;
    match->depth = 0;
    return match_here(match, at, pattern);
}

/* ---- find and match ---- */

static int find_plainly(lua_State *lua, const struct match *match, const char *from,
                        struct bytes wanted) {
    const char *at = wanted.size == 0
                         ? from
                         : memmem(from, (size_t)(match->end - from), wanted.data, wanted.size);
    if (!at) {
        lua_pushnil(lua);
        return 1;
    }
    lua_pushinteger(lua, at - match->begin + 1);
    lua_pushinteger(lua, at - match->begin + (ptrdiff_t)wanted.size);
    return 2;
}

static bool has_specials(struct bytes pattern) {
    for (size_t i = 0; i < pattern.size; i++)
        if (memchr(specials, pattern.data[i], sizeof specials - 1)) return true;
    return false;
}

static int search(lua_State *lua, bool finds) {
    struct match match = begin_match(lua, 1, 2);
    size_t pattern_size, size = (size_t)(match.end - match.begin);
    const char *pattern = lua_tolstring(lua, 2, &pattern_size);
    ptrdiff_t init = luaL_optinteger(lua, 3, 1);
    if (init < 0) init = init + (ptrdiff_t)size + 1;
    init = init < 1 ? 0 : init - 1;
    if ((size_t)init > size) init = (ptrdiff_t)size;
    const char *at = match.begin + init;
    struct bytes wanted = bytes_make(pattern, pattern_size);
    if (finds && (lua_toboolean(lua, 4) || !has_specials(wanted)))
        return find_plainly(lua, &match, at, wanted);
    bool anchored = pattern_size > 0 && *pattern == '^';
    do {
        const char *end = try_match(&match, at, pattern + anchored);
        if (!end) continue;
        if (!finds) return push_captures(&match, at, end);
        lua_pushinteger(lua, at - match.begin + 1);
        lua_pushinteger(lua, end - match.begin);
        return push_captures(&match, NULL, NULL) + 2;
    } while (!anchored && at++ < match.end);
    lua_pushnil(lua);
    return 1;
}

static int string_find(lua_State *lua) {
    return search(lua, true);
}

static int string_match(lua_State *lua) {
    return search(lua, false);
}

/* Upvalues: text, pattern, where to go on. */
static int next_match(lua_State *lua) {
    struct match match = begin_match(lua, lua_upvalueindex(1), lua_upvalueindex(2));
    const char *pattern = lua_tostring(lua, lua_upvalueindex(2));
    const char *at = match.begin + lua_tointeger(lua, lua_upvalueindex(3));
    for (; at <= match.end; at++) {
        const char *end = try_match(&match, at, pattern);
        if (!end) continue;
        lua_pushinteger(lua, end - match.begin + (end == at));
        lua_replace(lua, lua_upvalueindex(3));
        return push_captures(&match, at, end);
    }
    return 0;
}

static int string_gmatch(lua_State *lua) {
    luaL_checkstring(lua, 1);
    luaL_checkstring(lua, 2);
    lua_settop(lua, 2);
    lua_pushinteger(lua, 0);
    lua_pushcclosure(lua, next_match, 3);
    return 1;
}

/* ---- gsub ---- */

/* A text with %0 ... %9 in it. */
static void add_text(struct match *match, luaL_Buffer *out, const char *at, const char *end) {
    size_t size, capture_size;
    const char *text = lua_tolstring(match->lua, 3, &size);
    for (size_t i = 0; i < size; i++) {
        if (text[i] != escape) {
            luaL_addchar(out, text[i]);
            continue;
        }
        i++;
        char digit = i < size ? text[i] : 0;
        if (!isdigit((uint8_t)digit)) {
            luaL_addchar(out, digit);
        } else if (digit == '0') {
            luaL_addlstring(out, at, (size_t)(end - at));
        } else {
            push_capture(match, digit - '1', at, end);
            if (lua_tolstring(match->lua, -1, &capture_size)) luaL_addvalue(out);
        }
    }
}

static void add_replacement(struct match *match, luaL_Buffer *out, const char *at,
                            const char *end) {
    lua_State *lua = match->lua;
    switch (lua_type(lua, 3)) {
    case LUA_TNUMBER:
    case LUA_TSTRING: add_text(match, out, at, end); return;
    case LUA_TFUNCTION:
        lua_pushvalue(lua, 3);
        lua_call(lua, push_captures(match, at, end), 1);
        break;
    default: push_capture(match, 0, at, end); lua_gettable(lua, 3);
    }
    if (!lua_toboolean(lua, -1)) {
        lua_pop(lua, 1);
        lua_pushlstring(lua, at, (size_t)(end - at));
    } else if (!lua_isstring(lua, -1)) {
        luaL_error(lua, "invalid replacement value (a %s)", luaL_typename(lua, -1));
    }
    luaL_addvalue(out);
}

static int string_gsub(lua_State *lua) {
    struct match match = begin_match(lua, 1, 2);
    const char *pattern = lua_tostring(lua, 2), *at = match.begin;
    int type = lua_type(lua, 3), count = 0;
    bool anchored = pattern < match.pattern_end && *pattern == '^';
    ptrdiff_t limit = luaL_optinteger(lua, 4, match.end - match.begin + 1);
    luaL_argcheck(lua,
                  type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION ||
                      type == LUA_TTABLE,
                  3, "string/function/table expected");
    luaL_Buffer out;
    luaL_buffinit(lua, &out);
    while (count < limit) {
        const char *end = try_match(&match, at, pattern + anchored);
        if (end) {
            count++;
            add_replacement(&match, &out, at, end);
        }
        if (end && end > at)
            at = end;
        else if (at < match.end)
            luaL_addchar(&out, *at++);
        else
            break;
        if (anchored) break;
    }
    luaL_addlstring(&out, at, (size_t)(match.end - at));
    luaL_pushresult(&out);
    lua_pushinteger(lua, count);
    return 2;
}

/* ---- rep ---- */

static int string_rep(lua_State *lua) {
    size_t size;
    const char *text = luaL_checklstring(lua, 1, &size);
    ptrdiff_t count = luaL_checkinteger(lua, 2);
    if (count <= 0 || size == 0) {
        lua_pushliteral(lua, "");
        return 1;
    }
    size_t whole;
    struct script_vm *vm = script_vm_of(lua);
    if (__builtin_mul_overflow(size, (size_t)count, &whole) || whole > vm->bytes_max)
        return luaL_error(lua, "not enough memory");
    char *room = lua_newuserdata(lua, whole);
    memcpy(room, text, size);
    for (size_t have = size; have < whole;) {
        size_t part = have < whole - have ? have : whole - have;
        memcpy(room + have, room, part);
        have += part;
    }
    lua_pushlstring(lua, room, whole);
    script_poll_after(lua, whole);
    return 1;
}

/* ---- putting them in place ---- */

static const luaL_Reg functions[] = {{"find", string_find},     {"match", string_match},
                                     {"gmatch", string_gmatch}, {"gsub", string_gsub},
                                     {"rep", string_rep},       {NULL, NULL}};

void script_replace_string(lua_State *lua) {
    for (const luaL_Reg *entry = functions; entry->name; entry++) {
        lua_pushcfunction(lua, entry->func);
        lua_setfield(lua, -2, entry->name);
    }
    lua_getfield(lua, -1, "gmatch"); /* also by its old name */
    lua_setfield(lua, -2, "gfind");
}

/* vm.h: one Lua state that scripts may be let into.
 *
 * What a script sees are empty tables with what they stand for behind them:
 *
 *     globals (empty) --__index--> real globals --__index--> "nonexistent global variable"
 *        |                            |
 *        `--__newindex--> refused     `-- redis (empty) --__index--> call, pcall ...
 *
 * A table like that cannot be written to, as in Redis, whatever names it has; functions that do not
 * ask metatables (rawset, next, table.insert ...) are replaced by ones that know them. Lua's own
 * libraries are there but for what reaches files, processes, bytecode, other functions'
 * environments or metatables of others; what can be made to run for ever inside one call (string
 * patterns, rep) is ours, and looks at the clock.
 *
 * Memory is counted, and refused beyond a bound while a script runs; what is done for the server
 * itself (arguments, replies) is never refused. */
#ifndef REDSTART_SCRIPT_VM_H
#define REDSTART_SCRIPT_VM_H

#include "base/buffer.h"
#include <lua.h>

struct script_host;

/* As scripts have set it (cjson.decode_max_depth, cjson.decode_invalid_numbers). */
struct script_json {
    int depth_max;
    bool invalid_numbers;
};

struct script_vm {
    lua_State *lua;
    struct script_host *host;
    size_t bytes;     /* handed out to Lua */
    size_t bytes_max; /* while `limited` */
    bool limited;
    uint64_t random;         /* state of math.random */
    struct buffer scratch;   /* text that a library makes */
    lua_State *scratch_user; /* for whom: the state or a coroutine of it */
    int64_t looked_us;       /* monotonic: when the clock was last looked at */
    size_t moved;            /* bytes of large blocks since then */
    struct script_json json;
    int handler;         /* registry: the handler of errors */
    int globals;         /* registry: the real globals */
    int loading_globals; /* registry: what the code of a library sees while it is loaded */
};

enum {
    SCRIPT_HOOK_PERIOD = 1000,   /* instructions between two looks at the clock, at most */
    SCRIPT_LOOK_US = 2000,       /* wanted between two looks; instructions may be slow */
    SCRIPT_LOOK_BYTES = 1 << 20, /* worked on in one go: a reason to look */
    SCRIPT_STACK_NEEDED = 32,    /* slots that what we do for a script takes at most */
};

/* A state with everything in it. `functions`: for libraries of functions, not for EVAL. */
struct script_vm *script_vm_open(struct script_host *host, bool functions);
/* Also on another thread, when nothing runs in it. */
void script_vm_close(void *vm);

static inline struct script_vm *script_vm_of(lua_State *lua) {
    void *vm;
    lua_getallocf(lua, &vm);
    return vm;
}

/* Put an empty table before the table on the top, which takes its place. */
void script_protect(lua_State *lua);
/* Whether the value is such a table. */
bool script_is_protected(lua_State *lua, int index);
/* Raise Redis's error if it is. */
void script_refuse_protected(lua_State *lua, int index);
/* Put the table behind it on the top. */
void script_push_protected(lua_State *lua, int index);

/* For a function around one of a library's, which is the upvalue: call that with all arguments;
 * how many results. A text that it raises, and that begins with `complaint`, gets the place in the
 * script before it, as it would have without the function around. */
int script_call_inner(lua_State *lua, const char *complaint);

/* Look at the clock, serve others if the script is slow, raise an error if it shall end. For
 * functions that may work for long. */
void script_poll(lua_State *lua);

/* The same when that many bytes were worked on. */
static inline void script_poll_after(lua_State *lua, size_t bytes) {
    if (__builtin_expect(bytes >= SCRIPT_LOOK_BYTES, 0)) script_poll(lua);
}

/* A text of the library that is running, as large as a script's memory may be. Errors may be raised
 * between these. */
void script_scratch_begin(lua_State *lua);
void script_scratch_add(struct script_vm *vm, const void *data, size_t size);
/* As a string on the top. */
void script_scratch_push(struct script_vm *vm);

/* The libraries; each leaves its table on the top. */
int script_open_bit(lua_State *lua);
int script_open_struct(lua_State *lua);
int script_open_msgpack(lua_State *lua);
int script_open_json(lua_State *lua);
enum script_redis { SCRIPT_REDIS_EVAL, SCRIPT_REDIS_FUNCTIONS, SCRIPT_REDIS_LOADING };
int script_open_redis(lua_State *lua, enum script_redis kind);
/* Replace functions of the string library, in the table on the top. */
void script_replace_string(lua_State *lua);
/* Replace functions of Lua's base, coroutine, table and math libraries in the globals on the top.
 */
void script_replace_base(lua_State *lua);

#endif

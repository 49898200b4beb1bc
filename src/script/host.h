/* host.h: what runs scripts for one server: its states, its cache, and the script that is running.
 * For the files of src/script alone; who uses scripts reads script.h. */
#ifndef REDSTART_SCRIPT_HOST_H
#define REDSTART_SCRIPT_HOST_H

#include "base/buffer.h"
#include "base/sha1.h"
#include "engine/call.h"
#include "engine/session.h"
#include "script/cache.h"
#include "script/script.h"
#include "script/vm.h"

enum { SCRIPT_NUMBER_SIZE = 32, SCRIPT_SOURCE_SIZE = 64, SCRIPT_SINK_KEPT = 64 * 1024 };

/* redis.set_repl's argument. */
enum { SCRIPT_REPL_NONE = 0, SCRIPT_REPL_AOF = 1, SCRIPT_REPL_REPLICA = 2, SCRIPT_REPL_ALL = 3 };

/* What runs now. */
struct script_run {
    struct call *outer; /* EVAL or FCALL; NULL: nothing runs */
    struct script_vm *vm;
    struct bytes name; /* for the log and FUNCTION STATS: a digest or a function */
    uint32_t flags;    /* of enum script_flag */
    bool read_only;
    bool out_of_memory; /* was, when it began: nothing is evicted while it runs */
    bool is_function;
    bool wrote; /* a command that writes was run */
    bool unit_begun;
    bool slow; /* longer than busy-reply-threshold: others are told so */
    bool killed;
    uint8_t protocol;                      /* of redis.setresp */
    uint8_t repl;                          /* of redis.set_repl */
    int64_t begun_us;                      /* monotonic */
    int64_t served_us;                     /* when others were last served, once it is slow */
    uint64_t unit_offset;                  /* of the journal, when the unit was begun */
    char error_source[SCRIPT_SOURCE_SIZE]; /* where the last error was made; "": nobody knows */
    int error_line;
};

/* Commands that were looked up, by how they were written. */
enum { SCRIPT_KNOWN = 64, SCRIPT_KNOWN_SIZE = 23 };
struct script_known {
    const struct command *command;
    uint8_t size; /* 0: none */
    char name[SCRIPT_KNOWN_SIZE];
};

struct script_host {
    struct server *server;
    struct script_vm *eval, *functions;
    struct script_cache cache;
    struct function_registry *registry; /* NULL: no library was ever loaded */
    struct function_library *loading;   /* whose code is being run */
    int64_t loading_until_us;
    struct session session; /* of commands inside scripts */
    struct reply reply;     /* into `sink` */
    struct buffer sink;
    struct bytes *argv; /* of the command that is made */
    char (*numbers)[SCRIPT_NUMBER_SIZE];
    uint32_t argv_capacity;
    struct script_known known[SCRIPT_KNOWN];
    struct script_run run;
};

/* The server's; made when it is first asked for. */
struct script_host *script_host_of(struct server *server);

/* Handler of lua_pcall: remembers where the error was made. */
int script_note_error(lua_State *lua);
void script_count_hook(lua_State *lua, lua_Debug *about);
void script_push_string_metatable(lua_State *lua);
/* Begin math.random anew. */
void script_seed(struct script_vm *vm, uint32_t seed);

/* From `*at` on, one reply of ours as a Lua value on the top; returns what is behind it. */
const char *script_push_reply(lua_State *lua, const char *at);
/* The value on the top as the reply; it is popped. */
void script_reply_value(struct call *call, lua_State *lua, uint8_t protocol);
/* A number as redis.call has it; the text's size. */
size_t script_format_number(double number, char out[SCRIPT_NUMBER_SIZE]);

/* Compile a text: NULL and the function on the top, or an error, which is on the top too. */
const char *script_compile(struct script_vm *vm, struct bytes text, const char *name);
/* The same for code that scripts give: lua_load's status. Never takes bytecode. */
int script_load_text(lua_State *lua, struct bytes text, const char *name);
/* The argument behind the script's name; false after an error reply, `no_number` when it is no
 * number (NULL: the usual error). */
bool script_parse_key_count(struct call *call, uint32_t *count, const char *no_number);
/* KEYS or ARGV: a list of them on the top. */
void script_push_words(lua_State *lua, const struct bytes *words, uint32_t count);
/* False after an error reply. */
bool script_may_run(struct call *call, uint32_t flags, bool read_only, bool *out_of_memory);
/* Close a state that nothing needs any more; NULL is none. */
void script_dispose_vm(struct script_host *host, struct script_vm *vm, bool in_background);

/* The text of the error on the top; false when it was counted already. */
bool script_describe_error(lua_State *lua, struct buffer *out);

/* Run the function on the top of the state's stack, with `argument_count` arguments behind it, as
 * what run says. The reply is written. */
void script_execute(struct script_host *host, const struct script_run *run, int argument_count);

#endif

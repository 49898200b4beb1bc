/* function.h: libraries of functions: what FUNCTION LOAD made, and FCALL runs.
 *
 *     by name:   bucket -> function -> function       in any case of letters
 *     libraries: first -> next ...; each has its text, and its functions in order
 *
 * All libraries live in one Lua state. The text of a library is run once, when it is loaded, with
 * nothing in reach but what registers functions; what it leaves is the functions. Several libraries
 * are changed together or not at all (FUNCTION RESTORE). */
#ifndef REDSTART_SCRIPT_FUNCTION_H
#define REDSTART_SCRIPT_FUNCTION_H

#include "base/buffer.h"
#include "engine/scripting.h"
#include <lua.h>

struct call;
struct function_library;
struct script_host;
struct server;

struct function {
    struct function *bucket_next, *next; /* of its library */
    struct function_library *library;
    struct bytes name;
    struct bytes description; /* data NULL: none */
    uint32_t flags;           /* of enum script_flag */
    int reference;            /* registry */
};

struct function_library {
    struct function_library *next;
    struct bytes name, text;
    struct function *first, **last;
    uint32_t count;
};

enum function_policy { FUNCTION_APPEND, FUNCTION_REPLACE, FUNCTION_FLUSH };

/* What a function says of itself; SCRIPT_UNDECLARED also where there is none. */
uint32_t function_flags_of(struct script_host *host, struct bytes name);
/* FCALL, FCALL_RO: the whole command. */
void function_call(struct call *call, bool read_only);
/* FUNCTION LOAD: false, with a text (which includes no code) in `error`. The name is the library's.
 */
bool function_load(struct server *server, struct bytes text, bool replaces, struct bytes *name,
                   struct buffer *error);
bool function_delete(struct server *server, struct bytes name);
void function_flush(struct server *server, bool in_background);
/* All of the RDB-encoded libraries; false with a text in `error`, and nothing is changed. */
bool function_restore(struct server *server, struct bytes encoded, enum function_policy policy,
                      struct buffer *error);
/* Append all libraries as RDB files have them. */
void function_encode(struct script_host *host, bool compresses, struct buffer *out);
/* In the order in which they were loaded; NULL: there are none. */
const struct function_library *function_first(struct server *server);
uint32_t function_library_count(struct server *server);
uint32_t function_count(struct server *server);
/* FUNCTION STATS: the reply. */
void function_reply_stats(struct call *call);

/* ---- for src/script itself ---- */

struct function_registry;
void function_measure(const struct script_host *host, struct scripting_report *report);
void function_close(struct script_host *host);
int function_register(lua_State *lua); /* redis.register_function */

#endif

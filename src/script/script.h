/* script.h: scripts and functions, for the commands that run them.
 *
 * One host serves one server, from the first script to the server's end. It keeps two Lua states,
 * one for EVAL and one for libraries of functions, made when they are first needed. While a script
 * runs, its commands go straight to their handlers, their effects are one unit of the journal, and
 * when it runs for longer than busy-reply-threshold, other clients are served errors, SCRIPT KILL
 * and the like. */
#ifndef REDSTART_SCRIPT_SCRIPT_H
#define REDSTART_SCRIPT_SCRIPT_H

#include "base/bytes.h"

struct call;
struct server;
struct script_host;

enum script_flag {
    SCRIPT_NO_WRITES = 1 << 0,
    SCRIPT_ALLOW_OOM = 1 << 1,
    SCRIPT_ALLOW_STALE = 1 << 2,
    SCRIPT_NO_CLUSTER = 1 << 3,
    SCRIPT_ALLOW_CROSS_SLOT_KEYS = 1 << 4,
    SCRIPT_FLAGS = 5,
    SCRIPT_UNDECLARED = 1 << 5, /* it says nothing about itself: an EVAL without "#!" */
};
const char *script_flag_name(unsigned bit);
/* 0 when there is none of that name. */
uint32_t script_flag_find(struct bytes name);

/* Let the server have a host from the start on, for libraries in its files. */
void script_attach(struct server *server);

/* EVAL, EVALSHA and their forms that only read: the whole command. */
void script_eval(struct call *call, bool by_digest, bool read_only);
/* What a script says of itself; SCRIPT_UNDECLARED also where there is none. */
uint32_t script_flags_of_text(struct bytes text);
uint32_t script_flags_of_digest(struct script_host *host, struct bytes digest);
void script_load(struct call *call, struct bytes text);
bool script_exists(struct server *server, struct bytes digest);
/* The text of a script; false when it is not there. */
bool script_text(struct server *server, struct bytes digest, struct bytes *text);
void script_flush(struct server *server, bool in_background);
/* SCRIPT KILL and FUNCTION KILL. */
void script_kill(struct call *call, bool function);

#endif

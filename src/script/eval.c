/* eval.c: scripts by their text and by their digest: EVAL, SCRIPT LOAD and what belongs to them. */
#include "base/invariant.h"
#include "base/memory.h"
#include "engine/command.h"
#include "engine/server.h"
#include "script/host.h"
#include <lauxlib.h>

/* ---- flags ---- */

static const char *const flag_names[] = {"no-writes", "allow-oom", "allow-stale", "no-cluster",
                                         "allow-cross-slot-keys"};

const char *script_flag_name(unsigned bit) {
    INVARIANT(bit < SCRIPT_FLAGS);
    return flag_names[bit];
}

uint32_t script_flag_find(struct bytes name) {
    for (unsigned bit = 0; bit < SCRIPT_FLAGS; bit++)
        if (bytes_equal(name, bytes_from_text(flag_names[bit]))) return UINT32_C(1) << bit;
    return 0;
}

/* ---- the first line ---- */

/* The next piece of `text` before `separator`; false at the end. */
static bool next_piece(struct bytes *text, char separator, struct bytes *piece) {
    if (!text->data) return false;
    const char *end = text->size ? memchr(text->data, separator, text->size) : NULL;
    if (!end) {
        *piece = *text;
        text->data = NULL;
        return true;
    }
    *piece = bytes_make(text->data, (size_t)(end - text->data));
    *text = bytes_make(end + 1, text->size - piece->size - 1);
    return true;
}

static bool parse_flags(struct bytes list, uint32_t *flags, struct buffer *error) {
    struct bytes name;
    if (list.size == 0) return true;
    while (next_piece(&list, ',', &name)) {
        uint32_t flag = script_flag_find(name);
        if (flag == 0) {
            buffer_append_format(error, "ERR Unexpected flag in script shebang: %.*s",
                                 (int)name.size, name.data);
            return false;
        }
        *flags |= flag;
    }
    return true;
}

/* "#!lua flags=a,b": the flags, and where the code begins, with the line's end. False, and why is
 * appended to `error`. */
static bool parse_head(struct bytes text, uint32_t *flags, struct bytes *code,
                       struct buffer *error) {
    static const char flags_word[] = "flags=";
    const size_t word_size = sizeof flags_word - 1;
    *flags = SCRIPT_UNDECLARED;
    *code = text;
    if (text.size < 2 || memcmp(text.data, "#!", 2) != 0) return true;
    *flags = 0;
    const char *end = memchr(text.data, '\n', text.size);
    if (!end) {
        buffer_append_text(error, "ERR Invalid script shebang");
        return false;
    }
    struct bytes line = bytes_make(text.data, (size_t)(end - text.data)), word;
    *code = bytes_make(end, text.size - line.size);
    next_piece(&line, ' ', &word);
    if (!bytes_equal(word, BYTES("#!lua"))) {
        buffer_append_format(error, "ERR Unexpected engine in script shebang: %.*s", (int)word.size,
                             word.data);
        return false;
    }
    while (next_piece(&line, ' ', &word)) {
        if (word.size == 0) continue;
        if (word.size < word_size || memcmp(word.data, flags_word, word_size) != 0) {
            buffer_append_format(error, "ERR Unknown lua shebang option: %.*s", (int)word.size,
                                 word.data);
            return false;
        }
        word = bytes_make(word.data + word_size, word.size - word_size);
        if (!parse_flags(word, flags, error)) return false;
    }
    return true;
}

/* ---- compiling ---- */

static struct script_vm *eval_vm(struct script_host *host) {
    if (!host->eval) host->eval = script_vm_open(host, false);
    return host->eval;
}

/* Compile into a new script; NULL after an error reply. */
static struct script *compile(struct call *call, struct script_host *host, struct bytes text) {
    uint32_t flags;
    struct bytes code;
    struct buffer wrong = {0};
    if (!parse_head(text, &flags, &code, &wrong)) {
        call_error(call, "%.*s", (int)wrong.size, wrong.data);
        buffer_release(&wrong);
        return NULL;
    }
    lua_State *lua = eval_vm(host)->lua;
    const char *error = script_compile(host->eval, code, "@user_script");
    if (error) {
        call_error(call, "ERR Error compiling script (new function): %s", error);
        lua_pop(lua, 1);
        return NULL;
    }
    struct script *script = memory_alloc_zeroed(1, sizeof *script);
    script->text = bytes_make(memory_copy(text.data, text.size), text.size);
    script->flags = flags;
    script->function = luaL_ref(lua, LUA_REGISTRYINDEX);
    sha1_text(text, script->digest);
    return script;
}

static void add(struct script_host *host, struct script *script) {
    struct script *evicted = script_cache_add(&host->cache, script);
    if (!evicted) return;
    luaL_unref(host->eval->lua, LUA_REGISTRYINDEX, evicted->function);
    script_free(evicted);
}

/* The script of this text, compiled when it is new; NULL after an error reply. */
static struct script *obtain(struct call *call, struct script_host *host, struct bytes text,
                             bool keeps) {
    uint64_t hash = hash_bytes(&host->server->keyspace.secret, text);
    struct script *script = script_cache_find_text(&host->cache, hash, text);
    if (script) {
        if (keeps)
            script_cache_keep(&host->cache, script);
        else
            script_cache_touch(&host->cache, script);
        return script;
    }
    script = compile(call, host, text);
    if (!script) return NULL;
    script->text_hash = hash;
    script->is_kept = keeps;
    add(host, script);
    return script;
}

/* ---- EVAL ---- */

void script_push_words(lua_State *lua, const struct bytes *words, uint32_t count) {
    lua_createtable(lua, (int)count, 0);
    for (uint32_t i = 0; i < count; i++) {
        lua_pushlstring(lua, words[i].data, words[i].size);
        lua_rawseti(lua, -2, (int)i + 1);
    }
}

/* KEYS and ARGV, as globals. */
static void set_arguments(struct call *call, struct script_vm *vm, uint32_t key_count) {
    lua_State *lua = vm->lua;
    lua_rawgeti(lua, LUA_REGISTRYINDEX, vm->globals);
    lua_pushliteral(lua, "KEYS");
    script_push_words(lua, call->argv + 3, key_count);
    lua_rawset(lua, -3);
    lua_pushliteral(lua, "ARGV");
    script_push_words(lua, call->argv + 3 + key_count, call->argc - 3 - key_count);
    lua_rawset(lua, -3);
    lua_pop(lua, 1);
}

bool script_parse_key_count(struct call *call, uint32_t *count, const char *no_number) {
    int64_t number;
    if (!call_parse_i64(call, 2, &number, no_number)) return false;
    if (number > (int64_t)call->argc - 3) {
        call_error(call, "ERR Number of keys can't be greater than number of args");
        return false;
    }
    if (number < 0) {
        call_error(call, "ERR Number of keys can't be negative");
        return false;
    }
    *count = (uint32_t)number;
    return true;
}

/* Whether memory is short is looked at once, before the script; in a unit, before that. */
static bool memory_is_short(struct call *call) {
    struct server *server = call->server;
    if (likely(!server->limit.is_set)) return false;
    return call->in_unit ? server->limit.is_reached : memory_limit_check(server);
}

/* A replica, or a primary that wants replicas, judges a script by what it says of itself, as it
 * judges commands. */
static bool refused_by_role(struct call *call, uint32_t flags) {
    const struct server *server = call->server;
    if (likely(!server->replication.may_refuse)) return false;
    const struct command *command = call->command;
    struct command judged = *command;
    judged.flags &= ~(uint32_t)(COMMAND_WRITE | COMMAND_STALE);
    if (!(flags & (SCRIPT_UNDECLARED | SCRIPT_NO_WRITES))) judged.flags |= COMMAND_WRITE;
    if (flags & SCRIPT_ALLOW_STALE) judged.flags |= COMMAND_STALE;
    call->command = &judged;
    bool refused = server->replication.hooks->refuses(call);
    call->command = command;
    return refused;
}

bool script_may_run(struct call *call, uint32_t flags, bool read_only, bool *out_of_memory) {
    *out_of_memory = memory_is_short(call);
    if (refused_by_role(call, flags)) return false;
    if (flags & SCRIPT_UNDECLARED) return true;
    if (*out_of_memory && !(flags & (SCRIPT_NO_WRITES | SCRIPT_ALLOW_OOM))) {
        call_error(call, "OOM command not allowed when used memory > 'maxmemory'.");
        return false;
    }
    if (read_only && !(flags & SCRIPT_NO_WRITES)) {
        call_error(call, "ERR Can not execute a script with write flag using *_ro command.");
        return false;
    }
    return true;
}

void script_eval(struct call *call, bool by_digest, bool read_only) {
    struct script_host *host = script_host_of(call->server);
    struct script *script = NULL;
    uint32_t key_count;
    insight_begin(call);
    if (by_digest && call->argv[1].size != SHA1_TEXT_SIZE) {
        call_error(call, "NOSCRIPT No matching script. Please use EVAL.");
        return;
    }
    if (!script_parse_key_count(call, &key_count, NULL)) return;
    if (by_digest) {
        script = script_cache_find_digest(&host->cache, call->argv[1]);
        if (!script) {
            call_error(call, "NOSCRIPT No matching script. Please use EVAL.");
            return;
        }
        script_cache_touch(&host->cache, script);
    } else {
        script = obtain(call, host, call->argv[1], false);
        if (!script) return;
    }
    bool out_of_memory;
    if (!script_may_run(call, script->flags, read_only, &out_of_memory)) return;
    struct script_vm *vm = host->eval;
    struct script_run run = {
        .outer = call,
        .vm = vm,
        .name = bytes_make(script->digest, SHA1_TEXT_SIZE),
        .flags = script->flags,
        .out_of_memory = out_of_memory,
        .read_only = read_only || (script->flags & SCRIPT_NO_WRITES),
    };
    set_arguments(call, vm, key_count);
    lua_rawgeti(vm->lua, LUA_REGISTRYINDEX, script->function);
    script_execute(host, &run, 0);
}

uint32_t script_flags_of_text(struct bytes text) {
    struct buffer wrong = {0};
    struct bytes code;
    uint32_t flags;
    if (!parse_head(text, &flags, &code, &wrong)) flags = SCRIPT_UNDECLARED;
    buffer_release(&wrong);
    return flags;
}

uint32_t script_flags_of_digest(struct script_host *host, struct bytes digest) {
    const struct script *script = script_cache_find_digest(&host->cache, digest);
    return script ? script->flags : SCRIPT_UNDECLARED;
}

/* ---- SCRIPT ---- */

void script_load(struct call *call, struct bytes text) {
    struct script_host *host = script_host_of(call->server);
    struct script *script = obtain(call, host, text, true);
    if (script) reply_bulk(call->reply, bytes_make(script->digest, SHA1_TEXT_SIZE));
}

bool script_exists(struct server *server, struct bytes digest) {
    const struct script_host *host = script_host_of(server);
    return script_cache_find_digest(&host->cache, digest) != NULL;
}

bool script_text(struct server *server, struct bytes digest, struct bytes *text) {
    const struct script_host *host = script_host_of(server);
    const struct script *script = script_cache_find_digest(&host->cache, digest);
    if (script) *text = script->text;
    return script != NULL;
}

void script_dispose_vm(struct script_host *host, struct script_vm *vm, bool in_background) {
    struct keyspace *keyspace = &host->server->keyspace;
    if (!vm) return;
    if (in_background && keyspace->dispose)
        keyspace->dispose(keyspace->dispose_context, script_vm_close, vm, 0);
    else
        script_vm_close(vm);
}

void script_flush(struct server *server, bool in_background) {
    struct script_host *host = script_host_of(server);
    script_cache_clear(&host->cache);
    script_dispose_vm(host, host->eval, in_background);
    host->eval = NULL;
}

/* hash_call.c: what the commands on hashes share. */
#include "command/hash_call.h"

#include "base/invariant.h"
#include "base/memory.h"
#include "engine/config.h"
#include "engine/field_expiry.h"
#include "engine/server.h"

bool hash_read(struct call *call, uint32_t index, union object_room *room,
               const struct hash **hash) {
    const struct object *object;
    if (!call_read_object(call, index, VALUE_HASH, room, &object)) return false;
    *hash = (const struct hash *)(const void *)object;
    return true;
}

bool hash_find_alive(const struct call *call, const struct hash *hash, const struct item *field,
                     struct record *out) {
    return hash && hash_find(hash, field, out) && out->expiry > call->now_ms;
}

void hash_reply_values(struct call *call, const struct hash *hash, uint32_t first, uint32_t count) {
    reply_array(call->reply, count);
    for (uint32_t i = first; i < first + count; i++) {
        struct record record;
        struct item field = item_make(call->argv[i]);
        if (hash_find_alive(call, hash, &field, &record))
            reply_item(call->reply, &record.value);
        else
            reply_null(call->reply);
    }
}

uint64_t hash_count_alive(const struct call *call, const struct hash *hash) {
    return hash ? hash_count_alive_at(hash, call->now_ms) : 0;
}

/* ---- changing ---- */

bool hash_edit_begin(struct call *call, struct hash_edit *edit) {
    const struct config *config = call->server->config;
    if (!call_edit(call, 1, VALUE_HASH, &edit->edit)) return false;
    edit->hash = (struct hash *)(void *)edit->edit.object;
    edit->limits = (struct hash_limits){(uint64_t)config->hash_max_listpack_entries,
                                        (uint64_t)config->hash_max_listpack_value};
    return true;
}

/* The last field has ended, and the key with it, its time too: whoever gets the journal's words has
 * it so. What follows makes another. */
static void begin_again(struct call *call, struct hash_edit *edit) {
    struct bytes key = edit->edit.key.name;
    edit_end(&edit->edit);
    call_notify(call, call->database, key, NOTIFY_GENERIC, "del");
    bool is_hash = call_edit(call, 1, VALUE_HASH, &edit->edit);
    INVARIANT(is_hash);
    edit->hash = (struct hash *)(void *)edit->edit.object;
}

bool hash_edit_find(struct call *call, struct hash_edit *edit, const struct item *field,
                    struct record *out) {
    if (!hash_find(edit->hash, field, out)) return false;
    if (likely(out->expiry > call->now_ms)) return true;
    char scratch[ITEM_TEXT_MAX];
    struct bytes name = item_bytes(field, scratch);
    hash_remove(edit->hash, field);
    field_expiry_say(call->server, call->database, edit->edit.key.name, &name, 1);
    if (hash_count(edit->hash) == 0) begin_again(call, edit);
    return false;
}

void hash_edit_end(struct call *call, struct hash_edit *edit, const char *event) {
    struct bytes key = edit->edit.key.name;
    bool was_there = !edit->edit.was_absent;
    edit_end(&edit->edit);
    bool gone = was_there && edit->edit.spot.entry == NULL;
    if (event) call_changed(call, call->database, key, NOTIFY_HASH, event);
    if (gone) call_notify(call, call->database, key, NOTIFY_GENERIC, "del");
}

/* ---- effects ---- */

enum { FIXED_WORDS_MAX = 6 };

void hash_words_open(struct hash_words *words, size_t fields) {
    *words = (struct hash_words){.count = 0};
    words->words = memory_alloc((fields + FIXED_WORDS_MAX) * sizeof *words->words);
}

void hash_words_add(struct hash_words *words, struct bytes word) {
    words->words[words->count++] = word;
}

void hash_words_begin_hdel(struct hash_words *words, struct bytes key) {
    hash_words_add(words, BYTES("HDEL"));
    hash_words_add(words, key);
    words->fixed = words->count;
}

void hash_words_begin_expire(struct hash_words *words, struct bytes key, int64_t when_ms) {
    hash_words_add(words, BYTES("HPEXPIREAT"));
    hash_words_add(words, key);
    hash_words_add(words,
                   bytes_make(words->digits[0], number_format_i64(words->digits[0], when_ms)));
    hash_words_add(words, BYTES("FIELDS"));
    hash_words_add(words, BYTES("")); /* the number, once it is known */
    words->fixed = words->count;
}

void hash_words_say(struct call *call, struct hash_words *words) {
    enum { NUMBER_AT = 4 };
    size_t fields = words->count - words->fixed;
    if (words->fixed > NUMBER_AT)
        words->words[NUMBER_AT] =
            bytes_make(words->digits[1], number_format_u64(words->digits[1], fields));
    if (fields > 0) call_effect(call, call->database, words->words, words->count);
    memory_free(words->words);
}

/* ---- arguments ---- */

bool hash_parse_fields(struct call *call, uint32_t at, uint32_t width, uint32_t *first,
                       uint32_t *count) {
    int64_t number;
    if (at + 1 >= call->argc || !call_argument_is(call, at, "fields")) {
        call_error(call, "ERR Mandatory argument FIELDS is missing or not at the right position");
        return false;
    }
    if (!call_parse_range(call, at + 1, 1, INT32_MAX, &number,
                          "ERR Parameter `numFields` should be greater than 0"))
        return false;
    *first = at + 2;
    *count = (call->argc - *first) / width;
    if ((call->argc - *first) % width == 0 && *count == (uint64_t)number) return true;
    call_error(call, "ERR The `numfields` parameter must match the number of arguments");
    return false;
}

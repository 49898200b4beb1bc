/* hash_call.h: what the commands on hashes share: a hash for reading or for changing, and fields
 * whose time has come, which nobody sees any more. */
#ifndef REDSTART_COMMAND_HASH_CALL_H
#define REDSTART_COMMAND_HASH_CALL_H

#include "engine/call.h"
#include "value/hash.h"

/* Find the hash for reading: false after WRONGTYPE; NULL when the key is absent. */
bool hash_read(struct call *call, uint32_t index, union object_room *room,
               const struct hash **hash);
/* Find a field that is not over. `hash` may be NULL. */
bool hash_find_alive(const struct call *call, const struct hash *hash, const struct item *field,
                     struct record *out);
/* An array of the values of the fields that stand in these arguments; null for those not there. */
void hash_reply_values(struct call *call, const struct hash *hash, uint32_t first, uint32_t count);
/* Fields that are not over. */
uint64_t hash_count_alive(const struct call *call, const struct hash *hash);

struct hash_edit {
    struct edit edit;
    struct hash *hash;
    struct hash_limits limits;
};

/* Begin to change the hash of argument 1: false after WRONGTYPE. */
bool hash_edit_begin(struct call *call, struct hash_edit *edit);
/* The field, if it is there and not over. One that is over is removed, and the journal told. */
bool hash_edit_find(struct call *call, struct hash_edit *edit, const struct item *field,
                    struct record *out);
/* The same, where only that matters. */
static inline void hash_edit_drop_over(struct call *call, struct hash_edit *edit,
                                       const struct item *field) {
    struct record record;
    if (hash_next_expiry(edit->hash) <= call->now_ms) hash_edit_find(call, edit, field, &record);
}
/* Store it. With an event, the key was changed by that; "del" follows when nothing is left. */
void hash_edit_end(struct call *call, struct hash_edit *edit, const char *event);

/* Words of an effect that has as many as there are fields. */
struct hash_words {
    struct bytes *words;
    size_t count;
    size_t fixed; /* of them, before the fields */
    char digits[2][NUMBER_I64_TEXT_MAX];
};

/* Room for `fields` words and a few before them. */
void hash_words_open(struct hash_words *words, size_t fields);
void hash_words_add(struct hash_words *words, struct bytes word);
/* HDEL key ... */
void hash_words_begin_hdel(struct hash_words *words, struct bytes key);
/* HPEXPIREAT key ms FIELDS n ... */
void hash_words_begin_expire(struct hash_words *words, struct bytes key, int64_t when_ms);
/* The effect, if there are fields; closes. */
void hash_words_say(struct call *call, struct hash_words *words);

/* FIELDS n field..., from the argument `at` on, each field of `width` arguments; *first is the
 * first field's, *count how many. False after an error. */
bool hash_parse_fields(struct call *call, uint32_t at, uint32_t width, uint32_t *first,
                       uint32_t *count);

#endif

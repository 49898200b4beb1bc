/* cache.h: scripts that have been compiled, by their digest and by their text.
 *
 *     by digest:  bucket -> script -> script      by text: bucket -> script ...
 *     EVAL's:     oldest <-> ... <-> newest; the oldest goes when there are too many
 *
 * Those of SCRIPT LOAD stay until SCRIPT FLUSH. */
#ifndef REDSTART_SCRIPT_CACHE_H
#define REDSTART_SCRIPT_CACHE_H

#include "base/hash.h"
#include "base/sha1.h"
#include "script/script.h"
#include <lua.h>

enum { SCRIPT_CACHE_EVAL_MAX = 500 }; /* one-off scripts */

struct script {
    struct script *digest_next, *text_next; /* in the buckets */
    struct script *older, *newer;           /* of EVAL's; only when it is one */
    uint64_t text_hash;
    struct bytes text;
    char digest[SHA1_TEXT_SIZE + 1];
    int function; /* registry */
    uint32_t flags;
    bool is_kept; /* by SCRIPT LOAD */
};

struct script_cache {
    struct script **by_digest, **by_text;
    uint32_t bucket_count, count, eval_count;
    struct script *oldest, *newest;
    size_t bytes;
    uint64_t evicted;
};

void script_cache_init(struct script_cache *cache);
/* Forget all, and free it; the state's references are the caller's matter. */
void script_cache_clear(struct script_cache *cache);
void script_cache_release(struct script_cache *cache);

/* In any case of letters; NULL when it is not there. */
struct script *script_cache_find_digest(const struct script_cache *cache, struct bytes digest);
struct script *script_cache_find_text(const struct script_cache *cache, uint64_t hash,
                                      struct bytes text);
/* Takes the script. One that has to go for it is returned, taken out, for the caller to free. */
struct script *script_cache_add(struct script_cache *cache, struct script *script);
/* It was used again, or is to be kept from now on. */
void script_cache_touch(struct script_cache *cache, struct script *script);
void script_cache_keep(struct script_cache *cache, struct script *script);
void script_free(struct script *script);

#endif

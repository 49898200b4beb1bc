/* cache.c: finding compiled scripts. Knows no Lua: what a script's function is, the state knows. */
#include "script/cache.h"

#include "base/invariant.h"
#include "base/memory.h"

enum { FIRST_BUCKETS = 64 };

void script_cache_init(struct script_cache *cache) {
    *cache = (struct script_cache){.bucket_count = FIRST_BUCKETS};
    cache->by_digest = memory_alloc_zeroed(FIRST_BUCKETS, sizeof(struct script *));
    cache->by_text = memory_alloc_zeroed(FIRST_BUCKETS, sizeof(struct script *));
}

void script_free(struct script *script) {
    memory_free((char *)(uintptr_t)script->text.data);
    memory_free(script);
}

static size_t bytes_of(const struct script *script) {
    return sizeof *script + script->text.size;
}

void script_cache_clear(struct script_cache *cache) {
    for (uint32_t i = 0; i < cache->bucket_count; i++) {
        while (cache->by_digest[i]) {
            struct script *script = cache->by_digest[i];
            cache->by_digest[i] = script->digest_next;
            script_free(script);
        }
        cache->by_text[i] = NULL;
    }
    cache->count = cache->eval_count = 0;
    cache->oldest = cache->newest = NULL;
    cache->bytes = 0;
}

void script_cache_release(struct script_cache *cache) {
    script_cache_clear(cache);
    memory_free(cache->by_digest);
    memory_free(cache->by_text);
}

/* ---- finding ---- */

/* The first digits; not a digest: some bucket. */
static uint32_t digest_hash(const char *digest) {
    uint32_t hash = 0;
    for (unsigned i = 0; i < 8; i++)
        hash = hash * 31 + (uint8_t)byte_to_lower(digest[i]);
    return hash;
}

struct script *script_cache_find_digest(const struct script_cache *cache, struct bytes digest) {
    if (digest.size != SHA1_TEXT_SIZE) return NULL;
    struct script *script = cache->by_digest[digest_hash(digest.data) % cache->bucket_count];
    while (script && !bytes_equal_ignore_case(bytes_make(script->digest, SHA1_TEXT_SIZE), digest))
        script = script->digest_next;
    return script;
}

struct script *script_cache_find_text(const struct script_cache *cache, uint64_t hash,
                                      struct bytes text) {
    struct script *script = cache->by_text[hash % cache->bucket_count];
    while (script && (script->text_hash != hash || !bytes_equal(script->text, text)))
        script = script->text_next;
    return script;
}

/* ---- the line of EVAL's ---- */

static void leave_line(struct script_cache *cache, struct script *script) {
    if (script->is_kept) return;
    if (script->older)
        script->older->newer = script->newer;
    else
        cache->oldest = script->newer;
    if (script->newer)
        script->newer->older = script->older;
    else
        cache->newest = script->older;
    script->older = script->newer = NULL;
    cache->eval_count--;
}

static void enter_line(struct script_cache *cache, struct script *script) {
    if (script->is_kept) return;
    script->older = cache->newest;
    if (cache->newest)
        cache->newest->newer = script;
    else
        cache->oldest = script;
    cache->newest = script;
    cache->eval_count++;
}

void script_cache_touch(struct script_cache *cache, struct script *script) {
    if (script->is_kept || cache->newest == script) return;
    leave_line(cache, script);
    enter_line(cache, script);
}

void script_cache_keep(struct script_cache *cache, struct script *script) {
    leave_line(cache, script);
    script->is_kept = true;
}

/* ---- changing ---- */

static void enter_buckets(struct script_cache *cache, struct script *script) {
    struct script **bucket = &cache->by_digest[digest_hash(script->digest) % cache->bucket_count];
    script->digest_next = *bucket;
    *bucket = script;
    bucket = &cache->by_text[script->text_hash % cache->bucket_count];
    script->text_next = *bucket;
    *bucket = script;
}

static void grow(struct script_cache *cache) {
    struct script **old = cache->by_digest;
    uint32_t old_count = cache->bucket_count;
    memory_free(cache->by_text);
    cache->bucket_count = old_count * 2;
    cache->by_digest = memory_alloc_zeroed(cache->bucket_count, sizeof(struct script *));
    cache->by_text = memory_alloc_zeroed(cache->bucket_count, sizeof(struct script *));
    for (uint32_t i = 0; i < old_count; i++) {
        while (old[i]) {
            struct script *script = old[i];
            old[i] = script->digest_next;
            enter_buckets(cache, script);
        }
    }
    memory_free(old);
}

static void take_out(struct script_cache *cache, struct script *script) {
    struct script **link = &cache->by_digest[digest_hash(script->digest) % cache->bucket_count];
    while (*link != script)
        link = &(*link)->digest_next;
    *link = script->digest_next;
    link = &cache->by_text[script->text_hash % cache->bucket_count];
    while (*link != script)
        link = &(*link)->text_next;
    *link = script->text_next;
    leave_line(cache, script);
    cache->count--;
    cache->bytes -= bytes_of(script);
}

struct script *script_cache_add(struct script_cache *cache, struct script *script) {
    struct script *evicted = NULL;
    if (!script->is_kept && cache->eval_count >= SCRIPT_CACHE_EVAL_MAX) {
        evicted = cache->oldest;
        take_out(cache, evicted);
        cache->evicted++;
    }
    if (cache->count >= cache->bucket_count) grow(cache);
    enter_buckets(cache, script);
    enter_line(cache, script);
    cache->count++;
    cache->bytes += bytes_of(script);
    return evicted;
}

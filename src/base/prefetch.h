/* prefetch.h: asking for memory before it is needed.
 *
 * A compiler sees no effect in __builtin_prefetch and drops calls of functions that do nothing
 * else; the empty statement, which it must keep, stands for the effect. */
#ifndef REDSTART_BASE_PREFETCH_H
#define REDSTART_BASE_PREFETCH_H

/* Bring near what will be read. Any address may be asked for. */
static inline void memory_prefetch(const void *at) {
    __builtin_prefetch(at);
    __asm__ volatile("");
}
/* What will be written. */
static inline void memory_prefetch_to_write(const void *at) {
    __builtin_prefetch(at, 1);
    __asm__ volatile("");
}

#endif

/* invariant.h: what must hold, also in release builds. A broken invariant ends the process with a
 * report: the condition, the place, the stack, and whatever the reporter adds (the request that was
 * running, INFO). */
#ifndef REDSTART_BASE_INVARIANT_H
#define REDSTART_BASE_INVARIANT_H

#include <stdbool.h>

#define INVARIANT(condition)                                                                       \
    (__builtin_expect(!(condition), 0) ? invariant_broken(#condition, __FILE__, __LINE__) : (void)0)

__attribute__((noreturn, cold)) void invariant_broken(const char *condition, const char *file,
                                                      int line);
/* The end of memory, of a limit that cannot be passed, of a disk: says why and ends as above. */
__attribute__((noreturn, cold, format(printf, 1, 2))) void invariant_panic(const char *format, ...);

/* What else the report should say. `write_more` is called on the dying thread after the stack, with
 * a function to print text with (async-signal-safe; no allocation). One reporter a process: a
 * signal handler has no argument to hang it on. */
struct invariant_reporter {
    void (*write_more)(void *context, void (*print)(const char *text));
    void *context;
    int fd; /* where the report goes, besides standard error; -1 for nowhere else */
};
void invariant_set_reporter(const struct invariant_reporter *reporter); /* NULL: none */
/* Turn SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT into such reports (then die of the signal). */
void invariant_catch_signals(void);
/* Leave them to the system again; does nothing when they were not caught. */
void invariant_release_signals(void);

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#endif

/* effort.h: how much of the same a test does. The thread sanitizer makes a program ten to thirty
 * times as slow, and one thread cannot race: what is tried again and again, or with very many
 * elements, is tried less often there, and with fewer. */
#ifndef REDSTART_TESTS_EFFORT_H
#define REDSTART_TESTS_EFFORT_H

enum {
#ifdef __SANITIZE_THREAD__
    EFFORT_SHARE = 8,
#else
    EFFORT_SHARE = 1,
#endif
};

/* Of so many rounds, seeds or elements; at least one. */
#define EFFORT(count) (((count) + EFFORT_SHARE - 1) / EFFORT_SHARE)

#endif

/* number_powers.h: powers of ten to 128 bits, for number_double.c and number_parse.c alone. */
#ifndef REDSTART_BASE_NUMBER_POWERS_H
#define REDSTART_BASE_NUMBER_POWERS_H

#include <stdint.h>

enum { POWER_OF_TEN_MIN = -292, POWER_OF_TEN_MAX = 324 }; /* what printing any double needs */

struct power_of_ten {
    uint64_t high; /* its first bit is set */
    uint64_t low;
};

/* Entry k - POWER_OF_TEN_MIN: 10^k * 2^-r rounded up, with r = floor(log2(10^k)) - 127. */
extern const struct power_of_ten powers_of_ten[POWER_OF_TEN_MAX - POWER_OF_TEN_MIN + 1];

/* Right for any exponent that a double can have. */
static inline int floor_log2_of_power_of_ten(int e) {
    return (e * 1741647) >> 19;
}

#endif

/* time.h: the civil calendar, computed: no clock, no zone, no locale. Times are microseconds since
 * 1970-01-01 00:00 UTC, in the proleptic Gregorian calendar without leap seconds.
 *
 * The arithmetic is Howard Hinnant's (https://howardhinnant.github.io/date_algorithms.html): years
 * begin in March, so that the leap day is the last of its year, and 400 years are one era. */
#ifndef REDSTART_BASE_TIME_H
#define REDSTART_BASE_TIME_H

#include <stdint.h>

struct time_civil {
    int64_t year;
    int month;       /* 1 to 12 */
    int day;         /* 1 to 31 */
    int hour;        /* 0 to 23 */
    int minute;      /* 0 to 59 */
    int second;      /* 0 to 59 */
    int microsecond; /* 0 to 999999 */
    int weekday;     /* 0 Sunday to 6 Saturday; ignored on the way back */
};

enum { TIME_DAYS_IN_ERA = 146097, TIME_DAYS_TO_1970 = 719468 /* from 0000-03-01 */ };

/* Days from 1970-01-01 to this day. */
static inline int64_t time_days_from_civil(int64_t year, int month, int day) {
    year -= month <= 2;
    const int64_t era = (year >= 0 ? year : year - 399) / 400;
    const int64_t year_of_era = year - era * 400;
    const int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    const int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * TIME_DAYS_IN_ERA + day_of_era - TIME_DAYS_TO_1970;
}

/* The day that is so many days after 1970-01-01; sets year, month, day, weekday, and midnight. */
static inline struct time_civil time_civil_from_days(int64_t days) {
    const int64_t shifted = days + TIME_DAYS_TO_1970;
    const int64_t era =
        (shifted >= 0 ? shifted : shifted - (TIME_DAYS_IN_ERA - 1)) / TIME_DAYS_IN_ERA;
    const int64_t day_of_era = shifted - era * TIME_DAYS_IN_ERA;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t month_from_march = (5 * day_of_year + 2) / 153;
    const int month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    return (struct time_civil){
        .year = year_of_era + era * 400 + (month <= 2),
        .month = month,
        .day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1),
        .weekday = (int)(((days + 4) % 7 + 7) % 7),
    };
}

static inline struct time_civil time_civil_from_us(int64_t us) {
    const int64_t us_in_day = INT64_C(86400000000);
    int64_t days = us / us_in_day;
    int64_t rest = us % us_in_day;
    if (rest < 0) {
        days--;
        rest += us_in_day;
    }
    struct time_civil civil = time_civil_from_days(days);
    const int seconds = (int)(rest / 1000000);
    civil.hour = seconds / 3600;
    civil.minute = seconds / 60 % 60;
    civil.second = seconds % 60;
    civil.microsecond = (int)(rest % 1000000);
    return civil;
}

static inline int64_t time_us_from_civil(const struct time_civil *civil) {
    const int64_t days = time_days_from_civil(civil->year, civil->month, civil->day);
    const int64_t seconds = ((days * 24 + civil->hour) * 60 + civil->minute) * 60 + civil->second;
    return seconds * 1000000 + civil->microsecond;
}

/* "Jan" for 1. */
static inline const char *time_month_name(int month) {
    return &"Jan\0Feb\0Mar\0Apr\0May\0Jun\0Jul\0Aug\0Sep\0Oct\0Nov\0Dec"[(month - 1) * 4];
}

#endif

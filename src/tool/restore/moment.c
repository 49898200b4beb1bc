/* moment.c: reading times. */
#include "tool/restore/moment.h"

#include "base/number.h"
#include "base/time.h"
#include <stdio.h>
#include <stdlib.h>

enum { SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS, TEXT_MAX = 64 };

/* ".25": 250, and what is left of `text` behind it; -1: no digits, or too many. */
static int take_parts(const char **text) {
    int parts = 0, digits = 0;
    for (++*text; **text >= '0' && **text <= '9'; ++*text, digits++)
        if (digits < 3) parts = parts * 10 + (**text - '0');
    if (digits == 0 || digits > 6) return -1;
    for (; digits < 3; digits++)
        parts *= 10;
    return parts;
}

static bool parse_since_1970(const char *text, struct moment *moment) {
    char *end;
    if (*text < '0' || *text > '9') return false;
    unsigned long long seconds = strtoull(text, &end, 10);
    if (seconds > INT64_MAX / SECOND_MS - 1) return false;
    const char *rest = end;
    int parts = *rest == '.' ? take_parts(&rest) : SECOND_MS - 1;
    moment->time_ms = (int64_t)seconds * SECOND_MS + parts;
    return parts >= 0 && *rest == 0;
}

/* "", "Z", "UTC", " UTC", "+01:00": seconds to take away. */
static bool parse_zone(const char *text, int64_t local_s, int64_t *offset_s) {
    int hours, minutes, end = 0;
    *offset_s = *text ? 0 : local_s;
    while (*text == ' ')
        text++;
    if (*text == 0 || strcmp(text, "Z") == 0 || strcmp(text, "UTC") == 0) return true;
    if ((*text != '+' && *text != '-') ||
        sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &end) != 2 || text[1 + end] != 0)
        return false;
    *offset_s = (*text == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return hours < 24 && minutes < 60;
}

static bool is_in_calendar(const struct time_civil *civil) {
    struct time_civil again = time_civil_from_us(time_us_from_civil(civil));
    return again.year == civil->year && again.month == civil->month && again.day == civil->day &&
           again.hour == civil->hour && again.minute == civil->minute &&
           again.second == civil->second;
}

static bool parse_date(const char *text, int64_t local_s, struct moment *moment) {
    int year, month, day, hour, minute, second = 0, end = 0;
    int64_t zone_s, more_ms = MINUTE_MS - 1;
    if (sscanf(text, "%4d-%2d-%2d%*1[T ]%2d:%2d%n", &year, &month, &day, &hour, &minute, &end) !=
            5 ||
        end == 0)
        return false;
    text += end;
    if (*text == ':') {
        if (sscanf(text, ":%2d%n", &second, &end) != 1) return false;
        text += end;
        more_ms = *text == '.' ? take_parts(&text) : SECOND_MS - 1;
    }
    if (more_ms < 0 || !parse_zone(text, local_s, &zone_s)) return false;
    struct time_civil civil = {
        .year = year, .month = month, .day = day, .hour = hour, .minute = minute, .second = second};
    if (!is_in_calendar(&civil)) return false;
    moment->time_ms = time_us_from_civil(&civil) / 1000 - zone_s * SECOND_MS + more_ms;
    return moment->time_ms >= 0;
}

bool moment_parse(struct bytes text, int64_t utc_offset_s, struct moment *moment) {
    char copy[TEXT_MAX];
    if (text.size >= sizeof copy) return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    if (strlen(copy) != text.size) return false;
    *moment = (struct moment){.kind = MOMENT_OFFSET};
    if (number_parse_u64(text, &moment->offset)) return true;
    moment->kind = MOMENT_TIME;
    return copy[0] == '@' ? parse_since_1970(copy + 1, moment)
                          : parse_date(copy, utc_offset_s, moment);
}

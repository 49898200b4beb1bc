/* report_section.h: what the files that write INFO's sections share; for them alone. */
#ifndef REDSTART_ENGINE_REPORT_SECTION_H
#define REDSTART_ENGINE_REPORT_SECTION_H

#include "engine/report.h"

/* One report being written. */
struct report {
    const struct server *server;
    struct buffer *out;
    struct io_process_status process;
    bool is_crash; /* the process is dying: the allocator must not be asked, nor memory taken */
};

void report_number(struct report *report, const char *name, uint64_t value);
void report_text(struct report *report, const char *name, const char *value);
/* Two digits behind the point. */
void report_decimal(struct report *report, const char *name, double value);
/* "12.35M" under this name. */
void report_human(struct report *report, const char *name, uint64_t bytes);
/* Fields that have this value as long as their feature is not there; NULL ends the list. */
void report_zeros(struct report *report, const char *const *names);
/* The directive's value, as CONFIG GET gives it. */
void report_directive(struct report *report, const char *name, const char *directive);

void report_append_memory(struct report *report);
void report_append_stats(struct report *report);
void report_append_commandstats(struct report *report);
void report_append_errorstats(struct report *report);
void report_append_latencystats(struct report *report);
void report_append_all(struct report *report, uint32_t sections);

#endif

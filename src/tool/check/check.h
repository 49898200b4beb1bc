/* check.h: the programs that check files: `redstart check rdb|aof`, redis-check-rdb and
 * redis-check-aof, whose options, lines and exit codes they keep (0: sound, 1: not). */
#ifndef REDSTART_TOOL_CHECK_CHECK_H
#define REDSTART_TOOL_CHECK_CHECK_H

#include "io/process.h"

int check_main(const char *program, const struct bytes *words, size_t count,
               const struct process_title *title);
int check_rdb_main(const char *program, const struct bytes *words, size_t count,
                   const struct process_title *title);
int check_aof_main(const char *program, const struct bytes *words, size_t count,
                   const struct process_title *title);

#endif

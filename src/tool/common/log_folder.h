/* log_folder.h: where the append-only log of a data folder is, and what the lines in it that begin
 * with # say. */
#ifndef REDSTART_TOOL_COMMON_LOG_FOLDER_H
#define REDSTART_TOOL_COMMON_LOG_FOLDER_H

#include "base/buffer.h"
#include "io/io.h"
#include "journal/annotation.h"
#include "journal/manifest.h"
#include "journal/redo.h"

struct log_folder {
    struct buffer path;   /* of the manifest; all with a zero behind */
    struct buffer folder; /* that it is in */
    struct buffer name;   /* of the manifest alone */
    struct buffer below;  /* of the folder, seen from the data folder; "" when that is it */
    size_t found;         /* how many manifests there are; only one is good */
};
/* In this folder, or else in its appendonlydir, or else in another folder in it. True: there is
 * one. */
bool log_folder_find(struct log_folder *log, struct io *io, const char *path);
void log_folder_release(struct log_folder *log);

/* The redo file beside a manifest of that path or name, in that folder; to be released. */
void log_folder_redo(struct redo *redo, struct io *io, const char *folder, const char *manifest);
/* Say what it has that the last increment lacks, if anything. */
void log_folder_say_redo(const struct redo *redo, const struct manifest *manifest);

/* Milliseconds since 1970 of a line that says a time, ours or Redis's ("#TS:1763712000"); 0: none.
 * `annotation` gets ours; its id is "" when it is not. */
int64_t log_line_time(struct bytes line, struct annotation *annotation);

#endif

/* config_file.h: reading configuration files and command lines, and rewriting files.
 *
 * A file is lines; a line is blank, a comment that begins with #, or a directive and its words,
 * which may stand in quotes. The command line becomes such lines, behind those of the file and of
 * standard input, and errors give the line's number in all of that, as Redis does. */
#ifndef REDSTART_ENGINE_CONFIG_FILE_H
#define REDSTART_ENGINE_CONFIG_FILE_H

#include "engine/config.h"

enum { CONFIG_INCLUDE_DEPTH_MAX = 16 };

/* How the reader reaches other files, for include. */
struct config_reader {
    void *context;
    /* Append the whole file; 0 or a negative errno value. */
    int (*read)(void *context, const char *path, struct buffer *out);
    /* Call `each` for the files that match a pattern, in order, until it returns false. */
    void (*expand)(void *context, const char *pattern,
                   bool (*each)(void *each_context, const char *path), void *each_context);
    /* Make a folder the present one, for dir; 0 or a negative errno value. */
    int (*enter)(void *context, const char *path);
};

struct config_fault {
    bool is_line;       /* else a file that cannot be opened */
    uint64_t line;      /* its number, from 1 */
    struct buffer text; /* the line, or the path */
    char reason[CONFIG_ERROR_SIZE];
};
void config_fault_release(struct config_fault *fault);
/* What Redis prints on standard error, with its newlines; for a file that cannot be opened, the
 * line for the log ("Fatal error, can't open config file ..."), without. */
void config_fault_describe(const struct config_fault *fault, struct buffer *out);

/* Take in lines. False at the first that is wrong; the config then is half changed and only to be
 * closed. */
bool config_load(struct config *config, struct bytes text, const struct config_reader *reader,
                 struct config_fault *fault);

/* Append what the words of a command line (--port 7000 --save "") are as lines. */
void config_append_options(struct buffer *out, const struct bytes *words, size_t count);

/* The file `old` with the present values, appended: comments, order and unchanged lines as they
 * were, changed ones in their places, new ones at the end. */
void config_rewrite(const struct config *config, struct bytes old, struct buffer *out);

#endif

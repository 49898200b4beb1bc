/* options.h: the server's command line, taken apart. Knows words, not files. */
#ifndef REDSTART_SERVER_OPTIONS_H
#define REDSTART_SERVER_OPTIONS_H

#include "base/buffer.h"

enum options_request {
    OPTIONS_START,
    OPTIONS_VERSION,
    OPTIONS_HELP,
    OPTIONS_CHECK_SYSTEM,
    OPTIONS_TEST_MEMORY,
};

struct options {
    enum options_request request;
    struct bytes file; /* the configuration file; size 0: none */
    bool reads_input;  /* "-": more of the configuration comes from standard input */
    bool is_sentinel;
    struct buffer
        lines; /* what the options are as lines of configuration; empty when there are none */
};

/* `words` are those behind the program's name; options borrow them. */
void options_parse(struct options *options, const struct bytes *words, size_t count);
void options_release(struct options *options);

#endif

/* options.c: see options.h. */
#include "server/options.h"
#include "engine/config_file.h"

static const struct {
    const char *word;
    enum options_request request;
} requests[] = {
    {"-v", OPTIONS_VERSION},
    {"--version", OPTIONS_VERSION},
    {"-h", OPTIONS_HELP},
    {"--help", OPTIONS_HELP},
    {"--check-system", OPTIONS_CHECK_SYSTEM},
    {"--test-memory", OPTIONS_TEST_MEMORY},
};

void options_parse(struct options *options, const struct bytes *words, size_t count) {
    *options = (struct options){.request = OPTIONS_START};
    for (size_t i = 0; count > 0 && i < sizeof(requests) / sizeof(requests[0]); i++)
        if (bytes_equal(words[0], bytes_from_text(requests[i].word)))
            options->request = requests[i].request;

    size_t first = 0;
    if (count > 0 && words[0].size > 0 && words[0].data[0] != '-') options->file = words[first++];
    if (first < count && bytes_equal(words[first], BYTES("-"))) {
        options->reads_input = true;
        first++;
    }
    if (first < count && bytes_equal(words[count - 1], BYTES("-"))) {
        options->reads_input = true;
        count--;
    }
    for (size_t i = first; i < count; i++)
        if (bytes_equal(words[i], BYTES("--sentinel"))) options->is_sentinel = true;
    if (first < count) config_append_options(&options->lines, words + first, count - first);
}

void options_release(struct options *options) {
    buffer_release(&options->lines);
}

/* fuzz_config.c: the reader of configuration files. What it takes must come through CONFIG REWRITE
 * unchanged. */
#include "engine/config_file.h"
#include "engine/config_kind.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every other file is there and says a little. */
static int read_file(void *context, const char *path, struct buffer *out) {
    (void)context, (void)path;
    buffer_append_text(out, "# nothing\n");
    return 0;
}

static void expand(void *context, const char *pattern, bool (*each)(void *, const char *),
                   void *each_context) {
    (void)context;
    each(each_context, pattern);
}

static int enter(void *context, const char *path) {
    (void)context, (void)path;
    return 0;
}

static const struct config_reader reader = {.read = read_file, .expand = expand, .enter = enter};

static void check_rewrite(const struct config *config, struct bytes text) {
    struct buffer rewritten = {0};
    struct config_fault fault = {0};
    struct config *again = config_open();
    config_rewrite(config, text, &rewritten);
    if (!config_load(again, buffer_bytes(&rewritten), &reader, &fault)) abort();
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        const struct config_directive *d = &config_directives[i];
        if (d->flags & FILE_ONLY) continue; /* REWRITE leaves these lines alone */
        if (!d->kind->equal(config_field_const(config, d), config_field_const(again, d))) abort();
    }
    config_close(again);
    config_fault_release(&fault);
    buffer_release(&rewritten);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes text = bytes_make(data, size);
    struct config *config = config_open();
    struct config_fault fault = {0};
    struct buffer said = {0};
    if (config_load(config, text, &reader, &fault)) {
        check_rewrite(config, text);
        check_rewrite(config, BYTES("port 7\nsave 1 1\nbind ::1\nhz 3\n"));
    } else {
        config_fault_describe(&fault, &said);
    }
    config_close(config);
    config_fault_release(&fault);
    buffer_release(&said);
    return 0;
}

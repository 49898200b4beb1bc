/* config.c: a config's life, CONFIG GET and SET, and who is told of changes.
 *
 * CONFIG SET is all or nothing: every pair is found and read first; then the new values are put in
 * their fields, and the observers are asked; if one refuses, the old values are put back and those
 * that had agreed are told again. Owns the fields' memory. */
#include "engine/config.h"
#include "base/glob.h"
#include "base/invariant.h"
#include "base/memory.h"
#include "engine/config_kind.h"

struct config_observer {
    struct config_observer *next;
    enum config_index index;
    config_observe_function *function;
    void *context;
};

/* One pair of a CONFIG SET. */
struct change {
    const struct config_directive *directive;
    bool by_alias;
    bool is_change; /* the new value differs from the old */
    union config_value
        value; /* the new one, then the old one, which waits to be put back or released */
};

static enum config_index directive_index(const struct config_directive *directive) {
    return (enum config_index)(directive - config_directives);
}

static void set_default(struct config *config, const struct config_directive *directive) {
    char error[CONFIG_ERROR_SIZE];
    struct bytes words[] = {bytes_from_text(directive->standard)};
    bool is_statement = directive->kind->base == CONFIG_ADDS && words[0].size == 0;
    if (is_statement) return; /* no statements yet: all zero */
    bool parsed = config_value_parse(directive, words, 1, NULL, false,
                                     config_field(config, directive), error);
    if (!parsed) invariant_panic("default of %s: %s", directive->name, error);
}

struct config *config_open(void) {
    struct config *config = memory_alloc_zeroed(1, sizeof(*config));
    for (size_t i = 0; i < CONFIG_COUNT; i++)
        set_default(config, &config_directives[i]);
    return config;
}

static void observers_release(struct config_observer *first) {
    for (struct config_observer *o = first, *next; o != NULL; o = next) {
        next = o->next;
        memory_free(o);
    }
}

void config_close(struct config *config) {
    if (config == NULL) return;
    for (size_t i = 0; i < CONFIG_COUNT; i++)
        config_value_release(&config_directives[i], config_field(config, &config_directives[i]));
    observers_release(config->observers);
    observers_release(config->followers);
    config_text_release(&config->file);
    memory_free(config);
}

void config_set_file(struct config *config, struct bytes path) {
    config_text_release(&config->file);
    config->file = config_text_copy(path);
}

static void add_observer(struct config_observer **end, const char *name,
                         config_observe_function *function, void *context) {
    const struct config_directive *directive = config_find(bytes_from_text(name));
    INVARIANT(directive != NULL);
    struct config_observer *observer = memory_alloc(sizeof(*observer));
    *observer = (struct config_observer){
        .index = directive_index(directive), .function = function, .context = context};
    while (*end != NULL)
        end = &(*end)->next;
    *end = observer;
}

void config_observe(struct config *config, const char *name, config_observe_function *function,
                    void *context) {
    add_observer(&config->observers, name, function, context);
}

void config_follow(struct config *config, const char *name, config_observe_function *function,
                   void *context) {
    add_observer(&config->followers, name, function, context);
}

void config_amend(struct config *config, enum config_index index, struct bytes text) {
    config_amend_words(config, index, &text, 1);
}

void config_amend_words(struct config *config, enum config_index index, const struct bytes *words,
                        size_t count) {
    const struct config_directive *directive = &config_directives[index];
    union config_value value;
    char error[CONFIG_ERROR_SIZE];
    bool parsed = config_value_parse(directive, words, count, NULL, false, &value, error);
    if (!parsed) invariant_panic("%s: %s", directive->name, error);
    config_value_release(directive, config_field(config, directive));
    memcpy(config_field(config, directive), &value, directive->kind->size);
}

/* The words of a line; `words` has room for all. */
static size_t split_words(struct bytes line, struct bytes *words) {
    size_t count = 0;
    while (true) {
        const char *blank = memchr(line.data, ' ', line.size);
        size_t size = blank ? (size_t)(blank - line.data) : line.size;
        words[count++] = bytes_make(line.data, size);
        if (!blank) return count;
        line = bytes_make(line.data + size + 1, line.size - size - 1);
    }
}

void config_amend_statements(struct config *config, enum config_index index, struct bytes text) {
    const struct config_directive *directive = &config_directives[index];
    struct bytes *words = memory_alloc((text.size + 1) * sizeof *words);
    char error[CONFIG_ERROR_SIZE];
    INVARIANT(directive->kind->base == CONFIG_ADDS);
    config_value_release(directive, config_field(config, directive));
    while (text.size > 0) {
        const char *end = memchr(text.data, '\n', text.size);
        size_t size = end ? (size_t)(end - text.data) : text.size;
        size_t count = split_words(bytes_make(text.data, size), words);
        bool parsed =
            directive->kind->parse(directive, words, count, config_field(config, directive), error);
        INVARIANT(parsed);
        config->given[index] = true;
        size += end != NULL;
        text = bytes_make(text.data + size, text.size - size);
    }
    memory_free(words);
}

/* ---- GET ---- */

static bool is_pattern(struct bytes text) {
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == '*' || text.data[i] == '?' || text.data[i] == '[') return true;
    return false;
}

/* Whether one of the patterns names it; then it joins the matches. */
static size_t match_name(const struct config_directive *directive, const char *name,
                         const struct bytes *patterns, size_t count, struct config_match *match) {
    struct bytes text = bytes_from_text(name);
    for (size_t i = 0; i < count; i++) {
        bool by_pattern = is_pattern(patterns[i]);
        bool asked = by_pattern
                         ? !(directive->flags & HIDDEN) && glob_match(patterns[i], text, true)
                         : bytes_equal_ignore_case(patterns[i], text);
        if (!asked) continue;
        *match = (struct config_match){directive, by_pattern ? text : patterns[i]};
        return 1;
    }
    return 0;
}

size_t config_match(const struct bytes *patterns, size_t count,
                    struct config_match matches[CONFIG_MATCHES_MAX]) {
    size_t found = 0;
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        const struct config_directive *d = &config_directives[i];
        if (d->flags & FILE_ONLY) continue;
        found += match_name(d, d->name, patterns, count, &matches[found]);
        if (d->alias != NULL) found += match_name(d, d->alias, patterns, count, &matches[found]);
    }
    return found;
}

void config_format(const struct config *config, const struct config_directive *directive,
                   struct buffer *out) {
    directive->kind->format(directive, config_field_const(config, directive), out);
}

/* ---- SET ---- */

static bool fail(struct buffer *error, struct bytes name, const char *reason) {
    buffer_append_text(error, "ERR CONFIG SET failed (possibly related to argument '");
    buffer_append(error, name.data, name.size);
    buffer_append_format(error, "') - %s", reason);
    return false;
}

static bool may_change_protected(const struct config *config, struct config_access access) {
    return config->enable_protected_configs == GUARD_YES ||
           (config->enable_protected_configs == GUARD_LOCAL && access.is_local);
}

/* The name that the pair meant, as it is written down. */
static struct bytes change_name(const struct change *change) {
    const struct config_directive *d = change->directive;
    return bytes_from_text(change->by_alias ? d->alias : d->name);
}

/* Find what a pair names, and whether it may be set at all. */
static bool change_find(const struct config *config, struct bytes name, struct change *changes,
                        size_t index, struct config_access access, struct buffer *error) {
    struct change *change = &changes[index];
    const struct config_directive *d = config_find(name);
    if (d == NULL || (d->flags & FILE_ONLY)) {
        /* Up to a zero, as a C string: so Redis has it. */
        buffer_append_format(error,
                             "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                             (int)strnlen(name.data, name.size), name.data);
        return false;
    }
    *change = (struct change){.directive = d, .by_alias = !bytes_is(name, d->name)};
    if (d->flags & IMMUTABLE) return fail(error, name, "can't set immutable config");
    if ((d->flags & PROTECTED) && !may_change_protected(config, access))
        return fail(error, name, "can't set protected config");
    if ((d->flags & DENIED_WHILE_LOADING) && access.is_loading) {
        buffer_append_text(error, "LOADING Redis is loading the dataset in memory");
        return false;
    }
    for (size_t i = 0; i < index; i++)
        if (changes[i].directive == d && changes[i].by_alias == change->by_alias)
            return fail(error, name, "duplicate parameter");
    return true;
}

static bool change_parse(const struct config *config, struct change *change,
                         const struct bytes *pair, struct buffer *error) {
    char reason[CONFIG_ERROR_SIZE];
    const void *present = config_field_const(config, change->directive);
    if (!config_value_parse(change->directive, &pair[1], 1, present, false, &change->value, reason))
        return fail(error, change_name(change), reason);
    return true;
}

/* Exchange the field's value and the one that waits. */
static void change_swap(struct config *config, struct change *change) {
    union config_value kept;
    size_t size = change->directive->kind->size;
    void *field = config_field(config, change->directive);
    memcpy(&kept, field, size);
    memcpy(field, &change->value, size);
    memcpy(&change->value, &kept, size);
}

static bool was_asked(const struct config_observer *first, const struct config_observer *observer,
                      const struct change *changes, size_t count) {
    for (const struct config_observer *o = first; o != observer; o = o->next) {
        if (o->function != observer->function || o->context != observer->context) continue;
        for (size_t i = 0; i < count; i++)
            if (changes[i].is_change && directive_index(changes[i].directive) == o->index)
                return true;
    }
    return false;
}

/* The changed pair that the observer watches, or NULL. */
static const struct change *change_for(const struct config_observer *observer,
                                       const struct change *changes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (changes[i].is_change && directive_index(changes[i].directive) == observer->index)
            return &changes[i];
    return NULL;
}

/* Tell the observers from `first` on and before `end`, each once. Stops at the first that refuses
 * and returns it; *refused is the pair that it watches. */
static struct config_observer *tell(struct config *config, struct config_observer *first,
                                    const struct config_observer *end, const struct change *changes,
                                    size_t count, const struct change **refused, char *reason) {
    for (struct config_observer *o = first; o != end; o = o->next) {
        const struct change *change = change_for(o, changes, count);
        if (change == NULL || was_asked(first, o, changes, count)) continue;
        *refused = change;
        if (!o->function(o->context, config, reason, CONFIG_ERROR_SIZE)) return o;
    }
    return NULL;
}

static bool changes_apply(struct config *config, struct change *changes, size_t count,
                          struct buffer *error) {
    for (size_t i = 0; i < count; i++) {
        const struct config_directive *d = changes[i].directive;
        changes[i].is_change = !d->kind->equal(config_field_const(config, d), &changes[i].value);
        change_swap(config, &changes[i]);
    }
    char reason[CONFIG_ERROR_SIZE] = "";
    const struct change *refused = NULL;
    struct config_observer *refuser =
        tell(config, config->observers, NULL, changes, count, &refused, reason);
    if (refuser == NULL) {
        INVARIANT(!tell(config, config->followers, NULL, changes, count, &refused, reason));
        return true;
    }

    size_t refused_pair = (size_t)(refused - changes);
    for (size_t i = count; i-- > 0;)
        change_swap(config, &changes[i]);
    char ignored[CONFIG_ERROR_SIZE];
    tell(config, config->observers, refuser->next, changes, count, &refused, ignored);
    return fail(error, change_name(&changes[refused_pair]), reason);
}

bool config_set(struct config *config, const struct bytes *pairs, size_t pair_count,
                struct config_access access, struct buffer *error) {
    struct change *changes = memory_alloc_zeroed(pair_count + 1, sizeof(*changes));
    size_t found = 0, parsed = 0;
    bool done = true;
    while (done && found < pair_count) {
        done = change_find(config, pairs[2 * found], changes, found, access, error);
        if (done) found++;
    }
    while (done && parsed < pair_count) {
        done = change_parse(config, &changes[parsed], &pairs[2 * parsed], error);
        parsed++; /* also of what failed there may be something to release */
    }
    done = done && changes_apply(config, changes, pair_count, error);
    for (size_t i = 0; i < parsed; i++) {
        if (done) config->given[directive_index(changes[i].directive)] = true;
        config_value_release(changes[i].directive, &changes[i].value);
    }
    memory_free(changes);
    return done;
}

/* ---- what has no effect ---- */

size_t config_list_later(const struct config *config, struct buffer *out) {
    size_t count = 0;
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        if (!config->given[i] || config_directives[i].state != CONFIG_LATER) continue;
        buffer_append_format(out, "%s%s", count > 0 ? ", " : "", config_directives[i].name);
        count++;
    }
    return count;
}

const struct config_directive *config_next_pointless(const struct config *config,
                                                     size_t *position) {
    while (*position < CONFIG_COUNT) {
        size_t i = (*position)++;
        if (config->given[i] && config_directives[i].state == CONFIG_POINTLESS)
            return &config_directives[i];
    }
    return NULL;
}

/* acl_rule.c: rules, one word each, as they change a user. The texts of errors are Redis's. */
#include "base/buffer.h"
#include "base/memory.h"
#include "engine/acl_user.h"
#include "engine/command.h"

static const char syntax[] = "Syntax error";
static const char unknown[] = "Unknown command or category name in ACL";
static const char bad_digest[] = "The password hash must be exactly 64 characters and contain only "
                                 "lowercase hexadecimal characters";
static const char no_password[] = "The password you are trying to remove from the user does not "
                                  "exist";

/* ---- commands ---- */

static void drop_word(struct acl_words *words, size_t index) {
    memory_free(words->items[index].text);
    words->count--;
    memmove(&words->items[index], &words->items[index + 1],
            (words->count - index) * sizeof *words->items);
}

static void allow(struct selector *selector, const struct command *command, bool allowed) {
    uint64_t bit = UINT64_C(1) << (command->number % 64);
    uint64_t *word = &selector->allowed[command->number / 64];
    *word = allowed ? *word | bit : *word & ~bit;
    for (size_t i = selector->first.count; i-- > 0;)
        if (selector->first.items[i].command == command->number) drop_word(&selector->first, i);
}

static void allow_all(struct selector *selector, const struct command_set *commands, bool allowed) {
    for (uint16_t i = 0; i < commands->count; i++)
        allow(selector, &commands->commands[i], allowed);
    words_release(&selector->words);
    selector->begins_with_all = allowed;
}

/* Whoever says the same or less than `name`, without its sign, is left out; and what only says
 * again what the beginning says. */
static void note_word(struct selector *selector, char sign, struct bytes name, bool whole) {
    struct buffer word = {0};
    for (size_t i = selector->words.count; i-- > 0;) {
        const struct acl_word *old = &selector->words.items[i];
        struct bytes text = bytes_make(old->text + 1, old->size - 1);
        bool covered = bytes_equal(text, name);
        if (!covered && whole && text.size > name.size && text.data[name.size] == '|')
            covered = memcmp(text.data, name.data, name.size) == 0;
        if (covered) drop_word(&selector->words, i);
    }
    if (selector->words.count == 0 && (sign == '+') == selector->begins_with_all) return;
    buffer_append_byte(&word, sign);
    buffer_append(&word, name.data, name.size);
    words_add(&selector->words, buffer_bytes(&word), 0);
    buffer_release(&word);
}

/* What was said before of single commands of the category no longer matters. */
static void drop_covered(struct selector *selector, const struct command_set *commands,
                         uint32_t category) {
    for (size_t i = selector->words.count; i-- > 0;) {
        const struct acl_word *word = &selector->words.items[i];
        struct bytes name = bytes_make(word->text + 1, word->size - 1);
        const struct command *command = command_find_full(commands, name);
        if (command && command->categories & category && command->subcommand_count == 0)
            drop_word(&selector->words, i);
    }
}

static const char *apply_category(struct selector *selector, const struct command_set *commands,
                                  struct bytes rule) {
    char sign = rule.data[0];
    struct bytes name = bytes_make(rule.data + 2, rule.size - 2);
    if (bytes_is(name, "all")) {
        allow_all(selector, commands, sign == '+');
        return NULL;
    }
    uint32_t category = command_category_find(name);
    if (category == 0) return unknown;
    drop_covered(selector, commands, category);
    for (uint16_t i = 0; i < commands->count; i++)
        if (commands->commands[i].categories & category)
            allow(selector, &commands->commands[i], sign == '+');
    char lower[64] = "@";
    struct bytes shown = {lower, name.size + 1};
    if (shown.size > sizeof lower) return unknown;
    for (size_t i = 0; i < name.size; i++)
        lower[i + 1] = byte_to_lower(name.data[i]);
    note_word(selector, sign, shown, true);
    return NULL;
}

static void apply_command(struct selector *selector, const struct command *command, char sign) {
    allow(selector, command, sign == '+');
    for (uint16_t i = 0; i < command->subcommand_count; i++)
        allow(selector, &command->subcommands[i], sign == '+');
    note_word(selector, sign, command->full_name, true);
}

/* "+get|x": the command with this first argument. */
static const char *apply_first(struct selector *selector, const struct command_set *commands,
                               struct bytes name) {
    size_t head = (size_t)((const char *)memchr(name.data, '|', name.size) - name.data);
    struct bytes first = bytes_make(name.data + head + 1, name.size - head - 1);
    const struct command *command = command_find(commands, bytes_make(name.data, head));
    if (!command) return unknown;
    const char *bar = memchr(first.data, '|', first.size);
    if (command->subcommand_count > 0) {
        if (first.size == 0) return syntax;
        size_t size = bar ? (size_t)(bar - first.data) : first.size;
        if (!command_find_subcommand(commands, command, bytes_make(first.data, size)))
            return unknown;
        return "Allowing first-arg of a subcommand is not supported";
    }
    if (bar) return unknown;
    if (first.size == 0) return syntax;
    struct buffer shown = {0};
    words_add(&selector->first, first, command->number);
    buffer_append(&shown, command->full_name.data, command->full_name.size);
    buffer_append_byte(&shown, '|');
    buffer_append(&shown, first.data, first.size);
    note_word(selector, '+', buffer_bytes(&shown), false);
    buffer_release(&shown);
    return NULL;
}

/* A command that is not there: kept as a word, so that it is said again; there is nothing to allow.
 */
static void apply_absent(struct selector *selector, struct bytes name, char sign) {
    char *lower = memory_copy(name.data, name.size);
    for (size_t i = 0; i < name.size; i++)
        lower[i] = byte_to_lower(lower[i]);
    note_word(selector, sign, bytes_make(lower, name.size), true);
    memory_free(lower);
}

static const char *apply_name(struct selector *selector, const struct command_set *commands,
                              struct bytes rule) {
    struct bytes name = bytes_make(rule.data + 1, rule.size - 1);
    const struct command *command = command_find_full(commands, name);
    if (command)
        apply_command(selector, command, rule.data[0]);
    else if (command_is_absent(name))
        apply_absent(selector, name, rule.data[0]);
    else if (rule.data[0] == '+' && memchr(name.data, '|', name.size))
        return apply_first(selector, commands, name);
    else
        return unknown;
    return NULL;
}

/* ---- patterns ---- */

static bool has_blank(struct bytes text) {
    for (size_t i = 0; i < text.size; i++)
        if (strchr(" \t\n\v\f\r", text.data[i])) return true; /* and the zero */
    return false;
}

static bool is_prefix(struct bytes text) {
    if (text.size == 0 || text.data[text.size - 1] != '*') return false;
    for (size_t i = 0; i + 1 < text.size; i++)
        if (memchr("*?[\\", text.data[i], 4)) return false;
    return true;
}

static void add_pattern(struct acl_patterns *patterns, struct bytes text, uint8_t flags) {
    for (size_t i = 0; i < patterns->count; i++) {
        struct acl_pattern *old = &patterns->items[i];
        if (!bytes_equal(bytes_make(old->text, old->size), text)) continue;
        old->flags |= flags;
        return;
    }
    patterns->items =
        memory_resize(patterns->items, (patterns->count + 1) * sizeof *patterns->items);
    patterns->items[patterns->count++] =
        (struct acl_pattern){memory_copy(text.data, text.size), text.size, flags, is_prefix(text)};
}

static void set_all(struct acl_patterns *patterns, bool all) {
    patterns_release(patterns);
    patterns->all = all;
}

/* "%R~text"; what stands behind the tilde goes to `text`. 0: not understood. */
static uint8_t split_key(struct bytes rule, struct bytes *text) {
    uint8_t flags = 0;
    size_t at = 1;
    for (; at < rule.size && rule.data[at] != '~'; at++) {
        char letter = byte_to_lower(rule.data[at]);
        uint8_t flag = letter == 'r' ? ACL_READ : letter == 'w' ? ACL_WRITE : 0;
        if (flag == 0 || flags & flag) return 0;
        flags |= flag;
    }
    if (at < rule.size) at++;
    *text = bytes_make(rule.data + at, rule.size - at);
    return flags;
}

static const char *apply_key(struct selector *selector, struct bytes rule) {
    struct bytes text = bytes_make(rule.data + 1, rule.size - 1);
    uint8_t flags = ACL_READ_WRITE;
    if (selector->keys.all && !(rule.data[0] == '~' && bytes_equal(text, BYTES("*"))))
        return "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does "
               "not have any effect. Try 'resetkeys' to start with an empty list of patterns";
    if (rule.data[0] == '%') flags = split_key(rule, &text);
    if (flags == 0 || has_blank(text)) return syntax;
    if (rule.data[0] == '~' && bytes_equal(text, BYTES("*")))
        set_all(&selector->keys, true);
    else
        add_pattern(&selector->keys, text, flags);
    return NULL;
}

static const char *apply_channel(struct selector *selector, struct bytes text) {
    bool all = bytes_equal(text, BYTES("*"));
    if (selector->channels.all && !all)
        return "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and "
               "does not have any effect. Try 'resetchannels' to start with an empty list of "
               "channels";
    if (has_blank(text)) return syntax;
    if (all)
        set_all(&selector->channels, true);
    else
        add_pattern(&selector->channels, text, ACL_READ_WRITE);
    return NULL;
}

const char *selector_apply(struct selector *selector, const struct command_set *commands,
                           struct bytes rule) {
    if (rule.size == 0) return NULL;
    char sign = rule.data[0];
    if (bytes_is(rule, "allkeys"))
        set_all(&selector->keys, true);
    else if (bytes_is(rule, "resetkeys"))
        set_all(&selector->keys, false);
    else if (bytes_is(rule, "allchannels"))
        set_all(&selector->channels, true);
    else if (bytes_is(rule, "resetchannels"))
        set_all(&selector->channels, false);
    else if (bytes_is(rule, "allcommands") || bytes_is(rule, "nocommands"))
        allow_all(selector, commands, bytes_is(rule, "allcommands"));
    else if (sign == '~' || sign == '%')
        return apply_key(selector, rule);
    else if (sign == '&')
        return apply_channel(selector, bytes_make(rule.data + 1, rule.size - 1));
    else if ((sign == '+' || sign == '-') && rule.size > 1 && rule.data[1] == '@')
        return apply_category(selector, commands, rule);
    else if (sign == '+' || sign == '-')
        return apply_name(selector, commands, rule);
    else
        return syntax;
    return NULL;
}

/* ---- passwords ---- */

static void add_password(struct user *user, const uint8_t digest[SHA256_SIZE]) {
    user->no_password = false;
    for (size_t i = 0; i < user->password_count; i++)
        if (memcmp(user->passwords[i], digest, SHA256_SIZE) == 0) return;
    user->passwords = memory_resize(user->passwords, (user->password_count + 1) * SHA256_SIZE);
    memcpy(user->passwords[user->password_count++], digest, SHA256_SIZE);
}

static bool remove_password(struct user *user, const uint8_t digest[SHA256_SIZE]) {
    for (size_t i = 0; i < user->password_count; i++) {
        if (memcmp(user->passwords[i], digest, SHA256_SIZE) != 0) continue;
        user->password_count--;
        memmove(user->passwords[i], user->passwords[i + 1],
                (user->password_count - i) * SHA256_SIZE);
        return true;
    }
    return false;
}

static int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_digest(struct bytes text, uint8_t digest[SHA256_SIZE]) {
    if (text.size != SHA256_TEXT_SIZE) return false;
    for (size_t i = 0; i < SHA256_SIZE; i++) {
        int high = digit_of(text.data[2 * i]), low = digit_of(text.data[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        digest[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* > < # and !. */
static const char *apply_password(struct user *user, struct bytes rule) {
    uint8_t digest[SHA256_SIZE];
    struct bytes text = bytes_make(rule.data + 1, rule.size - 1);
    bool is_digest = rule.data[0] == '#' || rule.data[0] == '!';
    if (!is_digest)
        sha256(text, digest);
    else if (!parse_digest(text, digest))
        return bad_digest;
    if (rule.data[0] == '>' || rule.data[0] == '#') {
        add_password(user, digest);
        return NULL;
    }
    return remove_password(user, digest) ? NULL : no_password;
}

static void drop_passwords(struct user *user, bool none_needed) {
    memory_free(user->passwords);
    user->passwords = NULL;
    user->password_count = 0;
    user->no_password = none_needed;
}

/* ---- users ---- */

static void drop_selectors(struct user *user) {
    while (user->selector_count > 1)
        selector_release(&user->selectors[--user->selector_count]);
}

/* "(+get ~x)". */
static const char *apply_selector(struct user *user, struct bytes rule, bool all_channels) {
    struct bytes rest = bytes_make(rule.data + 1, rule.size - 2);
    struct selector selector;
    const char *error = NULL;
    selector_init(&selector, user->commands, all_channels);
    while (rest.size > 0 && !error) {
        const char *blank = memchr(rest.data, ' ', rest.size);
        size_t size = blank ? (size_t)(blank - rest.data) : rest.size;
        error = selector_apply(&selector, user->commands, bytes_make(rest.data, size));
        if (blank) size++;
        rest = bytes_make(rest.data + size, rest.size - size);
    }
    if (error) {
        selector_release(&selector);
        return error;
    }
    user->selectors =
        memory_resize(user->selectors, (user->selector_count + 1) * sizeof *user->selectors);
    user->selectors[user->selector_count++] = selector;
    return NULL;
}

static void set_sanitizing(struct user *user, bool skips) {
    user->sanitizes = !skips;
    user->skips_sanitizing = skips;
}

static void reset(struct user *user, bool all_channels) {
    drop_passwords(user, false);
    drop_selectors(user);
    selector_release(&user->selectors[0]);
    selector_init(&user->selectors[0], user->commands, all_channels);
    user->is_on = false;
    set_sanitizing(user, false);
}

const char *user_apply(struct user *user, struct bytes rule, bool all_channels) {
    if (rule.size == 0) return NULL;
    if (bytes_is(rule, "on") || bytes_is(rule, "off"))
        user->is_on = bytes_is(rule, "on");
    else if (bytes_is(rule, "nopass") || bytes_is(rule, "resetpass"))
        drop_passwords(user, bytes_is(rule, "nopass"));
    else if (bytes_is(rule, "sanitize-payload") || bytes_is(rule, "skip-sanitize-payload"))
        set_sanitizing(user, bytes_is(rule, "skip-sanitize-payload"));
    else if (bytes_is(rule, "clearselectors"))
        drop_selectors(user);
    else if (bytes_is(rule, "reset"))
        reset(user, all_channels);
    else if (memchr("><#!", rule.data[0], 4))
        return apply_password(user, rule);
    else if (rule.data[0] == '(' && rule.data[rule.size - 1] == ')' && rule.size > 1)
        return apply_selector(user, rule, all_channels);
    else
        return selector_apply(&user->selectors[0], user->commands, rule);
    return NULL;
}

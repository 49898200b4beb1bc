/* acl_user.c: users as they are kept, copied, compared and described. Owns their memory; must never
 * judge a request (acl_check.c), nor read a rule (acl_rule.c). */
#include "engine/acl_user.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "engine/command.h"

/* ---- lists ---- */

void patterns_release(struct acl_patterns *patterns) {
    for (size_t i = 0; i < patterns->count; i++)
        memory_free(patterns->items[i].text);
    memory_free(patterns->items);
    *patterns = (struct acl_patterns){0};
}

void words_release(struct acl_words *words) {
    for (size_t i = 0; i < words->count; i++)
        memory_free(words->items[i].text);
    memory_free(words->items);
    *words = (struct acl_words){0};
}

void words_add(struct acl_words *words, struct bytes text, uint16_t command) {
    words->items = memory_resize(words->items, (words->count + 1) * sizeof *words->items);
    words->items[words->count++] =
        (struct acl_word){memory_copy(text.data, text.size), text.size, command};
}

static void copy_words(const struct acl_words *from, struct acl_words *to) {
    *to = (struct acl_words){0};
    for (size_t i = 0; i < from->count; i++)
        words_add(to, bytes_make(from->items[i].text, from->items[i].size), from->items[i].command);
}

static void copy_patterns(const struct acl_patterns *from, struct acl_patterns *to) {
    *to = *from;
    to->items = memory_alloc(from->count * sizeof *to->items + 1);
    for (size_t i = 0; i < from->count; i++) {
        to->items[i] = from->items[i];
        to->items[i].text = memory_copy(from->items[i].text, from->items[i].size);
    }
}

static size_t bits_size(const struct command_set *commands) {
    return ((size_t)commands->count + 63) / 64 * sizeof(uint64_t);
}

/* ---- selectors ---- */

void selector_init(struct selector *selector, const struct command_set *commands,
                   bool all_channels) {
    *selector = (struct selector){0};
    selector->allowed = memory_alloc_zeroed(1, bits_size(commands));
    selector->channels.all = all_channels;
}

void selector_release(struct selector *selector) {
    memory_free(selector->allowed);
    words_release(&selector->first);
    words_release(&selector->words);
    patterns_release(&selector->keys);
    patterns_release(&selector->channels);
}

static void selector_copy(const struct selector *from, struct selector *to, size_t size) {
    *to = *from;
    to->allowed = memory_alloc(size);
    memcpy(to->allowed, from->allowed, size);
    copy_words(&from->first, &to->first);
    copy_words(&from->words, &to->words);
    copy_patterns(&from->keys, &to->keys);
    copy_patterns(&from->channels, &to->channels);
}

/* ---- users ---- */

struct user *user_open(const struct command_set *commands, struct bytes name, bool all_channels) {
    struct user *user = memory_alloc_zeroed(1, sizeof *user);
    user->name = memory_copy(name.data, name.size);
    user->name_size = name.size;
    user->commands = commands;
    user->selectors = memory_alloc(sizeof *user->selectors);
    user->selector_count = 1;
    selector_init(&user->selectors[0], commands, all_channels);
    user->prepared = memory_alloc_zeroed(1, commands->count);
    user_settle(user);
    return user;
}

struct user *user_copy(const struct user *user) {
    struct user *copy = memory_alloc(sizeof *copy);
    size_t size = bits_size(user->commands);
    *copy = *user;
    copy->name = memory_copy(user->name, user->name_size);
    copy->passwords = memory_alloc(user->password_count * SHA256_SIZE + 1);
    if (user->password_count > 0)
        memcpy(copy->passwords, user->passwords, user->password_count * SHA256_SIZE);
    copy->selectors = memory_alloc(user->selector_count * sizeof *copy->selectors);
    for (size_t i = 0; i < user->selector_count; i++)
        selector_copy(&user->selectors[i], &copy->selectors[i], size);
    copy->prepared = (uint8_t *)memory_copy(user->prepared, user->commands->count);
    return copy;
}

void user_close(struct user *user) {
    if (!user) return;
    for (size_t i = 0; i < user->selector_count; i++)
        selector_release(&user->selectors[i]);
    memory_free(user->selectors);
    memory_free(user->passwords);
    memory_free(user->prepared);
    memory_free(user->name);
    memory_free(user);
}

void user_exchange(struct user *a, struct user *b) {
    struct user kept = *a;
    *a = *b;
    *b = kept;
    b->name = a->name;
    b->name_size = a->name_size;
    a->name = kept.name;
    a->name_size = kept.name_size;
}

/* Allowed by this selector whatever its arguments. */
static bool allows_freely(const struct selector *selector, const struct command *command) {
    struct acl_channels channels;
    if (command->flags & COMMAND_NO_AUTH) return true;
    if (!acl_bit(selector->allowed, command->number)) return false;
    if (!selector->keys.all && command_has_keys(command)) return false;
    return selector->channels.all || !acl_command_channels(command, &channels);
}

/* Allowed by the selector if its first argument, which is its only key, is: GET and the like. */
static uint8_t allows_by_key(const struct selector *selector, const struct command *command) {
    struct acl_channels channels;
    const struct command_key_spec *spec = command->key_specs;
    if (!acl_bit(selector->allowed, command->number) || command->keys_function) return 0;
    if (command->key_spec_count != 1 || spec->flags & COMMAND_KEY_NOT_KEY) return 0;
    if (spec->begin != COMMAND_KEY_BEGIN_INDEX || spec->index != 1) return 0;
    if (spec->find != COMMAND_KEY_FIND_RANGE || spec->last != 0) return 0;
    if (acl_command_channels(command, &channels)) return 0;
    return acl_prepared_key(acl_wanted_of(spec->flags));
}

void user_settle(struct user *user) {
    user->is_unrestricted = false;
    bool all = true;
    for (uint16_t i = 0; i < user->commands->count; i++) {
        const struct command *command = &user->commands->commands[i];
        bool is_free = false;
        for (size_t s = 0; s < user->selector_count && !is_free; s++)
            is_free = allows_freely(&user->selectors[s], command);
        user->prepared[i] =
            is_free ? ACL_PREPARED_FREE : allows_by_key(&user->selectors[0], command);
        all &= is_free;
    }
    for (size_t s = 0; s < user->selector_count; s++)
        user->is_unrestricted |= all && user->selectors[s].keys.all;
}

bool user_knows(const struct user *user, struct bytes password) {
    uint8_t digest[SHA256_SIZE];
    bool known = false;
    sha256(password, digest);
    for (size_t i = 0; i < user->password_count; i++)
        known |= bytes_equal_constant_time(bytes_make(user->passwords[i], SHA256_SIZE),
                                           bytes_make(digest, SHA256_SIZE));
    return user->no_password || known;
}

/* ---- description ---- */

void password_describe(const uint8_t password[SHA256_SIZE], char out[SHA256_TEXT_SIZE]) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SHA256_SIZE; i++) {
        out[2 * i] = digits[password[i] >> 4];
        out[2 * i + 1] = digits[password[i] & 15];
    }
}

static void separate(struct buffer *out) {
    if (out->size > 0) buffer_append_byte(out, ' ');
}

void selector_describe_commands(const struct selector *selector, struct buffer *out) {
    separate(out);
    buffer_append_text(out, selector->begins_with_all ? "+@all" : "-@all");
    for (size_t i = 0; i < selector->words.count; i++) {
        buffer_append_byte(out, ' ');
        buffer_append(out, selector->words.items[i].text, selector->words.items[i].size);
    }
}

static void describe_patterns(const struct acl_patterns *patterns, const char *sign,
                              struct buffer *out) {
    if (patterns->all) {
        separate(out);
        buffer_append_format(out, "%s*", sign);
    }
    for (size_t i = 0; i < patterns->count; i++) {
        const struct acl_pattern *pattern = &patterns->items[i];
        separate(out);
        bool is_star = pattern->size == 1 && pattern->text[0] == '*'; /* not what "~*" says */
        if (pattern->flags == ACL_READ_WRITE && is_star) buffer_append_text(out, "%RW");
        if (pattern->flags == ACL_READ) buffer_append_text(out, "%R");
        if (pattern->flags == ACL_WRITE) buffer_append_text(out, "%W");
        buffer_append_text(out, sign);
        buffer_append(out, pattern->text, pattern->size);
    }
}

void selector_describe_keys(const struct selector *selector, struct buffer *out) {
    describe_patterns(&selector->keys, "~", out);
}

void selector_describe_channels(const struct selector *selector, struct buffer *out) {
    describe_patterns(&selector->channels, "&", out);
}

/* Words that make a selector of nothing this one. */
static void describe_selector(const struct selector *selector, struct buffer *out) {
    selector_describe_keys(selector, out);
    if (!selector->channels.all) {
        separate(out);
        buffer_append_text(out, "resetchannels");
    }
    selector_describe_channels(selector, out);
    selector_describe_commands(selector, out);
}

void user_describe(const struct user *user, struct buffer *out) {
    struct buffer part = {0};
    buffer_append_text(out, user->is_on ? "on" : "off");
    if (user->no_password) buffer_append_text(out, " nopass");
    if (user->sanitizes) buffer_append_text(out, " sanitize-payload");
    if (user->skips_sanitizing) buffer_append_text(out, " skip-sanitize-payload");
    for (size_t i = 0; i < user->password_count; i++) {
        char text[SHA256_TEXT_SIZE];
        password_describe(user->passwords[i], text);
        buffer_append_text(out, " #");
        buffer_append(out, text, sizeof text);
    }
    for (size_t i = 0; i < user->selector_count; i++) {
        buffer_clear(&part);
        describe_selector(&user->selectors[i], &part);
        buffer_append_text(out, i == 0 ? " " : " (");
        buffer_append(out, part.data, part.size);
        if (i > 0) buffer_append_byte(out, ')');
    }
    buffer_release(&part);
}

bool user_equal(const struct user *a, const struct user *b) {
    struct buffer left = {0}, right = {0};
    user_describe(a, &left);
    user_describe(b, &right);
    bool same = bytes_equal(buffer_bytes(&left), buffer_bytes(&right));
    buffer_release(&left);
    buffer_release(&right);
    return same;
}

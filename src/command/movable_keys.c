/* movable_keys.c: keys, and what happens to them, where the key specs of a description cannot say
 * it (keys_function = true). Reads arguments, owns nothing; must never run a command. */
#include "command/command_handlers.h"

/* SET reads the old value with GET, and lets it be guessed with a condition. */
bool command_set_keys(const struct command *command, const struct bytes *argv, size_t argc,
                      struct command_keys *keys) {
    (void)command;
    uint32_t flags = COMMAND_KEY_OW | COMMAND_KEY_UPDATE;
    for (size_t i = 3; i < argc; i++) {
        static const char *const reading[] = {"get", "ifeq", "ifne", "ifdeq", "ifdne"};
        bool reads = false;
        for (size_t j = 0; j < sizeof reading / sizeof reading[0]; j++)
            reads |= bytes_is(argv[i], reading[j]);
        if (reads) flags = COMMAND_KEY_RW | COMMAND_KEY_ACCESS | COMMAND_KEY_UPDATE;
    }
    command_keys_add(keys, 1, flags);
    return true;
}

/* BITFIELD changes nothing with GET alone. */
bool command_bitfield_keys(const struct command *command, const struct bytes *argv, size_t argc,
                           struct command_keys *keys) {
    (void)command;
    uint32_t flags = COMMAND_KEY_RO | COMMAND_KEY_ACCESS;
    for (size_t i = 2, used; i < argc; i += used) {
        used = bytes_is(argv[i], "get") ? 3 : bytes_is(argv[i], "overflow") ? 2 : 0;
        if (used > 0 && used <= argc - i) continue;
        flags = COMMAND_KEY_RW | COMMAND_KEY_ACCESS | COMMAND_KEY_UPDATE;
        break;
    }
    command_keys_add(keys, 1, flags);
    return true;
}

/* STORE and STOREDIST as the key specs say; one at the end that names nothing is nobody's key. */
static bool georadius_keys(const struct command *command, const struct bytes *argv, size_t argc,
                           struct command_keys *keys) {
    if (bytes_is(argv[argc - 1], "store") || bytes_is(argv[argc - 1], "storedist")) argc--;
    return command_keys_from_specs(command, argv, argc, keys);
}

bool command_georadius_keys(const struct command *command, const struct bytes *argv, size_t argc,
                            struct command_keys *keys) {
    return georadius_keys(command, argv, argc, keys);
}

bool command_georadiusbymember_keys(const struct command *command, const struct bytes *argv,
                                    size_t argc, struct command_keys *keys) {
    return georadius_keys(command, argv, argc, keys);
}

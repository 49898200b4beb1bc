/* format.h: the numbers of Redis's RDB format: forms of values, opcodes between them, encodings of
 * strings. (Source: the public descriptions of the format, and files that Redis writes.) For the
 * files of this folder. */
#ifndef REDSTART_RDB_FORMAT_H
#define REDSTART_RDB_FORMAT_H

#include <stddef.h>
#include <stdint.h>

enum {
    RDB_VERSION_MAX = 12, /* that we read */
    RDB_VERSION_MIN = 10, /* that we write: Redis 7.0 and later load it */
    RDB_VERSION_FIELD_EXPIRY = 12,
    RDB_MAGIC_SIZE = 9, /* "REDIS0011" */
};

/* How a value is written. */
enum rdb_form {
    RDB_STRING = 0,
    RDB_LIST = 1,
    RDB_SET = 2,
    RDB_ZSET = 3, /* scores as text */
    RDB_HASH = 4,
    RDB_ZSET_2 = 5, /* scores as binary doubles */
    RDB_MODULE = 6,
    RDB_MODULE_2 = 7,
    RDB_HASH_ZIPMAP = 9,
    RDB_LIST_ZIPLIST = 10,
    RDB_SET_INTSET = 11,
    RDB_ZSET_ZIPLIST = 12,
    RDB_HASH_ZIPLIST = 13,
    RDB_LIST_QUICKLIST = 14, /* of ziplists */
    RDB_STREAM_1 = 15,
    RDB_HASH_LISTPACK = 16,
    RDB_ZSET_LISTPACK = 17,
    RDB_LIST_QUICKLIST_2 = 18, /* of listpacks and plain nodes */
    RDB_STREAM_2 = 19,
    RDB_SET_LISTPACK = 20,
    RDB_STREAM_3 = 21,
    RDB_HASH_EXPIRING_OLD = 22,          /* of a release candidate: times absolute */
    RDB_HASH_LISTPACK_EXPIRING_OLD = 23, /* the same: no earliest time in front */
    RDB_HASH_EXPIRING = 24,
    RDB_HASH_LISTPACK_EXPIRING = 25,
    RDB_FORM_COUNT,
};

enum rdb_opcode {
    RDB_SLOT_INFO = 244,
    RDB_FUNCTION_2 = 245,
    RDB_FUNCTION_OLD = 246,
    RDB_MODULE_AUX = 247,
    RDB_IDLE = 248,
    RDB_FREQ = 249,
    RDB_AUX = 250,
    RDB_RESIZE = 251,
    RDB_EXPIRE_MS = 252,
    RDB_EXPIRE_S = 253,
    RDB_SELECT = 254,
    RDB_END = 255,
};

/* First byte of a length. */
enum {
    RDB_LENGTH_6 = 0 << 6,
    RDB_LENGTH_14 = 1 << 6,
    RDB_LENGTH_32 = 0x80,
    RDB_LENGTH_64 = 0x81,
    RDB_ENCODED = 3 << 6, /* no length but one of these: */
    RDB_ENCODED_8 = RDB_ENCODED | 0,
    RDB_ENCODED_16 = RDB_ENCODED | 1,
    RDB_ENCODED_32 = RDB_ENCODED | 2,
    RDB_ENCODED_LZF = RDB_ENCODED | 3,
};

/* Containers of a quicklist's node. */
enum { RDB_NODE_PLAIN = 1, RDB_NODE_PACKED = 2 };

/* What stands before each word of a module's data. */
enum {
    RDB_WORD_END = 0,
    RDB_WORD_SIGNED = 1,
    RDB_WORD_UNSIGNED = 2,
    RDB_WORD_FLOAT = 3,
    RDB_WORD_DOUBLE = 4,
    RDB_WORD_STRING = 5,
};

/* Numbers of up to 8 bytes. */
static inline uint64_t rdb_little_endian(const char *from, size_t size) {
    uint64_t number = 0;
    for (size_t i = size; i-- > 0;)
        number = number << 8 | (uint8_t)from[i];
    return number;
}

static inline uint64_t rdb_big_endian(const char *from, size_t size) {
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++)
        number = number << 8 | (uint8_t)from[i];
    return number;
}

#endif

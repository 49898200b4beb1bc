/* crc_join.h: the checksum of two runs of bytes behind each other, from theirs. */
#ifndef REDSTART_RDB_CRC_JOIN_H
#define REDSTART_RDB_CRC_JOIN_H

#include <stdint.h>

/* crc64 of a and b behind it, `b_size` bytes long. */
uint64_t rdb_crc_join(uint64_t a, uint64_t b, uint64_t b_size);

#endif

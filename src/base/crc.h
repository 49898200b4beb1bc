/* crc.h: the two checksums that Redis's formats use. */
#ifndef REDSTART_BASE_CRC_H
#define REDSTART_BASE_CRC_H

#include "base/bytes.h"

/* CRC-16/XMODEM (polynomial 0x1021, start 0): the hash slot of a key, before the remainder. */
uint16_t crc16(struct bytes bytes);

/* CRC-64/Jones, reflected (polynomial 0xad93d23594c935a9, start 0, no final xor), as RDB files end
 * with; `crc` continues an earlier result. check("123456789") = 0xe9c6d914c4b8d9ca. Chooses
 * carry-less multiplication where the processor has it. */
uint64_t crc64(uint64_t crc, struct bytes bytes);

#endif

#!/usr/bin/env python3
"""Write the constant tables of src/base: powers of ten for printing doubles, and the checksums'.

    python3 tools/make_base_tables.py

Run from the root of the repository; rewrites src/base/number_powers.c and src/base/crc_tables.h.
Exact integer arithmetic throughout: what is written depends on nothing but this file.
"""

HEAD = """/* {name}: {what}
 * Written by tools/make_base_tables.py; do not edit. Included by {user} alone. */
#ifndef {guard}
#define {guard}

#include <stdint.h>

/* clang-format off */
"""
TAIL = """/* clang-format on */

#endif
"""

POWER_MIN, POWER_MAX = -292, 324  # as in number_powers.h


def power_of_ten(k):
    """ceil(10^k * 2^-r) with r chosen so that the result has exactly 128 bits."""
    numerator, denominator = (10**k, 1) if k >= 0 else (1, 10**-k)
    shift = 127 - (numerator.bit_length() - denominator.bit_length())
    for s in (shift, shift + 1):
        n, d = (numerator << s, denominator) if s >= 0 else (numerator, denominator << -s)
        g = -(-n // d)
        if n // d >> 127 == 1:
            assert g < 1 << 128
            return g
    raise AssertionError(k)


def write_powers():
    lines = ["/* number_powers.c: ceil(10^k * 2^-r), r such that 128 bits are used, for each k.\n"
             " * Written by tools/make_base_tables.py; do not edit. */\n"
             '#include "base/number_powers.h"\n\n/* clang-format off */\n'
             "const struct power_of_ten powers_of_ten[POWER_OF_TEN_MAX - POWER_OF_TEN_MIN + 1] = {\n"]
    for k in range(POWER_MIN, POWER_MAX + 1):
        g = power_of_ten(k)
        lines.append(f"    {{0x{g >> 64:016x}, 0x{g & (1 << 64) - 1:016x}}}, /* {k} */\n")
    lines.append("};\n/* clang-format on */\n")
    open("src/base/number_powers.c", "w").writelines(lines)


CRC64_POLYNOMIAL = 0xAD93D23594C935A9  # x^64 implied
CRC16_POLYNOMIAL = 0x1021  # x^16 implied


def reflect(value, bits):
    return int(format(value, f"0{bits}b")[::-1], 2)


def crc64_byte_table():
    polynomial = reflect(CRC64_POLYNOMIAL, 64)
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (polynomial if crc & 1 else 0)
        table.append(crc)
    return table


def crc16_byte_table():
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (CRC16_POLYNOMIAL if crc & 0x8000 else 0)) & 0xFFFF
        table.append(crc)
    return table


def fold_constant(n):
    """x^n modulo the polynomial of crc64, reflected."""
    remainder = 1
    for _ in range(n):
        remainder <<= 1
        if remainder >> 64:
            remainder ^= 1 << 64 | CRC64_POLYNOMIAL
    return reflect(remainder, 64)


def rows(values, digits, per_row):
    texts = [f"0x{v:0{digits}x}" for v in values]
    return [", ".join(texts[i:i + per_row]) + ",\n" for i in range(0, len(texts), per_row)]


def write_crc():
    lines = [HEAD.format(name="crc_tables.h", user="crc.c", what="tables of the checksums.",
                         guard="REDSTART_BASE_CRC_TABLES_H")]
    lines.append("/* What a byte adds to crc16. */\nstatic const uint16_t crc16_table[256] = {\n")
    lines += ["    " + row for row in rows(crc16_byte_table(), 4, 12)]
    lines.append("};\n\n")
    lines.append("/* crc64_tables[n][byte]: what a byte adds to crc64 when n zero bytes follow it. */\n")
    lines.append("static const uint64_t crc64_tables[8][256] = {\n")
    first = crc64_byte_table()
    table = first
    for _ in range(8):
        lines.append("    {\n")
        lines += ["        " + row for row in rows(table, 16, 4)]
        lines.append("    },\n")
        table = [crc >> 8 ^ first[crc & 0xFF] for crc in table]
    lines.append("};\n\n")
    lines.append("/* Folding a 128-bit remainder over a distance of D bits multiplies its earlier half by\n"
                 " * x^(D + 63) and its later half by x^(D - 1), modulo the polynomial: a carry-less product\n"
                 " * of reflected operands stands one bit too low, which the exponents make good. */\n")
    lines.append("enum { CRC64_FOLD_EARLIER, CRC64_FOLD_LATER };\n")
    for distance in (128, 512):
        lines.append(f"static const uint64_t crc64_fold_{distance}[2] = {{0x{fold_constant(distance + 63):016x}, "
                     f"0x{fold_constant(distance - 1):016x}}};\n")
    lines.append(TAIL)
    open("src/base/crc_tables.h", "w").writelines(lines)


if __name__ == "__main__":
    write_powers()
    write_crc()

/* sha1.c: SHA-1 of a whole run of bytes. Owns nothing. Source: FIPS 180-4, sections 5 and 6. */
#include "base/sha1.h"

enum { BLOCK_SIZE = 64, ROUNDS = 80, LENGTH_SIZE = 8 };

static uint32_t rotate(uint32_t x, unsigned bits) {
    return x << bits | x >> (32 - bits);
}

static uint32_t load_big(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void add_block(uint32_t state[5], const uint8_t block[BLOCK_SIZE]) {
    uint32_t words[ROUNDS];
    for (unsigned i = 0; i < 16; i++)
        words[i] = load_big(block + 4 * i);
    for (unsigned i = 16; i < ROUNDS; i++)
        words[i] = rotate(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t mixed;
        if (i < 20)
            mixed = ((b & c) | (~b & d)) + 0x5a827999;
        else if (i < 40)
            mixed = (b ^ c ^ d) + 0x6ed9eba1;
        else if (i < 60)
            mixed = ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
        else
            mixed = (b ^ c ^ d) + 0xca62c1d6;
        uint32_t next = rotate(a, 5) + mixed + e + words[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

/* What is left behind the whole blocks, a one bit, zeroes, and the length in bits. */
static void add_end(uint32_t state[5], struct bytes rest, uint64_t size) {
    uint8_t blocks[2 * BLOCK_SIZE] = {0};
    size_t end = rest.size + 1 + LENGTH_SIZE <= BLOCK_SIZE ? BLOCK_SIZE : 2 * BLOCK_SIZE;
    if (rest.size > 0) memcpy(blocks, rest.data, rest.size);
    blocks[rest.size] = 0x80;
    for (unsigned i = 0; i < LENGTH_SIZE; i++)
        blocks[end - 1 - i] = (uint8_t)(size * 8 >> 8 * i);
    for (size_t at = 0; at < end; at += BLOCK_SIZE)
        add_block(state, blocks + at);
}

void sha1(struct bytes input, uint8_t out[SHA1_SIZE]) {
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    size_t whole = input.size / BLOCK_SIZE * BLOCK_SIZE;
    for (size_t at = 0; at < whole; at += BLOCK_SIZE)
        add_block(state, (const uint8_t *)input.data + at);
    add_end(state, bytes_make(whole ? input.data + whole : input.data, input.size - whole),
            input.size);
    for (unsigned i = 0; i < SHA1_SIZE; i++)
        out[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

void sha1_text(struct bytes input, char out[SHA1_TEXT_SIZE + 1]) {
    static const char digits[] = "0123456789abcdef";
    uint8_t raw[SHA1_SIZE];
    sha1(input, raw);
    for (size_t i = 0; i < SHA1_SIZE; i++) {
        out[2 * i] = digits[raw[i] >> 4];
        out[2 * i + 1] = digits[raw[i] & 15];
    }
    out[SHA1_TEXT_SIZE] = 0;
}

/* sha1.h: SHA-1, as FIPS 180-4 says: the name that Redis gives a script, and what its digests of
 * the dataset are made of. Not for secrets. */
#ifndef REDSTART_BASE_SHA1_H
#define REDSTART_BASE_SHA1_H

#include "base/bytes.h"

enum { SHA1_SIZE = 20, SHA1_TEXT_SIZE = 40 };

void sha1(struct bytes input, uint8_t out[SHA1_SIZE]);
/* The same as hexadecimal digits, with a zero behind them. */
void sha1_text(struct bytes input, char out[SHA1_TEXT_SIZE + 1]);

#endif

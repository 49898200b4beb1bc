/* client.h: shared by the commands about clients. */
#ifndef REDSTART_COMMAND_CLIENT_H
#define REDSTART_COMMAND_CLIENT_H

#include "base/bytes.h"

/* Printable, no blanks: what names of clients may be made of. */
bool client_name_valid(struct bytes name);

#endif

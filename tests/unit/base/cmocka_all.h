/* cmocka_all.h: cmocka with what it wants included before it. */
#ifndef REDSTART_TESTS_CMOCKA_ALL_H
#define REDSTART_TESTS_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif

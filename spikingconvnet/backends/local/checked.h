/* HOLDS(condition): what a loop relies on when it takes an index from data.
 *
 * Nothing in the usual build, an end with the condition in one with -DCHECKED, which tests/helpers/checked_build.py makes and
 * runs under AddressSanitizer and UBSan.
 */

#ifndef CHECKED_H
#define CHECKED_H

#ifdef CHECKED
#include <stdio.h>
#include <stdlib.h>
#define HOLDS(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
            abort(); \
        } \
    } while (0)
#else
#define HOLDS(condition) ((void)0)
#endif

#define WITHIN(index, end) HOLDS((index) >= 0 && (index) < (end))

#endif

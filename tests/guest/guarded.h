/* SPDX-License-Identifier: GPL-2.0-only */
/* Touches of memory that may not be there, or not be allowed. */
#ifndef GUARDED_H
#define GUARDED_H

#include <stdbool.h>
#include <stddef.h>

/* Catch SIGSEGV and SIGBUS, for all threads. */
void guard(void);

/* Copy; false if that ended in a signal. Call guard() first. */
bool put(void *to, const void *from, size_t length);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* Accesses to memory that may be missing or protected. Call guard() first. */
#ifndef GUARDED_H
#define GUARDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Catch SIGSEGV and SIGBUS in all threads. */
void guard(void);

/* Read or write one byte; returns the signal that this raised, or 0. */
int touch(volatile char *p, bool write);

/* Write one word with a single store; false if that raised a signal. */
bool put_word(volatile uint32_t *to, uint32_t value);

/* Copy; false if that raised a signal. */
bool put(void *to, const void *from, size_t length);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Text of others, for a terminal: what is not printable, such as sequences that control the
 * terminal, becomes \xNN for each byte.
 */
#ifndef CTL_PRINTABLE_H
#define CTL_PRINTABLE_H

#include <stddef.h>

/* Print to stdout. Returns how many characters these were. */
int print_printable(const char *text);

/* The same into @shown, as far as whole characters fit. Returns @shown. */
const char *format_printable(char *shown, size_t room, const char *text);

/* Make each byte of @text that is not printable a question mark. Returns @text. */
char *mask_unprintable(char *text);

#endif /* CTL_PRINTABLE_H */

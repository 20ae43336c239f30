/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Text of others, for a terminal.
 */
#ifndef CTL_PRINTABLE_H
#define CTL_PRINTABLE_H

/*
 * Print to stdout, with \xNN for each byte of what is not printable, such as sequences
 * that control a terminal. Returns how many characters these were.
 */
int print_printable(const char *text);

#endif /* CTL_PRINTABLE_H */

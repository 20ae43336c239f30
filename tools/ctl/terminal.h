/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the terminal can do.
 */
#ifndef CTL_TERMINAL_H
#define CTL_TERMINAL_H

#include <stdbool.h>

/* Does ncurses know the kind of terminal, and can that draw anywhere? */
bool terminal_is_fit(void);

#endif /* CTL_TERMINAL_H */

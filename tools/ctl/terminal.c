// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the terminal can do: asked before ncurses takes it over, which says less if it fails. The
 * header defines macros with names of any kind, so nothing else is here.
 */
#include <curses.h>
#include <term.h>
#include <unistd.h>

#include "terminal.h"

bool terminal_is_fit(void)
{
	int error;
	bool fit;

	if (setupterm(NULL, STDOUT_FILENO, &error) != OK)
		return false;
	fit = tigetstr("cup") && tigetstr("el");
	del_curterm(cur_term);
	return fit;
}

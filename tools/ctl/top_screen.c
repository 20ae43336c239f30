// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl top on a terminal, by ncurses. The lines are on a pad, of which the screen shows
 * what fits, above a line that says what can be done.
 */
#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "terminal.h"
#include "top.h"

#define REDRAW	('l' & 0x1f)	/* Ctrl-L, as elsewhere */

struct screen {
	SCREEN *terminal;
	WINDOW *pad;
	size_t first;		/* line on the screen */
	bool quit;
};

/* Lines of the screen for those of the text. */
static size_t rows(void)
{
	return LINES > 1 ? (size_t)LINES - 1 : 1;
}

static size_t last_first(const struct top *top)
{
	return top->lines.count > rows() ? top->lines.count - rows() : 0;
}

static void draw_status(const struct screen *screen, const struct top *top)
{
	size_t end = screen->first + rows();
	char text[LINE_TEXT];

	if (end > top->lines.count)
		end = top->lines.count;
	snprintf(text, sizeof(text), "q: end%s  lines %zu to %zu of %zu, every %g s",
		 last_first(top) ? "  arrows: scroll" : "", screen->first + 1, end,
		 top->lines.count, (double)top->interval_ns / 1e9);
	move(LINES - 1, 0);
	clrtoeol();
	attron(A_BOLD);
	addnstr(text, COLS - 1);
	attroff(A_BOLD);
	wnoutrefresh(stdscr);
}

/* On a pad that is wide enough no line wraps. */
static bool draw_lines(struct screen *screen, const struct top *top)
{
	int columns = COLS > LINE_TEXT ? COLS : LINE_TEXT;

	if (screen->pad)
		delwin(screen->pad);
	screen->pad = newpad((int)(top->lines.count + rows()), columns);
	if (!screen->pad)
		return false;
	for (size_t i = 0; i < top->lines.count; i++) {
		wattrset(screen->pad, top->lines.list[i].heading ? A_BOLD : A_NORMAL);
		mvwaddstr(screen->pad, (int)i, 0, top->lines.list[i].text);
	}
	return true;
}

static bool draw(struct screen *screen, const struct top *top)
{
	if (screen->first > last_first(top))
		screen->first = last_first(top);
	if (!draw_lines(screen, top))
		return false;
	draw_status(screen, top);
	pnoutrefresh(screen->pad, (int)screen->first, 0, 0, 0, (int)rows() - 1, COLS - 1);
	doupdate();
	return true;
}

/* Where more is wanted than there is, draw() stops at the end. */
static void scroll_up(struct screen *screen, size_t by)
{
	screen->first = screen->first > by ? screen->first - by : 0;
}

static void obey(struct screen *screen, const struct top *top, int key)
{
	switch (key) {
	case 'q':
		screen->quit = true;
		break;
	case KEY_UP:
		scroll_up(screen, 1);
		break;
	case KEY_DOWN:
		screen->first++;
		break;
	case KEY_PPAGE:
		scroll_up(screen, rows());
		break;
	case KEY_NPAGE:
		screen->first += rows();
		break;
	case KEY_HOME:
		screen->first = 0;
		break;
	case KEY_END:
		screen->first = last_first(top);
		break;
	case REDRAW:
	case KEY_RESIZE:
		clearok(curscr, true);
		break;
	}
}

/* True: there were some. */
static bool take_keys(struct screen *screen, const struct top *top)
{
	bool any = false;
	int key;

	while (!screen->quit && (key = getch()) != ERR) {
		obey(screen, top, key);
		any = true;
	}
	return any;
}

/* Until the next look is due. */
static int wait_for_keys(struct screen *screen, struct top *top, int64_t until,
			 const sigset_t *awake)
{
	struct pollfd poller = {
		.fd = isatty(STDIN_FILENO) ? STDIN_FILENO : -1, .events = POLLIN,
	};

	while (!screen->quit && !stopped) {
		int64_t left = until - now_ns();
		const struct timespec pause = { left / 1000000000, left % 1000000000 };

		if (left <= 0)
			break;
		/* A new size of the terminal interrupts it. */
		if (ppoll(&poller, 1, &pause, awake) < 0) {
			if (errno != EINTR)
				return -errno;
			poller.revents = 0;
		}
		if (take_keys(screen, top)) {
			if (!draw(screen, top))
				return -ENOMEM;
		} else if (poller.revents & (POLLHUP | POLLERR | POLLNVAL)) {
			return -EIO;
		}
	}
	return 0;
}

/* 0; -EIO: the terminal is gone; -ENOMEM; or why a look has failed. */
static int show_until_done(struct screen *screen, struct top *top, const sigset_t *awake)
{
	int error = 0;

	while (!error && !screen->quit && !stopped) {
		int64_t until = now_ns() + top->interval_ns;

		top_text(top);
		if (!draw(screen, top))
			return -ENOMEM;
		error = wait_for_keys(screen, top, until, awake);
		if (!error && !screen->quit && !stopped)
			error = top_look(top);
	}
	return error;
}

static enum exit_code screen_open(struct screen *screen)
{
	if (terminal_is_fit())
		screen->terminal = newterm(NULL, stdout, stdin);
	if (!screen->terminal)
		return complain(EXIT_FAILED,
				"terminals of the kind '%s' are unknown, or cannot show this: set TERM, or use --once",
				getenv("TERM") ?: "");
	cbreak();
	noecho();
	nodelay(stdscr, true);
	keypad(stdscr, true);
	curs_set(0);
	return EXIT_OK;
}

static void screen_close(struct screen *screen)
{
	if (screen->pad)
		delwin(screen->pad);
	endwin();
	delscreen(screen->terminal);
}

enum exit_code top_screen(struct top *top)
{
	struct screen screen = { .first = 0 };
	sigset_t resized, awake;
	enum exit_code code;
	int error = top_look(top);

	if (error)
		return device_complain(&top->device, error, "look");
	code = screen_open(&screen);
	if (code)
		return code;
	/* Signals are delivered inside ppoll() only, so none is missed. */
	block_stopping(&awake);
	sigemptyset(&resized);
	sigaddset(&resized, SIGWINCH);
	sigprocmask(SIG_BLOCK, &resized, NULL);
	error = show_until_done(&screen, top, &awake);
	sigprocmask(SIG_SETMASK, &awake, NULL);
	screen_close(&screen);
	return error ? device_complain(&top->device, error, "look") : EXIT_OK;
}

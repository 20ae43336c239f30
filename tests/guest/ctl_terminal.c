// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl trace on a terminal: it tells what it waits for, and Ctrl-C ends it by SIGINT.
 * The other verbs are in tests/host/test_terminal.py.
 */
/* rig: devices=doorbell size=1M turns=yes timeout=120 */
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "dev.h"

#define LIMIT_MS 60000

/* Read what the terminal shows until that contains the text. */
static bool shows(int terminal, const char *text)
{
	struct pollfd poller = { .fd = terminal, .events = POLLIN };
	char said[4096] = "";
	size_t length = 0;

	while (!strstr(said, text) && poll(&poller, 1, LIMIT_MS) == 1) {
		ssize_t got = read(terminal, said + length, sizeof(said) - 1 - length);

		if (got <= 0)
			break;
		length += (size_t)got;
		said[length] = '\0';
	}
	return strstr(said, text);
}

static pid_t trace(int *terminal)
{
	pid_t pid = forkpty(terminal, NULL, NULL, NULL);

	if (pid < 0)
		tap_bail("no terminal");
	if (pid)
		return pid;
	setenv("TERM", "xterm", 1);
	execlp("ivshmemctl", "ivshmemctl", "trace", NULL);
	_exit(127);
}

int main(void)
{
	static const char step[] = " ivshmem_open ";
	int terminal, fd, status = 0;
	pid_t pid = trace(&terminal);

	tap_ok(shows(terminal, "waiting for steps of the driver"), "it waits for steps");
	fd = open(RIG_DEVICE, O_RDONLY);
	tap_ok(shows(terminal, step), "a step is printed");
	tap_ok(shows(terminal, ", waiting for steps of the driver"), "then it waits for more");
	tap_eq(write(terminal, "\x03", 1), 1, "type Ctrl-C");
	tap_eq(waitpid(pid, &status, 0), pid, "that ends it");
	tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT, "by SIGINT");
	close(terminal);
	close(fd);
	return tap_done();
}

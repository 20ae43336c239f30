// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl trace on a terminal: it tells what it waits for, and Ctrl-C ends it by SIGINT.
 * And top, which shows the vectors of a device until that is gone. The other verbs are in
 * tests/host/test_terminal.py, and what top makes of keys is in test_top.py.
 */
/* rig: devices=doorbell size=1M turns=yes timeout=120 */
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "dev.h"

#define LIMIT_MS 60000

static char said[8192];		/* by the terminal, after the text that was found last */
static size_t length;

/* Read what the terminal shows until that contains the text. */
static bool shows(int terminal, const char *text)
{
	struct pollfd poller = { .fd = terminal, .events = POLLIN };
	char *found;

	while (!(found = strstr(said, text)) && poll(&poller, 1, LIMIT_MS) == 1) {
		ssize_t got = read(terminal, said + length, sizeof(said) - 1 - length);

		if (got <= 0)
			return false;
		length += (size_t)got;
		said[length] = '\0';
	}
	if (!found)
		return false;
	found += strlen(text);
	length -= (size_t)(found - said);
	memmove(said, found, length + 1);
	return true;
}

static pid_t start(int *terminal, const char *verb)
{
	pid_t pid;

	length = 0;
	said[0] = '\0';
	pid = forkpty(terminal, NULL, NULL, NULL);
	if (pid < 0)
		tap_bail("no terminal");
	if (pid)
		return pid;
	setenv("TERM", "xterm", 1);
	execlp("ivshmemctl", "ivshmemctl", verb, NULL);
	_exit(127);
}

static int status_of(pid_t pid)
{
	int status = 0;

	tap_eq(waitpid(pid, &status, 0), pid, "that ends it");
	return status;
}

static void trace(void)
{
	static const char step[] = " ivshmem_open ";
	int terminal, fd, status;
	pid_t pid = start(&terminal, "trace");

	tap_ok(shows(terminal, "waiting for steps of the driver"), "it waits for steps");
	fd = open(RIG_DEVICE, O_RDONLY);
	tap_ok(shows(terminal, step), "a step is printed");
	tap_ok(shows(terminal, ", waiting for steps of the driver"), "then it waits for more");
	tap_eq(write(terminal, "\x03", 1), 1, "type Ctrl-C");
	status = status_of(pid);
	tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT, "by SIGINT");
	close(terminal);
	close(fd);
}

static void top(void)
{
	int terminal, status;
	pid_t pid = start(&terminal, "top");

	tap_ok(shows(terminal, "VECTOR"), "top shows the vectors");
	tap_ok(shows(terminal, "q: end"), "and how to end it");
	tap_eq(write(terminal, "q", 1), 1, "type q");
	status = status_of(pid);
	tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "without an error");
	close(terminal);
	pid = start(&terminal, "top");
	tap_ok(shows(terminal, "q: end"), "top runs again");
	tap_eq(file_write("/sys/bus/ivshmem/drivers/ivshmem_chardev/unbind", "ivshmem0"), 0,
	       "unbind the device");
	tap_ok(shows(terminal, "ivshmem0 is gone"), "it says that the device is gone");
	status = status_of(pid);
	tap_eq(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 3, "with that exit code");
	close(terminal);
}

int main(void)
{
	trace();
	top();
	return tap_done();
}

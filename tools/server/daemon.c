// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parent waits until the socket is listening, so that a script can start clients
 * after it, and reports failure by its exit status.
 */
#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon.h"
#include "lock.h"

int daemon_start(void)
{
	int status[2];
	char ready;

	if (pipe2(status, O_CLOEXEC) < 0)
		err(1, "cannot start in the background");
	switch (fork()) {
	case -1:
		err(1, "cannot start in the background");
	case 0:
		close(status[0]);
		setsid();
		return status[1];
	default:
		close(status[1]);
		_exit(read(status[0], &ready, 1) == 1 ? 0 : 1);
	}
}

void daemon_ready(int status)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		err(1, "cannot open /dev/null");
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	if (null > STDERR_FILENO)
		close(null);
	(void)!write(status, "", 1);
	close(status);
}

/* /var/run is where QEMU's server has it; ordinary users may not write there. */
const char *pid_file_default(void)
{
	const char *directory = getenv("XDG_RUNTIME_DIR");
	static char *path;

	if (eaccess("/var/run", W_OK) == 0)
		return "/var/run/ivshmem-server.pid";
	if (!directory || *directory != '/') {
		warnx("no place for the pid file: this user may not write to /var/run, and XDG_RUNTIME_DIR is not set; name a file (-p) or stay in the foreground (-F)");
		return NULL;
	}
	if (asprintf(&path, "%s/ivshmem-server.pid", directory) >= 0)
		return path;
	warn("cannot choose a pid file");
	return NULL;
}

/* Do not overwrite a file that contains anything but a process id. */
static bool is_pid_file(int fd)
{
	char text[16] = "";
	ssize_t got = pread(fd, text, sizeof(text) - 1, 0);
	ssize_t digits = strspn(text, "0123456789");

	return got == 0 ||
	       (digits && digits == got - 1 && text[digits] == '\n');
}

int pid_file_write(const char *path)
{
	int fd = lock_file(path, "pid file",
			   "use another file (-p) or stay in the foreground (-F)");

	if (fd < 0)
		return -1;
	if (!is_pid_file(fd)) {
		warnx("%s exists and does not contain a process id; use another pid file (-p)",
		      path);
		close(fd);
		return -1;
	}
	if (fchmod(fd, 0644) == 0 && ftruncate(fd, 0) == 0 &&
	    dprintf(fd, "%d\n", getpid()) > 0)
		return fd;
	warn("cannot write pid file %s", path);
	lock_remove(path, fd);
	return -1;
}

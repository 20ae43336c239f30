// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading and writing the files named on the command line: see fileio.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fileio.h"
#include "progress.h"

/* So that large copies can be stopped, and show how far they are. */
#define CHUNK	((uint64_t)4 << 20)

/* Opening it waits for somebody at the other end. */
static bool is_named_pipe(const char *name)
{
	struct stat status;

	return !stat(name, &status) && S_ISFIFO(status.st_mode);
}

static enum exit_code open_file(struct file *file, const char *name, int flags,
				int standard)
{
	struct stat status;
	off_t position;

	*file = (struct file){
		.fd = standard, .size = UINT64_MAX, .input = standard == STDIN_FILENO,
	};
	if (name && strcmp(name, "-")) {
		file->name = name;
		if (is_named_pipe(name))
			progress_wait("%s", name);
		file->fd = open(name, flags | O_CLOEXEC | O_NOCTTY, 0666);
	} else {
		file->name = standard == STDIN_FILENO ? "stdin" : "stdout";
	}
	progress_erase();
	if (file->fd < 0 || fstat(file->fd, &status))
		return complain(EXIT_FAILED, "cannot open %s: %s", file->name,
				strerror(errno));
	if (S_ISDIR(status.st_mode))
		return complain(EXIT_FAILED, "%s is a directory: name a file", file->name);
	file->regular = S_ISREG(status.st_mode);
	position = lseek(file->fd, 0, SEEK_CUR);
	if (file->regular && position >= 0)
		file->size = position < status.st_size ?
			(uint64_t)(status.st_size - position) : 0;
	return EXIT_OK;
}

enum exit_code file_open_input(struct file *file, const char *name)
{
	return open_file(file, name, O_RDONLY, STDIN_FILENO);
}

enum exit_code file_open_output(struct file *file, const char *name)
{
	return open_file(file, name, O_WRONLY | O_CREAT, STDOUT_FILENO);
}

static int64_t again(const struct file *file, short events)
{
	struct pollfd poller = { .fd = file->fd, .events = events };

	if (errno == EAGAIN && poll(&poller, 1, -1) >= 0)
		return 0;
	return -errno;
}

int64_t file_read(const struct file *file, void *buffer, size_t size)
{
	int64_t error;

	do {
		ssize_t done = read(file->fd, buffer, size);

		if (done >= 0)
			return done;
		error = again(file, POLLIN);
	} while (!error);
	return error;
}

int64_t file_write(const struct file *file, const void *buffer, size_t size)
{
	int64_t error;

	do {
		ssize_t done = write(file->fd, buffer, size);

		if (done >= 0)
			return done;
		error = again(file, POLLOUT);
	} while (!error);
	return error;
}

/* Only one of the two is used. */
static int64_t copy(const struct file *file, uint8_t *in, const uint8_t *out, uint64_t length,
		    struct progress *progress)
{
	uint64_t copied = 0;
	int64_t done = 1;

	stop_on_signals();
	interrupt_calls();
	progress_start(progress);
	while (copied < length && !stopped && (done > 0 || done == -EINTR)) {
		size_t size = length - copied < CHUNK ? (size_t)(length - copied) : CHUNK;

		done = in ? file_read(file, in + copied, size) :
			    file_write(file, out + copied, size);
		copied += done > 0 ? (uint64_t)done : 0;
		progress_show(progress, copied, file->name);
	}
	progress_erase();
	return done < 0 && done != -EINTR ? done : (int64_t)copied;
}

int64_t file_copy_out(const struct file *file, const uint8_t *bytes, uint64_t length)
{
	struct progress progress = { .done = "read ", .total = length };

	return copy(file, NULL, bytes, length, &progress);
}

int64_t file_copy_in(const struct file *file, uint8_t *bytes, uint64_t length)
{
	struct progress progress = { .done = "wrote ", .total = file->size };

	return copy(file, bytes, NULL, length, &progress);
}

void file_take_terminal(const struct file *file)
{
	if (!isatty(file->fd))
		return;
	progress_hide();
	if (file->input && isatty(STDERR_FILENO))
		fputs("waiting for input: Ctrl-D at the start of a line ends it\n", stderr);
}

int file_truncate(const struct file *file)
{
	/* The shell has opened stdout as the user wanted. */
	if (!file->regular || file->fd == STDOUT_FILENO)
		return 0;
	return ftruncate(file->fd, 0) ? -errno : 0;
}

int file_close(struct file *file)
{
	int fd = file->fd;

	file->fd = -1;
	if (fd == STDIN_FILENO || fd == STDOUT_FILENO || fd < 0)
		return 0;
	return close(fd) ? -errno : 0;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In a program that is started with a standard stream closed, a device, a socket or a
 * lock would get that descriptor number, and messages would be written to it. And what a
 * program prints can fail as late as when it exits.
 */
#ifndef STREAMS_H
#define STREAMS_H

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * At exit, because argp's --help does not look whether its output could be written. What
 * failed before that, and was complained of, is no longer in the buffer.
 */
static inline void flush_stdout(void)
{
	if (fflush(stdout) == 0)
		return;
	warn("cannot write the output");
	_exit(EXIT_FAILURE);
}

/* Occupy the numbers, in the wrong mode: using such a stream is an error. */
static inline void keep_streams(void)
{
	int fd;

	atexit(flush_stdout);
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			abort();
}

#endif /* STREAMS_H */

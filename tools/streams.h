/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In a program that is started with a standard stream closed, a device, a socket or a
 * lock would get that descriptor number, and messages would be written to it.
 */
#ifndef STREAMS_H
#define STREAMS_H

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Occupy the numbers, in the wrong mode: using such a stream is an error. */
static inline void keep_streams(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			abort();
}

#endif /* STREAMS_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is started without one of its standard streams would get a device, a socket or
 * a lock in its place, and write its messages there.
 */
#ifndef STREAMS_H
#define STREAMS_H

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Fill the places, the wrong way round: who uses such a stream gets an error. */
static inline void keep_streams(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			abort();
}

#endif /* STREAMS_H */

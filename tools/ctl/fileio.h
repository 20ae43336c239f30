/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading and writing the files named on the command line; "-" is stdin or stdout.
 */
#ifndef CTL_FILEIO_H
#define CTL_FILEIO_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

#include "ctl.h"

struct file {
	int fd;
	const char *name;	/* for messages */
	uint64_t size;		/* UINT64_MAX: unknown */
	bool regular;
};

/* NULL means "-". Both complain on failure. */
enum exit_code file_open_input(struct file *file, const char *name);
/* Creates the file but does not truncate it: see file_truncate(). */
enum exit_code file_open_output(struct file *file, const char *name);

/*
 * As read(2) and write(2), but returning negative errno values, and blocking even if
 * the descriptor is non-blocking. -EINTR: any signal.
 */
int64_t file_read(const struct file *file, void *buffer, size_t size);
int64_t file_write(const struct file *file, const void *buffer, size_t size);

/* Truncate a regular file; do nothing for others. */
int file_truncate(const struct file *file);

/* Returns 0 or the negative errno of a late write error. Does not close stdin. */
int file_close(struct file *file);

#endif /* CTL_FILEIO_H */

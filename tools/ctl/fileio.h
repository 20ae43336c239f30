/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading and writing the files named on the command line, "-" being stdin or
 * stdout.
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
	uint64_t size;		/* UINT64_MAX: not known */
	bool regular;
};

/* NULL is as "-". They say what is wrong. */
enum exit_code file_open_input(struct file *file, const char *name);
/* Creates it, but empties nothing: see file_truncate(). */
enum exit_code file_open_output(struct file *file, const char *name);

/*
 * Like read(2) and write(2), but waiting when the descriptor is non-blocking,
 * and with negative errno values. -EINTR: a signal came, of whatever kind.
 */
int64_t file_read(const struct file *file, void *buffer, size_t size);
int64_t file_write(const struct file *file, const void *buffer, size_t size);

/* Makes an output file as empty as a fresh one; others stay what they are. */
int file_truncate(const struct file *file);

/* 0 or the negative errno of a write that failed late. Leaves stdin alone. */
int file_close(struct file *file);

#endif /* CTL_FILEIO_H */

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
	bool input;
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

/*
 * Copy up to @length bytes from memory to the file or the other way round, and show how
 * far it is. Returns the number of bytes, fewer if the file has ended or a signal has
 * stopped the program, or a negative errno.
 */
int64_t file_copy_out(const struct file *file, const uint8_t *bytes, uint64_t length);
int64_t file_copy_in(const struct file *file, uint8_t *bytes, uint64_t length);

/*
 * If it is the terminal, progress must not be drawn between its lines. Tells who types
 * the input how to end it.
 */
void file_take_terminal(const struct file *file);

/* Truncate a regular file; do nothing for others. */
int file_truncate(const struct file *file);

/* Returns 0 or the negative errno of a late write error. Does not close stdin. */
int file_close(struct file *file);

#endif /* CTL_FILEIO_H */

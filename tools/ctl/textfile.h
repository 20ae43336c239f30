/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One-line files and directories, as in sysfs.
 */
#ifndef CTL_TEXTFILE_H
#define CTL_TEXTFILE_H

#include <stddef.h>

/* Read the first line, without newline. Returns 0 or a negative errno, -ENODATA if empty. */
int read_line(const char *path, char *text, size_t size);

/*
 * List a directory in natural order, without names that start with a dot. Returns the
 * number of names, 0 if there is no such directory, or a negative errno. Free the
 * result with free_names().
 */
int read_names(const char *path, char ***names);
void free_names(char **names, int count);

#endif /* CTL_TEXTFILE_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Small files that hold one line, and directories, as sysfs has them.
 */
#ifndef CTL_TEXTFILE_H
#define CTL_TEXTFILE_H

#include <stddef.h>

/* The first line without its end; 0 or a negative errno, -ENODATA if empty. */
int read_line(const char *path, char *text, size_t size);

/*
 * What a directory has in it, sorted as people count, less what begins with a
 * dot. Gives the number, 0 if there is no such directory, or a negative errno;
 * free_names() takes the result.
 */
int read_names(const char *path, char ***names);
void free_names(char **names, int count);

#endif /* CTL_TEXTFILE_H */

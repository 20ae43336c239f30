// SPDX-License-Identifier: GPL-2.0-only
/*
 * The Unix sockets of this machine: see unix_sockets.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "textfile.h"
#include "unix_sockets.h"

#define LISTENING	0x10000		/* a flag: SO_ACCEPTCON */

/* The path of a listening socket in a line, or NULL. Other names are abstract. */
static const char *listening_path(char *line)
{
	unsigned long flags = 0;
	int path = 0;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%*s %*s %*s %lx %*s %*s %*s %n", &flags, &path) != 1 || !path)
		return NULL;
	return flags & LISTENING && line[path] == '/' ? line + path : NULL;
}

static int append(char ***paths, int count, const char *path)
{
	char **more = reallocarray(*paths, (size_t)count + 1, sizeof(**paths));

	if (!more)
		return -ENOMEM;
	*paths = more;
	more[count] = strdup(path);
	return more[count] ? count + 1 : -ENOMEM;
}

static int compare(const void *left, const void *right)
{
	return strverscmp(*(char *const *)left, *(char *const *)right);
}

/* A socket whose path another one has taken is still there. */
static int drop_repeated(char **paths, int count)
{
	int kept = 0;

	for (int i = 0; i < count; i++) {
		if (kept && !strcmp(paths[kept - 1], paths[i]))
			free(paths[i]);
		else
			paths[kept++] = paths[i];
	}
	return kept;
}

int listening_paths(const char *file, char ***paths)
{
	FILE *lines = fopen(file, "re");
	char *line = NULL;
	size_t size = 0;
	int count = 0;

	*paths = NULL;
	if (!lines)
		return errno == ENOENT ? 0 : -errno;
	while (getline(&line, &size, lines) > 0) {
		const char *path = listening_path(line);
		int more = path ? append(paths, count, path) : count;

		if (more < 0) {
			free_names(*paths, count);
			*paths = NULL;
			count = more;
			break;
		}
		count = more;
	}
	free(line);
	fclose(lines);
	if (count <= 0)
		return count;
	qsort(*paths, (size_t)count, sizeof(**paths), compare);
	return drop_repeated(*paths, count);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * One-line files and directories, as in sysfs.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "textfile.h"

int read_line(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "re");
	int error = 0;

	if (!file)
		return -errno;
	if (!fgets(text, (int)size, file))
		error = ferror(file) ? -errno : -ENODATA;
	else
		text[strcspn(text, "\n")] = '\0';
	fclose(file);
	return error;
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int read_names(const char *path, char ***names)
{
	struct dirent **entries;
	int count = scandir(path, &entries, is_visible, versionsort);
	int kept = 0;

	*names = NULL;
	if (count < 0)
		return errno == ENOENT ? 0 : -errno;
	*names = calloc((size_t)count + 1, sizeof(**names));
	for (int i = 0; i < count; i++) {
		char *name = *names ? strdup(entries[i]->d_name) : NULL;

		if (name)
			(*names)[kept++] = name;
		free(entries[i]);
	}
	free(entries);
	if (kept == count)
		return count;
	free_names(*names, kept);
	return -ENOMEM;
}

void free_names(char **names, int count)
{
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

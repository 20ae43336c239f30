// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may open a file: see rights.h.
 *
 * The names are read from the files, as a program without libraries of its own cannot ask
 * elsewhere, and the owners of nodes are there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "rights.h"

#define NAME_TEXT	40

/* The lines of both files begin with "NAME:PASSWORD:ID:". */
static void name_in(const char *path, char name[NAME_TEXT], unsigned int id)
{
	FILE *file = fopen(path, "re");
	char line[1024];

	snprintf(name, NAME_TEXT, "%u", id);
	while (file && fgets(line, sizeof(line), file)) {
		char *rest = line, *found = strsep(&rest, ":"), *number;

		strsep(&rest, ":");
		number = strsep(&rest, ":");
		if (!number || !*number || strtoul(number, NULL, 10) != id)
			continue;
		snprintf(name, NAME_TEXT, "%.*s", NAME_TEXT - 1, found);
		break;
	}
	if (file)
		fclose(file);
}

const char *format_rights(char text[RIGHTS_TEXT], const char *path)
{
	char user[NAME_TEXT], group[NAME_TEXT], mode[10] = "rwxrwxrwx";
	struct stat status;

	if (stat(path, &status))
		return strcpy(text, "-");
	for (int bit = 0; bit < 9; bit++)
		if (!(status.st_mode & (0400U >> bit)))
			mode[bit] = '-';
	name_in("/etc/passwd", user, status.st_uid);
	name_in("/etc/group", group, status.st_gid);
	snprintf(text, RIGHTS_TEXT, "%s %s:%s", mode, user, group);
	return text;
}

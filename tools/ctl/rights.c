// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may open a file: see rights.h.
 *
 * The names are read from the files, as a program without libraries of its own cannot ask
 * elsewhere, and the owners of nodes are there.
 */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "rights.h"

#define NAME_TEXT	40

static void user_name(char name[NAME_TEXT], uid_t id)
{
	FILE *file = fopen("/etc/passwd", "re");
	struct passwd *entry;

	snprintf(name, NAME_TEXT, "%u", id);
	while (file && (entry = fgetpwent(file))) {
		if (entry->pw_uid != id)
			continue;
		snprintf(name, NAME_TEXT, "%s", entry->pw_name);
		break;
	}
	if (file)
		fclose(file);
}

static void group_name(char name[NAME_TEXT], gid_t id)
{
	FILE *file = fopen("/etc/group", "re");
	struct group *entry;

	snprintf(name, NAME_TEXT, "%u", id);
	while (file && (entry = fgetgrent(file))) {
		if (entry->gr_gid != id)
			continue;
		snprintf(name, NAME_TEXT, "%s", entry->gr_name);
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
	user_name(user, status.st_uid);
	group_name(group, status.st_gid);
	snprintf(text, RIGHTS_TEXT, "%s %s:%s", mode, user, group);
	return text;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl doctor: the group, the nodes, and the user's access to them.
 */
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "doctor.h"
#include "node.h"
#include "textfile.h"

#define GROUP	"ivshmem"

struct members {
	gid_t id;
	bool has_user;		/* in the file: a session keeps the groups of its login */
};

/*
 * Read the file and not getgrnam(): udev starts before the network, so a group from
 * a directory service does not work for device nodes.
 */
static bool find_group(struct members *members)
{
	FILE *file = fopen(below("/etc/group"), "re");
	const char *user = getenv("USER");
	bool found = false;
	struct group *group;

	members->has_user = false;
	while (file && !found && (group = fgetgrent(file))) {
		found = !strcmp(group->gr_name, GROUP);
		members->id = group->gr_gid;
		for (char **member = group->gr_mem; found && user && *member; member++)
			members->has_user |= !strcmp(*member, user);
	}
	if (file)
		fclose(file);
	return found;
}

bool is_our_group(gid_t id)
{
	struct members members;

	return find_group(&members) && members.id == id;
}

void complain_membership(const char *path)
{
	struct members members;

	if (find_group(&members) && members.has_user)
		problem("not-in-group",
			"no permission to use %s yet: you were added to group " GROUP " after your login; log in again",
			path);
	else
		problem("not-in-group",
			"no permission to use %s: sudo usermod -aG " GROUP " $USER, then log in again",
			path);
}

/*
 * Does the administrator say who may use it? By the udev rule that is so for partitions, and
 * the whole of a device with a label is root's alone.
 */
static bool has_own_rights(const char *name)
{
	char uuid[64];

	return is_there(below("/sys/class/ivshmem/%s/partition", name)) ||
	       (find_line(below("/sys/class/ivshmem/%s/label_uuid", name), "", uuid,
			  sizeof(uuid)) && uuid[strspn(uuid, "\n")]);
}

/* Find the name of a group. */
static bool name_group(gid_t id, char *name, size_t size)
{
	FILE *file = fopen(below("/etc/group"), "re");
	bool found = false;
	struct group *group;

	while (file && !found && (group = fgetgrent(file))) {
		found = group->gr_gid == id;
		snprintf(name, size, "%s", group->gr_name);
	}
	if (file)
		fclose(file);
	return found;
}

/* A group has a node, or everybody. Without a name it may be what ours was before. */
static bool is_for_others(const struct stat *st, gid_t ours)
{
	char name[64];

	return (st->st_mode & 0006) == 0006 ||
	       ((st->st_mode & 0060) == 0060 &&
		(st->st_gid == ours || (st->st_gid && name_group(st->st_gid, name, sizeof(name)))));
}

/* The user may open a node. */
static bool is_usable(const char *path)
{
	return !access(below("%s", path), R_OK | W_OK);
}

/*
 * Who may open a node is what our udev rule says, or one of the administrator: by that it is
 * for another group, or for this user.
 */
static bool examine_rights(const char *path, const struct stat *st, gid_t group)
{
	if (is_usable(path) && (is_for_others(st, group) || geteuid()))
		return true;
	if (!is_for_others(st, group))
		problem("node-rights",
			"%s has group %u and mode %04o, not group " GROUP " (%u) and 0660 as the udev rule sets: sudo udevadm control --reload; sudo udevadm trigger --subsystem-match=ivshmem",
			path, st->st_gid, st->st_mode & 07777, group);
	else if (st->st_gid == group)
		complain_membership(path);
	return false;
}

static bool examine_node(const char *name, gid_t group)
{
	char text[NODE_TEXT], path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "/dev/%s", name);
	if (node_is_wrong(below("%s", ""), name, text)) {
		problem("node-wrong", "%s", text);
		return false;
	}
	if (stat(below("%s", path), &st)) {
		node_commands(below("%s", ""), name, text, sizeof(text));
		problem("node-missing", "%s is missing, but the driver has the device: %s", path,
			text);
		return false;
	}
	return has_own_rights(name) ? is_usable(path) : examine_rights(path, &st, group);
}

/* Nodes for other groups are no problem, unless there are no others. */
static void examine_refused(char **names, int count)
{
	char path[PATH_MAX], group[64];
	struct stat st;

	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "/dev/%s", names[i]);
		if (stat(below("%s", path), &st) || (st.st_mode & 0060) != 0060 || !st.st_gid ||
		    !name_group(st.st_gid, group, sizeof(group)))
			continue;
		problem("not-in-group",
			"no permission to use %s, or any other device: it is for the group %s: sudo usermod -aG %s $USER, then log in again",
			path, group, group);
		return;
	}
}

void examine_access(char **names, int count, json_t *usable)
{
	char path[PATH_MAX];
	struct members members;
	size_t before = count_problems();
	bool found = false;

	if (!find_group(&members)) {
		problem("group-missing",
			"no group " GROUP ", so only root can use devices: sudo groupadd --system " GROUP " && sudo udevadm control --reload && sudo udevadm trigger --subsystem-match=ivshmem");
		return;
	}
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "/dev/%s", names[i]);
		if (examine_node(names[i], members.id)) {
			json_array_append_new(usable, json_bytes(path));
			found = true;
		}
	}
	if (!found && count_problems() == before)
		examine_refused(names, count);
}

/* Group and driver are the host's; of the host's devices, some nodes are passed in. */
void examine_container(char **names, int count, bool has_server, json_t *usable)
{
	char path[PATH_MAX], text[NODE_TEXT];
	bool found = has_server;

	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "/dev/%s", names[i]);
		if (access(below("%s", path), R_OK | W_OK) ||
		    node_is_wrong(below("%s", ""), names[i], text))
			continue;
		json_array_append_new(usable, json_bytes(path));
		found = true;
	}
	if (!found)
		problem("container",
			"no device or server that you can use in this container: run 'ivshmemctl doctor' on its host, which has the driver, then pass in a node and its group, as with podman run --device /dev/ivshmem0 --group-add keep-groups, or the directory of a server's socket");
}

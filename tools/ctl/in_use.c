// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl list: nodes that drivers of another kind use. See in_use.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "in_use.h"
#include "sysfs.h"
#include "textfile.h"

struct node {
	const char *name;
	char type[32];
	char driver[NAME_MAX + 1];	/* empty: none */
	char cid_base[16];		/* of vsock; else empty */
	char **interfaces;		/* of net */
	int count;
};

static void read_driver(struct node *node)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t length;

	snprintf(path, sizeof(path), SYSFS_NODES "/%s/driver", node->name);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return;
	target[length] = '\0';
	snprintf(node->driver, sizeof(node->driver), "%s", basename(target));
}

/* False: programs can open it, or it disappears meanwhile. */
static bool read_node(struct node *node, const char *name)
{
	char path[PATH_MAX];

	*node = (struct node){ .name = name };
	snprintf(path, sizeof(path), SYSFS_CLASS "/%s", name);
	if (!access(path, F_OK))
		return false;
	snprintf(path, sizeof(path), SYSFS_NODES "/%s/type", name);
	if (read_line(path, node->type, sizeof(node->type)))
		return false;
	read_driver(node);
	snprintf(path, sizeof(path), SYSFS_NODES "/%s/cid_base", name);
	if (read_line(path, node->cid_base, sizeof(node->cid_base)))
		node->cid_base[0] = '\0';
	snprintf(path, sizeof(path), SYSFS_NODES "/%s/net", name);
	node->count = read_names(path, &node->interfaces);
	return true;
}

/* Devices have what comes first as well: programs need not know of these. */
static json_t *entry_of(const struct node *node)
{
	json_t *interfaces = json_array();

	for (int i = 0; i < node->count; i++)
		json_array_append_new(interfaces, json_bytes(node->interfaces[i]));
	return json_pack("{s:o, s:i, s:n, s:i, s:s, s:n, s:n, s:i, s:s, s:o, s:o, s:o, s:o}",
			 "name", json_bytes(node->name), "size", 0, "id", "vectors", 0,
			 "cache", "unknown", "pci", "label", "interrupts", 0,
			 "transport", "driver", "type", json_bytes(node->type),
			 "driver", *node->driver ? json_bytes(node->driver) : json_null(),
			 "interfaces", interfaces,
			 "cid_base", *node->cid_base ? json_integer(atoll(node->cid_base)) :
						       json_null());
}

static void print_line(const struct node *node)
{
	printf("%-12s  %-15s  %-15s ", node->name, node->type,
	       *node->driver ? node->driver : "none");
	for (int i = 0; i < node->count; i++)
		printf(" %s", node->interfaces[i]);
	if (*node->cid_base)
		printf(" CIDs from %s", node->cid_base);
	if (!*node->driver)
		printf(" see 'ivshmemctl doctor'");
	putchar('\n');
}

void in_use_list(int count, json_t *array)
{
	struct node node;
	char **names;
	int nodes = read_names(SYSFS_NODES, &names);
	bool first = true;

	for (int i = 0; i < nodes; i++) {
		if (!read_node(&node, names[i]))
			continue;
		if (first && !common.json)
			printf("%s%-12s  %-15s  %-15s  %s\n", count > 0 ? "\n" : "", "NODE",
			       "TYPE", "DRIVER", "USE");
		first = false;
		if (common.json)
			json_array_append_new(array, entry_of(&node));
		else
			print_line(&node);
		if (node.count >= 0)
			free_names(node.interfaces, node.count);
	}
	if (nodes >= 0)
		free_names(names, nodes);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the driver ivshmem_vsock says of its peers: see cids.h.
 */
#include <stdio.h>
#include <string.h>

#include "cids.h"
#include "sysfs.h"
#include "textfile.h"

void cids_read(const char *path, struct cids *cids)
{
	unsigned int port, cid;
	char line[256], state[16];
	FILE *file = fopen(path, "re");

	*cids = (struct cids){ .are_there = file };
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%u %u %15s", &port, &cid, state) != 3 ||
		    port >= IVSHMEM_RINGS_MAX_PORTS)
			continue;
		cids->of[port] = cid;
		cids->linked += !strcmp(state, "up");
	}
	if (file)
		fclose(file);
}

/* Is it that node, or a partition of it? */
static bool is_of(const char *node, const char *device)
{
	size_t length = strlen(device);

	return !strncmp(node, device, length) && (!node[length] || node[length] == 'p');
}

void cids_find(const char *device, struct cids *cids)
{
	char name[NAME_MAX + 1], path[PATH_MAX], **nodes;
	int count;

	*cids = (struct cids){ 0 };
	if (sysfs_name(device, name))
		return;
	count = read_names(SYSFS_NODES, &nodes);
	for (int i = 0; i < count && !cids->are_there; i++) {
		snprintf(path, sizeof(path), SYSFS_NODES "/%s/cids", nodes[i]);
		if (is_of(nodes[i], name))
			cids_read(path, cids);
	}
	if (count >= 0)
		free_names(nodes, count);
}

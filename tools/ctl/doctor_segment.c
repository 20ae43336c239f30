// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl doctor: partitions with rings. Here is what they have in common: see
 * doctor_segment.h.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor_segment.h"
#include "textfile.h"

#define AGAIN	"'ivshmemctl partition remove' and 'add' it again"

/* The driver gives a page at a time. */
static size_t read_at(int fd, void *bytes, size_t size, uint64_t offset)
{
	size_t done = 0;
	ssize_t got;

	do {
		got = pread(fd, (char *)bytes + done, size - done, (off_t)(offset + done));
		done += got > 0 ? (size_t)got : 0;
	} while (got > 0 && done < size);
	return done;
}

static void read_memory(struct segment_node *node, int fd)
{
	static uint8_t copy[IVSHMEM_LABEL_MAX_SIZE];
	const struct ivshmem_label_entry *entry;
	uint8_t header[IVSHMEM_RINGS_HEADER_SIZE] = { 0 };
	struct stat status;
	size_t length;

	if (fstat(fd, &status))
		return;
	length = read_at(fd, copy, sizeof(copy), 0);
	if (ivshmem_label_parse(copy, length, (uint64_t)status.st_size, &node->label))
		return;
	entry = &node->label.entries[node->number - 1];
	if (node->number > node->label.nr_entries || ivshmem_label_free(entry))
		return;
	read_at(fd, header, sizeof(header), entry->offset);
	node->segment.reason = ivshmem_rings_parse(header, entry->size, &node->segment.layout);
	node->entry = entry;
}

static void look_at_memory(struct segment_node *node)
{
	int fd = open(below(SYSFS_CLASS "/%s/region", node->device), O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	read_memory(node, fd);
	close(fd);
}

const char *segment_refusal(const struct segment_node *node, char text[REFUSAL_TEXT])
{
	if (!node->entry)
		return NULL;
	if (!node->label.peers)
		snprintf(text, REFUSAL_TEXT,
			 "the label has no room for peers: 'ivshmemctl format --%s --force' makes one that has, and ends all partitions",
			 node->type);
	else if (node->segment.reason)
		snprintf(text, REFUSAL_TEXT,
			 "the header of its rings is not valid: %s (%s); " AGAIN,
			 ivshmem_rings_reason_text(node->segment.reason),
			 ivshmem_rings_reason_name(node->segment.reason));
	else if (!node->entry->vectors)
		snprintf(text, REFUSAL_TEXT,
			 "the partition has no vectors: " AGAIN " with --vectors N");
	else
		return NULL;
	return text;
}

/* Who is there: this machine's slot or -1, and how many others have a port. */
static bool look_who_is_there(const struct segment_node *node, int *own, unsigned int *others)
{
	unsigned int ports = node->entry ? node->segment.layout.ports : UINT_MAX;
	FILE *file = fopen(below(SYSFS_CLASS "/%s/peers", node->device), "re");
	char line[256], who[8];
	unsigned int slot;

	*own = -1;
	*others = 0;
	if (!file)
		return false;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%u %*s %*s %7s", &slot, who) != 2)
			continue;
		if (!strcmp(who, "self"))
			*own = (int)slot;
		else if (slot < ports)
			(*others)++;
	}
	fclose(file);
	return true;
}

enum absence segment_absence(const struct segment_node *node, char text[REFUSAL_TEXT],
			     unsigned int *others)
{
	const unsigned int ports = node->segment.layout.ports;
	int own;

	if (!look_who_is_there(node, &own, others))
		return ABSENCE_HIDDEN;
	if (own < 0)
		snprintf(text, REFUSAL_TEXT,
			 "the label of /dev/%s has no slot left for this machine: see who has them with 'sudo ivshmemctl peers --device %s'",
			 node->device, node->device);
	else if (node->entry && (unsigned int)own >= ports)
		snprintf(text, REFUSAL_TEXT,
			 "this machine has slot %d, and the partition has ports for slots below %u: " AGAIN " with more --ports",
			 own, ports);
	else
		return *others ? ABSENCE_UNLINKED : ABSENCE_ALONE;
	return ABSENCE_NO_PORT;
}

static bool is_segment_node(struct segment_node *node, const char *name)
{
	char *end;

	*node = (struct segment_node){ .name = name };
	if (read_line(below(SYSFS_NODES "/%s/type", name), node->type, sizeof(node->type)) ||
	    !segment_type(node->type))
		return false;
	snprintf(node->device, sizeof(node->device), "%s", name);
	end = strrchr(node->device, 'p');
	if (!end)
		return false;
	*end = '\0';
	node->number = (unsigned int)strtoul(end + 1, NULL, 10);
	return node->number >= 1 && node->number <= IVSHMEM_LABEL_MAX_ENTRIES;
}

void examine_segments(void)
{
	static struct segment_node node;
	char **names;
	int count = read_names(below(SYSFS_NODES), &names);

	for (int i = 0; i < count; i++) {
		if (!is_segment_node(&node, names[i]))
			continue;
		look_at_memory(&node);
		if (strcmp(node.type, NET_TYPE))
			examine_vsock(&node);
		else
			examine_network(&node);
	}
	if (count >= 0)
		free_names(names, count);
}

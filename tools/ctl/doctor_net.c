// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl doctor: partitions of the type net that have no interface here, and interfaces
 * that have no carrier.
 */
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"
#include "segment.h"
#include "sysfs.h"
#include "textfile.h"

#define BUS	"/sys/bus/ivshmem/devices"
#define DRIVER	"ivshmem_net"
#define AGAIN	"'ivshmemctl partition remove' and 'add' it again"

/* A node of the type net, and what the memory says of it. */
struct network {
	const char *node;		/* ivshmem0p1 */
	char device[NAME_MAX + 1];	/* ivshmem0 */
	unsigned int number;		/* 1 */
	struct ivshmem_label label;
	const struct ivshmem_label_entry *entry;	/* NULL: this user must not see it */
	struct segment segment;
};

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

static void read_memory(struct network *network, int fd)
{
	static uint8_t copy[IVSHMEM_LABEL_MAX_SIZE];
	const struct ivshmem_label_entry *entry;
	uint8_t header[IVSHMEM_RINGS_HEADER_SIZE] = { 0 };
	struct stat status;
	size_t length;

	if (fstat(fd, &status))
		return;
	length = read_at(fd, copy, sizeof(copy), 0);
	if (ivshmem_label_parse(copy, length, (uint64_t)status.st_size, &network->label))
		return;
	entry = &network->label.entries[network->number - 1];
	if (network->number > network->label.nr_entries || ivshmem_label_free(entry))
		return;
	read_at(fd, header, sizeof(header), entry->offset);
	network->segment.reason = ivshmem_rings_parse(header, entry->size,
						      &network->segment.layout);
	network->entry = entry;
}

static void look_at_memory(struct network *network)
{
	int fd = open(below(SYSFS_CLASS "/%s/region", network->device), O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	read_memory(network, fd);
	close(fd);
}

/* Why the driver has not got it. */
static void examine_refusal(const struct network *network)
{
	const char *node = network->node;

	if (!is_there(below("/sys/module/" DRIVER)))
		problem("net-not-loaded",
			"the partition %s is a network, but the module that makes an interface of it is not loaded: sudo modprobe " DRIVER,
			node);
	else if (network->entry && !network->label.peers)
		problem("net-refused",
			"the network of %s has no interface, as the label has no room for peers: 'ivshmemctl format --net --force' makes one that has, and ends all partitions",
			node);
	else if (network->entry && network->segment.reason)
		problem("net-refused",
			"the network of %s has no interface, as the header of its rings is not valid: %s (%s); " AGAIN,
			node, ivshmem_rings_reason_text(network->segment.reason),
			ivshmem_rings_reason_name(network->segment.reason));
	else if (network->entry && !network->entry->vectors)
		problem("net-refused",
			"the network of %s has no interface, as the partition has no vectors: " AGAIN " with --vectors N",
			node);
	else
		problem("net-refused",
			"the driver " DRIVER " has not bound the partition %s: see 'sudo dmesg | grep %s'; to try again, echo %s | sudo tee /sys/bus/ivshmem/drivers_probe",
			node, node, node);
}

/* Who is there: this machine's slot or -1, and how many others have a port. */
static bool look_who_is_there(const struct network *network, int *own, unsigned int *others)
{
	unsigned int ports = network->entry ? network->segment.layout.ports : UINT_MAX;
	FILE *file = fopen(below(SYSFS_CLASS "/%s/peers", network->device), "re");
	char line[256], who[8];
	unsigned int slot;

	if (!file)
		return false;
	*own = -1;
	*others = 0;
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

static void examine_carrier(const struct network *network, const char *interface)
{
	const unsigned int ports = network->segment.layout.ports;
	unsigned int others;
	int own;

	if (!look_who_is_there(network, &own, &others))
		problem("net-no-carrier",
			"the interface %s has no carrier: run this as root, who may see which machines are there",
			interface);
	else if (own < 0)
		problem("net-no-port",
			"the interface %s has no carrier, as the label of /dev/%s has no slot left for this machine: see who has them with 'sudo ivshmemctl peers --device %s'",
			interface, network->device, network->device);
	else if (network->entry && (unsigned int)own >= ports)
		problem("net-no-port",
			"the interface %s has no carrier, as this machine has slot %d, and the partition has ports for slots below %u: " AGAIN " with more --ports",
			interface, own, ports);
	else if (!others)
		problem("net-alone",
			"the interface %s has no carrier, as no other machine is there: have others share the memory and load the driver, or run 'ivshmemctl net' on their host",
			interface);
	else
		problem("net-unlinked",
			"the interface %s has no carrier: of the machines there (%u) none has this network: load " DRIVER " there and set its interface up, or run 'ivshmemctl net' on a host",
			interface, others);
}

static void examine_interface(const struct network *network, const char *interface)
{
	char text[32];

	if (read_line(below(BUS "/%s/net/%s/flags", network->node, interface), text, sizeof(text)))
		return;
	if (!(strtoul(text, NULL, 16) & IFF_UP))
		problem("net-down", "the interface %s of %s is down: sudo ip link set %s up",
			interface, network->node, interface);
	else if (read_line(below(BUS "/%s/net/%s/carrier", network->node, interface), text,
			   sizeof(text)) || strcmp(text, "1"))
		examine_carrier(network, interface);
}

/* One that was moved to another network namespace is not seen here. */
static void examine_network(const struct network *network)
{
	char **names;
	int count;

	if (!is_there(below(BUS "/%s/driver", network->node))) {
		examine_refusal(network);
		return;
	}
	count = read_names(below(BUS "/%s/net", network->node), &names);
	for (int i = 0; i < count; i++)
		examine_interface(network, names[i]);
	if (count >= 0)
		free_names(names, count);
}

static bool is_network(struct network *network, const char *node)
{
	char type[32], *end;

	*network = (struct network){ .node = node };
	if (read_line(below(BUS "/%s/type", node), type, sizeof(type)) ||
	    strcmp(type, NET_TYPE))
		return false;
	snprintf(network->device, sizeof(network->device), "%s", node);
	end = strrchr(network->device, 'p');
	if (!end)
		return false;
	*end = '\0';
	network->number = (unsigned int)strtoul(end + 1, NULL, 10);
	return network->number >= 1 && network->number <= IVSHMEM_LABEL_MAX_ENTRIES;
}

void examine_networks(void)
{
	static struct network network;
	char **names;
	int count = read_names(below(BUS), &names);

	for (int i = 0; i < count; i++)
		if (is_network(&network, names[i])) {
			look_at_memory(&network);
			examine_network(&network);
		}
	if (count >= 0)
		free_names(names, count);
}

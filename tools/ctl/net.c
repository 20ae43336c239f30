// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl net: a network interface of this machine at a port of a segment, by a tap device.
 *
 * Here: the options, and finding the partition. net_loop.c moves frames.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../src/core/bytes.h"
#include "labelled.h"
#include "net.h"
#include "sysfs.h"

static struct {
	const char *partition;
	const char *tap;
} option;

static enum exit_code complain_choice(const struct labelled *region, bool several)
{
	const char *name = region->device.name;

	if (option.partition)
		return complain(EXIT_FAILED,
				"%s has no partition '%.40s' of the type net: see 'ivshmemctl partition list'",
				name, option.partition);
	if (several)
		return complain(EXIT_USAGE,
				"%s has several partitions of the type net: name one of them, 'ivshmemctl partition list' shows them",
				name);
	return complain(EXIT_FAILED,
			"%s has no partition of the type net: 'ivshmemctl partition add net --type net' makes one, if there is space",
			name);
}

/* The one that the user names, or the only one. */
static enum exit_code choose(struct labelled *region, struct ivshmem_label_entry **chosen)
{
	bool several = false;

	*chosen = NULL;
	for (unsigned int i = 0; i < region->label.nr_entries; i++) {
		struct ivshmem_label_entry *entry = &region->label.entries[i];

		if (strcmp(entry->type, NET_TYPE) ||
		    (option.partition && strcmp(option.partition, entry->name)))
			continue;
		several |= *chosen != NULL;
		*chosen = entry;
	}
	return *chosen && !several ? EXIT_OK : complain_choice(region, several);
}

static enum exit_code check_header(const struct labelled *region, const struct segment *segment,
				   const struct ivshmem_label_entry *entry)
{
	enum ivshmem_rings_reason reason = segment->reason;

	if (!region->label.peers)
		return complain(EXIT_FAILED,
				"the label of %s has no room for peers, and a port is a peer: 'ivshmemctl format --net --force' makes one that has, and ends all partitions",
				region->device.name);
	if (reason)
		return complain(EXIT_CORRUPTED,
				"partition %s of %s has no valid header: %s (%s); remove it and add it again",
				entry->name, region->device.name,
				ivshmem_rings_reason_text(reason),
				ivshmem_rings_reason_name(reason));
	if (!segment->layout.broadcast_entries)
		return complain(EXIT_FAILED,
				"partition %s of %s has no rings to all, which Ethernet needs: remove it and add it again",
				entry->name, region->device.name);
	if (!entry->vectors)
		return complain(EXIT_FAILED,
				"partition %s of %s has no vectors, so nobody can be rung: remove it and add it again with --vectors N",
				entry->name, region->device.name);
	return EXIT_OK;
}

/* A driver that has the partition is the port of this machine. */
static enum exit_code check_driver(const struct device *device, unsigned int partition)
{
	char path[PATH_MAX], target[PATH_MAX], name[NAME_MAX + 1];
	ssize_t length;

	if (device->properties.transport != IVSHMEM_TRANSPORT_DEVICE ||
	    sysfs_name(device->name, name))
		return EXIT_OK;
	snprintf(path, sizeof(path), SYSFS_NODES "/%.64sp%u/driver", name, partition);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return EXIT_OK;
	target[length] = '\0';
	if (strcmp(basename(target), "ivshmem_net"))
		return EXIT_OK;
	return complain(EXIT_FAILED,
			"the driver ivshmem_net has %sp%u already: this machine has its interface, see 'ip link'",
			name, partition);
}

/*
 * Of the label and the partition, so that machines that boot again keep their addresses. Locally
 * administered; the last byte is the port.
 */
static void make_address(const struct labelled *region, unsigned int partition, uint8_t address[6])
{
	uint8_t seed[sizeof(region->label.uuid) + 1];
	uint32_t hash;

	memcpy(seed, region->label.uuid, sizeof(region->label.uuid));
	seed[sizeof(region->label.uuid)] = (uint8_t)partition;
	hash = ivshmem_checksum(seed, sizeof(seed), sizeof(seed));
	address[0] = 0x02;
	memcpy(address + 1, &hash, sizeof(hash));
}

static enum exit_code find(struct net *net, struct labelled *region)
{
	struct ivshmem_label_entry *entry;
	const struct segment *segment;
	unsigned int number;
	enum exit_code code = choose(region, &entry);

	if (code)
		return code;
	number = entry_number(&region->label, entry);
	segment = entry_segment(region, entry);
	code = check_header(region, segment, entry);
	if (!code)
		code = check_driver(&region->device, number);
	if (code)
		return code;
	snprintf(net->partition, sizeof(net->partition), "%s", entry->name);
	net->port.layout = segment->layout;
	make_address(region, number, net->address);
	return EXIT_OK;
}

/* The label is read by a look that takes no slot. */
static enum exit_code find_partition(struct net *net)
{
	static struct labelled region;
	enum exit_code code = device_choose(&region.device.name);
	unsigned int flags = IVSHMEM_READ_ONLY;
	int error;

	if (code)
		return code;
	if (device_is_server(region.device.name))
		flags = 0;
	code = labelled_open_good(&region, flags);
	if (code)
		return code;
	code = find(net, &region);
	if (!code && region.device.properties.transport == IVSHMEM_TRANSPORT_SERVER) {
		error = seat_prepare(&net->seat, region.device.handle);
		if (error)
			code = device_complain(&region.device, error, "find a slot");
	}
	labelled_close(&region);
	return code;
}

static enum exit_code open_partition(struct net *net)
{
	struct device *device = &net->device;
	enum exit_code code = device_choose(&device->name);
	int error;

	if (code)
		return code;
	error = ivshmem_open_partition(&device->handle, device->name, net->partition, 0);
	if (error)
		return device_complain(device, error, "open the partition");
	error = ivshmem_get_properties(device->handle, &device->properties);
	if (!error && !device->properties.vectors)
		code = device_need_ringing(device);
	if (error)
		code = device_complain(device, error, "read the properties");
	if (!code)
		code = device_map(device, 0, device->properties.size, &net->mapping);
	if (code)
		ivshmem_close(device->handle);
	return code;
}

static enum exit_code run(struct net *net)
{
	enum exit_code code = open_partition(net);

	if (code)
		return code;
	code = tap_open(&net->tap, option.tap, net->port.layout.bytes >= IVSHMEM_FRAME_MAX);
	if (!code) {
		code = net_loop(net);
		tap_close(&net->tap);
	}
	device_unmap(&net->device, &net->mapping);
	device_close(&net->device);
	return code;
}

static error_t parse_net(int key, char *argument, struct argp_state *state)
{
	switch (key) {
	case 't':
		option.tap = argument;
		if (!*argument || strlen(argument) >= IFNAMSIZ || strchr(argument, '/'))
			complain_usage(state, "invalid name '%.40s' of an interface: 1 to 15 characters without '/'",
				       argument);
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num)
			return ARGP_ERR_UNKNOWN;
		option.partition = argument;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option net_options[] = {
	{ "tap", 't', "NAME", 0, "Name of the interface (default: ivs and a number)", 0 },
	{ 0 }
};

static const struct argp net_argp = {
	.options = net_options,
	.parser = parse_net,
	.args_doc = "[PARTITION]",
	.doc = "Give this machine an Ethernet interface to all others at a PARTITION of the type net (default: the only one), until interrupted.\vThis is for hosts, and for guests without the driver ivshmem_net. The interface is a tap device, which goes in the end, unless it was there before.",
	.children = with_device_and_json,
};

int verb_net(int argc, char **argv)
{
	static struct net net;
	enum exit_code code;

	argp_parse(&net_argp, argc, argv, 0, NULL, NULL);
	code = find_partition(&net);
	return code ? code : run(&net);
}

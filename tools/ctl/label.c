// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl format, label, wipe: the label of a region as a whole.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "../../src/core/peer_area.h"
#include "new_partition.h"
#include "numbers.h"

#define PEERS		16
#define DOORBELLS	4
#define DATA_ALIGNMENT	0x10000		/* the largest pages of common machines */

static struct labelled region;

static struct {
	uint64_t peers;
	uint64_t doorbells;
	struct new_partition segments[2];	/* as the user named them */
	unsigned int count;
	uint64_t ports;
	bool force;
} option = { .peers = PEERS, .doorbells = DOORBELLS, .ports = NOT_GIVEN };

static uint64_t align_up(uint64_t n, uint64_t alignment)
{
	return (n + alignment - 1) / alignment * alignment;
}

static void lay_out(struct ivshmem_label *label)
{
	uint64_t fixed = IVSHMEM_LABEL_HEADER_SIZE +
			 IVSHMEM_LABEL_MAX_ENTRIES * IVSHMEM_LABEL_ENTRY_SIZE;
	uint64_t section = IVSHMEM_LABEL_RUNG_OFFSET +
			   4 * option.peers * (1 + option.doorbells);

	*label = (struct ivshmem_label){
		.generation = 1,
		.region_size = region.device.properties.size,
		.data_offset = align_up(fixed, IVSHMEM_LABEL_ALIGNMENT),
		.header_size = IVSHMEM_LABEL_HEADER_SIZE,
		.entry_size = IVSHMEM_LABEL_ENTRY_SIZE,
		.nr_entries = IVSHMEM_LABEL_MAX_ENTRIES,
	};
	if (option.peers) {
		label->peers = (uint16_t)option.peers;
		label->bell_vectors = (uint16_t)option.doorbells;
		label->peer_size = (uint32_t)align_up(section, IVSHMEM_LABEL_ALIGNMENT);
		label->peers_offset = label->data_offset;
		label->data_offset += option.peers * label->peer_size;
	}
	label->data_offset = align_up(label->data_offset, DATA_ALIGNMENT);
}

/* Random, version 4. */
static enum exit_code make_uuid(uint8_t uuid[16])
{
	if (getrandom(uuid, 16, 0) != 16)
		return complain(EXIT_FAILED, "no random numbers: %s", strerror(errno));
	uuid[6] = (uuid[6] & 0x0f) | 0x40;
	uuid[8] = (uuid[8] & 0x3f) | 0x80;
	return EXIT_OK;
}

/* Without a magic, nobody takes what is half there for a label. */
static void clear(const struct mapping *area, bool had_peers)
{
	memset(area->bytes, 0, 8);
	atomic_thread_fence(memory_order_release);
	/* Peers write to their sections until they see that. */
	if (had_peers)
		usleep(2000 * IVSHMEM_BEAT_MS);
	memset(area->bytes, 0, area->length);
}

static bool is_zero(const uint8_t *bytes, size_t n)
{
	return !n || (!bytes[0] && !memcmp(bytes, bytes + 1, n - 1));
}

/* Map what is before the data of a label. */
static enum exit_code map_area(const struct ivshmem_label *label, struct mapping *area)
{
	return device_map(&region.device, 0, label->data_offset, area);
}

static enum exit_code check_empty(const struct mapping *area)
{
	if (option.force || is_zero(area->bytes, area->length))
		return EXIT_OK;
	if (!region.reason)
		return complain(EXIT_FAILED,
				"not done: %s has a label already, see 'ivshmemctl label'; --force replaces it, and its partitions are gone",
				region.device.name);
	return complain(EXIT_FAILED,
			"not done: the first %zu bytes of %s are in use, as they are not all 0; --force overwrites them",
			area->length, region.device.name);
}

/* The one that gets what is left comes last. */
static enum exit_code add_segments(void)
{
	struct ivshmem_label_entry *entry;
	enum exit_code code = EXIT_OK;

	for (unsigned int i = 0; !code && i < 2 * option.count; i++) {
		struct new_partition *segment = &option.segments[i % option.count];

		segment->ports = option.ports;
		if ((segment->size == NOT_GIVEN) == (i >= option.count))
			code = partition_make(&region, segment, &entry);
	}
	return code;
}

static enum exit_code store_new(const struct ivshmem_label *label)
{
	struct mapping area;
	enum exit_code code = map_area(label, &area);
	bool had_peers = false;

	if (code)
		return code;
	code = check_empty(&area);
	if (!code) {
		had_peers = !region.reason && region.label.peers;
		memset(region.copy, 0, sizeof(region.copy));
		region.label = *label;
		code = add_segments();
	}
	/* Before the table of peers is cleared. */
	if (!code)
		labelled_warn_of_peers(&region);
	if (!code && !region.dry_run)
		clear(&area, had_peers);
	if (!code)
		code = labelled_store(&region);
	device_unmap(&region.device, &area);
	return code;
}

static enum exit_code print_all(void)
{
	if (common.json)
		return print_json(stdout, label_json(&region), false);
	print_label(&region);
	putchar('\n');
	print_partitions(&region);
	return EXIT_OK;
}

static enum exit_code format(void)
{
	static struct ivshmem_label label;
	enum exit_code code;

	lay_out(&label);
	if (label.data_offset >= label.region_size)
		return complain(EXIT_USAGE,
				"%s is too small: %llu bytes are needed before the first partition; see --peers and --doorbells",
				region.device.name, label.data_offset);
	code = make_uuid(label.uuid);
	if (!code)
		code = store_new(&label);
	if (code)
		return code;
	if (option.count || common.json)
		return print_all();
	print_label(&region);
	return EXIT_OK;
}

static void take_segment(struct argp_state *state, const char *type, const char *size)
{
	struct new_partition *segment = &option.segments[option.count];

	for (unsigned int i = 0; i < option.count; i++)
		if (!strcmp(option.segments[i].type, type))
			argp_error(state, "--%s is given twice", type);
	*segment = (struct new_partition)NEW_PARTITION;
	segment->name = type;
	segment->type = type;
	if (size)
		segment->size = argument_partition_size(state, size);
	option.count++;
}

/* The size of the segment before it. */
static error_t take_size(struct argp_state *state, const char *size)
{
	struct new_partition *segment;

	if (!option.count)
		return ARGP_ERR_UNKNOWN;
	segment = &option.segments[option.count - 1];
	if (segment->size != NOT_GIVEN)
		return ARGP_ERR_UNKNOWN;
	segment->size = argument_partition_size(state, size);
	return 0;
}

static void check_segments(struct argp_state *state)
{
	if (option.ports != NOT_GIVEN && !option.count)
		argp_error(state, "--ports needs --net or --vsock");
	if (option.count == 2 && option.segments[0].size == NOT_GIVEN &&
	    option.segments[1].size == NOT_GIVEN)
		argp_error(state, "--net or --vsock needs a SIZE, as each gets all that is left");
}

static error_t parse_format(int key, char *argument, struct argp_state *state)
{
	switch (key) {
	case 'p':
		option.peers = argument_size(state, "--peers", argument,
					     IVSHMEM_LABEL_MAX_PEERS);
		return 0;
	case 'b':
		option.doorbells = argument_size(state, "--doorbells", argument,
						 IVSHMEM_LABEL_MAX_VECTORS);
		return 0;
	case 'N':
		take_segment(state, NET_TYPE, argument);
		return 0;
	case 's':
		take_segment(state, VSOCK_TYPE, argument);
		return 0;
	case ARGP_KEY_ARG:
		return take_size(state, argument);
	case 'P':
		option.ports = argument_size(state, "--ports", argument, IVSHMEM_RINGS_MAX_PORTS);
		return 0;
	case 'n':
		region.dry_run = true;
		return 0;
	case 'f':
		option.force = true;
		return 0;
	case ARGP_KEY_END:
		check_segments(state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option format_options[] = {
	{ "peers", 'p', "N", 0, "Slots for peers (default: 16; 0: none)", 0 },
	{ "doorbells", 'b', "N", 0, "Polled doorbells of each peer (default: 4)", 0 },
	{ "net", 'N', "SIZE", OPTION_ARG_OPTIONAL, "With a partition of the type net (default: of all that is left)", 0 },
	{ "vsock", 's', "SIZE", OPTION_ARG_OPTIONAL, "With a partition of the type vsock (default: of all that is left)", 0 },
	{ "ports", 'P', "N", 0, "Divide these over the rings of N ports (default: one per slot)", 0 },
	{ "dry-run", 'n', NULL, 0, "Print what would be, and write nothing", 0 },
	{ "force", 'f', NULL, 0, "Overwrite what is at the start of the region", 0 },
	{ 0 }
};

static const struct argp format_argp = {
	.options = format_options,
	.parser = parse_format,
	.args_doc = "\n--net [SIZE]\n--vsock [SIZE]",
	.doc = "Write a label to the start of the region, if that is empty. It has no partitions, or one for Ethernet or one for vsock between all machines, or both.",
	.children = with_device_and_json,
};

int verb_format(int argc, char **argv)
{
	enum exit_code code;

	argp_parse(&format_argp, argc, argv, ARGP_IN_ORDER, NULL, NULL);
	code = labelled_open(&region, region.dry_run ? IVSHMEM_READ_ONLY : 0);
	if (code)
		return code;
	code = format();
	labelled_close(&region);
	return code;
}

static const struct argp label_argp = {
	.doc = "Show the label of a region, and its partitions.",
	.children = with_device_and_json,
};

int verb_label(int argc, char **argv)
{
	enum exit_code code;

	argp_parse(&label_argp, argc, argv, 0, NULL, NULL);
	code = labelled_open_good(&region, IVSHMEM_READ_ONLY);
	if (code)
		return code;
	code = print_all();
	labelled_close(&region);
	return code;
}

/* A bad label says nothing about what is behind it that can be believed. */
static enum exit_code wipe(void)
{
	struct ivshmem_label *label = &region.label;
	struct mapping area;
	enum exit_code code;

	if (region.reason)
		label->data_offset = region.length;
	if (!option.force)
		return complain(EXIT_FAILED,
				"not done: this overwrites the first %llu bytes of %s with 0, and its partitions are gone; repeat it with --force",
				label->data_offset, region.device.name);
	code = map_area(label, &area);
	if (code)
		return code;
	labelled_warn_of_peers(&region);
	clear(&area, !region.reason && label->peers);
	device_unmap(&region.device, &area);
	return EXIT_OK;
}

static const struct argp_option wipe_options[] = {
	{ "force", 'f', NULL, 0, "Do it", 0 },
	{ 0 }
};

static const struct argp wipe_argp = {
	.options = wipe_options,
	.parser = parse_format,
	.doc = "Remove the label of a region, whether it is good or bad. What is in its partitions stays.",
	.children = with_device,
};

int verb_wipe(int argc, char **argv)
{
	enum exit_code code;

	argp_parse(&wipe_argp, argc, argv, 0, NULL, NULL);
	code = labelled_open(&region, 0);
	if (code)
		return code;
	if (region.reason == IVSHMEM_LABEL_NONE)
		code = complain(EXIT_FAILED, "%s has no label", region.device.name);
	else
		code = wipe();
	labelled_close(&region);
	return code;
}

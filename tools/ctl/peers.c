// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl peers: who is present, on a device, a partition, a file or a server. Here: what is
 * asked, and the table of those that the peer area of a label names.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cids.h"
#include "peers.h"
#include "printable.h"

static struct {
	uint64_t count;
	bool watch;
} option;

static struct cids cids;	/* of the device that is shown */

/* 0: it has none. */
static unsigned int cid_of(const struct ivshmem_peer *peer)
{
	return peer->slot < IVSHMEM_RINGS_MAX_PORTS ? cids.of[peer->slot] : 0;
}

static void print_cid(const struct ivshmem_peer *peer)
{
	if (!cids.are_there)
		return;
	if (cid_of(peer))
		printf("%10u  ", cid_of(peer));
	else
		printf("%10s  ", "-");
}

static void print_table(const struct present *present)
{
	printf("%4s %8s  %-8s %8s  %-4s  ", "SLOT", "ID", "KIND", "SILENT", "SELF");
	if (cids.are_there)
		printf("%10s  ", "CID");
	puts("NAME");
	for (size_t i = 0; i < present->count; i++) {
		const struct ivshmem_peer *peer = &present->list[i];

		printf("%4u %8u  %-8s %6.1f s  %-4s  ", peer->slot, peer->id,
		       present_kind(peer), (double)peer->silent_ns / 1e9,
		       peer->self ? "yes" : "no");
		print_cid(peer);
		print_printable(peer->name);
		putchar('\n');
	}
}

static json_t *as_json(const struct device *device, const struct present *present)
{
	json_t *list = present_list_json(present);

	for (size_t i = 0; cids.are_there && i < present->count; i++) {
		unsigned int cid = cid_of(&present->list[i]);

		json_object_set_new(json_array_get(list, i), "cid",
				    cid ? json_integer(cid) : json_null());
	}
	return json_pack("{s:o, s:o}", "device", json_bytes(device->name), "peers", list);
}

static enum exit_code show(const struct device *device)
{
	struct present present = { 0 };
	int error = present_begin(device, &present);
	enum exit_code code = error ? present_complain(device, error) : EXIT_OK;

	if (device->properties.transport == IVSHMEM_TRANSPORT_DEVICE)
		cids_find(device->name, &cids);
	if (!code && common.json)
		code = print_json(stdout, as_json(device, &present), false);
	else if (!code)
		print_table(&present);
	present_free(&present);
	return code;
}

static error_t parse_peers(int key, char *argument, struct argp_state *state)
{
	switch (key) {
	case 'w':
		option.watch = true;
		return 0;
	case 'c':
		option.count = argument_count(state, "--count", argument);
		return 0;
	case ARGP_KEY_END:
		if (option.count && !option.watch)
			argp_error(state, "--count needs --watch");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option peers_options[] = {
	{ "watch", 'w', NULL, 0, "Go on: print a line for each peer that comes or goes", 0 },
	{ "count", 'c', "N", 0, "With --watch: exit after N of them", 0 },
	{ 0 }
};

static const struct argp peers_argp = {
	.options = peers_options,
	.parser = parse_peers,
	.doc = "Show who is present: on a device, a partition or a file, by the label; of a server, without joining it.",
	.children = with_device_and_json,
};

int verb_peers(int argc, char **argv)
{
	struct device device;
	enum exit_code code;

	argp_parse(&peers_argp, argc, argv, 0, NULL, NULL);
	code = device_choose(&device.name);
	if (code)
		return code;
	if (device_is_server(device.name) && option.watch)
		return complain(EXIT_USAGE,
				"%s is a server, of which --watch shows nothing: its log tells who comes and goes",
				device.name);
	if (device_is_server(device.name))
		return peers_of_server(device.name);
	/* To look takes no slot. */
	code = device_open(&device, IVSHMEM_READ_ONLY);
	if (code)
		return code;
	code = option.watch ? peers_watch(&device, option.count) : show(&device);
	device_close(&device);
	return code;
}

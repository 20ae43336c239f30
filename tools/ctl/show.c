// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl list, info: all devices and servers in brief, one device in full.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "in_use.h"
#include "labelled.h"
#include "node.h"
#include "numbers.h"
#include "present.h"
#include "servers.h"
#include "sysfs.h"
#include "textfile.h"

static const char *cache_name(uint32_t cache)
{
	switch (cache) {
	case IVSHMEM_CACHE_WB:
		return "wb";
	case IVSHMEM_CACHE_WC:
		return "wc";
	case IVSHMEM_CACHE_UC:
		return "uc";
	default:
		return "unknown";
	}
}

static const char *transport_name(enum ivshmem_transport transport)
{
	switch (transport) {
	case IVSHMEM_TRANSPORT_SERVER:
		return "server";
	case IVSHMEM_TRANSPORT_FILE:
		return "file";
	default:
		return "device";
	}
}

static json_t *json_text(const char *text)
{
	return *text ? json_bytes(text) : json_null();
}

static const char *text_id(uint32_t id, char text[16])
{
	if (id == IVSHMEM_ID_UNKNOWN)
		return "unknown";
	snprintf(text, 16, "%u", id);
	return text;
}

/* What partitions have besides. */
static void add_partition(json_t *object, const struct sysfs_device *device)
{
	if (!*device->parent)
		return;
	json_object_set_new(object, "parent", json_bytes(device->parent));
	json_object_set_new(object, "offset", json_integer((json_int_t)device->offset));
}

static json_t *list_entry(const struct sysfs_device *device)
{
	json_t *entry = json_pack("{s:o, s:I, s:o, s:i, s:o, s:o, s:o, s:I, s:s}",
			 "name", json_bytes(device->name),
			 "size", (json_int_t)device->size,
			 "id", json_id(device->id),
			 "vectors", (int)device->vectors,
			 "cache", json_bytes(device->cache),
			 "pci", json_text(device->pci), "label", json_text(device->label),
			 "interrupts", (json_int_t)sysfs_total(device),
			 "transport", transport_name(IVSHMEM_TRANSPORT_DEVICE));

	add_partition(entry, device);
	return entry;
}

static void list_line(const struct sysfs_device *device)
{
	char size[SIZE_TEXT], id[16];

	printf("%-12s %10s %8s %8u %6s %11" PRIu64 "  %s%s%s\n", device->name,
	       format_size(size, (double)device->size),
	       text_id(device->id, id), device->vectors, device->cache,
	       sysfs_total(device), device->parent, *device->parent ? ": " : "",
	       *device->pci && !*device->parent ? device->pci : device->label);
}

static const struct argp list_argp = {
	.doc = "Show the ivshmem devices of this machine, and its servers.",
	.children = with_json,
};

static void list_devices(char **names, int count, json_t *array)
{
	struct sysfs_device device;
	char text[NODE_TEXT];

	if (count && !common.json)
		printf("%-12s %10s %8s %8s %6s %11s  %s\n", "NAME", "SIZE", "ID",
		       "VECTORS", "CACHE", "INTERRUPTS", "FROM");
	for (int i = 0; i < count; i++) {
		/* Skip a device that disappears meanwhile. */
		if (sysfs_read(names[i], &device))
			continue;
		if (common.json)
			json_array_append_new(array, list_entry(&device));
		else
			list_line(&device);
	}
	for (int i = 0; i < count; i++)
		if (node_is_wrong("", names[i], text))
			complain(EXIT_OK, "note: %s", text);
}

int verb_list(int argc, char **argv)
{
	enum exit_code code = EXIT_OK;
	char **names, **sockets;
	int count, servers;
	json_t *array;

	argp_parse(&list_argp, argc, argv, 0, NULL, NULL);
	count = sysfs_names(&names);
	if (count < 0)
		return complain(EXIT_FAILED, "cannot read " SYSFS_CLASS ": %s",
				strerror(-count));
	servers = servers_find("", &sockets);
	if (servers < 0)
		complain(EXIT_FAILED, "cannot look for servers: %s", strerror(-servers));
	if (count == 0 && servers == 0 && !common.json)
		complain(EXIT_OK, "note: no ivshmem device and no server: run 'ivshmemctl doctor'; on a host, start a server with 'ivshmem-server -S SOCKET'");
	array = json_array();
	list_devices(names, count, array);
	free_names(names, count);
	in_use_list(count, array);
	if (count && servers > 0 && !common.json)
		putchar('\n');
	servers_list(sockets, servers, array);
	free_names(sockets, servers);
	if (common.json)
		code = print_json(stdout, array, false);
	else
		json_decref(array);
	return servers < 0 ? EXIT_FAILED : code;
}

/* The device's page in sysfs; on a server's socket there is none. */
static bool find_in_sysfs(const struct device *device, struct sysfs_device *entry)
{
	char name[NAME_MAX + 1];

	return device->properties.transport == IVSHMEM_TRANSPORT_DEVICE &&
	       !sysfs_name(device->name, name) && !sysfs_read(name, entry);
}

static json_t *info_json(const struct device *device,
			 const struct sysfs_device *entry,
			 const uint32_t *peers, int npeers)
{
	const struct ivshmem_properties *p = &device->properties;
	json_t *info = json_pack("{s:o, s:s, s:I, s:o, s:i, s:s, s:b}",
				 "device", json_bytes(device->name),
				 "transport", transport_name(p->transport),
				 "size", (json_int_t)p->size,
				 "id", json_id(p->id),
				 "vectors", (int)labelled_vectors(device),
				 "cache", cache_name(p->cache),
				 "mapped_registers", p->mapped_registers);

	if (info && entry) {
		json_t *counts = json_array();

		for (uint32_t v = 0; v < entry->vectors; v++)
			json_array_append_new(counts, json_integer(
				(json_int_t)entry->interrupts[v]));
		json_object_set_new(info, "name", json_bytes(entry->name));
		json_object_set_new(info, "pci", json_text(entry->pci));
		json_object_set_new(info, "label", json_text(entry->label));
		json_object_set_new(info, "interrupts", counts);
		add_partition(info, entry);
	}
	if (info && npeers >= 0) {
		json_t *ids = json_array();

		for (int i = 0; i < npeers; i++)
			json_array_append_new(ids, json_integer(peers[i]));
		json_object_set_new(info, "peers", ids);
	}
	return info;
}

static void info_text(const struct device *device,
		      const struct sysfs_device *entry,
		      const uint32_t *peers, int npeers)
{
	const struct ivshmem_properties *p = &device->properties;
	uint32_t vectors = labelled_vectors(device);
	bool polled = vectors != p->vectors;
	char size[SIZE_TEXT], id[16];

	printf("device        %s\n", device->name);
	if (entry && strcmp(entry->name, device->name))
		printf("name          %s\n", entry->name);
	if (entry && *entry->parent)
		printf("partition     %s, at %#" PRIx64 " of %s\n", entry->label, entry->offset,
		       entry->parent);
	printf("transport     %s\n", transport_name(p->transport));
	printf("size          %" PRIu64 " (%s)\n", p->size,
	       format_size(size, (double)p->size));
	printf("id            %s\n", polled ? "none (to look takes no slot)" : text_id(p->id, id));
	if (vectors)
		printf("vectors       %u\n", vectors);
	else
		printf("vectors       0 (peers cannot ring)\n");
	printf("cache         %s\n", cache_name(p->cache));
	printf("ringing       %s\n", polled ? "by counting in the memory" :
	       !p->can_ring ? "not possible" :
	       p->mapped_registers ? "by mapped register" : "by system call");
	if (entry && *entry->pci)
		printf("pci           %s\n", entry->pci);
	if (entry && *entry->label && !*entry->parent)
		printf("label         %s\n", entry->label);
	for (uint32_t v = 0; entry && v < entry->vectors; v++)
		printf("interrupts %-3u%" PRIu64 "\n", v, entry->interrupts[v]);
	if (npeers >= 0)
		printf("peers        ");
	for (int i = 0; i < npeers; i++)
		printf(" %u", peers[i]);
	if (npeers >= 0)
		printf("%s\n", npeers ? "" : " none");
}

static const struct argp info_argp = {
	.doc = "Show one device in full: size, own id, vectors, interrupts and, for a server socket, the peers.",
	.children = with_device_and_json,
};

int verb_info(int argc, char **argv)
{
	struct sysfs_device entry;
	struct device device;
	enum exit_code code;
	uint32_t *peers;
	bool known;
	int npeers;

	argp_parse(&info_argp, argc, argv, 0, NULL, NULL);
	code = device_open(&device, IVSHMEM_READ_ONLY);
	if (code)
		return code;
	known = find_in_sysfs(&device, &entry);
	present_settle(&device);
	npeers = device_peers(&device, &peers);
	if (npeers < 0 && npeers != -EOPNOTSUPP) {
		code = device_complain(&device, npeers, "list the peers");
	} else if (common.json) {
		code = print_json(stdout, info_json(&device, known ? &entry : NULL,
						    peers, npeers), false);
	} else {
		info_text(&device, known ? &entry : NULL, peers, npeers);
	}
	if (npeers >= 0)
		free(peers);
	device_close(&device);
	return code;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who is present: see present.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "labelled.h"
#include "present.h"
#include "progress.h"

#define FIRST_ROOM	16
#define MS		INT64_C(1000000)
#define LOOK_MS		50
#define BEATS_MS	400	/* all who live have been heard of */
#define SILENT_MS	300	/* longer than they may be silent */
#define PATIENCE_MS	5000

static bool make_room(struct present *present, size_t room)
{
	struct ivshmem_peer *larger = reallocarray(present->list, room, sizeof(*larger));

	if (larger)
		present->list = larger;
	return larger;
}

int present_look(const struct device *device, struct present *present)
{
	size_t room = FIRST_ROOM;

	present->count = 0;
	for (;;) {
		int count;

		if (!make_room(present, room))
			return -ENOMEM;
		count = ivshmem_list_peers(device->handle, present->list, room);
		if (count < 0)
			return count;
		if ((size_t)count <= room) {
			present->count = (size_t)count;
			return 0;
		}
		room = (size_t)count;
	}
}

void present_free(struct present *present)
{
	free(present->list);
}

/* Are there others of whom nothing was heard for so long? */
static bool has_silent(const struct present *present, uint64_t ms)
{
	for (size_t i = 0; i < present->count; i++)
		if (!present->list[i].self && present->list[i].silent_ns >= ms * MS)
			return true;
	return false;
}

/* The library leaves out who stays silent. */
static int listen_for_life(const struct device *device, struct present *present)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * MS };
	int64_t start = now_ns(), passed = 0;
	int error = 0;

	progress_wait("the peers of %s", device->name);
	while (!error && !stopped && passed < PATIENCE_MS * MS &&
	       has_silent(present, passed < BEATS_MS * MS ? 0 : SILENT_MS)) {
		nanosleep(&pause, NULL);
		error = present_look(device, present);
		passed = now_ns() - start;
	}
	progress_erase();
	return error;
}

int present_begin(const struct device *device, struct present *present)
{
	int error = present_look(device, present);

	if (!error && device->properties.transport == IVSHMEM_TRANSPORT_FILE)
		error = listen_for_life(device, present);
	return error;
}

void present_settle(const struct device *device)
{
	struct present present = { 0 };

	present_begin(device, &present);
	present_free(&present);
}

static bool label_has_area(const struct device *device)
{
	static struct ivshmem_label label;

	return labelled_look(device, &label) && label.peers;
}

static enum exit_code complain_no_area(const struct device *device)
{
	const char *name = device->name;
	char parent[NAME_MAX + 1];

	if (device_parent(device, parent))
		return complain(EXIT_FAILED,
				"nobody says who is there on %s: the label of its device has no room for peers; 'ivshmemctl format --device /dev/%s' makes one that has, then run 'ivshmemctl rescan'",
				name, parent);
	if (device->properties.transport == IVSHMEM_TRANSPORT_FILE)
		return complain(EXIT_FAILED,
				"nobody says who is there on %s: it has no label with room for peers; 'ivshmemctl format --device %s' makes one",
				name, name);
	if (label_has_area(device))
		return complain(EXIT_FAILED,
				"the driver does not look who is there on %s, though the label has room for peers: run 'ivshmemctl rescan', then see 'dmesg'",
				name);
	return complain(EXIT_FAILED,
			"nobody says who is there on %s: it has no label with room for peers; 'ivshmemctl format' makes one, then run 'ivshmemctl rescan' on each machine",
			name);
}

enum exit_code present_complain(const struct device *device, int error)
{
	if (error == -EOPNOTSUPP)
		return complain_no_area(device);
	return device_complain(device, error, "list the peers");
}

const char *present_kind(const struct ivshmem_peer *peer)
{
	switch (peer->kind) {
	case IVSHMEM_KIND_GUEST:
		return "guest";
	case IVSHMEM_KIND_PROGRAM:
		return "host";
	case IVSHMEM_KIND_SERVER:
		return "server";
	default:
		return "unknown";
	}
}

json_t *present_json(const struct ivshmem_peer *peer)
{
	return json_pack("{s:I, s:I, s:s, s:o, s:f, s:b}",
			 "slot", (json_int_t)peer->slot, "id", (json_int_t)peer->id,
			 "kind", present_kind(peer), "name", json_bytes(peer->name),
			 "silent", (double)peer->silent_ns / 1e9, "self", peer->self);
}

json_t *present_list_json(const struct present *present)
{
	json_t *array = json_array();

	for (size_t i = 0; i < present->count; i++)
		json_array_append_new(array, present_json(&present->list[i]));
	return array;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two guests see each other. One stands still for a while, and is gone for so long; then it
 * dies, and the other one notices, and can give away its slot.
 */
/* rig: guests=2 devices=plain,plain size=1M alone=yes timeout=180 */
#include <poll.h>

#include "peers.h"

#define SIZE (1UL << 20)
#define SECOND_DEVICE "/dev/ivshmem1"

static struct ivshmem_label label;
static struct peers seen;
static char *region;
static int fd;

static int rescan(unsigned int device)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/ivshmem/devices/ivshmem%u/rescan", device);
	return file_write(path, "1");
}

/* Room for the first devices of both guests, and no other. */
static void make_label(void)
{
	label = label_new(SIZE);
	label_add_peers(&label, 2, 1);
	if (!rig_guest())
		label_store(region, &label);
	rig_ask("barrier label");
	tap_eq(rescan(0), 0, "a label with two slots");
	tap_ok(peers_become(fd, &seen, 2), "both guests are there");
}

static bool is_named(const struct ivshmem_peer_info *info, unsigned int guest)
{
	char name[32] = "guest-0";

	name[6] += guest;
	return !memcmp(info->name, name, sizeof(name));
}

static void test_names(void)
{
	const struct ivshmem_peer_info *self = peers_self(&seen), *other;

	if (!self)
		tap_bail("this guest is not among them");
	other = &seen.at[self == &seen.at[0]];
	tap_eq(self->id, 0xff00 + self->slot, "own id");
	tap_eq(other->id, 0xff00 + other->slot, "the other's id");
	tap_eq(other->kind, IVSHMEM_PEER_GUEST, "its kind");
	tap_eq(other->flags, 0, "its flags");
	tap_ok(is_named(self, rig_guest()), "own name");
	tap_ok(is_named(other, !rig_guest()), "the other's name");
}

/* How long until so many are present, as a poller and a sleeper are told. */
static void see(unsigned int nr, const char *what)
{
	struct pollfd p = { .fd = fd, .events = POLLPRI };
	int64_t start = now_ns();

	while (seen.nr != nr && poll(&p, 1, 60000) > 0)
		if (peers_get(fd, &seen, true, 10 * SECOND))
			break;
	tap_eq(seen.nr, nr, "%s, seen after %lld ms", what,
	       (long long)((now_ns() - start) / 1000000));
}

int main(void)
{
	sethostname(rig_guest() ? "guest-1" : "guest-0", 7);
	fd = dev_open();
	region = dev_map(fd, SIZE);
	make_label();
	test_names();
	rig_ask("barrier seen");
	if (rig_guest()) {
		rig_ask("freeze 3");
		tap_ok(peers_become(fd, &seen, 2), "after a pause it is there as before");
		rig_ask("barrier thawed");
		rig_ask("barrier dies");
		tap_done();
		rig_ask("kill");
		return 1;
	}
	see(1, "the other guest stands still: it is gone");
	see(2, "it goes on: it is back");
	rig_ask("barrier thawed");
	tap_ok(peers_become(fd, &seen, 2), "both are there");
	rig_ask("barrier dies");
	see(1, "the other guest has died: it is gone");
	tap_eq(rescan(1), 0, "a third peer comes, and no slot is free");
	see(2, "it has that of the dead one");
	tap_ok(seen.at[0].owner != seen.at[1].owner && is_named(&seen.at[0], 0) &&
	       is_named(&seen.at[1], 0), "both are of this guest");
	return tap_done();
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory is replaced under a machine that is stopped: by zeros, by a clone with another
 * label, by an old copy, and by one in which others have its slots. It rings all the time, and
 * yet changes no byte that is not its own.
 */
/* rig: devices=plain,plain size=1M alone=yes timeout=120 */
#include "bells.h"

#define LONG_MS 1500		/* some heartbeats */
#define STRANGER "e407570000000000"
#define HEADER IVSHMEM_LABEL_HEADER_SIZE

static struct bells b;
static struct peers seen;
static volatile bool stop;

static void *ringer(void *arg)
{
	while (!stop)
		bells_ring(&b, 1);
	return arg;
}

/* The devices have two slots from this one on, and the first device another owner than this. */
static bool both_anew(unsigned int slot, uint64_t owner)
{
	const struct ivshmem_peer_info *self;
	int64_t end = now_ns() + PEERS_PATIENCE;

	while (now_ns() < end && !peers_get(b.fds[0], &seen, false, 0)) {
		self = peers_self(&seen);
		if (seen.nr == 2 && self && self->owner != owner &&
		    seen.at[0].slot == slot && seen.at[1].slot == slot + 1)
			return true;
		sleep_ms(100);
	}
	return false;
}

static uint64_t own_owner(void)
{
	const struct ivshmem_peer_info *self = peers_self(&seen);

	return self ? self->owner : 0;
}

static unsigned long section_at(unsigned int slot)
{
	return b.label.peers_offset + slot * b.label.peer_size;
}

static void test_zeros(void)
{
	rig_ask("memory-keep");
	rig_ask("memory-swap zero");
	sleep_ms(LONG_MS);
	tap_ok(rig_try("memory-same"), "zeros stay zeros");
	tap_ok(peers_become(b.fds[0], &seen, 0), "nobody is there");
	rig_ask("memory-swap kept");
	tap_ok(both_anew(0, 0), "the label comes back, and both take slots");
}

static void test_clone(void)
{
	static char fixed[IVSHMEM_LABEL_MAX_SIZE];
	struct ivshmem_label clone = b.label;
	char digits[2 * HEADER + 1];

	clone.uuid[15]++;
	ivshmem_label_build(fixed, &clone);
	for (unsigned int i = 0; i < HEADER; i++)
		sprintf(digits + 2 * i, "%02x", (unsigned char)fixed[i]);
	rig_ask("memory-keep");
	rig_ask("memory-swap kept 0 %s", digits);
	sleep_ms(LONG_MS);
	tap_ok(rig_try("memory-same"), "a clone with another UUID stays as it is");
	tap_eq(bells_rescan(0) | bells_rescan(1), 0, "a rescan");
	tap_ok(both_anew(2, 0), "and both take slots of the clone");
}

static void test_old_copy(void)
{
	uint64_t owner = own_owner();

	rig_ask("memory-keep");
	sleep_ms(LONG_MS);
	rig_ask("memory-swap kept");
	tap_ok(both_anew(0, owner), "after an old copy there is another owner, for others to see");
	rig_ask("memory-swap kept %#lx " STRANGER " %#lx " STRANGER, section_at(0), section_at(1));
	tap_ok(both_anew(2, 0), "where others have the slots, both find new ones");
	tap_ok(rig_try("memory-same %#lx %#x", section_at(0), 2 * b.label.peer_size),
	       "and leave those of the others alone");
}

int main(void)
{
	pthread_t thread;

	bells_open(&b);
	bells_relabel(&b, BELLS_VECTORS);
	pthread_create(&thread, NULL, ringer, NULL);
	test_zeros();
	test_clone();
	stop = true;
	pthread_join(thread, NULL);
	bells_relabel(&b, BELLS_VECTORS);
	tap_ok(both_anew(0, 0), "a new label");
	test_old_copy();
	bells_reopen(&b);
	bells_ring(&b, 1);
	tap_ok(dev_wait_vector(b.fds[1], 1, BELLS_PATIENCE) > 0, "a doorbell arrives in the end");
	return tap_done();
}
